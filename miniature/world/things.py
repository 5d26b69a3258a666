"""Things in the foreground of a picture with nobody: what stands where, and how it is drawn."""

from __future__ import annotations

import numpy as np

from .cat import draw_cat_head
from .colour import lch, shade
from .paths import box, oval, poly, segment, shape, spline
from .pen import INK, lin
from .records import INDOORS, Place
from .scenery import Scene

INSIDE = ("cat", "dog", "lantern", "chair", "flower pot", "basket", "suitcase", "ball", "books",
          "teapot")  # fmt: skip
OUTSIDE = ("cat", "dog", "lantern", "chair", "basket", "suitcase", "ball", "bench", "umbrella",
           "flower pot")  # fmt: skip


def things_of(place: Place) -> tuple[str, ...]:
    """The things (none to two) in the foreground of this place when nobody is in the picture."""
    rng = np.random.default_rng([19, place.seed])
    names = INSIDE if place.name in INDOORS else OUTSIDE
    count = int(rng.choice(3, p=(0.2, 0.5, 0.3)))
    return tuple(str(n) for n in rng.choice(names, count, replace=False))


def draw_things(scene: Scene) -> None:
    """Draw ``things_of`` in the foreground, on the ground."""
    names = things_of(scene.place)
    rng = np.random.default_rng([23, scene.place.seed])
    spots = [0.5] if len(names) == 1 else [0.32, 0.68]
    for name, spot in zip(names, spots, strict=False):
        x = scene.w * (spot + float(rng.uniform(-0.06, 0.06)))
        scene.pen.fill(oval(x, 0.935, 0.15, 0.022), lch(0.25, 0.03, 280), 0.22)
        DRAW[name](scene, x, 0.935)


def _cat(s: Scene, x: float, y: float) -> None:
    fur = s.tint(lch(0.72, 0.12, 62), 0, 0.5)
    s.pen.line(
        spline([(x + 0.08, y - 0.03), (x + 0.17, y - 0.02), (x + 0.18, y - 0.11)]), fur, 0.028
    )
    s.pen.fill(
        spline(
            [
                (x - 0.09, y),
                (x - 0.06, y - 0.17),
                (x, y - 0.22),
                (x + 0.06, y - 0.17),
                (x + 0.09, y),
                (x, y + 0.01),
            ],
            closed=True,
        ),
        fur,
    )
    draw_cat_head(s.pen, x, y - 0.25, 0.085, fur)


def _dog(s: Scene, x: float, y: float) -> None:
    fur, dark, pen = s.tint(lch(0.80, 0.07, 75), 0, 0.5), s.tint(lch(0.50, 0.08, 55), 0, 0.5), s.pen
    pen.line(spline([(x + 0.08, y - 0.04), (x + 0.15, y - 0.08), (x + 0.16, y - 0.15)]), fur, 0.025)
    pen.fill(
        spline(
            [
                (x - 0.10, y),
                (x - 0.07, y - 0.18),
                (x, y - 0.22),
                (x + 0.07, y - 0.18),
                (x + 0.10, y),
                (x, y + 0.01),
            ],
            closed=True,
        ),
        fur,
    )
    pen.fill(oval(x, y - 0.26, 0.085, 0.08), fur)
    for k in (-1, 1):
        pen.fill(oval(x + k * 0.085, y - 0.25, 0.028, 0.065, -k * 14), dark)
        pen.fill(oval(x + k * 0.032, y - 0.275, 0.012, 0.014), INK)
        pen.fill(oval(x + k * 0.035, y - 0.28, 0.004), lch(0.98, 0, 0))
    pen.fill(oval(x, y - 0.225, 0.045, 0.036), shade(fur, 0.06))
    pen.fill(oval(x, y - 0.243, 0.018, 0.013), INK)
    pen.line(spline([(x - 0.02, y - 0.215), (x, y - 0.205), (x + 0.02, y - 0.215)]), INK, 0.006)
    pen.fill(box(x - 0.07, y - 0.185, x + 0.07, y - 0.165, 0.01), s.tint("#c8463c", 0, 0.5))


