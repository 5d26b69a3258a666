"""Rooms: six here, the studios and the plain wall in ``places_studio``."""

from __future__ import annotations

from .colour import hexlab, lch, shade
from .furniture import lamp, picture_frame, plant, table_lamp, window
from .paths import box, joined, oval, segment, shape, spline
from .pen import lin
from .places_studio import art_studio, plain_wall, studio
from .scenery import Scene


def library(s: Scene) -> None:
    """Shelves full of books and a lamp."""
    pen, w, u = s.pen, s.w, s.u
    s.room("#c99d6e", "#8d5f45")
    colours = [
        s.tint(c)
        for c in (
            "#b6533f",
            "#dba545",
            "#5f8a7c",
            "#3d5a7d",
            "#efe0c4",
            "#8a5068",
            "#7e9a62",
            "#d98a63",
        )
    ]
    for row in range(4):
        y0, y1 = 0.02 + row * 0.225, 0.215 + row * 0.225
        pen.fill(box(0, y0 - 0.02, w, y1 + 0.02), s.tint("#86583f"))
        pen.fill(box(0, y0 + 0.02, w, y1 - 0.012), s.tint("#5f3f33"))
        x = u(0, 0.03)
        while x < w:
            b, h = u(0.024, 0.048), u(0.11, 0.155)
            if u() < 0.08:
                x += b * 1.5
                continue
            c = s.one(colours)
            pen.fill(box(x, y1 - 0.012 - h, x + b, y1 - 0.012), c)
            if u() < 0.4:
                pen.fill(
                    box(x + 0.004, y1 - 0.012 - h * 0.78, x + b - 0.004, y1 - 0.012 - h * 0.70),
                    shade(c, 0.14),
                )
            x += b + 0.003
    pen.fill(box(0, 0.90, w, 1), s.tint("#8d5f45"))
    for x in (0.16, w - 0.16) if w > 1.2 else (s.one((0.15, w - 0.15)),):
        lamp(s, x, 0.14)


def kitchen(s: Scene) -> None:
    """Tiles, a window, a shelf with pots, a teapot."""
    pen, w, u = s.pen, s.w, s.u
    s.room("#f3dfba", "#c49a72", 0.9)
    white, green = s.tint("#fbf2e0"), s.tint("#9cc4b4")
    for i in range(int(12 * w)):
        for j in range(3):
            pen.fill(
                box(
                    i / 12 + 0.004, 0.46 + j * 0.075, (i + 1) / 12 - 0.004, 0.53 + j * 0.075, 0.006
                ),
                white if (i + j) % 3 else green,
            )
    left = u() < 0.5
    x = u(0.03, 0.08) if left else w - u(0.36, 0.40)
    window(s, x, 0.08, 0.32, 0.32)
    shelf = w - 0.40 if left else 0.04
    pen.fill(box(shelf, 0.26, shelf + 0.36, 0.28), s.tint("#a9714d"))
    for i in range(4):
        a, c = shelf + 0.05 + i * 0.085, s.tint(("#d9694e", "#f3e7d0", "#5f8f86", "#e0a840")[i])
        pen.fill(
            box(a - 0.028, 0.26 - 0.06 - 0.03 * (i % 2), a + 0.028, 0.26, 0.01),
            lin((a - 0.03, 0), (a + 0.03, 0), shade(c, 0.03), shade(c, -0.05)),
        )
    pen.fill(box(0, 0.70, w, 0.735), s.tint("#d8a878"))
    for i in range(int(4 * w) + 1):
        c = s.tint("#6f9d92")
        pen.fill(box(i / 4 + 0.01, 0.75, (i + 1) / 4 - 0.01, 0.99, 0.012), c)
        pen.fill(oval(i / 4 + 0.06, 0.80, 0.012), shade(c, 0.16))
    a, red = (w - 0.12 if left else 0.12), s.tint("#cf6a4e")
    pen.line(oval(a + 0.085, 0.645, 0.03, 0.035), red, 0.016)
    pen.fill(joined(oval(a, 0.645, 0.075, 0.06), box(a - 0.03, 0.575, a + 0.03, 0.60, 0.01)), red)
    pen.line(spline([(a - 0.06, 0.65), (a - 0.11, 0.62), (a - 0.12, 0.59)]), red, 0.022)
    plant(s, w - 0.30 if left else 0.30, 0.70, 0.7)
    lamp(s, w * 0.5 + u(-0.22, 0.22), 0.09, "#cf6a4e")


