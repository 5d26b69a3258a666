"""Beach, harbour and city street."""

from __future__ import annotations

from .colour import lch, mix, shade
from .paths import box, poly, segment, shape, spline
from .pen import lin
from .scenery import Scene

FOAM = lch(0.97, 0.01, 90)


def beach(s: Scene) -> None:
    """Sea, sand, a parasol; at night a fire on the sand."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.55)
    s.ridge(0.52, 0.07, "#7fa5ad", 0.45, 5)
    sea = s.tint("#3b9fb4")
    pen.fill(box(0, 0.50, w, 1), lin((0, 0.50), (0, 0.74), mix(sea, s.sky[2], 0.35), sea))
    for i in range(int(8 * w)):
        x, y = u(0, w), 0.53 + (i % 7) * 0.027
        pen.line(spline([(x - 0.10, y), (x, y - 0.004), (x + 0.10, y)]), FOAM, 0.007, 0.5)
    x = u(0.2, 0.8) * w
    for dx, size in ((0.0, 1.0), (0.2, 0.7)):  # sails far out
        q = x + dx
        pen.fill(poly((q, 0.42), (q, 0.52), (q + 0.055 * size, 0.52)), s.tint("#fbf6ec"))
        pen.fill(
            poly(
                (q - 0.03 * size, 0.525),
                (q + 0.06 * size, 0.525),
                (q + 0.04 * size, 0.54),
                (q - 0.015, 0.54),
            ),
            s.tint("#c9584a"),
        )
    sand = s.tint("#f2d9a6")
    shore = [(-0.1, 0.70), (w * 0.25, 0.735), (w * 0.6, 0.69), (w + 0.1, 0.74)]
    pen.fill(shape(shore, [(w + 0.1, 1.1), (-0.1, 1.1)]), FOAM, 0.45 if s.dark else 0.85)
    lower = [(a, b + 0.016) for a, b in shore]
    pen.fill(
        shape(lower, [(w + 0.1, 1.1), (-0.1, 1.1)]), lin((0, 0.7), (0, 1), sand, shade(sand, -0.05))
    )
    right = u() < 0.5
    x = w - u(0.06, 0.14) if right else u(0.06, 0.14)
    for i, c in enumerate(("#d9604c", "#f6ecd8", "#d9604c", "#f6ecd8")):
        a, b = x - 0.20 + i * 0.10, x - 0.10 + i * 0.10
        pen.fill(
            shape(
                [(a, 0.60 + 0.008 * abs(i - 1.5))], [(x, 0.42)], [(b, 0.60), ((a + b) / 2, 0.585)]
            ),
            s.tint(c),
        )
    pen.line(segment((x, 0.42), (x, 0.92)), s.tint("#8a6a52"), 0.012)
    if s.dark:
        q = 0.12 if right else w - 0.12
        s.glow(q, 0.80, 0.30, 0.75, lch(0.82, 0.15, 65))
        for k, (c, size) in enumerate(((lch(0.72, 0.18, 50), 1.0), (lch(0.90, 0.14, 88), 0.55))):
            pen.fill(
                spline(
                    [
                        (q - 0.04 * size, 0.86),
                        (q - 0.03 * size, 0.80),
                        (q + 0.004, 0.86 - 0.13 * size),
                        (q + 0.035 * size, 0.80),
                        (q + 0.04 * size, 0.86),
                    ],
                    closed=True,
                ),
                c,
                1 - 0.1 * k,
            )
        pen.line(segment((q - 0.06, 0.87), (q + 0.06, 0.86)), lch(0.35, 0.05, 50), 0.016)


def harbour(s: Scene) -> None:
    """Houses along the water, a lighthouse, boats, the boards of a pier."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.6)
    walls = ("#e58f6b", "#f0c878", "#dca3a0", "#8fb5b0", "#f2e2c8", "#c9786a")
    tower = s.one((u(0.07, 0.13), w - u(0.07, 0.13)))
    x, k = -0.05, int(u(0, 6))
    while x < w:
        b, h = u(0.12, 0.18), u(0.16, 0.28)
        c = s.tint(walls[k % 6], 0.12)
        k += 1
        pen.fill(box(x, 0.60 - h, x + b, 0.62), c)
        pen.fill(
            poly((x - 0.008, 0.60 - h), (x + b / 2, 0.60 - h - 0.07), (x + b + 0.008, 0.60 - h)),
            s.tint("#b0604f", 0.12),
        )
        for row in range(int(h / 0.09)):
            for q in (0.22, 0.62):
                on = s.lamps and u() < (0.7 if s.dark else 0.35)
                pen.fill(
                    box(
                        x + b * q,
                        0.62 - h + 0.03 + row * 0.09,
                        x + b * (q + 0.18),
                        0.62 - h + 0.075 + row * 0.09,
                    ),
                    lch(0.91, 0.12, 85) if on else shade(c, -0.16),
                )
        x += b
    for i in range(5):  # the lighthouse, red and white
        y0, y1 = 0.60 - 0.09 * (i + 1), 0.60 - 0.09 * i
        a, b = 0.055 - 0.005 * (i + 1), 0.055 - 0.005 * i
        c = s.tint("#cf5544" if i % 2 == 0 else "#f8f0e2", 0.05)
        pen.fill(
            poly((tower - a, y0), (tower + a, y0), (tower + b, y1), (tower - b, y1)),
            lin((tower - b, 0), (tower + b, 0), shade(c, 0.02), shade(c, -0.05)),
        )
    if s.lamps:
        s.glow(tower, 0.125, 0.30, 0.8)
    pen.fill(box(tower - 0.038, 0.143, tower + 0.038, 0.153), s.tint("#3a3c52"))
    pen.fill(
        box(tower - 0.022, 0.10, tower + 0.022, 0.143),
        lch(0.97, 0.09, 92) if s.lamps else s.tint("#d8e4e8"),
    )
    pen.fill(poly((tower - 0.032, 0.10), (tower, 0.068), (tower + 0.032, 0.10)), s.tint("#b0463a"))
    sea = s.tint("#4a93a3")
    pen.fill(box(0, 0.61, w, 1), lin((0, 0.61), (0, 1), mix(sea, s.sky[2], 0.3), shade(sea, -0.05)))
    for i in range(int(3 * w)):
        x, size, y = (i + u(0.1, 0.9)) / 3, u(0.08, 0.13), 0.66 + 0.05 * (i % 2)
        pen.fill(
            shape(
                [(x - size, y), (x + size, y)],
                [(x + size * 0.75, y + size * 0.38), (x - size * 0.7, y + size * 0.38)],
            ),
            s.tint(("#f4ece0", "#d9694e", "#34577d")[i % 3]),
        )
        pen.line(segment((x, y), (x, y - size * 2.6)), s.tint("#6b5247"), 0.010)
        pen.fill(
            poly((x + 0.012, y - size * 2.5), (x + 0.012, y - 0.02), (x + size * 0.95, y - 0.02)),
            s.tint("#faf3e6"),
        )
    for _ in range(int(8 * w)):
        x, y = u(0, w), u(0.70, 0.86)
        pen.line(
            spline([(x - 0.07, y), (x, y - 0.006), (x + 0.07, y)]),
            mix(sea, lch(0.95, 0.02, 90), 0.5),
            0.008,
            0.7,
        )
    board = s.tint("#b98a62")
    pen.fill(box(0, 0.88, w, 1), board)
    for i in range(int(9 * w) + 1):
        pen.line(segment((i / 9, 0.88), (i / 9 - 0.02, 1.0)), shade(board, -0.09), 0.006)
    for x in (0.06, w - 0.06):
        pen.fill(box(x - 0.022, 0.78, x + 0.022, 0.92, 0.01), shade(board, -0.08))