def _lantern(s: Scene, x: float, y: float) -> None:
    pen, iron = s.pen, s.tint("#3a3c52")
    s.glow(x, y - 0.12, 0.36 if s.lamps else 0.20, 0.8 if s.lamps else 0.3)
    pen.line(spline([(x - 0.05, y - 0.22), (x, y - 0.31), (x + 0.05, y - 0.22)]), iron, 0.012)
    pen.fill(box(x - 0.065, y - 0.20, x + 0.065, y - 0.03, 0.01), lch(0.96, 0.09, 90))
    pen.fill(
        spline(
            [
                (x - 0.02, y - 0.04),
                (x - 0.02, y - 0.08),
                (x, y - 0.13),
                (x + 0.02, y - 0.08),
                (x + 0.02, y - 0.04),
            ],
            closed=True,
        ),
        lch(0.80, 0.16, 65),
    )
    for k in (-0.065, 0.0, 0.065):
        pen.line(segment((x + k, y - 0.20), (x + k, y - 0.03)), iron, 0.008)
    pen.fill(poly((x - 0.08, y - 0.195), (x, y - 0.245), (x + 0.08, y - 0.195)), iron)
    pen.fill(box(x - 0.08, y - 0.035, x + 0.08, y, 0.006), iron)


def _chair(s: Scene, x: float, y: float) -> None:
    pen, wood = s.pen, s.tint("#b9784e", 0, 0.4)
    for k in (-0.095, 0.095):
        pen.line(segment((x + k, y - 0.40), (x + k, y)), wood, 0.022)
        pen.line(
            segment((x + k * 1.15, y - 0.17), (x + k * 1.2, y + 0.02)), shade(wood, -0.05), 0.020
        )
    for v in (0.37, 0.31, 0.25):
        pen.line(segment((x - 0.09, y - v), (x + 0.09, y - v)), wood, 0.022)
    pen.fill(
        poly(
            (x - 0.10, y - 0.20), (x + 0.10, y - 0.20), (x + 0.13, y - 0.15), (x - 0.13, y - 0.15)
        ),
        shade(wood, 0.05),
    )


def _flower_pot(s: Scene, x: float, y: float) -> None:
    pen, green = s.pen, s.tint("#5c9068", 0, 0.4)
    for dx, dy, c in ((-0.08, -0.27, "#ea6f70"), (0.0, -0.34, "#f6c24f"), (0.08, -0.28, "#f7dce4")):
        pen.line(
            spline([(x, y - 0.10), (x + dx * 0.6, y + dy * 0.7), (x + dx, y + dy)]), green, 0.010
        )
        s.flower(x + dx, y + dy, 0.034, c)
    for k in (-1, 1):
        pen.fill(oval(x + k * 0.06, y - 0.16, 0.05, 0.022, -k * 35), green)
    pen.fill(
        poly((x - 0.085, y - 0.13), (x + 0.085, y - 0.13), (x + 0.062, y), (x - 0.062, y)),
        s.tint("#cf6f50", 0, 0.4),
    )
    pen.fill(box(x - 0.095, y - 0.15, x + 0.095, y - 0.115, 0.008), s.tint("#dd8162", 0, 0.4))


def _basket(s: Scene, x: float, y: float) -> None:
    pen, straw = s.pen, s.tint("#c99a5a", 0, 0.4)
    pen.line(
        spline(
            [(x - 0.11, y - 0.11), (x - 0.07, y - 0.26), (x + 0.07, y - 0.26), (x + 0.11, y - 0.11)]
        ),
        straw,
        0.018,
    )
    for dx, dy in ((-0.07, -0.13), (0.0, -0.15), (0.07, -0.13)):
        pen.fill(oval(x + dx, y + dy, 0.042), s.tint("#cf4438", 0, 0.4))
        pen.fill(oval(x + dx - 0.012, y + dy - 0.015, 0.010), lch(0.95, 0.03, 60), 0.7)
    pen.fill(
        shape([(x - 0.13, y - 0.12), (x + 0.13, y - 0.12)], [(x + 0.10, y), (x - 0.10, y)]), straw
    )
    for i in range(3):
        pen.line(
            segment((x - 0.12, y - 0.09 + i * 0.03), (x + 0.12, y - 0.09 + i * 0.03)),
            shade(straw, -0.09),
            0.007,
        )


def _suitcase(s: Scene, x: float, y: float) -> None:
    pen, c = s.pen, s.tint("#a8623f", 0, 0.4)
    pen.line(
        spline(
            [
                (x - 0.045, y - 0.20),
                (x - 0.03, y - 0.245),
                (x + 0.03, y - 0.245),
                (x + 0.045, y - 0.20),
            ]
        ),
        shade(c, -0.12),
        0.016,
    )
    pen.fill(
        box(x - 0.15, y - 0.20, x + 0.15, y, 0.02),
        lin((0, y - 0.2), (0, y), shade(c, 0.03), shade(c, -0.05)),
    )
    for k in (-0.09, 0.09):
        pen.fill(box(x + k - 0.014, y - 0.20, x + k + 0.014, y), shade(c, -0.12))
        pen.fill(
            box(x + k - 0.017, y - 0.115, x + k + 0.017, y - 0.085, 0.004), lch(0.84, 0.11, 88)
        )