def cafe(s: Scene) -> None:
    """A brick wall, a board, shelves with cups, three lamps."""
    pen, w, u = s.pen, s.w, s.u
    s.room("#bf6f55", "#7a5040", 0.92)
    for j in range(9):
        for i in range(int(7 * w) + 2):
            x = (i - 0.5 * (j % 2)) / 7
            if u() < 0.30:
                pen.fill(
                    box(x + 0.004, j * 0.07 + 0.004, x + 1 / 7 - 0.004, j * 0.07 + 0.066, 0.004),
                    s.tint("#cb8064" if u() < 0.5 else "#b0634e"),
                )
    left = u() < 0.5
    x = u(0.03, 0.06) if left else w - u(0.33, 0.36)
    pen.fill(box(x, 0.14, x + 0.28, 0.48, 0.01), s.tint("#6b4434"))
    pen.fill(box(x + 0.015, 0.155, x + 0.265, 0.465), s.tint("#33413f"))
    for i in range(4):
        pen.line(
            segment((x + 0.05, 0.21 + i * 0.06), (x + u(0.13, 0.22), 0.21 + i * 0.06)),
            s.tint("#f0e6d2"),
            0.010,
            0.9,
        )
    other = w - 0.40 if left else 0.04
    for y in (0.30, 0.50):
        pen.fill(box(other, y, other + 0.36, y + 0.02), s.tint("#d9a878"))
        for i in range(4):
            c = s.tint(("#f3e7d0", "#6f9d92", "#e0a840", "#f3e7d0")[(i + int(y * 10)) % 4])
            pen.fill(box(other + 0.04 + i * 0.08, y - 0.055, other + 0.09 + i * 0.08, y, 0.012), c)
    pen.fill(box(0, 0.74, w, 1), s.tint("#5b8078"))
    pen.fill(box(0, 0.72, w, 0.755), s.tint("#e0b988"))
    a = w - 0.12 if left else 0.12
    pen.fill(oval(a, 0.715, 0.085, 0.014), s.tint("#f6efe0"))
    pen.fill(
        shape([(a - 0.05, 0.655), (a + 0.05, 0.655)], [(a + 0.035, 0.71), (a - 0.035, 0.71)]),
        s.tint("#f6efe0"),
    )
    for i in range(int(3 * w)):
        lamp(s, (i + 0.5) / 3 + u(-0.03, 0.03), 0.10 + 0.03 * (i % 2), "#f0c060")


def office(s: Scene) -> None:
    """A wide window, a desk with a screen, a plant."""
    pen, w, u = s.pen, s.w, s.u
    s.room("#e2e2d8", "#a8937e", 0.88)
    window(s, 0.08, 0.08, w - 0.16, 0.46, "roofs")
    pen.fill(box(0, 0.70, w, 0.735), s.tint("#d6ac7e"))
    pen.fill(box(0, 0.735, w, 0.9), s.tint("#b78a62"))
    left = u() < 0.5
    x = 0.05 if left else w - 0.27
    if s.lamps:
        s.glow(x + 0.12, 0.58, 0.24, 0.5, lch(0.88, 0.05, 210))
    pen.fill(box(x, 0.50, x + 0.24, 0.66, 0.012), s.tint("#3f4a5c"))
    pen.fill(box(x + 0.012, 0.512, x + 0.228, 0.648), hexlab("#a9dbe2"))
    for i in range(3):
        pen.line(
            segment((x + 0.03, 0.545 + i * 0.03), (x + u(0.10, 0.19), 0.545 + i * 0.03)),
            lch(0.98, 0.01, 200),
            0.008,
        )
    pen.fill(box(x + 0.10, 0.66, x + 0.14, 0.70), s.tint("#3f4a5c"))
    plant(s, w - 0.13 if left else 0.13, 0.70, 1.0)
    if s.lamps:
        lamp(s, w * 0.5 + u(-0.15, 0.15), 0.06, "#f0c060")


