"""Sixteen outfits. Each covers the torso; what shows of the second colour is said by ``records.TWO_COLOURS``."""

from __future__ import annotations

from .body import BOTTOM, Body, cloth_fill, draw_neck, folds, garment, torso
from .clothes_dress import draw_blouse, draw_dress
from .clothes_open import draw_cardigan, draw_coat, draw_jacket, draw_suit
from .colour import lch, shade
from .paths import box, oval, poly, shape, spline
from .pen import Pen, lin

BARE_ARMS = frozenset({"t-shirt", "dress", "sports top", "vest", "overalls"})  # short or no sleeves


def _t_shirt(pen: Pen, b: Body) -> None:
    _, line = garment(pen, b, b.neck + 0.14, b.base + 0.02, 0.26)
    pen.line(spline(line), shade(b.colour, -0.06, -8), 0.085, part="cloth")


def _shirt(pen: Pen, b: Body) -> None:
    garment(pen, b, b.neck + 0.10, b.base - 0.04, 0.42, v=True)
    _placket(pen, b)
    _collar(pen, b)


def _placket(pen: Pen, b: Body) -> None:
    seam = b.line_of(b.colour)
    pen.line(spline([(0, b.base + 0.40), (0, 6)]), seam, 0.04, 0.8)
    button = shade(b.colour, 0.22 if b.colour[0] < 0.6 else -0.25)
    for i in range(6):
        pen.fill(oval(0.055, b.base + 0.66 + i * 0.46, 0.042), button)


def _collar(pen: Pen, b: Body) -> None:
    n, y, c = b.neck, b.base, b.colour
    for s in (-1, 1):
        wing = poly(
            (s * (n + 0.02), y - 0.20),
            (s * (n + 0.19), y),
            (s * (n + 0.06), y + 0.42),
            (s * 0.01, y + 0.40),
            (s * (n - 0.10), y + 0.02),
        )
        pen.fill(wing, shade(c, 0.045, 4) if s == b.light else shade(c, 0.015), part="cloth")
        pen.line(
            spline([(s * (n + 0.17), y + 0.04), (s * (n + 0.05), y + 0.42), (s * 0.02, y + 0.41)]),
            b.line_of(c),
            0.03,
            0.7,
        )


def _striped_shirt(pen: Pen, b: Body) -> None:
    path, line = torso(b, b.neck + 0.24, b.base + 0.05, 0.20)
    cloth_fill(pen, b, path)
    pen.clip(path)
    for i in range(9):
        y = b.top + 0.16 + i * 0.30
        stripe = [
            (-b.half - 0.4, y + 0.10),
            (-b.half * 0.5, y),
            (0, y + 0.06),
            (b.half * 0.5, y),
            (b.half + 0.4, y + 0.10),
        ]
        pen.line(spline(stripe), b.second, 0.125)
    pen.back()
    folds(pen, b, path)
    pen.line(spline(line), b.second, 0.075, part="cloth")


def _sweater(pen: Pen, b: Body) -> None:
    n, y, c = b.neck, b.base, b.colour
    path, _ = garment(pen, b, n + 0.10, y + 0.0, 0.20)
    pen.clip(path)
    light, dark = shade(c, 0.055, 4), shade(c, -0.06, -8)
    for row in range(7):  # a knitted yoke of small v's
        for i in range(-9, 10):
            x, v = i * 0.20 + 0.10 * (row % 2), b.top + 0.22 + row * 0.36
            pen.line(
                spline([(x - 0.05, v - 0.04), (x, v + 0.03), (x + 0.05, v - 0.04)], tension=0),
                light if row % 2 else dark,
                0.026,
                0.7,
            )
    pen.back()
    band = shape([(-n - 0.12, y - 0.08), (-n * 0.6, y + 0.09), (0, y + 0.14), (n * 0.6, y + 0.09), (n + 0.12, y - 0.08)],
                 [(n + 0.20, y + 0.05), (n * 0.66, y + 0.24), (0, y + 0.30), (-n * 0.66, y + 0.24), (-n - 0.20, y + 0.05)])  # fmt: skip
    pen.fill(band, shade(c, 0.02, 2), part="cloth")
    for i in range(-3, 4):
        t = i / 3.4
        dip = 0.16 * (1 - t * t)
        pen.line(
            spline([(t * (n + 0.08), y - 0.04 + dip), (t * (n + 0.16), y + 0.08 + dip)]),
            dark,
            0.024,
            0.8,
        )


