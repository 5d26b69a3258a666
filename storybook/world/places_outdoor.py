"""Eight places under the sky."""

from __future__ import annotations

from .colour import hexlab, lch, mix, shade
from .paths import box, oval, ovals, poly, segment, shape, spline, taper
from .pen import lin
from .scenery import WARM, Scene

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
        pen.fill(poly((q - 0.03 * size, 0.525), (q + 0.06 * size, 0.525), (q + 0.04 * size, 0.54), (q - 0.015, 0.54)), s.tint("#c9584a"))
    sand = s.tint("#f2d9a6")
    shore = [(-0.1, 0.70), (w * 0.25, 0.735), (w * 0.6, 0.69), (w + 0.1, 0.74)]
    pen.fill(shape(shore, [(w + 0.1, 1.1), (-0.1, 1.1)]), FOAM, 0.45 if s.dark else 0.85)
    lower = [(a, b + 0.016) for a, b in shore]
    pen.fill(shape(lower, [(w + 0.1, 1.1), (-0.1, 1.1)]), lin((0, 0.7), (0, 1), sand, shade(sand, -0.05)))
    right = u() < 0.5
    x = w - u(0.06, 0.14) if right else u(0.06, 0.14)
    for i, c in enumerate(("#d9604c", "#f6ecd8", "#d9604c", "#f6ecd8")):
        a, b = x - 0.20 + i * 0.10, x - 0.10 + i * 0.10
        pen.fill(shape([(a, 0.60 + 0.008 * abs(i - 1.5))], [(x, 0.42)], [(b, 0.60), ((a + b) / 2, 0.585)]), s.tint(c))
    pen.line(segment((x, 0.42), (x, 0.92)), s.tint("#8a6a52"), 0.012)
    if s.dark:
        q = 0.12 if right else w - 0.12
        s.glow(q, 0.80, 0.30, 0.75, lch(0.82, 0.15, 65))
        for k, (c, size) in enumerate(((lch(0.72, 0.18, 50), 1.0), (lch(0.90, 0.14, 88), 0.55))):
            pen.fill(spline([(q - 0.04 * size, 0.86), (q - 0.03 * size, 0.80), (q + 0.004, 0.86 - 0.13 * size), (q + 0.035 * size, 0.80), (q + 0.04 * size, 0.86)], closed=True), c, 1 - 0.1 * k)
        pen.line(segment((q - 0.06, 0.87), (q + 0.06, 0.86)), lch(0.35, 0.05, 50), 0.016)


def forest(s: Scene) -> None:
    """Trunks in three depths; at night the moon through them, fireflies and a lantern."""
    pen, w, u = s.pen, s.w, s.u
    high, low = {"day": ("#e2eec6", "#b4d49c"), "dawn": ("#f6e3cf", "#cfd6b4"), "sunset": ("#f8d08e", "#dd9c68"), "night": ("#4a5f92", "#2d3f70")}[s.hour]
    high, low = hexlab(high), hexlab(low)
    pen.fill(box(0, 0, w, 1), lin((0, 0), (0, 1), high, low))
    x = w * u(0.2, 0.8)
    s.glow(x, 0.22, 0.55, 0.5 if s.dark else 0.7)
    if s.dark:
        pen.fill(oval(x, 0.20, 0.075), lch(0.955, 0.045, 92), 0.95)
    for depth, n, leaf in ((0.62, 9, "#6f9a76"), (0.34, 7, "#4f8a66"), (0.05, 4, "#37694f")):
        count = max(2, int(n * w))
        wide = 0.055 - 0.045 * depth
        trunk = mix(s.tint("#7a5c4a" if depth < 0.3 else "#85806a"), high, depth)
        for i in range(count + 1):
            x = (i + u(-0.3, 0.3)) * w / count
            path = taper([(x, 1.0), (x + u(-0.01, 0.01), 0.5), (x, -0.1)], [wide * 1.5, wide, wide * 0.8])
            pen.fill(path, lin((x - wide, 0), (x + wide, 0), shade(trunk, 0.04), shade(trunk, -0.04)))
        c = mix(s.tint(leaf), high, depth)
        n_leaves = int(6 * w) + 2
        leaves = [((i + u(-0.3, 0.3)) * w / (6 * w), 0.02 + 0.14 * depth + u(-0.04, 0.04), u(0.09, 0.14)) for i in range(n_leaves)]
        pen.fill(ovals(leaves), c, 0.96)
        ground = 0.72 + 0.16 * (1 - depth)
        hill = [(-0.1, ground + 0.02), *[(w * k / 5, ground + u(-0.02, 0.02)) for k in range(6)], (w + 0.1, ground)]
        pen.fill(shape(hill, [(w + 0.1, 1.1), (-0.1, 1.1)]), lin((0, ground), (0, 1), c, shade(c, -0.04)))
    for _ in range(int(6 * w)):
        x, y = u(0, w), u(0.88, 0.99)
        pen.line(spline([(x, y), (x - 0.03, y - 0.05), (x - 0.06, y - 0.05)]), s.tint("#7fb070"), 0.010, 0.9)
        pen.line(spline([(x, y), (x + 0.02, y - 0.06), (x + 0.05, y - 0.07)]), s.tint("#7fb070"), 0.010, 0.9)
    if s.dark:
        for _ in range(int(14 * w)):
            x, y = u(0, w), u(0.3, 0.92)
            s.glow(x, y, 0.028, 0.8)
            pen.fill(oval(x, y, 0.005), lch(0.97, 0.09, 100))
    if s.lamps:
        s.street_lamp(s.one((0.07, w - 0.07)), 0.58, 0.95)