def living_room(s: Scene) -> None:
    """A sofa, a window, a painting, a lamp with a shade."""
    pen, w, u = s.pen, s.w, s.u
    s.room(s.one(("#e7c9a8", "#cfd6bf", "#e3c3b4")), "#a9754f", 0.86)
    left = u() < 0.5
    window(s, 0.06 if left else w - 0.36, 0.10, 0.30, 0.36)
    picture_frame(s, w - 0.30 if left else 0.07, 0.14, 0.22, 0.24, int(u(0, 3)))
    for k in (-1, 1):  # curtains
        x = (0.06 if left else w - 0.36) + (0.30 if k > 0 else 0.0)
        c = s.tint("#c9705c")
        pen.fill(
            shape(
                [(x - 0.05, 0.06), (x + 0.05, 0.06)],
                [(x + 0.04 + 0.02 * k, 0.54), (x - 0.04 + 0.02 * k, 0.54)],
            ),
            lin((x - 0.05, 0), (x + 0.05, 0), shade(c, 0.03), shade(c, -0.06)),
        )
    sofa = s.tint(s.one(("#5f8f8a", "#7a86b0", "#b0795f")))
    a = w * 0.5 - 0.42
    pen.fill(box(a, 0.58, a + 0.84, 0.90, 0.06), sofa)
    pen.fill(box(a - 0.05, 0.66, a + 0.08, 0.96, 0.05), shade(sofa, 0.03))
    pen.fill(box(a + 0.76, 0.66, a + 0.89, 0.96, 0.05), shade(sofa, -0.04))
    pen.fill(box(a + 0.04, 0.78, a + 0.80, 0.96, 0.04), shade(sofa, 0.05))
    for x, c in ((a + 0.15, "#ecc045"), (a + 0.69, "#e8a0a0")):
        pen.fill(box(x - 0.07, 0.66, x + 0.07, 0.80, 0.035), s.tint(c))
    lamp_x = w - 0.07 if left else 0.07
    pen.fill(box(lamp_x - 0.08, 0.74, lamp_x + 0.08, 0.77), s.tint("#8a5f45"))
    pen.line(segment((lamp_x, 0.76), (lamp_x, 0.95)), s.tint("#8a5f45"), 0.02)
    table_lamp(s, lamp_x, 0.74)
    plant(s, 0.06 if left else w - 0.06, 0.94, 1.1)


def bedroom(s: Scene) -> None:
    """A bed with pillows, a window, a lamp beside it."""
    pen, w, u = s.pen, s.w, s.u
    s.room(s.one(("#cdd9e4", "#e8d3dc", "#d9dcc4")), "#b98c68", 0.88)
    left = u() < 0.5
    x = 0.06 if left else w - 0.34
    window(s, x, 0.08, 0.28, 0.36)
    c = s.tint("#e9d8a8")
    for k in (0, 1):
        a = x - 0.03 + k * 0.28
        pen.fill(
            shape([(a - 0.03, 0.05), (a + 0.06, 0.05)], [(a + 0.05, 0.50), (a - 0.02, 0.50)]),
            lin((a - 0.03, 0), (a + 0.06, 0), shade(c, 0.02), shade(c, -0.06)),
        )
    picture_frame(s, w - 0.27 if left else 0.08, 0.12, 0.19, 0.21, int(u(0, 3)))
    bed = w * 0.5 - 0.38
    pen.fill(box(bed, 0.48, bed + 0.76, 0.90, 0.05), s.tint("#9a6a4c"))
    for a in (bed + 0.04, bed + 0.40):
        pen.fill(box(a, 0.58, a + 0.32, 0.76, 0.06), s.tint("#faf5ea"))
    blanket = s.tint(s.one(("#6f8fb8", "#c9806f", "#7fa58a")))
    pen.fill(
        box(bed - 0.03, 0.72, bed + 0.79, 1.02, 0.05),
        lin((0, 0.72), (0, 1), blanket, shade(blanket, -0.06)),
    )
    for i in range(4):
        pen.line(
            segment((bed + 0.05 + i * 0.22, 0.74), (bed + 0.03 + i * 0.22, 1.0)),
            shade(blanket, 0.08),
            0.012,
            0.8,
        )
    pen.fill(box(bed - 0.03, 0.72, bed + 0.79, 0.76, 0.02), s.tint("#faf5ea"))
    a = w - 0.06 if left else 0.06
    pen.fill(box(a - 0.09, 0.72, a + 0.09, 1.0, 0.01), s.tint("#a9754f"))
    table_lamp(s, a, 0.72, "#f3d9a0")


DRAW = {"library": library, "kitchen": kitchen, "cafe": cafe, "office": office, "living room": living_room,
        "bedroom": bedroom, "studio": studio, "art studio": art_studio, "plain wall": plain_wall}  # fmt: skip