def _turtleneck(pen: Pen, b: Body) -> None:
    n, y, c = b.neck, b.base, b.colour
    garment(pen, b, n + 0.12, y - 0.02, 0.1)
    roll = shape(
        [(-n - 0.07, y - 0.30), (0, y - 0.20), (n + 0.07, y - 0.30)],
        [(n + 0.15, y + 0.06), (0, y + 0.22), (-n - 0.15, y + 0.06)],
    )
    pen.fill(
        roll,
        lin((b.light * 0.5, 1), (-b.light * 0.5, 1.2), shade(c, 0.045, 4), c, shade(c, -0.07, -8)),
        part="cloth",
    )
    for x in (-0.30, -0.15, 0, 0.15, 0.30):
        pen.line(
            spline([(x * 0.95, y - 0.19), (x * 1.1, y + 0.10)]), shade(c, -0.07, -8), 0.025, 0.8
        )
    pen.line(
        spline([(-n - 0.15, y + 0.06), (0, y + 0.22), (n + 0.15, y + 0.06)]),
        b.line_of(c),
        0.035,
        0.6,
    )


def _hoodie(pen: Pen, b: Body) -> None:
    n, y, c = b.neck, b.base, b.colour
    garment(pen, b, n + 0.14, y - 0.02, 0.36)
    for s in (-1, 1):
        hood = shape([(s * (n + 0.02), y - 0.24), (s * (n + 0.40), y + 0.02), (s * (n + 0.20), y + 0.34), (s * 0.03, y + 0.54)],
                     [(s * 0.02, y + 0.34), (s * n * 0.75, y + 0.14)])  # fmt: skip
        pen.fill(hood, shade(c, 0.045, 4) if s == b.light else shade(c, 0.015), part="cloth")
        pen.line(
            spline([(s * (n + 0.38), y + 0.06), (s * (n + 0.20), y + 0.34), (s * 0.05, y + 0.53)]),
            b.line_of(c),
            0.028,
            0.6,
        )
        pen.line(
            spline([(s * 0.16, y + 0.46), (s * 0.18, y + 0.74), (s * 0.16, y + 0.92)]),
            shade(c, 0.18 if c[0] < 0.75 else -0.2),
            0.042,
        )
    if b.arms:
        pocket = shape(
            [(-0.55, b.top + 1.25), (0.55, b.top + 1.25)],
            [(0.80, b.top + 2.0), (-0.80, b.top + 2.0)],
        )
        pen.line(pocket, b.line_of(c), 0.03, 0.6)


def _hood_behind(pen: Pen, b: Body) -> None:
    n, y = b.neck, b.base
    hood = [
        (-n - 0.42, y + 0.28),
        (-n - 0.40, y - 0.26),
        (-0.25, y - 0.42),
        (0.25, y - 0.42),
        (n + 0.40, y - 0.26),
        (n + 0.42, y + 0.28),
        (0, y + 0.5),
    ]
    pen.fill(spline(hood, closed=True), shade(b.colour, -0.075, -8), part="cloth")


def _overalls(pen: Pen, b: Body) -> None:
    n, y, top, half, c = b.neck, b.base, b.top, b.half, b.colour
    _, line = garment(pen, b, n + 0.14, y + 0.02, 0.24, colour=b.second)
    pen.line(spline(line), shade(b.second, -0.08, -8), 0.06, 0.9)
    for s in (-1, 1):
        strap = spline([(s * (n + 0.34), y + 0.07), (s * 0.56, top + 0.16), (s * 0.46, top + 0.42)])
        pen.line(strap, c, 0.21, part="cloth", butt=True)
    edge = [(0.60, top + 1.3), (half * 0.80, top + 1.9), (half * 0.84, BOTTOM)]
    bib = shape(
        [(-0.56, top + 0.30), (0, top + 0.33), (0.56, top + 0.30)],
        edge,
        [(-a, v) for a, v in edge[::-1]],
    )
    cloth_fill(pen, b, bib)
    folds(pen, b, bib)
    pen.line(
        spline([(-0.52, top + 0.36), (0, top + 0.39), (0.52, top + 0.36)]), b.line_of(c), 0.03, 0.7
    )
    pocket = box(-0.26, top + 0.62, 0.26, top + 1.05, 0.05)
    pen.fill(pocket, shade(c, -0.05, -6))
    pen.line(pocket, b.line_of(c), 0.025, 0.6)
    for s in (-1, 1):
        pen.fill(oval(s * 0.46, top + 0.42, 0.065), lch(0.86, 0.10, 90))