def meadow(s: Scene) -> None:
    """Hills, trees, flowers; at night a lit cottage."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.6)
    s.ridge(0.54, 0.10, "#8fb4a0", 0.45, 5)
    s.ridge(0.60, 0.08, "#8dbf78", 0.20, 4)
    for _ in range(int(4 * w)):
        s.tree(u(0, w), 0.60 + u(-0.01, 0.02), u(0.12, 0.20), "#5f9f64", 0.10)
    x = s.one((u(0.06, 0.16), w - u(0.18, 0.28)))
    c = s.tint("#f3e6cf")
    pen.fill(box(x, 0.54, x + 0.13, 0.64), c)
    pen.fill(poly((x - 0.02, 0.545), (x + 0.065, 0.47), (x + 0.15, 0.545)), s.tint("#c0654f"))
    if s.lamps:
        s.glow(x + 0.045, 0.59, 0.12, 0.7)
    pen.fill(box(x + 0.025, 0.565, x + 0.06, 0.60), WARM if s.lamps else shade(c, -0.2))
    pen.fill(box(x + 0.08, 0.575, x + 0.11, 0.64), s.tint("#7a5a48"))
    s.ridge(0.72, 0.07, "#a6cc6c", 0.05, 4)
    s.ridge(0.84, 0.06, "#80b85c", 0, 4)
    s.grass(0.80, "#5f9c48", 36)
    for _ in range(int(34 * w)):
        x, y = u(0, w), u(0.76, 1)
        c = s.tint(s.one(("#f4d35e", "#f28f79", "#fdf3e3", "#c58fc9")), 0, 0.3)
        pen.fill(oval(x, y, 0.007 + 0.014 * (y - 0.7) / 0.3), c)


def snowy_mountains(s: Scene) -> None:
    """Peaks, firs and snow; in the evening a lit hut."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.62)
    for y, rise, colour, far, n in ((0.50, 0.28, "#8fa3c4", 0.40, 5), (0.60, 0.24, "#6f88b0", 0.18, 4)):
        n = max(n, int(n * w))
        n += n % 2
        tops = [(-0.1 + (w + 0.2) * i / n, y - (rise * u(0.75, 1.0) if i % 2 else -0.02 * u(0, 2))) for i in range(n + 1)]
        c = s.tint(colour, far)
        pen.fill(poly((-0.1, 1.1), *tops, (w + 0.1, 1.1)), c)
        snow = s.tint("#f8f6f4", far * 0.3)
        for a, b, d in zip(tops, tops[1:], tops[2:], strict=False):
            if b[1] < a[1] and b[1] < d[1]:
                l, r = ((b[0] + (e[0] - b[0]) * 0.5, b[1] + (e[1] - b[1]) * 0.5) for e in (a, d))
                pen.fill(poly(b, r, (b[0] + (r[0] - b[0]) * 0.4, r[1] - 0.045), (b[0] + 0.01, r[1] + 0.01), (b[0] - 0.05, l[1] - 0.04), l), snow)
                pen.fill(poly(b, d, (b[0] + 0.03, d[1])), shade(c, -0.07), 0.45)
    s.ridge(0.72, 0.05, "#e6edf5", 0.08, 5)
    for i in range(int(7 * w)):
        s.pine((i + u(0.1, 0.9)) / 7, 0.80 + u(-0.02, 0.04), u(0.14, 0.26), "#3f6f70", 0.10, snow=True)
    x = s.one((0.05, w - 0.22))
    pen.fill(box(x, 0.70, x + 0.16, 0.82), s.tint("#9a6a4c"))
    pen.fill(poly((x - 0.03, 0.71), (x + 0.08, 0.61), (x + 0.19, 0.71)), s.tint("#f7f7f8"))
    if s.lamps:
        s.glow(x + 0.08, 0.765, 0.16, 0.75)
    pen.fill(box(x + 0.05, 0.735, x + 0.11, 0.79), WARM if s.lamps else s.tint("#5d4436"))
    s.ridge(0.87, 0.05, "#fafafa", 0, 4)
    if not s.dark or u() < 0.5:
        for _ in range(int(26 * w)):
            pen.fill(oval(u(0, w), u(0, 1), u(0.003, 0.007)), lch(0.99, 0, 0), 0.85)


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
        pen.fill(poly((x - 0.008, 0.60 - h), (x + b / 2, 0.60 - h - 0.07), (x + b + 0.008, 0.60 - h)), s.tint("#b0604f", 0.12))
        for row in range(int(h / 0.09)):
            for q in (0.22, 0.62):
                on = s.lamps and u() < (0.7 if s.dark else 0.35)
                pen.fill(box(x + b * q, 0.62 - h + 0.03 + row * 0.09, x + b * (q + 0.18), 0.62 - h + 0.075 + row * 0.09), lch(0.91, 0.12, 85) if on else shade(c, -0.16))
        x += b
    for i in range(5):  # the lighthouse, red and white
        y0, y1 = 0.60 - 0.09 * (i + 1), 0.60 - 0.09 * i
        a, b = 0.055 - 0.005 * (i + 1), 0.055 - 0.005 * i
        c = s.tint("#cf5544" if i % 2 == 0 else "#f8f0e2", 0.05)
        pen.fill(poly((tower - a, y0), (tower + a, y0), (tower + b, y1), (tower - b, y1)), lin((tower - b, 0), (tower + b, 0), shade(c, 0.02), shade(c, -0.05)))
    if s.lamps:
        s.glow(tower, 0.125, 0.30, 0.8)
    pen.fill(box(tower - 0.038, 0.143, tower + 0.038, 0.153), s.tint("#3a3c52"))
    pen.fill(box(tower - 0.022, 0.10, tower + 0.022, 0.143), lch(0.97, 0.09, 92) if s.lamps else s.tint("#d8e4e8"))
    pen.fill(poly((tower - 0.032, 0.10), (tower, 0.068), (tower + 0.032, 0.10)), s.tint("#b0463a"))
    sea = s.tint("#4a93a3")
    pen.fill(box(0, 0.61, w, 1), lin((0, 0.61), (0, 1), mix(sea, s.sky[2], 0.3), shade(sea, -0.05)))
    for i in range(int(3 * w)):
        x, size, y = (i + u(0.1, 0.9)) / 3, u(0.08, 0.13), 0.66 + 0.05 * (i % 2)
        pen.fill(shape([(x - size, y), (x + size, y)], [(x + size * 0.75, y + size * 0.38), (x - size * 0.7, y + size * 0.38)]), s.tint(("#f4ece0", "#d9694e", "#34577d")[i % 3]))
        pen.line(segment((x, y), (x, y - size * 2.6)), s.tint("#6b5247"), 0.010)
        pen.fill(poly((x + 0.012, y - size * 2.5), (x + 0.012, y - 0.02), (x + size * 0.95, y - 0.02)), s.tint("#faf3e6"))
    for _ in range(int(8 * w)):
        x, y = u(0, w), u(0.70, 0.86)
        pen.line(spline([(x - 0.07, y), (x, y - 0.006), (x + 0.07, y)]), mix(sea, lch(0.95, 0.02, 90), 0.5), 0.008, 0.7)
    board = s.tint("#b98a62")
    pen.fill(box(0, 0.88, w, 1), board)
    for i in range(int(9 * w) + 1):
        pen.line(segment((i / 9, 0.88), (i / 9 - 0.02, 1.0)), shade(board, -0.09), 0.006)
    for x in (0.06, w - 0.06):
        pen.fill(box(x - 0.022, 0.78, x + 0.022, 0.92, 0.01), shade(board, -0.08))


