"""The head: how it turns, its outline, its colours, and the plain skin of the face.

The unit is half a head (crown to chin is 2), y down, the origin in the head's middle. Features are laid out as seen
from the front on an ellipsoid and every point is then turned (``Head.at``), so the far eye narrows and the nose shifts.
The outline carries two depths a point, one for the far side and one for the near side (``Head.edge``).
"""

from __future__ import annotations

import math

import numpy as np

from .colour import Lab, lch, mix, shade
from .paths import oval, spline
from .pen import Pen, glow, lin
from .records import Moment, Person

DEPTH = 0.66
# The upper outline: x in half widths, y, depth on the far side, depth on the near side.
UPPER = ((0, -1.0, -0.1, -0.1), (0.50, -0.945, 0.05, -0.25), (0.86, -0.66, 0.22, -0.40),
         (0.985, -0.28, 0.24, -0.42), (1.0, 0.06, 0.22, -0.32))  # fmt: skip
# brow inner up, brow outer up, lids, mouth corner up, mouth open, mouth wider, cheeks up
EXPRESSION = {
    "calm": (0.004, 0.0, 1.0, 0.56, 0.0, 0.0, 0.15),
    "smiling": (0.014, 0.014, 0.95, 0.95, 0.050, 0.050, 0.6),
    "laughing": (0.030, 0.034, 0.86, 0.95, 0.150, 0.055, 1.0),
    "sad": (0.070, -0.035, 0.86, -0.62, 0.0, -0.02, 0.0),
    "surprised": (0.085, 0.100, 1.20, 0.02, 0.130, -0.075, 0.0),
    "angry": (-0.066, 0.0, 0.86, -0.50, 0.0, -0.015, 0.0),
}


def skin_colour(person: Person) -> Lab:
    """The skin: even steps of lightness from the palest (tone 0) to the darkest (1)."""
    t = person.tone
    chroma = 0.044 + 0.052 * math.sin(math.pi * min(1, 0.12 + 0.80 * t))
    return lch(0.900 - 0.455 * t, chroma, 58 - 6 * t + 9 * person.under)


def hair_colour_of(person: Person) -> Lab:
    """The hair, by melanin, redness and grey."""
    m, red = person.melanin, person.red
    chroma = 0.020 + 0.080 * math.sin(math.pi * min(1, 0.22 + 0.74 * m)) + 0.06 * red * (1 - m)
    base = lch(0.85 - 0.61 * m**0.85, chroma, 80 - 28 * m - 26 * red)
    return mix(base, lch(0.56 + 0.34 * person.grey, 0.008, 80), min(1.0, person.grey * 1.1))


def iris_colour(person: Person) -> Lab:
    """The iris: dark brown, brown, hazel, green, blue, gray."""
    stops = [lch(0.30, 0.05, 50), lch(0.42, 0.09, 55), lch(0.54, 0.10, 80), lch(0.56, 0.10, 140),
             lch(0.58, 0.11, 245), lch(0.64, 0.03, 240)]  # fmt: skip
    x = person.iris * (len(stops) - 1)
    i = min(int(x), len(stops) - 2)
    return mix(stops[i], stops[i + 1], x - i)