def city_street(s: Scene) -> None:
    """Houses, trees, street lamps; lit windows in the evening."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.9)
    rows = (
        (0.55, 6, ("#9fb0c4",)),
        (0.16, 4, ("#cf8f76", "#e2bd90", "#8fa9ac", "#bfa2b4", "#d9a25f")),
    )
    for depth, n, colours in rows:
        x, k = -0.08, int(u(0, 5))
        while x < w:
            b, top = u(0.9, 1.3) / n, u(0.10, 0.34) + (0.06 if depth > 0.4 else 0.04)
            c = s.tint(colours[k % len(colours)], depth)
            k += 1
            pen.fill(box(x, top, x + b, 1), lin((x, 0), (x + b, 0), c, shade(c, -0.04)))
            pen.fill(box(x - 0.006, top, x + b + 0.006, top + 0.018), shade(c, 0.04))
            across = max(2, int(b / 0.075))
            for i in range(int((0.85 - top) / 0.10)):
                for j in range(across):
                    on = u() < {"night": 0.6, "sunset": 0.3}.get(s.hour, 0)
                    a = x + b * (j + 0.28) / across
                    pen.fill(
                        box(a, top + 0.05 + i * 0.10, a + b * 0.44 / across, top + 0.11 + i * 0.10),
                        lch(0.90, 0.12, 82) if on else shade(c, -0.10 if depth < 0.4 else -0.05),
                    )
            x += b
    ground = s.tint("#c2b3a8")
    pen.fill(box(0, 0.86, w, 1), lin((0, 0.86), (0, 1), ground, shade(ground, -0.05)))
    for i in range(int(2 * w) + 1):
        s.tree((i + u(0.1, 0.4)) / 2, 0.92, u(0.34, 0.46), "#6fa874", 0.03)
    for i in range(int(2 * w)):
        s.street_lamp(
            (i + 0.82 if i % 2 else i + 0.09) * w / max(1, int(2 * w))
            if w > 1
            else (0.07, 0.93)[i],
            0.40,
            0.95,
        )