def garden(s: Scene) -> None:
    """Trees, a white fence, a hedge of roses; paper lanterns in the evening."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.7)
    for i in range(int(5 * w) + 1):
        s.tree((i + u(-0.2, 0.3)) / 5, 0.62, u(0.34, 0.52), ("#7fb08a", "#5f9d7c", "#96b96a")[i % 3], 0.18)
    if s.lamps:
        n = int(5 * w)
        cord = [(w * i / n, 0.17 + 0.05 * (i % 2)) for i in range(n + 1)]
        pen.line(spline(cord), s.tint("#5b4a40"), 0.005)
        for i, (x, y) in enumerate(cord):
            s.glow(x, y + 0.035, 0.13, 0.7)
            pen.fill(oval(x, y + 0.035, 0.026, 0.032), (lch(0.88, 0.13, 80), lch(0.80, 0.14, 45), lch(0.93, 0.08, 95))[i % 3])
    fence = s.tint("#f8f0e0")
    for i in range(int(11 * w) + 1):
        x = (i + 0.2) / 11
        pen.fill(poly((x, 0.54), (x + 0.03, 0.505), (x + 0.06, 0.54), (x + 0.06, 0.80), (x, 0.80)), fence)
    pen.fill(box(0, 0.59, w, 0.615), shade(fence, -0.05))
    pen.fill(box(0, 0.71, w, 0.735), shade(fence, -0.05))
    hedge = [(i / 9 + u(-0.03, 0.03), 0.88, u(0.09, 0.13)) for i in range(int(9 * w) + 1)]
    path = ovals(hedge)
    path.addPath(box(0, 0.88, w, 1.1))
    c = s.tint("#4f9458")
    pen.fill(path, lin((0, 0.75), (0, 1), shade(c, 0.03), shade(c, -0.05)))
    for _ in range(int(20 * w)):
        s.flower(u(0, w), u(0.79, 0.99), 0.020, s.one(("#ea6f70", "#f6b74f", "#f9dbe4", "#b58ad0", "#ea6f70")))


def city_street(s: Scene) -> None:
    """Houses, trees, street lamps; lit windows in the evening."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.9)
    rows = ((0.55, 6, ("#9fb0c4",)), (0.16, 4, ("#cf8f76", "#e2bd90", "#8fa9ac", "#bfa2b4", "#d9a25f")))
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
                    pen.fill(box(a, top + 0.05 + i * 0.10, a + b * 0.44 / across, top + 0.11 + i * 0.10), lch(0.90, 0.12, 82) if on else shade(c, -0.10 if depth < 0.4 else -0.05))
            x += b
    ground = s.tint("#c2b3a8")
    pen.fill(box(0, 0.86, w, 1), lin((0, 0.86), (0, 1), ground, shade(ground, -0.05)))
    for i in range(int(2 * w) + 1):
        s.tree((i + u(0.1, 0.4)) / 2, 0.92, u(0.34, 0.46), "#6fa874", 0.03)
    for i in range(int(2 * w)):
        s.street_lamp((i + 0.82 if i % 2 else i + 0.09) * w / max(1, int(2 * w)) if w > 1 else (0.07, 0.93)[i], 0.40, 0.95)


