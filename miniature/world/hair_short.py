"""Short hair, curls and tied hair, in front of the head."""

from __future__ import annotations

import math

import numpy as np

from .colour import mix, shade
from .hair import fall, fill_hair, front_line, sheen, side_of, tie
from .head import Head
from .paths import evenly, joined, oval, ovals, shape, spline
from .pen import Pen, lin


def _mirrored(points, side: int):
    return points if side > 0 else [(-a, b) for a, b in points[::-1]]


def draw_bald(pen: Pen, h: Head) -> None:
    """No hair on top; from forty years a rim at the sides."""
    if h.person.age > 40 and h.person.masc > 0.5:
        for k in (-1, 1):
            outer = [h.edge(k, h.width + 0.03, -0.30, 0.2, -0.42), h.edge(k, h.width + 0.05, 0.06, 0.2, -0.36),
                     h.edge(k, h.width + 0.01, 0.32, 0.15, -0.24)]  # fmt: skip
            inner = [
                h.at(k * h.width * 0.965, 0.20),
                h.at(k * h.width * 0.93, 0.0),
                h.at(k * h.width * 0.95, -0.25),
            ]
            pen.fill(shape(outer, inner), h.hair, part="hair")
    pen.fill(sheen(h, -0.80, 0.26, 0.12), shade(h.bright, 0.05), 0.5)


def draw_buzz(pen: Pen, h: Head) -> None:
    """Clipped short: the skull's own shape."""
    path = shape(h.cap(0.028, 0.018, 0.20), h.all_at(*front_line(h)))
    pen.fill(path, mix(h.hair, h.skin, 0.20), part="hair")
    pen.clip(path)
    pen.fill(sheen(h, -0.84, 0.34, 0.12), h.hair_light, 0.35)
    pen.back()


def draw_crop(pen: Pen, h: Head) -> None:
    """Short with a soft, uneven fringe."""
    p, w = h.person, h.width
    level = -0.50 - 0.12 * (1 - p.fringe)
    line = [(w * 0.97, 0.18), (w * 0.90, 0.04), (w * 0.90, -0.24), (w * 0.76, -0.44), (w * 0.48, level),
            (w * 0.28, level - 0.09), (w * 0.06, level - 0.01), (-w * 0.18, level - 0.08), (-w * 0.44, level),
            (-w * 0.74, -0.45), (-w * 0.90, -0.24), (-w * 0.90, 0.04), (-w * 0.97, 0.18)]  # fmt: skip
    if p.hairline > 0.055:
        line = front_line(h, -0.58, receding=True)
    else:
        line = _mirrored(line, side_of(h))
    flow = [
        h.all_at((a, -0.58, 0.05), (a * 1.05 + 0.05, -0.80, 0.12), (a * 0.9 + 0.10, -0.98, 0.12))
        for a in (-0.42, -0.2, 0.02, 0.24, 0.42)
    ]
    cap = h.cap(0.10 + 0.09 * p.volume, 0.045 + 0.03 * p.volume, 0.31)
    fill_hair(pen, h, shape(cap, h.all_at(*line, forward=0.03)), flow, sheen(h, -0.86, 0.40, 0.09))


def draw_side_part(pen: Pen, h: Head) -> None:
    """Short, combed over from a parting."""
    p, w, s = h.person, h.width, side_of(h)
    low = 0.10 * p.fringe
    line = [(w * 0.97, 0.18), (w * 0.90, 0.04), (w * 0.90, -0.24), (w * 0.82, -0.46), (w * 0.56, -0.70),
            (w * 0.20, -0.62 + low - p.hairline), (-w * 0.35, -0.54 + low - p.hairline), (-w * 0.72, -0.42 + low * 0.5),
            (-w * 0.90, -0.22), (-w * 0.90, 0.04), (-w * 0.97, 0.18)]  # fmt: skip
    flow = [h.all_at((s * w * 0.50, -0.74, 0.08), (0.0, -0.74 - 0.08 * i, 0.14), (-s * w * 0.55, -0.56 - 0.1 * i, 0.12),
                     (-s * w * 0.86, -0.26 - 0.12 * i, 0.1)) for i in range(3)]  # fmt: skip
    cap = h.cap(0.12 + 0.09 * p.volume, 0.05 + 0.03 * p.volume, 0.31)
    fill_hair(
        pen,
        h,
        shape(cap, h.all_at(*_mirrored(line, s), forward=0.03)),
        flow,
        sheen(h, -0.86, 0.40, 0.09),
    )


