"""Falling hair and the headscarf, in front of the head; and which function draws which style."""

from __future__ import annotations

import math

from . import hair_short as short
from .colour import cloth, mix, shade
from .hair import fall, fill_hair, sheen
from .head import Head
from .paths import evenly, joined, ovals, ring, shape, spline
from .pen import Pen, lin

SPREAD = {"long straight": 0.09, "long with fringe": 0.09, "long wavy": 0.15, "long curls": 0.24, "locs": 0.13,
          "bob": 0.12, "wavy bob": 0.15, "bob with fringe": 0.12}  # fmt: skip
RISE = {"long straight": 0.09, "long with fringe": 0.10, "long wavy": 0.13, "long curls": 0.18, "locs": 0.12,
        "bob": 0.11, "wavy bob": 0.14, "bob with fringe": 0.12}  # fmt: skip


def draw_falling(pen: Pen, h: Head) -> None:
    """Two curtains of hair from a parting."""
    p, w, style = h.person, h.width, h.person.hair
    spread, end = SPREAD[style] + 0.06 * p.volume, fall(h)
    wave = {"long wavy": 0.075, "wavy bob": 0.055}.get(style, 0.0)
    part = p.parting * w * 0.36
    if style == "locs":
        part *= 0.5
    cap = h.cap(RISE[style] + 0.06 * p.volume, spread * 0.7, 0.08)
    px = h.at(part, -0.80, 0.10)[0]
    far, near = 0.14, -0.10
    crown = min(q[1] for q in cap) + 0.02
    open_face = 0.10 * (1 - p.fringe)
    for k in (1, -1):
        half = [q for q in cap if (q[0] - px) * k > -0.02]
        half = half if k > 0 else half[::-1]
        e = lambda x, y, k=k: h.edge(k, x, y, far, near)
        if end < 1.1:
            outer = [
                e(w + spread, 0.34),
                e(w + spread + wave, end - 0.28),
                e(w + spread - 0.06, end - 0.05),
                e(w * 0.92, end),
            ]
            inner = [e(w * 0.82, end - 0.06), e(w * 0.84 - wave * 0.5, end - 0.30)]
        else:
            mid = 0.85 + (end - 0.85) * 0.45
            outer = [e(w + spread, 0.36), e(w + spread + wave, 0.85), e(w + spread - wave * 0.6 + 0.02, mid),
                     e(w + spread * 0.6 + wave * 0.4, end - 0.10), e(w * 0.92, end)]  # fmt: skip
            inner = [
                e(w * 0.80, end - 0.14),
                e(w * 0.80 - wave, mid),
                e(w * 0.86 + wave * 0.2, 0.82),
            ]
        inner += h.all_at((k * w * 0.905, 0.40), (k * w * (0.87 + 0.02 * open_face), 0.02))
        reach = k * w - part
        edge = h.all_at((part + reach * 0.76, -0.30 - open_face), (part + reach * 0.46, -0.52 - open_face * 0.8),
                        (part + reach * 0.16, -0.67), (part, -0.80), forward=0.04)  # fmt: skip
        path = shape([(px, crown), *half, *outer], inner + edge)
        if style == "long curls":
            curls = [
                (a, b, 0.13 + 0.025 * math.sin(i * 2.1 + k))
                for i, (a, b) in enumerate(evenly(half + outer, 12))
            ]
            curls += [(a + k * 0.04, b, 0.095) for a, b in evenly(inner[:3], 5)]
            path = joined(path, ovals(curls, clockwise=k > 0))
        flow = []
        for t in (0.25, 0.5, 0.75):
            side = w * 0.90 + spread * (t - 0.2)
            flow.append([h.at(part + reach * t * 0.5, -0.84, 0.12), h.at(part + reach * (0.35 + t * 0.65), -0.50, 0.10),
                         e(side, 0.2), e(side + 0.02 - wave, min(0.8, end - 0.2)), e(side, end - 0.1)])  # fmt: skip
        light = sheen(h, -0.74, 0.42, 0.09) if k == h.light else None
        fill_hair(pen, h, path, flow, light)
        if style == "locs":
            _locs(pen, h, k, end)


def _locs(pen: Pen, h: Head, k: int, end: float) -> None:
    """Separate round locs over the curtain, each with its turns."""
    w = h.width
    for i in range(4):
        a = w * 0.86 + i * 0.085
        stop = end - 0.05 + 0.1 * math.sin(i * 3 + k)
        way = [
            h.edge(k, a - 0.03, -0.15 - 0.1 * i, 0.14, -0.10),
            h.edge(k, a, 0.5, 0.14, -0.10),
            h.edge(k, a + 0.02, stop, 0.14, -0.10),
        ]
        colour = h.hair if i % 2 else mix(h.hair, h.hair_light, 0.5)
        pen.line(spline(way), h.hair_dark, 0.115, part="hair")
        pen.line(spline(way), colour, 0.085, part="hair")
        for j, (x, y) in enumerate(evenly(way, 14)[1:-1]):
            pen.line(
                spline([(x - 0.035, y + 0.02), (x + 0.035, y - 0.02)]),
                h.hair_dark,
                0.022,
                0.75 if j else 0,
            )


