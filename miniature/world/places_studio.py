"""A photographer's and a painter's studio, and a plain wall."""

from __future__ import annotations

from .colour import lch, mix, shade
from .furniture import lamp, picture_frame, window
from .paths import box, oval, poly, segment, shape
from .pen import lin
from .scenery import Scene


def studio(s: Scene) -> None:
    """A photographer's studio: a paper backdrop and two soft boxes."""
    pen, w = s.pen, s.w
    s.room("#8f8a88", "#6d6460", 0.86)
    c = s.tint(s.one(("#d9c3a6", "#a9bccb", "#c9a9a4", "#b6c2a4")))
    a, b = w * 0.5 - 0.40, w * 0.5 + 0.40
    pen.fill(box(a - 0.03, 0.03, b + 0.03, 0.075, 0.02), s.tint("#5a5350"))
    pen.fill(
        shape([(a, 0.05), (b, 0.05)], [(b, 0.84), (b + 0.06, 1.05), (a - 0.06, 1.05), (a, 0.84)]),
        lin((a, 0), (b, 1), shade(c, 0.04), c, shade(c, -0.05)),
    )
    s.glow(w * 0.5, 0.35, 0.45, 0.45)
    for k in (-1, 1):
        x = 0.07 if k < 0 else w - 0.07
        pen.line(segment((x, 0.30), (x, 0.95)), s.tint("#37343a"), 0.012)
        pen.line(segment((x - 0.05, 0.99), (x, 0.90), (x + 0.05, 0.99)), s.tint("#37343a"), 0.012)
        s.glow(x, 0.22, 0.22, 0.75, lch(0.97, 0.03, 90))
        box_path = poly(
            (x - 0.085, 0.12),
            (x + 0.085, 0.10 + 0.02 * (k < 0)),
            (x + 0.085, 0.33),
            (x - 0.085, 0.33),
        )
        pen.fill(box_path, lch(0.985, 0.012, 90))
        pen.line(box_path, s.tint("#37343a"), 0.010)


def art_studio(s: Scene) -> None:
    """Paintings on easels below a high window."""
    pen, w, u = s.pen, s.w, s.u
    s.room("#efe0cc", "#b98d6c", 0.84)
    window(s, w * 0.5 - 0.28, -0.08, 0.56, 0.46, "roofs")
    spots = (0.02, w - 0.30) if w < 1.2 else (0.02, w * 0.5 - 0.14, w - 0.30)
    for k, x in enumerate(spots):
        y = 0.30 + u(0, 0.1)
        for q in (-1, 1):
            pen.line(
                segment((x + 0.14 + q * 0.03, y + 0.1), (x + 0.14 + q * 0.12, 0.98)),
                s.tint("#8a6248"),
                0.016,
            )
        picture_frame(s, x, y, 0.28, 0.34, k + int(u(0, 3)))
    for i in range(6):
        x = w * 0.5 - 0.25 + i * 0.1
        pen.fill(
            oval(x, 0.93 + 0.02 * (i % 2), 0.03, 0.017),
            s.tint(("#d9694e", "#e3aa3c", "#5f8f86", "#33476f", "#e08d95", "#7e9a62")[i]),
        )
    if s.lamps:
        for x in (0.16, w - 0.16):
            lamp(s, x, 0.08, "#5f8f86")


def plain_wall(s: Scene) -> None:
    """A wall in one colour with light on it; at night a wall lamp."""
    pen, w, u = s.pen, s.w, s.u
    c = s.tint(s.one(("#d8e0d2", "#ead9c2", "#c6d6e0", "#e8cfc8", "#d6cfe2", "#efe6cf", "#bcd2c8")))
    pen.fill(box(0, 0, w, 1), lin((0, 0), (w, 1), shade(c, 0.03), c, shade(c, -0.04)))
    x = w * u(0.25, 0.75)
    if s.lamps:
        x = s.one((0.10, w - 0.10))
        s.glow(x, 0.24, 0.60, 0.85)
        pen.fill(
            shape([(x - 0.03, 0.18), (x + 0.03, 0.18)], [(x + 0.05, 0.28), (x - 0.05, 0.28)]),
            lch(0.96, 0.08, 88),
        )
        pen.fill(box(x - 0.012, 0.28, x + 0.012, 0.33), mix(c, lch(0.4, 0.04, 50), 0.7))
    else:
        s.glow(
            x,
            0.30,
            0.65,
            0.40 if s.hour == "day" else 0.6,
            lch(0.97, 0.02, 90) if s.hour == "day" else lch(0.92, 0.07, 60),
        )
