"""A cat's face, for arms and for rooms."""

from __future__ import annotations

from .colour import lch, mix
from .paths import oval, poly, spline
from .pen import Pen


def draw_cat_head(pen: Pen, x: float, y: float, r: float, fur) -> None:
    """A cat's face of radius ``r``."""
    for k in (-1, 1):
        ear = poly(
            (x + k * r * 0.92, y - r * 0.15),
            (x + k * r * 0.80, y - r * 1.20),
            (x + k * r * 0.15, y - r * 0.72),
        )
        pen.fill(ear, fur, part="thing")
        pen.fill(
            poly(
                (x + k * r * 0.76, y - r * 0.45),
                (x + k * r * 0.72, y - r * 0.98),
                (x + k * r * 0.36, y - r * 0.70),
            ),
            lch(0.76, 0.08, 20),
        )
    pen.fill(oval(x, y, r, r * 0.86), fur, part="thing")
    pen.fill(oval(x, y + r * 0.36, r * 0.48, r * 0.34), mix(fur, lch(0.97, 0.01, 80), 0.7))
    for k in (-1, 1):
        pen.fill(oval(x + k * r * 0.40, y - r * 0.06, r * 0.20, r * 0.21), lch(0.80, 0.13, 110))
        pen.fill(oval(x + k * r * 0.40, y - r * 0.06, r * 0.10, r * 0.18), lch(0.18, 0.02, 60))
        pen.fill(oval(x + k * r * 0.36, y - r * 0.13, r * 0.06), lch(0.99, 0, 0))
        for v in (-0.06, 0.10):
            pen.line(
                spline(
                    [
                        (x + k * r * 0.45, y + r * (0.32 + v * 0.5)),
                        (x + k * r * 1.10, y + r * (0.26 + v)),
                    ]
                ),
                lch(0.97, 0.005, 80),
                r * 0.05,
                0.7,
            )
    pen.fill(
        poly((x - r * 0.10, y + r * 0.20), (x + r * 0.10, y + r * 0.20), (x, y + r * 0.32)),
        lch(0.62, 0.10, 15),
    )
    pen.line(
        spline(
            [
                (x - r * 0.18, y + r * 0.44),
                (x - r * 0.06, y + r * 0.48),
                (x, y + r * 0.32),
                (x + r * 0.06, y + r * 0.48),
                (x + r * 0.18, y + r * 0.44),
            ]
        ),
        lch(0.35, 0.04, 30),
        r * 0.06,
    )