def draw_fringed(pen: Pen, h: Head) -> None:
    """A fringe over the forehead, and hair that frames the face down to its end."""
    p, w = h.person, h.width
    end, v = fall(h), 0.05 * p.volume
    level = -0.27 - 0.13 * (1 - p.fringe)
    spread = SPREAD[p.hair] + v
    cap = h.cap(RISE[p.hair] + v, 0.07 + 0.03 * p.volume, 0.08)
    e = lambda k, x, y: h.edge(k, x, y, 0.16, -0.16)
    if end < 1.1:
        outer = lambda k: [
            e(k, w + spread, 0.34),
            e(k, w + spread, end - 0.16),
            e(k, w + spread - 0.10, end),
        ]
        inner = lambda k: [
            e(k, w * 0.80, end - 0.03),
            *h.all_at((k * w * 0.885, 0.42), (k * w * 0.86, 0.05)),
        ]
    else:
        outer = lambda k: [
            e(k, w + spread, 0.34),
            e(k, w + spread + 0.02, 0.9),
            e(k, w + spread * 0.7, end - 0.1),
            e(k, w * 0.92, end),
        ]
        inner = lambda k: [
            e(k, w * 0.80, end - 0.12),
            e(k, w * 0.84, 0.85),
            *h.all_at((k * w * 0.895, 0.42), (k * w * 0.86, 0.05)),
        ]
    arch = 0.06 * abs(p.parting)
    fringe = h.all_at((w * 0.80, level + 0.05 + arch), (w * 0.42, level), (0, level - 0.012), (-w * 0.42, level),
                      (-w * 0.80, level + 0.05 + arch), forward=0.04)  # fmt: skip
    path = shape(outer(-1)[::-1] + cap + outer(1), inner(1), fringe, inner(-1)[::-1])
    flow = [
        h.all_at((a * 0.35, -0.98, 0.06), (a * 0.8, -0.70, 0.16), (a, level - 0.05, 0.10))
        for a in (-0.5, -0.26, 0, 0.26, 0.5)
    ]
    fill_hair(pen, h, path, flow, sheen(h, -0.70, 0.46, 0.10))


def draw_headscarf(pen: Pen, h: Head) -> None:
    """A scarf that frames the face and lies on the shoulders."""
    p, w, light, c = h.person, h.width, h.light, cloth(h.person.accent)
    e = h.edge
    under = h.at(0, 1.1)[0] * 0.6
    low = lambda k: [e(k, w * 0.96 + 0.08, 0.62, 0.1, -0.1), e(k, w * 0.64 + 0.08, 1.12, 0.25, 0.1)]
    outer = [*h.cap(0.13, 0.10, 0.31), *low(1), (under, 1.36), *low(-1)[::-1]]
    rim = [(w * 0.55, -0.52), (w * 0.86, -0.16), (w * 0.90, 0.20), (w * 0.80, 0.56)]
    jaw = lambda k: e(k, p.jaw * 0.72, 0.86, 0.36, 0.2)
    chin = (h.at(0, 0.98)[0], h.base[0][1] + 0.005)
    inner = [
        *h.all_at((0, -0.60), *rim),
        jaw(1),
        chin,
        jaw(-1),
        *h.all_at(*[(-a, b) for a, b in rim[::-1]]),
    ]
    path = ring(spline(outer, closed=True), spline(inner, closed=True))
    pen.fill(
        path,
        lin((light * 0.8, -1), (-light * 0.8, 1.2), shade(c, 0.05), c, shade(c, -0.06, -5)),
        part="headscarf",
    )
    pen.clip(path)
    pen.line(spline(inner, closed=True), shade(c, -0.12, -8), 0.09, 0.55)
    for a in (-0.1, 0.22):
        s = 1 if p.parting > 0 else -1
        pen.line(
            spline([(s * -0.75, -0.55 + a), (s * -0.2, -1.0 + a * 0.6), (s * 0.6, -0.95 + a)]),
            shade(c, -0.08, -6),
            0.035,
            0.7,
        )
    pen.back()
    reach = (w + 0.14) * 1.08
    fold = shape(
        [
            (-reach, 1.30),
            (-w * 0.96, 0.96),
            (-0.34, 1.16),
            (0.3, 1.14),
            (w * 0.96, 0.96),
            (reach, 1.30),
        ],
        [(reach * 0.96, 1.58), (0.2, 1.82), (-0.6, 1.76), (-reach * 0.98, 1.52)],
    )
    pen.fill(fold, lin((0, 1.1), (0, 1.8), c, shade(c, -0.08, -6)), part="headscarf")
    pen.line(spline([(-0.7, 1.40), (-0.1, 1.54), (0.66, 1.38)]), shade(c, -0.12, -8), 0.035, 0.7)


FRONT = {
    "bald": short.draw_bald, "buzz": short.draw_buzz, "crop": short.draw_crop, "side part": short.draw_side_part,
    "quiff": short.draw_quiff, "pixie": short.draw_pixie, "bowl": short.draw_bowl, "short curls": short.draw_curls,
    "afro": short.draw_curls, "bob": draw_falling, "wavy bob": draw_falling, "long straight": draw_falling,
    "long wavy": draw_falling, "long curls": draw_falling, "locs": draw_falling, "bob with fringe": draw_fringed,
    "long with fringe": draw_fringed, "headscarf": draw_headscarf,
}  # fmt: skip


def draw_front(pen: Pen, h: Head) -> None:
    """The hair in front of the head."""
    FRONT.get(h.person.hair, short.draw_tied)(pen, h)
    if "braid" in h.person.hair:
        short.draw_braids(pen, h)
