"""Outfits with something worn below or over them: jacket, coat, suit, cardigan."""

from __future__ import annotations

from .body import BOTTOM, Body, cloth_fill, folds, garment, torso
from .colour import lch, shade
from .paths import oval, poly, shape, spline
from .pen import Pen


def _halves(pen: Pen, b: Body, gap: float, deep: float) -> None:
    """The two fronts of something open: from the shoulders to ``deep`` below the neck, ``gap`` apart."""
    n, y, top, half = b.neck, b.base, b.top, b.half
    for s in (-1, 1):
        outer = [(n + 0.18, y - 0.04), (n + (half - n) * 0.55, (y + top) / 2 - 0.04)]
        if b.arms:
            waist = half * (0.82 + 0.12 * b.person.build)
            outer += [
                (half - 0.08, top - 0.01),
                (half, top + 0.3),
                (half - 0.08, top + 0.9),
                (waist, BOTTOM),
            ]
        else:
            outer += [
                (half - 0.04, top - 0.02),
                (half + 0.10, top + 0.3),
                (half + 0.18, top + 1.9),
                (half, BOTTOM),
            ]
        front = shape([(s * x, v) for x, v in outer], [(s * gap, BOTTOM), (s * gap, y + deep)])
        cloth_fill(pen, b, front)
        folds(pen, b, front)
        pen.line(spline([(s * gap, y + deep), (s * gap, BOTTOM)]), b.line_of(b.colour), 0.035, 0.6)


def _under(pen: Pen, b: Body, collar: bool = False, colour=None) -> None:
    """What is worn below something open."""
    c = colour or b.second
    path, line = torso(b, b.neck + 0.12, b.base + 0.01, 0.36 if collar else 0.24, v=collar)
    pen.fill(path, c, part="cloth")
    pen.clip(path)
    pen.fill(
        spline([(a, v + 0.36) for a, v in b.head.base], closed=True), shade(c, -0.085, -9), 0.6
    )
    pen.back()
    if not collar:
        pen.line(spline(line), shade(c, -0.07, -8), 0.06)


def draw_jacket(pen: Pen, b: Body) -> None:
    """The jacket."""
    n, y, c = b.neck, b.base, b.colour
    _under(pen, b)
    _halves(pen, b, 0.30, 0.30)
    for s in (-1, 1):
        collar = shape(
            [(s * (n + 0.06), y - 0.24), (s * (n + 0.34), y - 0.02), (s * (n + 0.30), y + 0.28)],
            [(s * 0.30, y + 0.44), (s * (n + 0.02), y + 0.02)],
        )
        pen.fill(collar, shade(c, 0.05, 4) if s == b.light else shade(c, 0.02), part="cloth")
        pen.line(
            spline([(s * (n + 0.34), y), (s * (n + 0.30), y + 0.28), (s * 0.31, y + 0.44)]),
            b.line_of(c),
            0.03,
            0.7,
        )
        pen.line(
            spline([(s * 0.34, y + 0.46), (s * 0.34, BOTTOM)]),
            shade(c, 0.20 if c[0] < 0.6 else -0.22),
            0.035,
            0.8,
        )


