"""Places under the sky: the country here, coast and town in ``places_town``."""

from __future__ import annotations

from .colour import hexlab, lch, mix, shade
from .paths import box, oval, ovals, poly, shape, spline, taper
from .pen import lin
from .places_town import beach, city_street, harbour
from .scenery import WARM, Scene


def forest(s: Scene) -> None:
    """Trunks in three depths; at night the moon through them, fireflies and a lantern."""
    pen, w, u = s.pen, s.w, s.u
    high, low = {
        "day": ("#e2eec6", "#b4d49c"),
        "dawn": ("#f6e3cf", "#cfd6b4"),
        "sunset": ("#f8d08e", "#dd9c68"),
        "night": ("#4a5f92", "#2d3f70"),
    }[s.hour]
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
            path = taper(
                [(x, 1.0), (x + u(-0.01, 0.01), 0.5), (x, -0.1)], [wide * 1.5, wide, wide * 0.8]
            )
            pen.fill(
                path, lin((x - wide, 0), (x + wide, 0), shade(trunk, 0.04), shade(trunk, -0.04))
            )
        c = mix(s.tint(leaf), high, depth)
        n_leaves = int(6 * w) + 2
        leaves = [
            ((i + u(-0.3, 0.3)) * w / (6 * w), 0.02 + 0.14 * depth + u(-0.04, 0.04), u(0.09, 0.14))
            for i in range(n_leaves)
        ]
        pen.fill(ovals(leaves), c, 0.96)
        ground = 0.72 + 0.16 * (1 - depth)
        hill = [
            (-0.1, ground + 0.02),
            *[(w * k / 5, ground + u(-0.02, 0.02)) for k in range(6)],
            (w + 0.1, ground),
        ]
        pen.fill(
            shape(hill, [(w + 0.1, 1.1), (-0.1, 1.1)]), lin((0, ground), (0, 1), c, shade(c, -0.04))
        )
    for _ in range(int(6 * w)):
        x, y = u(0, w), u(0.88, 0.99)
        pen.line(
            spline([(x, y), (x - 0.03, y - 0.05), (x - 0.06, y - 0.05)]),
            s.tint("#7fb070"),
            0.010,
            0.9,
        )
        pen.line(
            spline([(x, y), (x + 0.02, y - 0.06), (x + 0.05, y - 0.07)]),
            s.tint("#7fb070"),
            0.010,
            0.9,
        )
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
    for y, rise, colour, far, n in (
        (0.50, 0.28, "#8fa3c4", 0.40, 5),
        (0.60, 0.24, "#6f88b0", 0.18, 4),
    ):
        n = max(n, int(n * w))
        n += n % 2
        tops = [
            (-0.1 + (w + 0.2) * i / n, y - (rise * u(0.75, 1.0) if i % 2 else -0.02 * u(0, 2)))
            for i in range(n + 1)
        ]
        c = s.tint(colour, far)
        pen.fill(poly((-0.1, 1.1), *tops, (w + 0.1, 1.1)), c)
        snow = s.tint("#f8f6f4", far * 0.3)
        for a, b, d in zip(tops, tops[1:], tops[2:], strict=False):
            if b[1] < a[1] and b[1] < d[1]:
                low, r = ((b[0] + (e[0] - b[0]) * 0.5, b[1] + (e[1] - b[1]) * 0.5) for e in (a, d))
                pen.fill(
                    poly(
                        b,
                        r,
                        (b[0] + (r[0] - b[0]) * 0.4, r[1] - 0.045),
                        (b[0] + 0.01, r[1] + 0.01),
                        (b[0] - 0.05, low[1] - 0.04),
                        low,
                    ),
                    snow,
                )
                pen.fill(poly(b, d, (b[0] + 0.03, d[1])), shade(c, -0.07), 0.45)
    s.ridge(0.72, 0.05, "#e6edf5", 0.08, 5)
    for i in range(int(7 * w)):
        s.pine(
            (i + u(0.1, 0.9)) / 7, 0.80 + u(-0.02, 0.04), u(0.14, 0.26), "#3f6f70", 0.10, snow=True
        )
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