def _ball(s: Scene, x: float, y: float) -> None:
    c = s.tint("#cf4438", 0, 0.5)
    s.pen.fill(
        oval(x, y - 0.10, 0.105),
        lin((x - 0.1, y - 0.2), (x + 0.1, y), shade(c, 0.06), shade(c, -0.07)),
    )
    s.pen.line(
        spline([(x - 0.095, y - 0.14), (x, y - 0.11), (x + 0.095, y - 0.14)]),
        lch(0.95, 0.01, 80),
        0.020,
        0.9,
    )
    s.pen.fill(oval(x - 0.04, y - 0.16, 0.018), lch(0.99, 0, 0), 0.6)


def _books(s: Scene, x: float, y: float) -> None:
    for i, (c, half) in enumerate(
        (("#3d5a7d", 0.13), ("#dba545", 0.115), ("#b6533f", 0.125), ("#5f8a7c", 0.10))
    ):
        y1, q, dx = y - i * 0.05, s.tint(c, 0, 0.4), (0.01, -0.012, 0.006, -0.004)[i]
        s.pen.fill(box(x + dx - half, y1 - 0.048, x + dx + half, y1, 0.006), q)
        s.pen.fill(
            box(x + dx + half - 0.04, y1 - 0.04, x + dx + half + 0.002, y1 - 0.008),
            s.tint("#f6eddc", 0, 0.4),
        )


def _teapot(s: Scene, x: float, y: float) -> None:
    pen, wood, c = s.pen, s.tint("#b9845a", 0, 0.4), s.tint("#5f8f86", 0, 0.4)
    for k in (-0.17, 0.17):
        pen.line(segment((x + k, y - 0.17), (x + k * 1.05, y + 0.02)), shade(wood, -0.06), 0.022)
    pen.fill(box(x - 0.22, y - 0.19, x + 0.22, y - 0.155, 0.01), wood)
    y -= 0.19
    pen.line(oval(x + 0.095, y - 0.075, 0.035, 0.042), c, 0.016)
    pen.line(spline([(x - 0.06, y - 0.05), (x - 0.12, y - 0.08), (x - 0.135, y - 0.125)]), c, 0.026)
    pen.fill(
        oval(x, y - 0.072, 0.09, 0.074),
        lin((x - 0.1, y - 0.1), (x + 0.1, y), shade(c, 0.05), shade(c, -0.05)),
    )
    pen.fill(oval(x, y - 0.145, 0.045, 0.014), shade(c, -0.06))
    pen.fill(oval(x, y - 0.160, 0.014), c)


def _bench(s: Scene, x: float, y: float) -> None:
    pen, wood = s.pen, s.tint("#a8704a", 0, 0.4)
    for k in (-0.20, 0.20):
        pen.line(segment((x + k, y - 0.30), (x + k, y + 0.01)), s.tint("#3a3c52"), 0.020)
    for v in (0.29, 0.235, 0.14):
        pen.fill(
            box(x - 0.25, y - v - 0.02, x + 0.25, y - v + 0.02, 0.008),
            shade(wood, 0.02 if v > 0.2 else 0.06),
        )


def _umbrella(s: Scene, x: float, y: float) -> None:
    pen = s.pen
    pen.line(segment((x, y - 0.34), (x, y - 0.02)), s.tint("#5b4a40"), 0.012)
    pen.line(
        spline([(x, y - 0.03), (x + 0.015, y), (x + 0.035, y - 0.02)]), s.tint("#5b4a40"), 0.012
    )
    for i in range(4):
        a, b = x - 0.20 + 0.10 * i, x - 0.10 + 0.10 * i
        c = s.tint(("#ecc045", "#f6ecd8")[i % 2], 0, 0.4)
        pen.fill(
            shape([(a, y - 0.17)], [(x, y - 0.36)], [(b, y - 0.17), ((a + b) / 2, y - 0.195)]), c
        )


DRAW = {"cat": _cat, "dog": _dog, "lantern": _lantern, "chair": _chair, "flower pot": _flower_pot, "basket": _basket,
        "suitcase": _suitcase, "ball": _ball, "books": _books, "teapot": _teapot, "bench": _bench, "umbrella": _umbrella}  # fmt: skip
