"""The body: neck and shoulders, what a garment's outline is, how cloth is shaded."""

from __future__ import annotations

from .colour import Lab, cloth, shade
from .head import Head
from .paths import shape, spline, taper
from .pen import Pen, lin

BOTTOM = 6.6  # below every picture


class Body:
    """A person's body in a moment; the same unit as the head, origin in the head's middle."""

    def __init__(self, head: Head, arms: bool) -> None:
        p, m = head.person, head.moment
        self.head, self.person, self.moment, self.arms = head, p, m, arms
        self.colour, self.second = cloth(m.colour), cloth(m.second)
        self.neck, self.half = p.neck_w, p.shoulder  # half widths of neck and shoulders
        self.base = 1.20 + p.neck_len + 0.4 * max(0.0, p.chin_len)  # the neck's base
        self.top = self.base + 0.31 + 0.03 * p.wrinkles  # the shoulders' height
        self.light = m.light

    def line_of(self, colour: Lab) -> Lab:
        """A seam on this colour: darker, or on dark cloth lighter."""
        return shade(colour, -0.13, -10) if colour[0] > 0.42 else shade(colour, 0.10, 6)


def draw_neck(pen: Pen, b: Body) -> None:
    """Neck and upper chest, with the head's shadow."""
    h, w, base, top, half = b.head, b.neck, b.base, b.top, b.half
    x = 0.10 * h.sin_yaw
    side = [
        (w * 1.02, base - 0.10),
        (w + 0.30, base + 0.13),
        (half * 0.78, top + 0.02),
        (half * 0.7, top + 1.2),
    ]
    left = [(x - w, 0.45), (x * 0.6 - w * 0.98, 0.95), *[(-a, v) for a, v in side]]
    right = [(x + w, 0.45), (x * 0.6 + w * 0.98, 0.95), *side]
    path = shape(left, right[::-1])
    pen.fill(
        path,
        lin((b.light * w, 0), (-b.light * w, 0), h.skin, shade(h.skin, -0.05, -5, 0.01)),
        part="neck",
    )
    pen.clip(path)
    pen.fill(
        spline([(a - b.light * 0.06, y + 0.17) for a, y in h.base], closed=True), h.shadow, 0.9
    )
    for s in (-1, 1):
        pen.line(spline([(s * 0.42, base + 0.26), (s * 0.11, base + 0.33)]), h.shadow, 0.032, 0.6)
    pen.back()


def torso(b: Body, neck_x: float, neck_y: float, depth: float, v: bool = False, wider: float = 0.0):
    """A garment's outline with this neckline (half width, height, depth), and the neckline's points."""
    half, top = b.half + wider, b.top - wider * 0.3
    slope = [(neck_x, neck_y), (neck_x + (half - neck_x) * 0.5, (neck_y + top) / 2 - 0.03)]
    if b.arms:
        waist = half * (0.80 + 0.12 * b.person.build)
        rest = [
            (half - 0.12, top),
            (half - 0.04, top + 0.25),
            (half - 0.13, top + 0.9),
            (waist, top + 2.2),
            (waist * 1.03, BOTTOM),
        ]
    else:
        rest = [(half - 0.10, top - 0.01), (half + 0.04, top + 0.20), (half + 0.12, top + 0.8),
                (half + 0.16 + 0.1 * b.person.build, top + 1.9), (half, BOTTOM)]  # fmt: skip
    right = slope + rest
    left = [(-x, y) for x, y in right]
    if v:
        line = [(-neck_x, neck_y), (0, neck_y + depth), (neck_x, neck_y)]
        path = shape([line[0]], [line[1]], [line[2]], right, left[::-1])
    else:
        line = [(-neck_x, neck_y), (-neck_x * 0.62, neck_y + depth * 0.82), (0, neck_y + depth),
                (neck_x * 0.62, neck_y + depth * 0.82), (neck_x, neck_y)]  # fmt: skip
        path = shape(line, right, left[::-1])
    return path, line


def cloth_fill(pen: Pen, b: Body, path, colour: Lab | None = None) -> None:
    """Cloth with the light from one side."""
    c = colour or b.colour
    reach = b.light * b.half
    pen.fill(
        path,
        lin((reach, 1.2), (-reach, 2.6), shade(c, 0.04, 4), c, shade(c, -0.055, -7)),
        part="cloth",
    )


def folds(pen: Pen, b: Body, path, colour: Lab | None = None) -> None:
    """Soft shade inside a garment: below the chin, along the far side, at the arms."""
    c = colour or b.colour
    dark = shade(c, -0.085, -9, 0.008)
    light, half, top = b.light, b.half, b.top
    pen.clip(path)
    pen.fill(spline([(a - light * 0.08, y + 0.36) for a, y in b.head.base], closed=True), dark, 0.6)
    far = [
        (-light * (half + 0.3), top - 0.2),
        (-light * (half - 0.30), top + 0.5),
        (-light * (half - 0.22), top + 2),
        (-light * (half - 0.3), BOTTOM),
    ]
    pen.fill(shape(far, [(-light * (half + 0.5), BOTTOM)]), dark, 0.5)
    if not b.arms:
        for s in (-1, 1):
            crease = [
                (s * (half - 0.40), top + 0.40),
                (s * (half - 0.35), top + 0.9),
                (s * (half - 0.34), top + 1.6),
            ]
            pen.fill(taper(crease, [0.01, 0.05, 0.06]), dark, 0.9)
    pen.back()


def garment(pen: Pen, b: Body, *neckline, colour: Lab | None = None, **how):
    """A shaded torso with folds; returns its path and its neckline."""
    path, line = torso(b, *neckline, **how)
    cloth_fill(pen, b, path, colour)
    folds(pen, b, path, colour)
    return path, line
