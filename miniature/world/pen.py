"""The pen: one canvas for colour and one for labels, fed by the same calls; and the styles that fill its paths.

A drawing function hands the pen an outline and an ink (one colour, ``Linear`` or ``Radial``). What that looks like
is the style's business: the storybook fills it softly, the ink line fills it palely and draws its edge.
A new style is a subclass of ``Style``, entered in ``STYLES``.
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
PART_NUMBER = {name: k for k, name in enumerate(PARTS)}
INK = lch(0.27, 0.045, 25)


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
    """Pen and wash: pale colours, and a dark line round everything that has a name."""

    name = "ink line"

    def colour(self, lab: Lab) -> Lab:
        return mix(lab, lch(0.96, 0.012, 90), 0.30)

    def fill(self, canvas, path, ink, alpha, part):
        canvas.drawPath(path, self.ink(ink, alpha))
        if part and part != "nose":
            path = skia.Simplify(path)  # one outline round overlapping pieces
            edge = skia.Paint(AntiAlias=True, Color=argb(INK, 0.85), Style=skia.Paint.kStroke_Style)
            edge.setStrokeWidth(1.3 / max(1e-6, abs(canvas.getTotalMatrix().getScaleX())))
            canvas.drawPath(path, edge)


class CutPaper(Style):
    """Cut paper: flat colours, and a soft shadow below everything that has a name."""

    name = "cut paper"

    def ink(self, ink, alpha):
        if isinstance(ink, Linear):
            middle = ink.colours[len(ink.colours) // 2]
            return super().ink(middle, alpha)
        return super().ink(ink, alpha)

    def fill(self, canvas, path, ink, alpha, part):
        if part:
            size = 1 / max(1e-6, abs(canvas.getTotalMatrix().getScaleX()))
            under = skia.Path(path)
            under.offset(1.2 * size, 2.2 * size)
            canvas.drawPath(under, skia.Paint(AntiAlias=True, Color=argb(shade(INK, -0.05), 0.22)))
        canvas.drawPath(path, self.ink(ink, alpha))


STYLES: dict[str, Style] = {s.name: s for s in (Style(), InkLine(), CutPaper())}


class Pen:
    """Draws on a canvas and, with ``labels``, writes person and part numbers on a second one."""

    def __init__(
        self, canvas: skia.Canvas, labels: skia.Canvas | None = None, style: Style | None = None
    ):
        self.canvas, self.labels, self.style, self.who = (
            canvas,
            labels,
            style or STYLES["storybook"],
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
