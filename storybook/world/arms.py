"""Arms, hands and what they hold; drawn in half-bodies."""

from __future__ import annotations

import math

from .body import Body
from .clothes import BARE_ARMS, sleeve_colour
from .colour import cloth, lch, mix, shade
from .head import Head
from .paths import joined, oval, poly, shape, spline, taper
from .pen import Pen, lin

CREAM = lch(0.955, 0.02, 85)


def _limb(points, widths):
    """A limb through three points, round at the ends and at the elbow."""
    rounds = [oval(*q, w / 2) for q, w in zip(points, widths, strict=True)]
    return joined(taper(points[:2], widths[:2]), taper(points[1:], widths[1:]), *rounds)


def _arm(pen: Pen, b: Body, s: int, elbow, hand) -> None:
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
        pen.fill(_limb([shoulder, elbow, hand], [0.46 * size, 0.34 * size, 0.25 * size]), skin, part="hand")
        if outfit == "vest":
            return
        end = (shoulder[0] + (elbow[0] - shoulder[0]) * 0.6, shoulder[1] + (elbow[1] - shoulder[1]) * 0.6)
        sleeve = joined(oval(*shoulder, 0.27 * size), taper([shoulder, end], [0.54 * size, 0.60 * size]))
        pen.fill(sleeve, ink, part="cloth")
        return
    pen.fill(_limb([along(0.5), along(0.75), hand], [0.27 * size] * 3), skin, part="hand")
    cuff = 0.50 if outfit == "work shirt" else 0.82
    full = _limb([shoulder, elbow, along(cuff)], [0.54 * size, 0.48 * size, 0.38 * size])
    pen.line(full, b.line_of(c), 0.05, 0.45)
    pen.fill(full, ink, part="cloth")
    if outfit == "striped shirt":
        pen.clip(full)
        for i in range(1, 12):
            y = b.top + 0.16 + i * 0.30
            pen.line(spline([(s * b.half - 1, y), (s * b.half + 1, y)]), b.second, 0.125)
        pen.back()


def _palm(pen: Pen, h: Head, x: float, y: float, turn: float, s: int) -> None:
    """An open hand, palm to us, its thumb towards the head."""
    pen.move(x, y, 0.92, turn, flip=s < 0)
    for angle, long in ((-20, 0.40), (-7, 0.46), (7, 0.44), (20, 0.36)):
        t = math.radians(angle)
        finger = spline([(math.sin(t) * 0.30, -0.08), (math.sin(t) * long * 1.05, -0.05 - math.cos(t) * long)])
        pen.line(finger, h.skin, 0.112, part="hand")
    pen.line(spline([(-0.08, 0.06), (-0.20, -0.04), (-0.29, -0.16)]), h.skin, 0.115, part="hand")
    pen.fill(spline([(-0.19, -0.12), (0, -0.18), (0.20, -0.12), (0.19, 0.10), (0.0, 0.22), (-0.17, 0.12)], closed=True), h.skin, part="hand")
    pen.line(spline([(-0.10, 0.06), (0.0, -0.01), (0.12, 0.0)]), h.shadow, 0.026, 0.9)
    pen.back()


def _grip(pen: Pen, h: Head, x: float, y: float, s: int) -> None:
    """A closed hand with four fingers towards the middle."""
    pen.fill(oval(x, y, 0.18, 0.21), h.skin, part="hand")
    for i in range(4):
        v = y - 0.14 + i * 0.095
        pen.line(spline([(x - s * 0.06, v), (x - s * 0.22, v + 0.01)]), h.skin, 0.10, part="hand")
    for i in range(3):
        v = y - 0.095 + i * 0.095
        pen.line(spline([(x - s * 0.09, v), (x - s * 0.21, v + 0.01)]), h.shadow, 0.02, 0.9)


def _down(pen: Pen, b: Body, s: int) -> None:
    _arm(pen, b, s, (s * (b.half + 0.04), b.top + 1.75), (s * (b.half + 0.0), b.top + 3.4))


def _thing_colour(b: Body):
    name = b.person.accent
    return cloth(name if name != b.moment.colour else ("red" if name != "red" else "teal"))


def _wave(pen: Pen, b: Body, s: int) -> None:
    _down(pen, b, -s)
    x = min(b.half + 0.42, 1.98)
    _arm(pen, b, s, (s * (x - 0.10), b.top + 1.35), (s * x, b.top - 0.10))
    _palm(pen, b.head, s * (x + 0.02), b.top - 0.30, s * 8, s)


def _cheer(pen: Pen, b: Body, s: int) -> None:
    x = min(b.half + 0.40, 1.95)
    for k in (-1, 1):
        _arm(pen, b, k, (k * (x + 0.02), b.top + 0.95), (k * (x - 0.08), b.top - 0.45))
        _palm(pen, b.head, k * (x - 0.07), b.top - 0.66, -k * 4, k)


