"""Hair behind the neck and the shoulders."""

from __future__ import annotations

import math

from .colour import cloth, shade
from .hair import EARS_FREE, fall, fill_hair, side_of, tie
from .head import Head
from .paths import evenly, joined, oval, ovals, shape, spline
from .pen import Pen, lin

WIDTH = {"long straight": 0.12, "long with fringe": 0.12, "long wavy": 0.20, "locs": 0.17, "long curls": 0.30,
         "bob": 0.16, "wavy bob": 0.20, "bob with fringe": 0.15}  # fmt: skip


def draw_back(pen: Pen, h: Head) -> None:
    """The part of the hair that everything else covers."""
    style = h.person.hair
    shift = -0.38 * h.sin_yaw
    if style in WIDTH:
        _curtain(pen, h, shift)
    elif style in ONES:
        ONES[style](pen, h, shift)
    elif style not in ("bald", "buzz"):
        pen.fill(oval(shift * 0.75, 0.0, h.width * 0.94, 0.60), h.hair_dark, part="hair")
    if style in EARS_FREE and style in ONES and style != "low bun":
        pen.fill(oval(shift * 0.75, -0.05, h.width * 0.94, 0.55), h.hair_dark, part="hair")


def _curtain(pen: Pen, h: Head, x: float) -> None:
    """Hair that falls behind the neck."""
    p, style, y = h.person, h.person.hair, fall(h)
    w = h.width + WIDTH[style] + 0.07 * p.volume
    if style == "locs":
        for i in range(13):
            t = i / 12 * 2 - 1
            end = y + 0.10 * math.sin(i * 2.1 + p.seed)
            strand = spline([(x + t * w * 0.80, -0.2), (x + t * w * 0.98, 0.5), (x + t * w, end)])
            pen.line(strand, h.hair_dark if i % 2 else shade(h.hair_dark, -0.03), 0.17, part="hair")
        return
    if style == "long curls":
        half = [(w * 0.7, -0.8), (w, -0.2), (w * 1.05, 0.5), (w * 0.9, y - 0.14), (w * 0.4, y)]
        points = [(x - a, b) for a, b in half] + [(x + a, b) for a, b in half[::-1]]
        curls = [
            (a, b, 0.15 + 0.03 * math.sin(i * 2.3)) for i, (a, b) in enumerate(evenly(points, 17))
        ]
        pen.fill(
            joined(spline(points, closed=True), ovals(curls, clockwise=False)),
            h.hair_dark,
            part="hair",
        )
        return
    wave = 0.06 if "wavy" in style else 0.0
    if y < 1.1:
        half = [
            (w * 0.75, -0.75),
            (w, -0.1),
            (w + wave, 0.42),
            (w * (0.98 - wave), y - 0.05),
            (w * 0.80, y),
        ]
    else:
        half = [(w * 0.75, -0.75), (w, -0.1), (w + wave, 0.45), (w - 0.03 - wave, 0.95),
                (w + wave * 0.5, (0.95 + y) / 2), (w * 0.92, y - 0.05), (w * 0.55, y + 0.02)]  # fmt: skip
    points = [(x - a, b) for a, b in half] + [(x + a, b) for a, b in half[::-1]]
    pen.fill(
        spline(points, closed=True),
        lin((0, 0), (0, y), h.hair_dark, shade(h.hair_dark, -0.03)),
        part="hair",
    )


def _afro(pen: Pen, h: Head, x: float) -> None:
    r = 1.02 + 0.18 * h.person.volume
    cx, cy = x * 0.6, -0.40
    around = [2 * math.pi * i / 22 for i in range(22)]
    curls = [(cx + r * 0.93 * math.cos(t), cy + r * 0.88 * math.sin(t), 0.16) for t in around]
    ink = lin((h.light * 0.8, -1.3), (-h.light * 0.6, 0.5), h.hair_light, h.hair, h.hair_dark)
    pen.fill(joined(oval(cx, cy, r, r * 0.95), ovals(curls)), ink, part="hair")