def desert(s: Scene) -> None:
    """Dunes, rocks, a cactus; at night a lit tent."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.62)
    for x0, width, height in ((u(0, 0.3) * w, 0.26, 0.20), (u(0.6, 0.9) * w, 0.20, 0.14)):
        c = s.tint("#c98a6a", 0.30)
        pen.fill(poly((x0 - width / 2, 0.62), (x0 - width * 0.36, 0.62 - height), (x0 + width * 0.34, 0.62 - height * 0.96), (x0 + width / 2, 0.62)), lin((x0 - width / 2, 0), (x0 + width / 2, 0), shade(c, 0.03), shade(c, -0.06)))
    s.ridge(0.62, 0.06, "#e6bd86", 0.18, 5)
    s.ridge(0.72, 0.09, "#e9b877", 0.05, 4)
    s.ridge(0.86, 0.09, "#e2a866", 0, 3)
    left = u() < 0.5
    x = 0.10 if left else w - 0.10
    green = s.tint("#5f9468")
    for way, wide in (([(x, 0.92), (x, 0.50)], 0.075), ([(x, 0.74), (x - 0.09, 0.72), (x - 0.09, 0.58)], 0.045), ([(x, 0.68), (x + 0.085, 0.66), (x + 0.085, 0.55)], 0.045)):
        pen.line(spline(way), green, wide)
        pen.line(spline([(a - wide * 0.2, b) for a, b in way]), shade(green, 0.06), wide * 0.15, 0.8)
    q = w - 0.16 if left else 0.16
    canvas = s.tint("#f1e3c6")
    if s.lamps:
        s.glow(q, 0.78, 0.22, 0.7)
        canvas = mix(canvas, WARM, 0.5)
    pen.fill(poly((q - 0.15, 0.86), (q, 0.66), (q + 0.15, 0.86)), canvas)
    pen.fill(poly((q, 0.66), (q + 0.15, 0.86), (q + 0.04, 0.86)), shade(canvas, -0.07))
    pen.fill(poly((q - 0.035, 0.86), (q, 0.72), (q + 0.035, 0.86)), s.tint("#8a5a48"))


DRAW = {"beach": beach, "forest": forest, "meadow": meadow, "snowy mountains": snowy_mountains, "harbour": harbour,
        "garden": garden, "city street": city_street, "desert": desert}  # fmt: skip