def garden(s: Scene) -> None:
    """Trees, a white fence, a hedge of roses; paper lanterns in the evening."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.7)
    for i in range(int(5 * w) + 1):
        s.tree(
            (i + u(-0.2, 0.3)) / 5,
            0.62,
            u(0.34, 0.52),
            ("#7fb08a", "#5f9d7c", "#96b96a")[i % 3],
            0.18,
        )
    if s.lamps:
        n = int(5 * w)
        cord = [(w * i / n, 0.17 + 0.05 * (i % 2)) for i in range(n + 1)]
        pen.line(spline(cord), s.tint("#5b4a40"), 0.005)
        for i, (x, y) in enumerate(cord):
            s.glow(x, y + 0.035, 0.13, 0.7)
            pen.fill(
                oval(x, y + 0.035, 0.026, 0.032),
                (lch(0.88, 0.13, 80), lch(0.80, 0.14, 45), lch(0.93, 0.08, 95))[i % 3],
            )
    fence = s.tint("#f8f0e0")
    for i in range(int(11 * w) + 1):
        x = (i + 0.2) / 11
        pen.fill(
            poly((x, 0.54), (x + 0.03, 0.505), (x + 0.06, 0.54), (x + 0.06, 0.80), (x, 0.80)), fence
        )
    pen.fill(box(0, 0.59, w, 0.615), shade(fence, -0.05))
    pen.fill(box(0, 0.71, w, 0.735), shade(fence, -0.05))
    hedge = [(i / 9 + u(-0.03, 0.03), 0.88, u(0.09, 0.13)) for i in range(int(9 * w) + 1)]
    path = ovals(hedge)
    path.addPath(box(0, 0.88, w, 1.1))
    c = s.tint("#4f9458")
    pen.fill(path, lin((0, 0.75), (0, 1), shade(c, 0.03), shade(c, -0.05)))
    for _ in range(int(20 * w)):
        s.flower(
            u(0, w),
            u(0.79, 0.99),
            0.020,
            s.one(("#ea6f70", "#f6b74f", "#f9dbe4", "#b58ad0", "#ea6f70")),
        )


def desert(s: Scene) -> None:
    """Dunes, rocks, a cactus; at night a lit tent."""
    pen, w, u = s.pen, s.w, s.u
    s.heaven(0.62)
    for x0, width, height in ((u(0, 0.3) * w, 0.26, 0.20), (u(0.6, 0.9) * w, 0.20, 0.14)):
        c = s.tint("#c98a6a", 0.30)
        pen.fill(
            poly(
                (x0 - width / 2, 0.62),
                (x0 - width * 0.36, 0.62 - height),
                (x0 + width * 0.34, 0.62 - height * 0.96),
                (x0 + width / 2, 0.62),
            ),
            lin((x0 - width / 2, 0), (x0 + width / 2, 0), shade(c, 0.03), shade(c, -0.06)),
        )
    s.ridge(0.62, 0.06, "#e6bd86", 0.18, 5)
    s.ridge(0.72, 0.09, "#e9b877", 0.05, 4)
    s.ridge(0.86, 0.09, "#e2a866", 0, 3)
    left = u() < 0.5
    x = 0.10 if left else w - 0.10
    green = s.tint("#5f9468")
    for way, wide in (
        ([(x, 0.92), (x, 0.50)], 0.075),
        ([(x, 0.74), (x - 0.09, 0.72), (x - 0.09, 0.58)], 0.045),
        ([(x, 0.68), (x + 0.085, 0.66), (x + 0.085, 0.55)], 0.045),
    ):
        pen.line(spline(way), green, wide)
        pen.line(
            spline([(a - wide * 0.2, b) for a, b in way]), shade(green, 0.06), wide * 0.15, 0.8
        )
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
