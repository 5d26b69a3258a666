"""The pen: one canvas for colour and one for labels, fed by the same calls; and the styles that fill its paths.

A drawing function hands the pen an outline and an ink (one colour, ``Linear`` or ``Radial``). What that looks like
is the style's business: the storybook fills it softly, the ink line fills it palely and draws its edge.
cut paper lays it on what is below. A new style is a subclass of ``Style``, or two, entered in ``STYLES``.
"""

from __future__ import annotations

from typing import NamedTuple

import skia

from .colour import Lab, argb, lch, mix, shade

# Class k of the part labels is PARTS[k].
PARTS: tuple[str, ...] = (
    "none", "hair", "skin", "ear", "brow", "eye", "nose", "mouth", "beard", "glasses", "headscarf",
    "neck", "cloth", "hand", "thing",
)  # fmt: skip
HEAD_PARTS = PARTS[1:11]
FEATURES = ("nose", "mouth", "eye", "brow")  # fine enough as they are
PART_NUMBER = {name: k for k, name in enumerate(PARTS)}
INK = lch(0.27, 0.045, 25)
PAPER = lch(0.97, 0.012, 90)
SHEETS = 0.08  # lightness from one colour of paper to the next


class Linear(NamedTuple):
    """Colours from point ``a`` to point ``b``; each a Lab, or (Lab, alpha)."""

    a: tuple[float, float]
    b: tuple[float, float]
    colours: tuple


class Radial(NamedTuple):
    """Colours from the centre out to ``radius``; each a Lab, or (Lab, alpha)."""

    centre: tuple[float, float]
    radius: float
    colours: tuple


def lin(a, b, *colours) -> Linear:
    """A linear gradient."""
    return Linear(a, b, colours)


def glow(centre, radius, colour: Lab, alpha: float = 1.0) -> Radial:
    """A soft spot that fades to nothing."""
    return Radial(centre, radius, ((colour, alpha), (colour, alpha * 0.55), (colour, 0.0)))


class Style:
    """The storybook: soft fills and gradients, as they come."""

    name = "storybook"

    def colour(self, lab: Lab) -> Lab:
        """What a colour becomes in this style."""
        return lab

    def _argb(self, colour, alpha: float) -> int:
        lab, own = colour if len(colour) == 2 else (colour, 1.0)
        return argb(self.colour(lab), alpha * own)

    def ink(self, ink, alpha: float) -> skia.Paint:
        """The paint for an ink."""
        if isinstance(ink, Linear):
            colours = [self._argb(c, alpha) for c in ink.colours]
            shader = skia.GradientShader.MakeLinear(points=[ink.a, ink.b], colors=colours)
            return skia.Paint(AntiAlias=True, Shader=shader)
        if isinstance(ink, Radial):
            colours = [self._argb(c, alpha) for c in ink.colours]
            shader = skia.GradientShader.MakeRadial(
                center=ink.centre, radius=ink.radius, colors=colours
            )
            return skia.Paint(AntiAlias=True, Shader=shader)
        return skia.Paint(AntiAlias=True, Color=self._argb(ink, alpha))

    def fill(
        self, canvas: skia.Canvas, path: skia.Path, ink, alpha: float, part: str | None
    ) -> None:
        """Fill an outline. ``part`` names the label, None for mere shading."""
        canvas.drawPath(path, self.ink(ink, alpha))

    def line(
        self, canvas: skia.Canvas, path: skia.Path, ink, alpha: float, stroke: skia.Paint
    ) -> None:
        """Draw along a path; ``stroke`` carries the width and the ends."""
        paint = self.ink(ink, alpha)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(stroke.getStrokeWidth())
        paint.setStrokeCap(stroke.getStrokeCap())
        paint.setStrokeJoin(stroke.getStrokeJoin())
        canvas.drawPath(path, paint)


class InkLine(Style):
    """Pen and wash: a dark line round everything of a person that has a name, before a pale place."""

    name = "ink line"
    wash, width, line_of = 0.12, 2.2, INK

    def colour(self, lab: Lab) -> Lab:
        return mix(lab, PAPER, self.wash)

    def fill(self, canvas, path, ink, alpha, part):
        if self.edged(
            ink, alpha, part
        ):  # below the colour, so that overlapping pieces share one line
            edge = skia.Paint(
                AntiAlias=True, Color=argb(self.line_of), StrokeWidth=2 * self.width * unit(canvas)
            )
            edge.setStyle(skia.Paint.kStroke_Style)
            canvas.drawPath(path, edge)
        canvas.drawPath(path, self.ink(ink, alpha))

    def edged(self, ink, alpha: float, part: str | None) -> bool:
        """Whether a line goes round an outline."""
        return bool(part) and part not in FEATURES


class PaleLine(InkLine):
    """The places of ink line: hardly any colour, and a thin grey line round what is solid."""

    wash, width, line_of = 0.72, 1.1, lch(0.62, 0.02, 60)

    def edged(self, ink, alpha, part):
        return alpha > 0.9 and not isinstance(ink, Radial)