def draw_quiff(pen: Pen, h: Head) -> None:
    """Combed up and back from the forehead."""
    p, w = h.person, h.width
    half = [
        (w * 0.97, 0.18),
        (w * 0.90, 0.04),
        (w * 0.91, -0.26),
        (w * 0.78, -0.50),
        (w * 0.44, -0.66),
        (0, -0.64),
    ]
    line = half + [(-a, b) for a, b in half[-2::-1]]
    tall = 0.06 + 0.11 * p.volume
    lean = 0.10 * side_of(h)
    cap = [
        (x + lean * max(0.0, -y - 0.6), y - tall * max(0.0, 1 - (x / (w * 0.98)) ** 4) * (y < -0.5))
        for x, y in h.cap(0.13, 0.05, 0.31)
    ]
    flow = [
        h.all_at((a, -0.66, 0.06), (a * 1.1 - lean, -0.86, 0.20), (a * 0.95 + lean, -1.05, 0.10))
        for a in (-0.45, -0.25, -0.05, 0.15, 0.36)
    ]
    fill_hair(pen, h, shape(cap, h.all_at(*line, forward=0.03)), flow, sheen(h, -0.90, 0.40, 0.10))


def draw_pixie(pen: Pen, h: Head) -> None:
    """Short, with a fringe swept to one side."""
    p, w, s = h.person, h.width, side_of(h)
    d = 0.12 * (1 - p.fringe)
    line = [(w * 0.97, 0.26), (w * 0.88, 0.12), (w * 0.89, -0.20), (w * 0.76, -0.48), (w * 0.50, -0.72),
            (w * 0.15, -0.48 - d), (-w * 0.30, -0.34 - d), (-w * 0.64, -0.27 - d * 0.6), (-w * 0.86, -0.04),
            (-w * 0.89, 0.14), (-w * 0.97, 0.26)]  # fmt: skip
    flow = [h.all_at((s * w * 0.46, -0.76, 0.08), (0.0, -0.68 - 0.10 * i, 0.12), (-s * w * 0.45, -0.46 - 0.12 * i, 0.12),
                     (-s * w * 0.80, -0.10 - 0.14 * i, 0.1)) for i in range(3)]  # fmt: skip
    cap = h.cap(0.13 + 0.08 * p.volume, 0.05 + 0.04 * p.volume, 0.31)
    fill_hair(
        pen,
        h,
        shape(cap, h.all_at(*_mirrored(line, s), forward=0.03)),
        flow,
        sheen(h, -0.84, 0.42, 0.10),
    )


def draw_bowl(pen: Pen, h: Head) -> None:
    """Short all round with a straight fringe."""
    p, w = h.person, h.width
    level = -0.30 - 0.14 * (1 - p.fringe)
    half = [
        (w * 1.0, 0.14),
        (w * 0.90, 0.08),
        (w * 0.88, level + 0.12),
        (w * 0.70, level + 0.02),
        (w * 0.35, level),
        (0, level - 0.01),
    ]
    line = half + [(-a, b) for a, b in half[-2::-1]]
    cap = h.cap(0.12 + 0.06 * p.volume, 0.08 + 0.03 * p.volume, 0.16)
    flow = [
        h.all_at((a * 0.4, -0.98, 0.06), (a * 0.85, -0.70, 0.14), (a, level - 0.04, 0.08))
        for a in (-0.52, -0.28, -0.04, 0.2, 0.46)
    ]
    fill_hair(pen, h, shape(cap, h.all_at(*line, forward=0.04)), flow, sheen(h, -0.74, 0.46, 0.10))


