"""What places are made of: sky, hills, trees, rooms, windows, lamps. Height 1 and width ``w``, y down."""

from __future__ import annotations

import math

import numpy as np

from .colour import Lab, hexlab, lch, mix, shade
from .paths import box, joined, oval, poly, segment, shape, spline, taper
from .pen import Pen, glow, lin
from .records import INDOORS, Place

SKY = {
    "dawn": ("#9fb4de", "#f0bfc4", "#fde6c2"), "day": ("#7fbfe2", "#c4e3ea", "#f6eed8"),
    "sunset": ("#6a659f", "#ee8f74", "#fcc97f"), "night": ("#18224c", "#333f7c", "#5f6298"),
}  # fmt: skip
WARM = lch(0.93, 0.10, 84)


class Scene:
    """A place being painted: its pen, its width, its hour and its own chance."""

    def __init__(self, pen: Pen, width: float, place: Place) -> None:
        self.pen, self.w, self.place, self.hour = pen, width, place, place.hour
        self.rng = np.random.default_rng([11, place.seed])
        self.sky = [hexlab(c) for c in SKY[place.hour]]
        self.inside = place.name in INDOORS
        self.dark = place.hour == "night"
        self.lamps = place.hour in ("night", "sunset")

    def u(self, low: float = 0.0, high: float = 1.0) -> float:
        """A uniform number of this place."""
        return float(self.rng.uniform(low, high))

    def one(self, options):
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def tint(self, colour, far: float = 0.0, lit: float = 0.0) -> Lab:
        """A colour at this hour; ``far`` (0..1) fades it into the air, ``lit`` (0..1) is lamp light on it."""
        c = hexlab(colour) if isinstance(colour, str) else colour
        if self.hour == "sunset":
            c = mix(shade(c, -0.04), lch(0.68, 0.13, 48), 0.20)
        elif self.hour == "dawn":
            c = mix(shade(c, 0.01), lch(0.82, 0.06, 20), 0.20)
        elif self.dark and self.inside:
            c = mix((c[0] * 0.80 + 0.05, c[1] * 0.9, c[2] * 0.9), lch(0.58, 0.10, 62), 0.18)
        elif self.dark:
            c = mix(
                (c[0] * 0.60 + 0.05, c[1] * 0.62, c[2] * 0.62),
                lch(0.40, 0.09, 272),
                0.34 * (1 - lit),
            )
        return mix(c, mix(self.sky[1], self.sky[2], 0.5), far) if far else c

    def glow(self, x: float, y: float, r: float, alpha: float = 0.7, colour: Lab = WARM) -> None:
        """A soft light."""
        self.pen.fill(oval(x, y, r), glow((x, y), r, colour, alpha))

    # ---- outdoors
    def heaven(self, horizon: float = 1.0) -> None:
        """The sky with sun or moon, stars, clouds."""
        pen, w = self.pen, self.w
        pen.fill(box(0, 0, w, 1), lin((0, 0), (0, horizon), *self.sky))
        if self.dark:
            for _ in range(int(26 * w)):
                x, y, r = self.u(0, w), self.u(0, horizon * 0.75), self.u(0.003, 0.007)
                pen.fill(oval(x, y, r), lch(0.95, 0.03, 90), self.u(0.4, 0.95))
            x, y = self.one((self.u(0.08, 0.2), self.u(0.8, 0.92))) * w, self.u(0.10, 0.17)
            self.glow(x, y, 0.20, 0.45, lch(0.9, 0.06, 90))
            pen.fill(oval(x, y, 0.058), lch(0.955, 0.045, 92))
            for dx, dy, r in ((-0.02, -0.012, 0.012), (0.018, 0.02, 0.009), (0.012, -0.025, 0.006)):
                pen.fill(oval(x + dx, y + dy, r), lch(0.89, 0.04, 92), 0.8)
            return
        x = self.one((self.u(0.08, 0.24), self.u(0.76, 0.92))) * w
        y = 0.13 if self.hour == "day" else horizon * 0.74
        sun = {
            "day": lch(0.97, 0.06, 95),
            "sunset": lch(0.91, 0.13, 75),
            "dawn": lch(0.97, 0.06, 80),
        }[self.hour]
        self.glow(x, y, 0.34, 0.8, sun)
        pen.fill(oval(x, y, 0.062 if self.hour == "day" else 0.095), sun)
        cloud = {
            "day": lch(0.985, 0.008, 80),
            "sunset": lch(0.84, 0.10, 40),
            "dawn": lch(0.95, 0.03, 30),
        }[self.hour]
        for _ in range(int(2 + 2 * w)):
            a, b, s = self.u(0, w), self.u(0.06, 0.34) * horizon, self.u(0.05, 0.10)
            puff = joined(
                oval(a, b, s, s * 0.42),
                oval(a + s * 0.7, b + s * 0.1, s * 0.75, s * 0.32),
                oval(a - s * 0.75, b + s * 0.14, s * 0.7, s * 0.28),
            )
            pen.fill(puff, cloud, 0.8)

    def ridge(self, y: float, rise: float, colour, far: float = 0.0, n: int = 6) -> None:
        """A line of soft hills."""
        phase = self.u(0, 6)
        points = [
            (
                -0.1 + (self.w + 0.2) * i / n,
                y - rise * (0.5 + 0.5 * math.sin(phase + i * 2.4)) * self.u(0.7, 1.0),
            )
            for i in range(n + 1)
        ]
        c = self.tint(colour, far)
        path = shape([(-0.1, 1.1)], points, [(self.w + 0.1, 1.1)])
        self.pen.fill(path, lin((0, y - rise), (0, min(1, y + 0.4)), c, shade(c, -0.04)))

    def tree(self, x: float, y: float, h: float, colour, far: float = 0.0) -> None:
        """A round tree standing at (x, y)."""
        self.pen.fill(
            taper([(x, y), (x + 0.005, y - h * 0.55)], [h * 0.09, h * 0.05]),
            self.tint("#7a5a48", far),
        )
        c = self.tint(colour, far)
        crown = joined(
            oval(x, y - h * 0.72, h * 0.26, h * 0.28),
            oval(x - h * 0.16, y - h * 0.58, h * 0.18, h * 0.18),
            oval(x + h * 0.17, y - h * 0.60, h * 0.19, h * 0.19),
        )
        self.pen.fill(
            crown,
            lin((x - h * 0.2, y - h), (x + h * 0.25, y - h * 0.4), shade(c, 0.04), shade(c, -0.05)),
        )

    def pine(
        self, x: float, y: float, h: float, colour, far: float = 0.0, snow: bool = False
    ) -> None:
        """A fir standing at (x, y)."""
        c = self.tint(colour, far)
        for i in range(3):
            low, half = y - h * 0.24 * i, h * (0.24 - 0.05 * i)
            self.pen.fill(
                poly((x, low - h * 0.46), (x + half, low), (x - half, low)),
                mix(c, shade(c, 0.05), i / 3),
            )
            self.pen.fill(
                poly((x, low - h * 0.46), (x + half, low), (x, low)), shade(c, -0.05), 0.5
            )
            if snow:
                self.pen.fill(
                    poly(
                        (x, low - h * 0.46),
                        (x + half * 0.42, low - h * 0.27),
                        (x, low - h * 0.31),
                        (x - half * 0.42, low - h * 0.27),
                    ),
                    self.tint("#f4f6f8"),
                    0.9,
                )

    def grass(self, y: float, colour, n: int = 40) -> None:
        """Tufts along the lower edge."""
        c = self.tint(colour)
        for _ in range(int(n * self.w)):
            x, v, h = self.u(0, self.w), self.u(y, 1.02), self.u(0.02, 0.05)
            self.pen.line(spline([(x, v), (x + self.u(-0.012, 0.012), v - h)]), c, 0.006, 0.8)

    def flower(self, x: float, y: float, r: float, colour) -> None:
        """A small flower of five petals."""
        around = [
            (x + r * 0.9 * math.cos(k * 1.257), y + r * 0.9 * math.sin(k * 1.257)) for k in range(5)
        ]
        self.pen.fill(joined(*[oval(*q, r * 0.72) for q in around]), self.tint(colour, 0, 0.5))
        self.pen.fill(oval(x, y, r * 0.5), self.tint("#fbe39a", 0, 0.5))

    def street_lamp(self, x: float, top: float, foot: float) -> None:
        """A lantern on a post, lit in the evening."""
        post = self.tint("#3a3c52")
        self.pen.line(segment((x, top), (x, foot)), post, 0.013)
        if self.lamps:
            self.glow(x, top, 0.24, 0.75)
        self.pen.fill(
            poly(
                (x - 0.028, top - 0.035),
                (x + 0.028, top - 0.035),
                (x + 0.020, top + 0.035),
                (x - 0.020, top + 0.035),
            ),
            lch(0.96, 0.09, 90) if self.lamps else self.tint("#e8e2cf"),
        )
        self.pen.fill(
            poly((x - 0.034, top - 0.033), (x + 0.034, top - 0.033), (x, top - 0.062)), post
        )

    # ---- indoors
    def room(self, wall, floor, y: float = 0.80) -> Lab:
        """Wall and floor."""
        c = self.tint(wall)
        self.pen.fill(
            box(0, 0, self.w, 1), lin((0, 0), (self.w, 1), shade(c, 0.03), c, shade(c, -0.05))
        )
        f = self.tint(floor)
        self.pen.fill(box(0, y, self.w, 1), lin((0, y), (0, 1), shade(f, 0.02), shade(f, -0.04)))
        return c
