"""What stands and hangs in rooms: windows, lamps, plants, paintings."""

from __future__ import annotations

import math

from .colour import hexlab, lch, mix, shade
from .paths import box, oval, segment, shape, taper
from .pen import INK, lin
from .scenery import WARM, Scene


def window(s: Scene, x: float, y: float, b: float, h: float, view: str = "trees") -> None:
    """A window with what is outside at this hour."""
    pen, frame = s.pen, s.tint("#f7efe2")
    pen.fill(box(x - 0.02, y - 0.02, x + b + 0.02, y + h + 0.02, 0.008), frame)
    pane = box(x, y, x + b, y + h)
    pen.fill(pane, lin((0, y), (0, y + h), *s.sky))
    pen.clip(pane)
    if s.dark:
        for _ in range(9):
            pen.fill(oval(x + s.u(0, b), y + s.u(0, h * 0.6), 0.004), lch(0.95, 0.03, 90), 0.9)
        pen.fill(oval(x + b * s.u(0.15, 0.4), y + h * 0.2, 0.024), lch(0.95, 0.045, 92))
    outside = {"trees": "#6f9f78", "roofs": "#8b90a8"}[view]
    c = hexlab(outside)
    c = mix(c, lch(0.34, 0.08, 272), 0.62) if s.dark else mix(c, s.sky[1], 0.3)
    for i in range(4):
        a = x + b * (i + 0.4) / 4
        if view == "trees":
            pen.fill(oval(a, y + h, b * 0.20, h * s.u(0.25, 0.45)), shade(c, 0.02 * (i % 2)))
        else:
            top = y + h * s.u(0.4, 0.7)
            pen.fill(box(a - b * 0.12, top, a + b * 0.1, y + h), shade(c, 0.03 * (i % 2)))
            if s.lamps:
                for k in range(3):
                    pen.fill(
                        box(
                            a - b * 0.07,
                            top + 0.03 + k * 0.05,
                            a - b * 0.02,
                            top + 0.055 + k * 0.05,
                        ),
                        WARM,
                        0.9,
                    )
    pen.back()
    pen.fill(box(x + b / 2 - 0.007, y, x + b / 2 + 0.007, y + h), frame)
    pen.fill(box(x, y + h * 0.45, x + b, y + h * 0.45 + 0.014), frame)


def lamp(s: Scene, x: float, y: float, colour="#e5a44b") -> None:
    """A lamp that hangs from the ceiling, lit in the evening."""
    pen = s.pen
    pen.line(segment((x, 0), (x, y)), INK, 0.007)
    if s.lamps:
        s.glow(x, y + 0.06, 0.42, 0.75)
    q = s.tint(colour)
    pen.fill(
        shape(
            [(x - 0.025, y - 0.04), (x + 0.025, y - 0.04)],
            [(x + 0.085, y + 0.04), (x - 0.085, y + 0.04)],
        ),
        lin((x - 0.08, y), (x + 0.08, y), shade(q, 0.04), shade(q, -0.05)),
    )
    pen.fill(oval(x, y + 0.045, 0.058, 0.019), lch(0.98, 0.06, 92) if s.lamps else shade(q, -0.12))


def table_lamp(s: Scene, x: float, foot: float, colour="#f0c878") -> None:
    """A lamp with a shade standing at (x, foot), lit in the evening."""
    pen = s.pen
    if s.lamps:
        s.glow(x, foot - 0.16, 0.36, 0.75)
    pen.fill(taper([(x, foot), (x, foot - 0.12)], [0.05, 0.014]), s.tint("#8a5a48"))
    c = lch(0.94, 0.09, 86) if s.lamps else s.tint(colour)
    pen.fill(
        shape(
            [(x - 0.04, foot - 0.22), (x + 0.04, foot - 0.22)],
            [(x + 0.075, foot - 0.10), (x - 0.075, foot - 0.10)],
        ),
        c,
    )


def plant(s: Scene, x: float, foot: float, size: float = 1.0, pot="#d9795a") -> None:
    """A plant in a pot standing at (x, foot)."""
    green = s.tint("#5c9068")
    for i, a in enumerate((-52, -28, -6, 16, 38, 58)):
        t, k = math.radians(a), size * (0.85 + 0.15 * (i % 2))
        tip = (x + 0.17 * k * math.sin(t), foot - 0.09 * size - 0.19 * k * math.cos(t))
        mid = (x + 0.08 * k * math.sin(t), foot - 0.09 * size - 0.11 * k * math.cos(t))
        s.pen.fill(
            taper([(x, foot - 0.08 * size), mid, tip], [0.012, 0.055 * size, 0.006]),
            green if i % 2 else shade(green, 0.05),
        )
    s.pen.fill(
        shape(
            [(x - 0.06 * size, foot - 0.10 * size), (x + 0.06 * size, foot - 0.10 * size)],
            [(x + 0.045 * size, foot), (x - 0.045 * size, foot)],
        ),
        s.tint(pot),
    )


def picture_frame(s: Scene, x: float, y: float, b: float, h: float, kind: int) -> None:
    """A small painting on the wall."""
    pen = s.pen
    a, ground, c = (
        ("#e58f6b", "#f3d9a0", "#5f8f86"),
        ("#f0c860", "#34577d", "#e8a0a0"),
        ("#c8463c", "#cfe0d8", "#5c7a9c"),
    )[kind % 3]
    pen.fill(box(x, y, x + b, y + h), s.tint("#8a6248"))
    inner = box(x + 0.012, y + 0.012, x + b - 0.012, y + h - 0.012)
    pen.fill(inner, s.tint(ground))
    pen.clip(inner)
    pen.fill(oval(x + b * 0.62, y + h * 0.36, b * 0.18), s.tint(a))
    pen.fill(oval(x + b * 0.2, y + h * 1.02, b * 0.55, h * 0.40), s.tint(c))
    pen.fill(oval(x + b * 0.9, y + h * 1.08, b * 0.45, h * 0.36), shade(s.tint(c), -0.07))
    pen.back()