class CutPaper(Style):
    """Cut paper: flat sheets of few colours, each with a soft shadow on what lies below it."""

    name = "cut paper"

    def colour(self, lab: Lab) -> Lab:
        lightness, a, b = lab
        return round(lightness / SHEETS) * SHEETS, a, b

    def ink(self, ink, alpha):
        if isinstance(ink, Linear):
            return super().ink(ink.colours[len(ink.colours) // 2], alpha)
        if isinstance(ink, Radial):
            colour = ink.colours[0]
            return super().ink(
                colour, 0.0 if len(colour) == 2 else alpha
            )  # light that fades is no paper
        return super().ink(ink, alpha)

    def fill(self, canvas, path, ink, alpha, part):
        if self.raised(ink, alpha, part):
            size, under = unit(canvas), skia.Path(path)
            under.offset(2.5 * size, 5.5 * size)
            shadow = skia.Paint(AntiAlias=True, Color=argb(shade(INK, -0.08), 0.5))
            shadow.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 3 * size))
            canvas.drawPath(under, shadow)
        canvas.drawPath(path, self.ink(ink, alpha))

    def raised(self, ink, alpha: float, part: str | None) -> bool:
        """Whether an outline is a sheet of its own."""
        return bool(part) and part not in FEATURES


class LayeredPaper(CutPaper):
    """The places of cut paper: a sheet for everything solid, and skies in five."""

    def ink(self, ink, alpha):
        if not isinstance(ink, Linear) or len(ink.colours) < 3:
            return super().ink(ink, alpha)
        steps, last = [], len(ink.colours) - 1
        for k in range(5):
            at = k / 4 * last
            low = min(int(at), last - 1)
            sheet = mix(ink.colours[low], ink.colours[low + 1], at - low)
            steps += [self._argb(sheet, alpha)] * 2
        places = [min(1.0, (k + side) / 5) for k in range(5) for side in (0, 1)]
        shader = skia.GradientShader.MakeLinear([ink.a, ink.b], steps, places)
        return skia.Paint(AntiAlias=True, Shader=shader)

    def raised(self, ink, alpha, part):
        return alpha > 0.9 and not isinstance(ink, Radial)


def unit(canvas: skia.Canvas) -> float:
    """A 256th of the picture's height, in the canvas's present frame."""
    scale = max(1e-6, abs(canvas.getTotalMatrix().mapRadius(1.0)))
    return canvas.getBaseLayerSize().height() / 256 / scale


# The pen for people, and that for the place behind them.
STYLES: dict[str, tuple[Style, Style]] = {
    people.name: (people, place)
    for people, place in (
        (Style(), Style()), (InkLine(), PaleLine()), (CutPaper(), LayeredPaper()),
    )
}  # fmt: skip


OTHER_STYLES = tuple(name for name in STYLES if name != "storybook")


class Pen:
    """Draws on a canvas and, with ``labels``, writes person and part numbers on a second one."""

    def __init__(
        self, canvas: skia.Canvas, labels: skia.Canvas | None = None, style: Style | None = None
    ):
        self.canvas, self.labels, self.style, self.who = (
            canvas,
            labels,
            style or STYLES["storybook"][0],
            0,
        )

    def _label(self, part: str) -> skia.Paint:
        return skia.Paint(
            AntiAlias=False, Color=0xFF000000 | self.who << 16 | PART_NUMBER[part] << 8
        )

    def fill(self, path: skia.Path, ink, alpha: float = 1.0, part: str | None = None) -> None:
        """Fill an outline with an ink; ``part`` also labels it."""
        self.style.fill(self.canvas, path, ink, alpha, part)
        if part and self.labels:
            self.labels.drawPath(path, self._label(part))

    def line(
        self,
        path,
        ink,
        width: float,
        alpha: float = 1.0,
        part: str | None = None,
        butt: bool = False,
    ):
        """Draw along a path, ``width`` wide, with round ends unless ``butt``."""
        stroke = skia.Paint(AntiAlias=False, Style=skia.Paint.kStroke_Style, StrokeWidth=width)
        if not butt:
            stroke.setStrokeCap(skia.Paint.kRound_Cap)
            stroke.setStrokeJoin(skia.Paint.kRound_Join)
        self.style.line(self.canvas, path, ink, alpha, stroke)
        if part and self.labels:
            stroke.setColor(self._label(part).getColor())
            self.labels.drawPath(path, stroke)

    def clip(self, path: skia.Path) -> None:
        """Draw only inside the outline until ``back``."""
        for c in (self.canvas, self.labels):
            if c:
                c.save()
                c.clipPath(path, skia.ClipOp.kIntersect, c is self.canvas)

    def move(
        self, x: float, y: float, scale: float = 1.0, turn: float = 0.0, flip: bool = False
    ) -> None:
        """A new frame until ``back``: shifted, scaled, turned by degrees, mirrored."""
        for c in (self.canvas, self.labels):
            if c:
                c.save()
                c.translate(x, y)
                if turn:
                    c.rotate(turn)
                c.scale(-scale if flip else scale, scale)

    def turn(self, degrees: float, x: float, y: float) -> None:
        """Turn about a point until ``back``."""
        for c in (self.canvas, self.labels):
            if c:
                c.save()
                c.rotate(degrees, x, y)

    def back(self) -> None:
        """Leave the last ``clip``, ``move`` or ``turn``."""
        for c in (self.canvas, self.labels):
            if c:
                c.restore()