class Head:
    """A person's head in a moment: geometry and tones that every part of it draws with."""

    def __init__(self, person: Person, moment: Moment) -> None:
        p, m = person, moment
        self.person, self.moment, self.width, self.light = p, m, p.head_w, m.light
        yaw, pitch = math.radians(m.yaw), math.radians(m.pitch)
        self.cos_yaw, self.sin_yaw = math.cos(yaw), math.sin(yaw)
        self.cos_pitch, self.sin_pitch = math.cos(pitch), math.sin(pitch)
        (self.brow_in, self.brow_out, self.lids, self.corner, self.open, self.wider,
         self.cheeks) = EXPRESSION[m.expression]  # fmt: skip
        self.drop = self.open * 0.5
        self._tones()
        self.base = self.outline()
        self.face_path = spline(self.base, closed=True)

    def _tones(self) -> None:
        p, t = self.person, self.person.tone
        self.skin = skin_colour(p)
        self.shadow = shade(self.skin, -0.140 + 0.010 * t, -11 + 5 * t, 0.024 - 0.014 * t)
        self.deep = shade(self.skin, -0.290 + 0.04 * t, -22 + 10 * t, 0.03 - 0.03 * t)
        self.bright = shade(self.skin, 0.055 + 0.060 * t, 4, -0.008 + 0.012 * t)
        red = lch(0.62 - 0.20 * t, 0.165, 26)
        self.rosy = mix(shade(self.skin, -0.035), red, 0.55)
        self.hair = hair_colour_of(p)
        self.hair_dark = shade(self.hair, -0.075 * (0.45 + self.hair[0]), -6, 0.004)
        self.hair_light = shade(self.hair, 0.075, 4, 0.010)

    def at(self, x: float, y: float, forward: float = 0.0) -> tuple[float, float]:
        """Where a point of the face, given as seen from the front, is in this moment."""
        u, v = x / (self.width * 1.02), y / 1.22
        z = DEPTH * math.sqrt(max(0.02, 1 - u * u - v * v)) + forward
        up = (z * self.cos_yaw - x * self.sin_yaw) * self.sin_pitch
        return x * self.cos_yaw + z * self.sin_yaw, y * self.cos_pitch - up

    def all_at(self, *points, forward: float = 0.0) -> list[tuple[float, float]]:
        """``at`` for many points; a third number in a point is its own ``forward``."""
        return [self.at(*q) if len(q) == 3 else self.at(*q, forward) for q in points]

    def edge(self, side: int, x: float, y: float, far: float, near: float) -> tuple[float, float]:
        """A point of the outline on a side (-1 or 1), with its depth on the far or the near side."""
        z = far if side * self.sin_yaw > 0 else near
        zy = 0.5 * max(0.0, y) ** 1.5 - 0.12 * max(0.0, -y)
        return side * x * self.cos_yaw + z * self.sin_yaw, y * self.cos_pitch - zy * self.sin_pitch

    def outline(self) -> list[tuple[float, float]]:
        """The face's outline, from the chin's left over the crown to the chin's right."""
        p, w, drop = self.person, self.width, self.drop
        jaw = p.jaw + 0.05 * p.cheek + 0.02 * p.square
        lower = [
            ((0.97 + 0.025 * p.cheek) * w, 0.34, 0.20, -0.14),
            (jaw, 0.64 + 0.02 * p.square + drop * 0.4, 0.20, -0.04),
            (p.chin_w + 0.10 + 0.04 * p.cheek + 0.04 * p.square, 0.88 + p.chin_len * 0.6 + drop * 0.8,
             0.38, 0.26),
            (p.chin_w * 0.52, 0.985 + p.chin_len + drop, 0.52, 0.45),
        ]  # fmt: skip
        upper = [(x * w, y, a, b) for x, y, a, b in UPPER]
        dip = 0.05 * abs(self.sin_yaw) / 0.42
        sides: dict[int, list] = {1: [], -1: []}
        for s, out in sides.items():
            for i, (x, y, a, b) in enumerate(upper + lower):
                px, py = self.edge(s, x, y, a, b)
                if i == 4 and s * self.sin_yaw > 0:
                    px -= s * dip
                out.append((px, py))
        return sides[-1][:0:-1] + sides[1]

    def cap(self, top: float, side: float, down: float = 0.06) -> list[tuple[float, float]]:
        """Hair's outer edge from the left temple (at height ``down``) over the crown to the right."""
        rows = []
        for s in (-1, 1):
            row = []
            for x, y, a, b in (*UPPER, (0.985, 0.23, 0.2, -0.2)):
                if y > down + 0.01:
                    break
                rise = top * max(0.0, -y) ** 0.8 * (1.35 - 0.6 * x * x)
                row.append(
                    self.edge(s, x * self.width + side * min(1, x * 1.15), y - rise, a, b - 0.05)
                )
            rows.append(row)
        return rows[0][:0:-1] + rows[1]

    def near(self) -> int:
        """The side that is nearer to us: -1 or 1."""
        return -1 if self.sin_yaw > 0 else 1

    def key_points(self) -> list[tuple[float, float]]:
        """Left and right eye, nose tip, left and right mouth corner, chin, left and right ear, crown."""
        p = self.person
        mouth = p.mouth_w + self.wider
        lift = self.corner * 0.085
        ears = [self.edge(s, self.width * 0.95, 0.10, -0.05, -0.12) for s in (-1, 1)]
        return [
            self.at(-p.eye_gap, p.eye_y), self.at(p.eye_gap, p.eye_y),
            self.at(0, p.eye_y + p.nose_len - 0.06, 0.18),
            self.at(-mouth, p.mouth_y - lift, 0.05), self.at(mouth, p.mouth_y - lift, 0.05),
            (self.at(0, 0.9, 0.05)[0], self.base[0][1] - 0.04), *ears, self.edge(1, 0, -0.95, -0.1, -0.1),
        ]  # fmt: skip


