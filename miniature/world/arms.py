"""Gestures and things held; drawn in half-bodies."""

from __future__ import annotations

import math

from .body import Body
from .cat import draw_cat_head
from .colour import cloth, lch, mix, shade
from .hands import arm, down, grip, palm
from .paths import joined, oval, poly, shape, spline, taper
from .pen import Pen, lin

CREAM = lch(0.955, 0.02, 85)


def _thing_colour(b: Body):
    name = b.person.accent
    return cloth(name if name != b.moment.colour else ("red" if name != "red" else "teal"))


def _wave(pen: Pen, b: Body, s: int) -> None:
    down(pen, b, -s)
    x = min(b.half + 0.42, 1.98)
    arm(pen, b, s, (s * (x - 0.10), b.top + 1.35), (s * x, b.top - 0.10))
    palm(pen, b.head, s * (x + 0.02), b.top - 0.30, s * 8, s)


def _cheer(pen: Pen, b: Body, s: int) -> None:
    x = min(b.half + 0.40, 1.95)
    for k in (-1, 1):
        arm(pen, b, k, (k * (x + 0.02), b.top + 0.95), (k * (x - 0.08), b.top - 0.45))
        palm(pen, b.head, k * (x - 0.07), b.top - 0.66, -k * 4, k)


def _book(pen: Pen, b: Body, s: int) -> None:
    y = b.top + 1.20
    for k in (-1, 1):
        arm(pen, b, k, (k * (b.half + 0.08), b.top + 1.62), (k * 0.80, y + 0.20))
    c = _thing_colour(b)
    cover = poly(
        (-0.78, y - 0.40),
        (0, y - 0.28),
        (0.78, y - 0.40),
        (0.82, y + 0.54),
        (0, y + 0.68),
        (-0.82, y + 0.54),
    )
    pen.fill(cover, lin((-0.8, y), (0.8, y), shade(c, 0.05), c, shade(c, -0.04)), part="thing")
    for k in (-1, 1):
        pages = poly((k * 0.72, y - 0.48), (0, y - 0.34), (0, y - 0.28), (k * 0.78, y - 0.40))
        pen.fill(pages, CREAM, part="thing")
    pen.line(spline([(0, y - 0.28), (0, y + 0.68)]), shade(c, -0.10), 0.045)
    pen.fill(oval(0.40, y + 0.10, 0.14, 0.16), mix(c, CREAM, 0.75))
    for k in (-1, 1):
        grip(pen, b.head, k * 0.78, y + 0.22, k)


def _cup(pen: Pen, b: Body, s: int) -> None:
    down(pen, b, -s)
    x, y = s * 0.42, b.top + 0.98
    arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.28, y + 0.20))
    c = _thing_colour(b)
    for i in (-1, 1):
        steam = [
            (x + i * 0.09, y - 0.36),
            (x + i * 0.13, y - 0.47),
            (x + i * 0.06, y - 0.57),
            (x + i * 0.11, y - 0.68),
        ]
        pen.line(spline(steam), lch(0.98, 0.005, 80), 0.042, 0.5)
    pen.line(oval(x - s * 0.30, y + 0.04, 0.14, 0.14), c, 0.07, part="thing")
    cup = shape(
        [(x - 0.29, y - 0.25), (x, y - 0.23), (x + 0.29, y - 0.25)],
        [(x + 0.26, y + 0.22), (x + 0.16, y + 0.32), (x - 0.16, y + 0.32), (x - 0.26, y + 0.22)],
    )
    pen.fill(cup, lin((x - 0.3, y), (x + 0.3, y), shade(c, 0.05), shade(c, -0.06)), part="thing")
    pen.fill(oval(x, y - 0.245, 0.28, 0.05), lch(0.40, 0.06, 55))
    grip(pen, b.head, x + s * 0.25, y + 0.06, s)