def _book(pen: Pen, b: Body, s: int) -> None:
    y = b.top + 1.20
    for k in (-1, 1):
        _arm(pen, b, k, (k * (b.half + 0.08), b.top + 1.62), (k * 0.80, y + 0.20))
    c = _thing_colour(b)
    cover = poly((-0.78, y - 0.40), (0, y - 0.28), (0.78, y - 0.40), (0.82, y + 0.54), (0, y + 0.68), (-0.82, y + 0.54))
    pen.fill(cover, lin((-0.8, y), (0.8, y), shade(c, 0.05), c, shade(c, -0.04)), part="thing")
    for k in (-1, 1):
        pages = poly((k * 0.72, y - 0.48), (0, y - 0.34), (0, y - 0.28), (k * 0.78, y - 0.40))
        pen.fill(pages, CREAM, part="thing")
    pen.line(spline([(0, y - 0.28), (0, y + 0.68)]), shade(c, -0.10), 0.045)
    pen.fill(oval(0.40, y + 0.10, 0.14, 0.16), mix(c, CREAM, 0.75))
    for k in (-1, 1):
        _grip(pen, b.head, k * 0.78, y + 0.22, k)


def _cup(pen: Pen, b: Body, s: int) -> None:
    _down(pen, b, -s)
    x, y = s * 0.42, b.top + 0.98
    _arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.28, y + 0.20))
    c = _thing_colour(b)
    for i in (-1, 1):
        steam = [(x + i * 0.09, y - 0.36), (x + i * 0.13, y - 0.47), (x + i * 0.06, y - 0.57), (x + i * 0.11, y - 0.68)]
        pen.line(spline(steam), lch(0.98, 0.005, 80), 0.042, 0.5)
    pen.line(oval(x - s * 0.30, y + 0.04, 0.14, 0.14), c, 0.07, part="thing")
    cup = shape([(x - 0.29, y - 0.25), (x, y - 0.23), (x + 0.29, y - 0.25)], [(x + 0.26, y + 0.22), (x + 0.16, y + 0.32), (x - 0.16, y + 0.32), (x - 0.26, y + 0.22)])
    pen.fill(cup, lin((x - 0.3, y), (x + 0.3, y), shade(c, 0.05), shade(c, -0.06)), part="thing")
    pen.fill(oval(x, y - 0.245, 0.28, 0.05), lch(0.40, 0.06, 55))
    _grip(pen, b.head, x + s * 0.25, y + 0.06, s)


def _flowers(pen: Pen, b: Body, s: int) -> None:
    _down(pen, b, -s)
    x, y = s * 0.46, b.top + 1.15
    _arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.24, y + 0.12))
    green = lch(0.55, 0.11, 140)
    tops = [(-0.34, -0.62), (0.0, -0.80), (0.32, -0.64), (-0.16, -0.44), (0.18, -0.46)]
    for dx, dy in tops:
        pen.line(spline([(x, y + 0.42), (x + dx * 0.3, y - 0.1), (x + dx, y + dy)]), green, 0.045, part="thing")
    for dx, dy in ((-0.42, -0.38), (0.42, -0.40)):
        pen.fill(taper([(x + dx * 0.3, y - 0.1), (x + dx * 0.8, y + dy * 0.8), (x + dx * 1.1, y + dy * 1.15)], [0.02, 0.15, 0.02]), shade(green, -0.05), part="thing")
    petals = (lch(0.72, 0.17, 25), lch(0.86, 0.14, 90), lch(0.80, 0.10, 0), lch(0.93, 0.03, 80), lch(0.70, 0.12, 310))
    for i, (dx, dy) in enumerate(tops):
        c = petals[(i + b.person.seed) % 5]
        around = [(x + dx + 0.10 * math.cos(k * 1.257), y + dy + 0.10 * math.sin(k * 1.257)) for k in range(5)]
        pen.fill(joined(*[oval(*q, 0.085) for q in around]), c, part="thing")
        pen.fill(oval(x + dx, y + dy, 0.065), lch(0.85, 0.13, 85) if i != 1 else lch(0.60, 0.12, 55))
    _grip(pen, b.head, x + s * 0.10, y + 0.10, s)