def _ponytail(pen: Pen, h: Head, x: float) -> None:
    s, long = side_of(h), 0.75 + 0.55 * h.person.length
    x = x * 1.3 + s * 0.30
    wave = 0.08 * h.person.volume
    tail = shape([(x, -0.95), (x + s * 0.52, -0.82), (x + s * 0.74, -0.05), (x + s * (0.60 + wave), long * 0.65), (x + s * 0.70, long)],
                 [(x + s * 0.36, long * 0.8), (x + s * 0.22, 0.3), (x, -0.3)])  # fmt: skip
    flow = [
        [(x + s * 0.2, -0.7), (x + s * 0.5, -0.1), (x + s * 0.48, long * 0.7)],
        [(x + s * 0.3, -0.75), (x + s * 0.62, -0.05), (x + s * 0.56, long * 0.7)],
    ]
    fill_hair(pen, h, tail, flow)
    tie(pen, h, x + s * 0.27, -0.80, 0.07, 0.13, s * 28)


def _top_bun(pen: Pen, h: Head, x: float) -> None:
    v = h.person.volume
    x *= 0.5
    bun = oval(x, -1.20, 0.34 + 0.06 * v, 0.28 + 0.05 * v)
    flow = [
        [(x - 0.3, -1.16), (x, -1.34), (x + 0.3, -1.16)],
        [(x - 0.22, -1.06), (x + 0.02, -1.18), (x + 0.26, -1.04)],
    ]
    fill_hair(pen, h, bun, flow)


def _low_bun(pen: Pen, h: Head, x: float) -> None:
    pen.fill(
        oval(x * 1.9, 0.50, h.width * (0.80 + 0.12 * h.person.volume), 0.34),
        h.hair_dark,
        part="hair",
    )


def _pigtails(pen: Pen, h: Head, x: float) -> None:
    long = 0.55 + 0.55 * h.person.length
    for s in (-1, 1):
        cx, cy = h.edge(s, h.width + 0.06, -0.32, 0.0, -0.30)
        tail = shape([(cx - s * 0.06, cy - 0.10), (cx + s * 0.28, cy - 0.14), (cx + s * 0.44, cy + 0.30), (cx + s * 0.34, cy + long)],
                     [(cx + s * 0.16, cy + long * 0.75), (cx + s * 0.02, cy + 0.35), (cx - s * 0.06, cy + 0.08)])  # fmt: skip
        flow = [
            [
                (cx + s * 0.05, cy - 0.05),
                (cx + s * 0.26, cy + 0.25),
                (cx + s * 0.26, cy + long * 0.8),
            ]
        ]
        fill_hair(pen, h, tail, flow)
        tie(pen, h, cx + s * 0.0, cy - 0.02, 0.07, 0.11, -s * 18)


def _afro_puffs(pen: Pen, h: Head, x: float) -> None:
    r = 0.40 + 0.10 * h.person.volume
    for s in (-1, 1):
        cx, cy = h.edge(s, h.width * 0.92, -0.86, 0.0, -0.25)
        curls = [
            (cx + r * 0.86 * math.cos(t), cy + r * 0.86 * math.sin(t), r * 0.27)
            for t in [i * 0.524 for i in range(12)]
        ]
        ink = lin((h.light * 0.8, -1.5), (-h.light * 0.8, -0.3), h.hair_light, h.hair, h.hair_dark)
        pen.fill(joined(oval(cx, cy, r), ovals(curls)), ink, part="hair")


def _headscarf(pen: Pen, h: Head, x: float) -> None:
    c, w = cloth(h.person.accent), h.width + 0.14
    half = [
        (w * 0.8, -0.8),
        (w * 1.02, 0.0),
        (w * 1.0, 0.7),
        (w * 1.06, 1.15),
        (w * 1.12, 1.50),
        (0.7, 1.72),
        (0, 1.80),
    ]
    right = [(x * 0.5 * (1 - max(0.0, b) / 2) + a, b) for a, b in half]
    left = [(x * 0.5 * (1 - max(0.0, b) / 2) - a, b) for a, b in half[-2::-1]]
    pen.fill(
        spline([(x * 0.4, -1.14), *right, *left], closed=True),
        shade(c, -0.07, -6),
        part="headscarf",
    )


ONES = {"afro": _afro, "ponytail": _ponytail, "top bun": _top_bun, "low bun": _low_bun, "pigtails": _pigtails,
        "afro puffs": _afro_puffs, "headscarf": _headscarf}  # fmt: skip
