"""Arms in their sleeves, and hands."""

from __future__ import annotations

import math

import skia

from .body import Body
from .clothes import BARE_ARMS, sleeve_colour
from .colour import mix, shade
from .head import Head
from .paths import joined, oval, spline, taper
from .pen import Pen


def limb(points, widths):
    """A limb through three points, round at the ends and at the elbow."""
    rounds = [oval(*q, w / 2) for q, w in zip(points, widths, strict=True)]
    return joined(taper(points[:2], widths[:2]), taper(points[1:], widths[1:]), *rounds)


def arm(pen: Pen, b: Body, s: int, elbow, hand) -> None:
    """One arm on side ``s``: skin, and a sleeve as long as the outfit's."""
    h, outfit = b.head, b.moment.outfit
    size = (0.86 + 0.22 * b.person.build) * min(1.0, 0.55 + 0.35 * b.half)
    shoulder = (s * (b.half - 0.23), b.top + 0.24)
    dark = s != b.light
    skin = mix(h.skin, h.shadow, 0.45) if dark else h.skin
    c = sleeve_colour(b)
    ink = shade(c, -0.05, -6) if dark else c
    along = lambda t: (elbow[0] + (hand[0] - elbow[0]) * t, elbow[1] + (hand[1] - elbow[1]) * t)
    if outfit in BARE_ARMS:
        pen.fill(
            limb([shoulder, elbow, hand], [0.46 * size, 0.34 * size, 0.25 * size]),
            skin,
            part="hand",
        )
        if outfit == "vest":
            return
        end = (
            shoulder[0] + (elbow[0] - shoulder[0]) * 0.6,
            shoulder[1] + (elbow[1] - shoulder[1]) * 0.6,
        )
        sleeve = joined(
            oval(*shoulder, 0.27 * size), taper([shoulder, end], [0.54 * size, 0.60 * size])
        )
        behind = skia.Path(sleeve)
        behind.offset(-s * 0.045, 0.015)
        pen.fill(behind, shade(c, -0.10, -9), 0.6)
        pen.fill(sleeve, ink, part="cloth")
        return
    pen.fill(limb([along(0.5), along(0.75), hand], [0.27 * size] * 3), skin, part="hand")
    cuff = 0.50 if outfit == "work shirt" else 0.82
    full = limb([shoulder, elbow, along(cuff)], [0.54 * size, 0.48 * size, 0.38 * size])
    behind = skia.Path(full)
    behind.offset(-s * 0.045, 0.015)
    pen.fill(behind, shade(c, -0.10, -9), 0.6)
    pen.fill(full, ink, part="cloth")
    if outfit == "striped shirt":
        pen.clip(full)
        for i in range(1, 12):
            y = b.top + 0.16 + i * 0.30
            pen.line(spline([(s * b.half - 1, y), (s * b.half + 1, y)]), b.second, 0.125)
        pen.back()


def palm(pen: Pen, h: Head, x: float, y: float, turn: float, s: int) -> None:
    """An open hand, palm to us, its thumb towards the head."""
    pen.move(x, y, 0.92, turn, flip=s < 0)
    for angle, long in ((-20, 0.40), (-7, 0.46), (7, 0.44), (20, 0.36)):
        t = math.radians(angle)
        finger = spline(
            [(math.sin(t) * 0.30, -0.08), (math.sin(t) * long * 1.05, -0.05 - math.cos(t) * long)]
        )
        pen.line(finger, h.skin, 0.112, part="hand")
    pen.line(spline([(-0.08, 0.06), (-0.20, -0.04), (-0.29, -0.16)]), h.skin, 0.115, part="hand")
    pen.fill(
        spline(
            [(-0.19, -0.12), (0, -0.18), (0.20, -0.12), (0.19, 0.10), (0.0, 0.22), (-0.17, 0.12)],
            closed=True,
        ),
        h.skin,
        part="hand",
    )
    pen.line(spline([(-0.10, 0.06), (0.0, -0.01), (0.12, 0.0)]), h.shadow, 0.026, 0.9)
    pen.back()


def grip(pen: Pen, h: Head, x: float, y: float, s: int) -> None:
    """A closed hand with four fingers towards the middle."""
    pen.fill(oval(x, y, 0.18, 0.21), h.skin, part="hand")
    for i in range(4):
        v = y - 0.14 + i * 0.095
        pen.line(spline([(x - s * 0.06, v), (x - s * 0.22, v + 0.01)]), h.skin, 0.10, part="hand")
    for i in range(3):
        v = y - 0.095 + i * 0.095
        pen.line(spline([(x - s * 0.09, v), (x - s * 0.21, v + 0.01)]), h.shadow, 0.02, 0.9)


def down(pen: Pen, b: Body, s: int) -> None:
    """An arm that hangs."""
    arm(pen, b, s, (s * (b.half + 0.04), b.top + 1.75), (s * (b.half + 0.0), b.top + 3.4))