def _apple(pen: Pen, b: Body, s: int) -> None:
    _down(pen, b, -s)
    x, y = s * 0.50, b.top + 0.95
    _arm(pen, b, s, (s * (b.half + 0.12), b.top + 1.66), (x + s * 0.20, y + 0.28))
    red = lch(0.58, 0.19, 27) if b.moment.colour != "red" else lch(0.74, 0.16, 125)
    pen.fill(joined(oval(x - 0.11, y, 0.20, 0.25), oval(x + 0.11, y, 0.20, 0.25)), lin((x - 0.2, y - 0.2), (x + 0.3, y + 0.3), shade(red, 0.06), shade(red, -0.06)), part="thing")
    pen.line(spline([(x, y - 0.20), (x + 0.02, y - 0.36)]), lch(0.40, 0.06, 60), 0.045, part="thing")
    pen.fill(taper([(x + 0.02, y - 0.30), (x + 0.14, y - 0.37), (x + 0.26, y - 0.34)], [0.01, 0.10, 0.01]), lch(0.62, 0.13, 140), part="thing")
    pen.fill(oval(x - 0.13, y - 0.09, 0.05, 0.08, 20), lch(0.97, 0.02, 60), 0.6)
    _grip(pen, b.head, x + s * 0.20, y + 0.16, s)


def _cat(pen: Pen, b: Body, s: int) -> None:
    furs = (lch(0.72, 0.12, 62), lch(0.36, 0.02, 60), lch(0.92, 0.02, 80), lch(0.64, 0.015, 250))
    seen = [f for f in furs if math.dist(f, b.colour) > 0.17]  # never a cat that the clothes hide
    fur = seen[b.person.seed % len(seen)]
    x, y = s * 0.10, b.top + 1.30
    _arm(pen, b, -s, (-s * (b.half + 0.10), b.top + 1.60), (-s * 0.72, y + 0.42))
    pen.line(spline([(x - s * 0.50, y + 0.40), (x - s * 0.98, y + 0.60), (x - s * 0.88, y + 1.0)]), fur, 0.17, part="thing")
    pen.fill(spline([(x - 0.55, y + 0.30), (x, y - 0.10), (x + 0.52, y + 0.15), (x + 0.50, y + 0.62), (x, y + 0.78), (x - 0.50, y + 0.66)], closed=True), fur, part="thing")
    draw_cat_head(pen, x + s * 0.26, y - 0.28, 0.42, fur)
    _arm(pen, b, s, (s * (b.half + 0.08), b.top + 1.66), (s * 0.46, y + 0.58))
    _grip(pen, b.head, s * 0.30, y + 0.55, s)
    _grip(pen, b.head, -s * 0.62, y + 0.40, -s)


def draw_cat_head(pen: Pen, x: float, y: float, r: float, fur) -> None:
    """A cat's face of radius ``r``."""
    for k in (-1, 1):
        ear = poly((x + k * r * 0.92, y - r * 0.15), (x + k * r * 0.80, y - r * 1.20), (x + k * r * 0.15, y - r * 0.72))
        pen.fill(ear, fur, part="thing")
        pen.fill(poly((x + k * r * 0.76, y - r * 0.45), (x + k * r * 0.72, y - r * 0.98), (x + k * r * 0.36, y - r * 0.70)), lch(0.76, 0.08, 20))
    pen.fill(oval(x, y, r, r * 0.86), fur, part="thing")
    pen.fill(oval(x, y + r * 0.36, r * 0.48, r * 0.34), mix(fur, lch(0.97, 0.01, 80), 0.7))
    for k in (-1, 1):
        pen.fill(oval(x + k * r * 0.40, y - r * 0.06, r * 0.20, r * 0.21), lch(0.80, 0.13, 110))
        pen.fill(oval(x + k * r * 0.40, y - r * 0.06, r * 0.10, r * 0.18), lch(0.18, 0.02, 60))
        pen.fill(oval(x + k * r * 0.36, y - r * 0.13, r * 0.06), lch(0.99, 0, 0))
        for v in (-0.06, 0.10):
            pen.line(spline([(x + k * r * 0.45, y + r * (0.32 + v * 0.5)), (x + k * r * 1.10, y + r * (0.26 + v))]), lch(0.97, 0.005, 80), r * 0.05, 0.7)
    pen.fill(poly((x - r * 0.10, y + r * 0.20), (x + r * 0.10, y + r * 0.20), (x, y + r * 0.32)), lch(0.62, 0.10, 15))
    pen.line(spline([(x - r * 0.18, y + r * 0.44), (x - r * 0.06, y + r * 0.48), (x, y + r * 0.32), (x + r * 0.06, y + r * 0.48), (x + r * 0.18, y + r * 0.44)]), lch(0.35, 0.04, 30), r * 0.06)


DRAW = {"waving": _wave, "cheering": _cheer, "book": _book, "cup": _cup, "flowers": _flowers, "apple": _apple, "cat": _cat}


def draw_arms(pen: Pen, b: Body) -> None:
    """Both arms, doing what the moment's gesture says."""
    s = 1 if b.person.parting >= 0 else -1
    if b.moment.gesture in DRAW:
        DRAW[b.moment.gesture](pen, b, s)
    else:
        for k in (-1, 1):
            _down(pen, b, k)