def draw_coat(pen: Pen, b: Body) -> None:
    """The coat."""
    n, y, c, c2, s = b.neck, b.base, b.colour, b.second, 1 if b.person.parting > 0 else -1
    garment(pen, b, n + 0.16, y - 0.02, 0.30, wider=0.07)
    pen.line(spline([(0.1, y + 0.5), (0.14, 6)]), b.line_of(c), 0.035, 0.7)
    for i in range(4):
        pen.fill(oval(0.32, b.top + 0.48 + i * 0.62, 0.065), b.line_of(c))
    for k in (-1, 1):
        lapel = poly(
            (k * (n + 0.12), y),
            (k * (n + 0.55), y + 0.30),
            (k * (n + 0.25), y + 0.78),
            (k * 0.1, y + 0.5),
        )
        pen.fill(lapel, shade(c, 0.045, 4) if k == b.light else shade(c, -0.03), part="cloth")
    tail = shape(
        [(s * 0.10, y + 0.18), (s * 0.42, y + 0.13), (s * 0.52, y + 1.15)], [(s * 0.16, y + 1.20)]
    )
    scarf = shape([(-n - 0.20, y - 0.24), (-0.1, y - 0.16), (n + 0.20, y - 0.24), (n + 0.32, y + 0.08)],
                  [(n + 0.22, y + 0.27), (0, y + 0.40), (-n - 0.22, y + 0.27), (-n - 0.32, y + 0.08)])  # fmt: skip
    cloth_fill(pen, b, tail, shade(c2, -0.03))
    cloth_fill(pen, b, scarf, c2)
    for v in (0.05, 0.18):
        pen.line(
            spline([(-n - 0.25, y - 0.08 + v), (0, y + 0.08 + v), (n + 0.25, y - 0.06 + v)]),
            b.line_of(c2),
            0.028,
            0.7,
        )


def draw_suit(pen: Pen, b: Body) -> None:
    """The suit."""
    n, y, c = b.neck, b.base, b.colour
    white = lch(0.955, 0.012, 80) if b.moment.colour != "white" else lch(0.86, 0.02, 240)
    _under(pen, b, collar=True, colour=white)
    for s in (-1, 1):
        wing = poly(
            (s * (n - 0.02), y - 0.16),
            (s * (n + 0.14), y + 0.04),
            (s * (n - 0.04), y + 0.36),
            (s * 0.02, y + 0.32),
        )
        pen.fill(wing, shade(white, 0.01), part="cloth")
        pen.line(
            spline([(s * (n + 0.13), y + 0.05), (s * (n - 0.04), y + 0.36), (s * 0.03, y + 0.32)]),
            shade(white, -0.13),
            0.025,
        )
    tie = poly(
        (-0.10, y + 0.28),
        (0.10, y + 0.28),
        (0.07, y + 0.44),
        (0.17, y + 2.2),
        (0, y + 2.5),
        (-0.17, y + 2.2),
        (-0.07, y + 0.44),
    )
    pen.fill(tie, b.second, part="cloth")
    pen.line(spline([(-0.07, y + 0.44), (0.07, y + 0.44)]), b.line_of(b.second), 0.03)
    _halves(pen, b, 0.04, 1.55)
    for s in (-1, 1):
        lapel = poly(
            (s * (n + 0.10), y - 0.12),
            (s * (n + 0.46), y + 0.36),
            (s * (n + 0.33), y + 0.47),
            (s * (n + 0.41), y + 0.58),
            (s * 0.03, y + 1.60),
            (s * (n - 0.02), y + 0.48),
        )
        pen.fill(lapel, shade(c, 0.045, 4) if s == b.light else shade(c, 0.018), part="cloth")
        pen.line(
            spline([(s * (n + 0.41), y + 0.58), (s * 0.04, y + 1.58)]), b.line_of(c), 0.03, 0.6
        )


def draw_cardigan(pen: Pen, b: Body) -> None:
    """The cardigan."""
    n, y, c = b.neck, b.base, b.colour
    _under(pen, b)
    _halves(pen, b, 0.10, 0.95)
    for s in (-1, 1):
        edge = [
            (s * (n + 0.16), y - 0.06),
            (s * (n * 0.5 + 0.15), y + 0.46),
            (s * 0.13, y + 0.95),
            (s * 0.12, BOTTOM),
        ]
        pen.line(
            spline(edge, tension=0.1),
            shade(c, 0.05, 4) if c[0] < 0.85 else shade(c, -0.06),
            0.12,
            part="cloth",
        )
    for i in range(4):
        pen.fill(oval(0.11, y + 1.10 + i * 0.5, 0.055), shade(c, 0.25 if c[0] < 0.6 else -0.28))