def draw_curls(pen: Pen, h: Head) -> None:
    """Short curls and the afro: a cloud with small curls on it."""
    p, w, light, big = h.person, h.width, h.light, h.person.hair == "afro"
    line = h.all_at(*front_line(h, -0.52 - 0.10 * (1 - p.fringe)), forward=0.03)
    cap = h.cap(0.15 + 0.12 * p.volume, 0.08 + 0.04 * p.volume, 0.15)
    rim = [
        (a * 0.97, b + 0.02, 0.135 + 0.025 * math.sin(i * 2.7 + p.seed))
        for i, (a, b) in enumerate(evenly(cap, 15))
        if b < 0.12
    ]
    brow = [(a, b - 0.05, 0.105) for a, b in evenly(line[3:-3], 8)]
    far = 1.3 if big else 1.2
    ink = lin(
        (light * 0.7, -far),
        (-light * 0.6, 0.4),
        mix(h.hair, h.hair_light, 0.6),
        h.hair,
        h.hair_dark,
    )
    pen.fill(joined(shape(cap, line), ovals(rim + brow)), ink, part="hair")
    rng = np.random.default_rng([5, p.seed])
    for i in range(26 if big else 18):
        t, q = rng.random() * math.pi, rng.uniform(0.72, 1.5 if big else 1.08)
        x, y = math.cos(t) * w * q, -0.35 - math.sin(t) * 0.62 * q
        if abs(x) < w * 0.8 and y > -0.62:
            continue
        px, py = (x - 0.2 * h.sin_yaw, y) if big else h.at(x, y, -0.2)
        curl = spline(
            [
                (px - 0.06, py + 0.02),
                (px - 0.02, py - 0.04),
                (px + 0.05, py - 0.02),
                (px + 0.03, py + 0.03),
            ]
        )
        pen.line(curl, h.hair_light if i % 2 else h.hair_dark, 0.028, 0.6)


def draw_tied(pen: Pen, h: Head) -> None:
    """Hair drawn back: ponytail, pigtails, buns, braids, puffs."""
    p, w, style = h.person, h.width, h.person.hair
    parted = style in ("low bun", "braids", "side braid", "pigtails", "afro puffs")
    level = -0.56 - 0.10 * (1 - p.fringe) - p.hairline
    half = [
        (w * 0.97, 0.24),
        (w * 0.90, 0.10),
        (w * 0.89, -0.20),
        (w * 0.72, -0.44),
        (w * 0.36, level - 0.02),
    ]
    mid = (0.3 * w * p.parting if parted else 0.0, level - (0.10 if parted else 0.05))
    line = [*half, mid, *[(-a, b) for a, b in half[::-1]]]
    if parted:
        flow = [h.all_at((mid[0] + k * 0.03, -0.72, 0.05), (k * w * 0.55, -0.72 + 0.06 * i, 0.10), (k * w * 0.86, -0.30 + 0.12 * i, 0.06),
                         (k * w * 0.98, 0.1 + 0.1 * i, 0.02)) for k in (-1, 1) for i in (0, 1.4)]  # fmt: skip
    else:
        flow = [
            h.all_at(
                (a, -0.56 + abs(a) * 0.4, 0.05), (a * 0.8, -0.84, 0.14), (a * 0.4, -1.02, 0.10)
            )
            for a in (-0.55, -0.34, -0.12, 0.12, 0.34, 0.55)
        ]
    cap = h.cap(0.09 + 0.06 * p.volume, 0.045 + 0.02 * p.volume, 0.31)
    fill_hair(pen, h, shape(cap, h.all_at(*line, forward=0.03)), flow, sheen(h, -0.84, 0.42, 0.08))
    if parted:
        seam = h.all_at(
            (mid[0], mid[1] + 0.01, 0.04), (mid[0] * 0.8, -0.86, 0.1), (mid[0] * 0.6, -1.0, 0.1)
        )
        pen.line(spline(seam), mix(h.hair_dark, h.skin, 0.35), 0.022, 0.8)
    if style == "top bun":
        x = -0.19 * h.sin_yaw
        tie(pen, h, x, -1.03, 0.22, 0.045)


def draw_braids(pen: Pen, h: Head) -> None:
    """Two braids before the shoulders, or one."""
    sides = (-1, 1) if h.person.hair == "braids" else (side_of(h),)
    thick = 1.0 if len(sides) == 2 else 1.30
    for k in sides:
        x, y = h.edge(k, h.width + 0.02, 0.34, 0.12, -0.16)
        end, n = fall(h), 8
        for i in range(n):
            t = i / (n - 1)
            px, py = x + k * (0.15 * math.sin(t * 2.2) + 0.02), y + 0.10 + t * (end - y - 0.3)
            r = (0.135 - 0.035 * t) * thick
            bead = oval(px, py, r, 0.150 * thick**0.3, k * 18 * (1 if i % 2 else -1))
            pen.fill(
                bead,
                lin((px - 0.12, py), (px + 0.12, py + 0.12), h.hair_light, h.hair, h.hair_dark),
                part="hair",
            )
        pen.fill(oval(px, py + 0.28, 0.075 * thick, 0.13), h.hair, part="hair")
        tie(pen, h, px, py + 0.15, 0.085 * thick)
