"""Dress and blouse."""

from __future__ import annotations

from .body import Body, garment
from .colour import shade
from .paths import oval, shape, spline
from .pen import Pen


def draw_dress(pen: Pen, b: Body) -> None:
    """The dress."""
    path, line = garment(pen, b, b.neck + 0.30, b.base + 0.09, 0.34)
    pen.clip(path)
    for i in range(72):
        x, y = (i % 9 - 4) * 0.40 + 0.20 * (i // 9 % 2), b.top + 0.16 + (i // 9) * 0.32
        pen.fill(oval(x, y, 0.062), b.second, 0.95)
    if b.arms:
        pen.line(
            spline([(-b.half, b.top + 1.80), (0, b.top + 1.88), (b.half, b.top + 1.80)]),
            b.second,
            0.16,
        )
    pen.back()
    pen.line(spline(line), b.second, 0.07, part="cloth")


def draw_blouse(pen: Pen, b: Body) -> None:
    """The blouse."""
    n, y, c = b.neck, b.base, b.colour
    path, _ = garment(pen, b, n + 0.12, y - 0.02, 0.24)
    pen.clip(path)
    for x in (-0.75, -0.45, 0.45, 0.75):  # gathers
        pen.line(
            spline([(x * 0.75, b.top - 0.02), (x, b.top + 0.5), (x * 1.1, b.top + 1.2)]),
            shade(c, -0.05, -8),
            0.03,
            0.7,
        )
    pen.back()
    frill = (
        [(-n - 0.14, y - 0.06)]
        + [
            ((t - 4) / 4 * (n + 0.1), y + 0.20 - 0.20 * ((t - 4) / 4) ** 2 + 0.03 * (t % 2))
            for t in range(9)
        ]
        + [(n + 0.14, y - 0.06)]
    )
    pen.line(spline(frill), shade(c, 0.03), 0.13, part="cloth")
    for s in (-1, 1):
        loop = spline(
            [(0, y + 0.30), (s * 0.30, y + 0.16), (s * 0.36, y + 0.36), (s * 0.06, y + 0.36)],
            closed=True,
        )
        end = shape(
            [(s * 0.02, y + 0.36), (s * 0.13, y + 0.36), (s * 0.24, y + 0.90)],
            [(s * 0.09, y + 0.86)],
        )
        pen.fill(end, shade(c, -0.02, -4), part="cloth")
        pen.fill(loop, shade(c, 0.045, 4) if s == b.light else c, part="cloth")
        pen.line(loop, b.line_of(c), 0.022, 0.6)
    pen.fill(oval(0, y + 0.33, 0.075), shade(c, -0.05, -6))