def _sports_top(pen: Pen, b: Body) -> None:
    n, y, top, half = b.neck, b.base, b.top, b.half
    path, line = torso(b, n + 0.14, y + 0.01, 0.34, v=True)
    cloth_fill(pen, b, path)
    pen.clip(path)
    pen.line(
        spline([(-half - 0.3, top + 0.52), (0, top + 0.46), (half + 0.3, top + 0.52)]),
        b.second,
        0.22,
    )
    pen.line(
        spline([(-half - 0.3, top + 0.72), (0, top + 0.66), (half + 0.3, top + 0.72)]),
        b.second,
        0.055,
    )
    pen.back()
    folds(pen, b, path)
    pen.line(spline(line, tension=0), b.second, 0.085, part="cloth")


def _vest(pen: Pen, b: Body) -> None:
    h, n, top, half = b.head, b.neck, b.top, b.half
    if not b.arms:
        shoulders, _ = torso(b, n + 0.1, b.base + 0.05, 0.3)
        pen.fill(
            shoulders,
            lin((b.light * half, 0), (-b.light * half, 0), h.skin, shade(h.skin, -0.05, -5, 0.01)),
            part="hand",
        )
    strap = half - 0.34
    right = [(n + 0.20, b.base + 0.10), (strap - 0.06, (b.base + top) / 2 + 0.10), (strap, top + 0.20), (half - 0.22, top + 0.75),
             (half * 0.92, top + 1.3), (half * 0.94, BOTTOM)]  # fmt: skip
    line = [
        (-n - 0.20, b.base + 0.10),
        (-n * 0.62, b.base + 0.32),
        (0, b.base + 0.38),
        (n * 0.62, b.base + 0.32),
        (n + 0.20, b.base + 0.10),
    ]
    path = shape(line, right, [(-x, y) for x, y in right[::-1]])
    cloth_fill(pen, b, path)
    folds(pen, b, path)
    pen.line(spline(line), shade(b.colour, -0.07, -8), 0.07, part="cloth")
    for s in (-1, 1):
        pen.line(
            spline([(s * x, y) for x, y in right[1:5]]),
            shade(b.colour, -0.07, -8),
            0.055,
            part="cloth",
        )


def _work_shirt(pen: Pen, b: Body) -> None:
    _shirt(pen, b)
    seam, top, c = b.line_of(b.colour), b.top, b.colour
    pen.line(spline([(-b.half, top + 0.18), (-0.1, top + 0.30)]), seam, 0.028, 0.8)
    pen.line(spline([(b.half, top + 0.18), (0.1, top + 0.30)]), seam, 0.028, 0.8)
    for s in (-1, 1):
        x, y = s * 0.62, top + 0.42
        pen.fill(box(x - 0.27, y, x + 0.27, y + 0.60, 0.05), shade(c, -0.035, -4))
        pen.line(box(x - 0.27, y, x + 0.27, y + 0.60, 0.05), seam, 0.028, 0.8)
        flap = poly(
            (x - 0.29, y - 0.03),
            (x + 0.29, y - 0.03),
            (x + 0.27, y + 0.13),
            (x, y + 0.21),
            (x - 0.27, y + 0.13),
        )
        pen.fill(flap, shade(c, 0.03))
        pen.line(flap, seam, 0.026, 0.8)
        pen.fill(oval(x, y + 0.12, 0.035), lch(0.86, 0.10, 90))


DRAW = {
    "t-shirt": _t_shirt, "shirt": _shirt, "striped shirt": _striped_shirt, "sweater": _sweater,
    "turtleneck": _turtleneck, "hoodie": _hoodie, "jacket": draw_jacket, "coat": draw_coat, "suit": draw_suit,
    "cardigan": draw_cardigan, "dress": draw_dress, "blouse": draw_blouse, "overalls": _overalls,
    "sports top": _sports_top, "vest": _vest, "work shirt": _work_shirt,
}  # fmt: skip


def draw_clothes(pen: Pen, b: Body) -> None:
    """Neck, then what is worn."""
    if b.moment.outfit == "hoodie":
        _hood_behind(pen, b)
    draw_neck(pen, b)
    DRAW[b.moment.outfit](pen, b)


def sleeve_colour(b: Body):
    """The sleeves' colour."""
    return b.second if b.moment.outfit == "overalls" else b.colour