def _flowers(pen: Pen, b: Body, s: int) -> None:
    down(pen, b, -s)
    x, y = s * 0.46, b.top + 1.15
    arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.24, y + 0.12))
    green = lch(0.55, 0.11, 140)
    tops = [(-0.34, -0.62), (0.0, -0.80), (0.32, -0.64), (-0.16, -0.44), (0.18, -0.46)]
    for dx, dy in tops:
        pen.line(
            spline([(x, y + 0.42), (x + dx * 0.3, y - 0.1), (x + dx, y + dy)]),
            green,
            0.045,
            part="thing",
        )
    for dx, dy in ((-0.42, -0.38), (0.42, -0.40)):
        pen.fill(
            taper(
                [
                    (x + dx * 0.3, y - 0.1),
                    (x + dx * 0.8, y + dy * 0.8),
                    (x + dx * 1.1, y + dy * 1.15),
                ],
                [0.02, 0.15, 0.02],
            ),
            shade(green, -0.05),
            part="thing",
        )
    petals = (
        lch(0.72, 0.17, 25),
        lch(0.86, 0.14, 90),
        lch(0.80, 0.10, 0),
        lch(0.93, 0.03, 80),
        lch(0.70, 0.12, 310),
    )
    for i, (dx, dy) in enumerate(tops):
        c = petals[(i + b.person.seed) % 5]
        around = [
            (x + dx + 0.10 * math.cos(k * 1.257), y + dy + 0.10 * math.sin(k * 1.257))
            for k in range(5)
        ]
        pen.fill(joined(*[oval(*q, 0.085) for q in around]), c, part="thing")
        pen.fill(
            oval(x + dx, y + dy, 0.065), lch(0.85, 0.13, 85) if i != 1 else lch(0.60, 0.12, 55)
        )
    grip(pen, b.head, x + s * 0.10, y + 0.10, s)


def _apple(pen: Pen, b: Body, s: int) -> None:
    down(pen, b, -s)
    x, y = s * 0.50, b.top + 0.95
    arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.20, y + 0.28))
    red = lch(0.58, 0.19, 27) if b.moment.colour != "red" else lch(0.74, 0.16, 125)
    pen.fill(
        joined(oval(x - 0.11, y, 0.20, 0.25), oval(x + 0.11, y, 0.20, 0.25)),
        lin((x - 0.2, y - 0.2), (x + 0.3, y + 0.3), shade(red, 0.06), shade(red, -0.06)),
        part="thing",
    )
    pen.line(
        spline([(x, y - 0.20), (x + 0.02, y - 0.36)]), lch(0.40, 0.06, 60), 0.045, part="thing"
    )
    pen.fill(
        taper(
            [(x + 0.02, y - 0.30), (x + 0.14, y - 0.37), (x + 0.26, y - 0.34)], [0.01, 0.10, 0.01]
        ),
        lch(0.62, 0.13, 140),
        part="thing",
    )
    pen.fill(oval(x - 0.13, y - 0.09, 0.05, 0.08, 20), lch(0.97, 0.02, 60), 0.6)
    grip(pen, b.head, x + s * 0.20, y + 0.16, s)


def _cat(pen: Pen, b: Body, s: int) -> None:
    furs = (lch(0.72, 0.12, 62), lch(0.36, 0.02, 60), lch(0.92, 0.02, 80), lch(0.64, 0.015, 250))
    seen = [f for f in furs if math.dist(f, b.colour) > 0.17]  # never a cat that the clothes hide
    fur = seen[b.person.seed % len(seen)]
    x, y = s * 0.10, b.top + 1.30
    arm(pen, b, -s, (-s * (b.half + 0.10), b.top + 1.60), (-s * 0.72, y + 0.42))
    pen.line(
        spline([(x - s * 0.50, y + 0.40), (x - s * 0.98, y + 0.60), (x - s * 0.88, y + 1.0)]),
        fur,
        0.17,
        part="thing",
    )
    pen.fill(
        spline(
            [
                (x - 0.55, y + 0.30),
                (x, y - 0.10),
                (x + 0.52, y + 0.15),
                (x + 0.50, y + 0.62),
                (x, y + 0.78),
                (x - 0.50, y + 0.66),
            ],
            closed=True,
        ),
        fur,
        part="thing",
    )
    draw_cat_head(pen, x + s * 0.26, y - 0.28, 0.42, fur)
    arm(pen, b, s, (s * (b.half + 0.08), b.top + 1.66), (s * 0.46, y + 0.58))
    grip(pen, b.head, s * 0.30, y + 0.55, s)
    grip(pen, b.head, -s * 0.62, y + 0.40, -s)


DRAW = {
    "waving": _wave,
    "cheering": _cheer,
    "book": _book,
    "cup": _cup,
    "flowers": _flowers,
    "apple": _apple,
    "cat": _cat,
}


def draw_arms(pen: Pen, b: Body) -> None:
    """Both arms, doing what the moment's gesture says."""
    s = 1 if b.person.parting >= 0 else -1
    if b.moment.gesture in DRAW:
        DRAW[b.moment.gesture](pen, b, s)
    else:
        for k in (-1, 1):
            down(pen, b, k)