KEY_POINTS = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner",
              "chin", "left ear", "right ear", "crown")  # fmt: skip


def draw_ear(pen: Pen, h: Head, side: int) -> None:
    """One ear: from small and close to large and standing out."""
    p, w = h.person, h.width
    high, out = 0.185 + 0.075 * p.ear, 0.045 + 0.085 * p.ear
    e = lambda x, y, z: h.edge(side, x, 0.10 + y * high, z, z)
    edge = [e(w * 0.95, -0.6, -0.05), e(w + out * 0.75, -0.95, -0.16), e(w + out * 1.3, -0.42, -0.20),
            e(w + out * 0.85, 0.38, -0.16), e(w + out * 0.15, 0.98, -0.06), e(w * 0.92, 0.6, -0.02)]  # fmt: skip
    path = spline(edge, closed=True)
    pen.fill(path, h.skin if side == h.light else mix(h.skin, h.shadow, 0.55), part="ear")
    pen.fill(path, h.rosy, 0.25)
    inner = [
        e(w + out * 0.45, -0.6, -0.14),
        e(w + out * 0.85, -0.3, -0.17),
        e(w + out * 0.4, 0.25, -0.12),
    ]
    pen.line(spline(inner), h.shadow, 0.042, 0.9)


def draw_skull(pen: Pen, h: Head, hair_shadow: bool) -> None:
    """The face without features: skin, soft shade on the side away from the light, rosy cheeks."""
    p, light, w = h.person, h.light, h.width
    pen.fill(
        h.face_path,
        lin((light * w, -0.7), (-light * w, 0.8), h.bright, h.skin, h.skin),
        part="skin",
    )
    pen.clip(h.face_path)
    # The side away from the light, and below the cheekbone, in two soft steps.
    far = (h.shadow, 0.0)
    pen.fill(
        h.face_path,
        lin(
            (light * w * 0.1, 0.0),
            (-light * w * 1.05, 0.16),
            far,
            (h.shadow, 0.22),
            (h.shadow, 0.85),
        ),
    )
    pen.fill(h.face_path, lin((0, 0.62), (0, 1.12), far, (h.shadow, 0.5)))
    for s in (-1, 1):
        c = h.at(s * 0.43, 0.40)
        strength = (0.38 + 0.14 * h.cheeks) * p.blush
        pen.fill(oval(*c, 0.27), glow(c, 0.27, h.rosy, strength))
    c = h.at(light * 0.10, -0.36)
    pen.fill(oval(*c, 0.45), glow(c, 0.45, h.bright, 0.55))
    for s in (-1, 1):
        c = h.at(s * p.eye_gap, p.eye_y - 0.03)
        pen.fill(oval(*c, 0.30), glow(c, 0.30, h.shadow, 0.85))
        c = h.at(s * 0.36, p.eye_y + 0.23)
        pen.fill(oval(*c, 0.20, 0.15), glow(c, 0.20, h.bright, 0.9))
    if hair_shadow:
        top = h.at(0, -0.50)
        pen.fill(
            oval(top[0], -0.62, w * 1.0, 0.42),
            lin((0, -0.62), (0, -0.22), (h.shadow, 0.9), (h.shadow, 0.0)),
        )
    _spots(pen, h)
    pen.back()


def _spots(pen: Pen, h: Head) -> None:
    p = h.person
    if p.freckles > 0.12:
        rng = np.random.default_rng([3, p.seed])
        for i in range(int(10 + 18 * p.freckles)):
            s = -1 if i % 2 else 1
            x, y = s * abs(rng.normal(0.30, 0.13)), p.eye_y + 0.26 + rng.normal(0, 0.07)
            pen.fill(
                oval(*h.at(x, y), 0.012 + 0.009 * rng.random()), h.deep, 0.35 + 0.30 * p.freckles
            )
    if p.mole:
        x, y = ((-0.34, 0.48), (0.36, 0.45), (0.24, 0.74), (-0.22, 0.55))[p.mole - 1]
        pen.fill(oval(*h.at(x, y), 0.022), h.deep, 0.9)
