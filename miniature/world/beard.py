"""Beards, moustaches and glasses."""

from __future__ import annotations

import math

from .colour import lch, mix, shade
from .head import Head
from .paths import joined, shape, spline
from .pen import INK, Pen, lin

# The frames: dark ones on light skin, light ones on dark skin, so that they are seen.
FRAMES = ((lch(0.28, 0.03, 30), lch(0.44, 0.10, 42), lch(0.38, 0.08, 250)),
          (lch(0.20, 0.02, 30), lch(0.82, 0.10, 86), lch(0.72, 0.10, 240)))  # fmt: skip
REACH = {"stubble": (0.0, 0.0), "short beard": (0.02, 0.06), "full beard": (0.09, 0.22)}


def _colour(h: Head):
    return mix(h.hair, INK, 0.10 if h.person.grey < 0.45 else 0.0)


def draw_beard(pen: Pen, h: Head) -> None:
    """What grows on cheeks and chin, with the lips left free; drawn before the mouth."""
    p, kind = h.person, h.person.beard
    y, w, tip = p.mouth_y, p.mouth_w + h.wider, p.eye_y + p.nose_len
    if kind in REACH:
        least, most = REACH[kind]
        grow = least + (most - least) * p.beard_len
        middle, n = h.at(0, 0.6)[0] * 0.6, len(h.base)

        def outer(i: int):
            x, v = h.base[i]
            t = min(1.0, max(0.0, v - 0.2) * 1.6)
            return x + (x - middle) * grow * t * 0.7, v + grow * t

        left, right = (
            [outer(i) for i in range(4, -1, -1)],
            [outer(i) for i in range(n - 1, n - 6, -1)],
        )
        half = [
            (h.width * 0.93, 0.12),
            (h.width * 0.88, 0.36),
            (w + 0.17, tip + 0.10),
            (w * 0.85, tip + 0.10),
        ]
        inner = h.all_at(*half, (0, tip + 0.11), *[(-a, b) for a, b in half[::-1]])
        area = shape(left + right, inner)
        if kind == "stubble":
            pen.fill(area, mix(_colour(h), h.deep, 0.45), 0.30, part="beard")
        else:
            c = _colour(h)
            pen.fill(
                area, lin((0, 0.25), (0, 1.1), shade(c, 0.02), c, shade(c, -0.04)), part="beard"
            )
            pen.clip(area)
            for i in range(-4, 5):
                x = i * 0.14
                strand = h.all_at((x * 0.9, y + 0.16), (x, y + 0.32), (x * 0.95, y + 0.5))
                pen.line(spline(strand), h.hair_dark if i % 2 else h.hair_light, 0.026, 0.40)
            pen.back()
    elif kind == "goatee":
        b, chin = y + p.lip_low + h.open + 0.05, 0.99 + p.chin_len + h.drop
        grow = 0.03 + 0.08 * p.beard_len
        area = shape(h.all_at((-0.15, b + 0.015), (0, b - 0.005), (0.15, b + 0.015), (0.19, b + 0.13), (0.11, chin + grow * 0.6),
                              (0, chin + grow), (-0.11, chin + grow * 0.6), (-0.19, b + 0.13), (-0.15, b + 0.015), forward=0.03))  # fmt: skip
        pen.fill(area, _colour(h), part="beard")


def draw_moustache(pen: Pen, h: Head) -> None:
    """The moustache: two soft halves that leave the upper lip's edge free; drawn after the mouth."""
    p, kind = h.person, h.person.beard
    if kind in ("none", "stubble"):
        return
    y, w, tip = p.mouth_y, p.mouth_w + h.wider, p.eye_y + p.nose_len
    lift, thick = h.corner * 0.06, 1.0 if kind in ("moustache", "full beard") else 0.75
    low = y - p.lip_up * 0.62
    top = tip + 0.055 + 0.025 * (1 - thick)
    halves = []
    for s in (-1, 1):
        halves.append(shape(
            h.all_at((s * 0.012, top + 0.02), (s * 0.09, top - 0.002), (s * w * 0.62, (top + y) / 2 - 0.03 * thick - lift * 0.3),
                     (s * w * 1.16, y + 0.015 - lift), forward=0.07),
            h.all_at((s * w * 0.80, y - 0.012 - lift * 0.5), (s * w * 0.42, low - 0.002), (s * 0.012, low - 0.012), forward=0.07),
        ))  # fmt: skip
    c = _colour(h)
    a, b = h.at(0, top), h.at(0, low)
    pen.fill(joined(*halves), lin(a, b, shade(c, 0.03), c), part="beard")


def draw_glasses(pen: Pen, h: Head, arms: bool = False) -> None:
    """The frames over everything; with ``arms`` only the arms, which go below the hair."""
    p = h.person
    if p.glasses == "none":
        return
    colour, r = FRAMES[h.skin[0] < 0.66][p.frame], p.eye_size * (1.16 + 0.26 * p.glasses_size)
    r = min(r, p.eye_gap - 0.035)
    middle_y = p.eye_y + 0.02
    for s in (-1, 1):
        x = s * (p.eye_gap + 0.012)
        if arms:
            if s * h.sin_yaw < 0.1:
                pen.line(
                    spline(
                        [
                            h.at(x + s * r * 0.95, middle_y - 0.05, 0.08),
                            h.edge(s, h.width * 0.97, 0.05, 0, -0.12),
                        ]
                    ),
                    colour,
                    0.034,
                )
            continue
        if p.glasses == "round":
            turn = [math.pi * k / 4 for k in range(8)]
            rim = [(x + r * math.cos(t), middle_y + r * 0.98 * math.sin(t)) for t in turn]
        else:
            corners = ((1, -0.6), (0.75, -0.95), (0, -1), (-0.75, -0.95), (-1, -0.6), (-0.92, 0.5), (-0.6, 0.95),
                       (0, 1), (0.6, 0.95), (0.92, 0.5))  # fmt: skip
            rim = [(x + s * r * 1.03 * a, middle_y + r * 0.80 * b) for a, b in corners]
        path = spline(h.all_at(*rim, forward=0.08), closed=True)
        pen.fill(path, lch(0.97, 0.01, 220), 0.07)
        pen.line(path, colour, 0.031, part="glasses")
    if not arms:
        x = p.eye_gap - r + 0.012
        bridge = h.all_at(
            (-x, p.eye_y - 0.02), (0, p.eye_y - 0.055), (x, p.eye_y - 0.02), forward=0.11
        )
        pen.line(spline(bridge), colour, 0.031, part="glasses")
