"""The features: eyes, brows, nose, mouth, lines of age."""

from __future__ import annotations

from .colour import lch, mix, shade
from .head import Head, iris_colour
from .paths import oval, shape, spline, taper
from .pen import INK, Pen, lin

WHITE = lch(0.975, 0.006, 80)


def draw_eye(pen: Pen, h: Head, s: int) -> None:
    """The eye on side ``s``."""
    p = h.person
    wide, tall = p.eye_size, p.eye_open * h.lids
    turn = lambda a, b: h.at(
        s * (p.eye_gap + a), p.eye_y + b - p.eye_tilt * (a + 0.05) * (1.6 if a > 0 else 1.0)
    )
    inner, outer = (-wide, 0.032 + 0.016 * (1 - p.fold)), (wide, 0.0)
    upper = [
        inner,
        (-0.54 * wide, -0.72 * tall),
        (0.04 * wide, -tall),
        (0.60 * wide, -0.74 * tall),
        outer,
    ]
    low = 0.66 - 0.30 * h.cheeks
    lower = [
        outer,
        (0.55 * wide, low * tall * 0.86),
        (0, low * tall),
        (-0.58 * wide, low * tall * 0.80),
        inner,
    ]
    up, down = [turn(*q) for q in upper], [turn(*q) for q in lower]
    high = 0.012 + 0.062 * p.fold
    fold = [(-wide * 0.95, -0.01), (-0.5 * wide, -tall * 0.85 - high * 0.75), (0.1 * wide, -tall - high),
            (0.65 * wide, -tall * 0.78 - high * 0.8), (wide * 1.08, -0.02)]  # fmt: skip
    lid = [turn(*q) for q in fold]
    pen.fill(shape(lid, up[::-1]), h.shadow, 0.55)
    white = shape(up, down)
    pen.fill(white, mix(WHITE, h.skin, 0.06), part="eye")
    pen.clip(white)
    r = min(wide * 0.60, 0.128)
    c = turn(s * h.moment.gaze * 0.045, -0.10 * tall)
    iris = iris_colour(p)
    pen.fill(oval(*c, r * h.cos_yaw, r), shade(iris, -0.13))
    pen.fill(oval(c[0], c[1] + r * 0.16, r * 0.80, r * 0.78), shade(iris, 0.05, 0, 0.012))
    pen.fill(oval(*c, r * 0.50), lch(0.15, 0.02, 40))
    pen.line(spline(up), INK, 0.075, 0.28)
    pen.fill(oval(c[0] + h.light * r * 0.36, c[1] - r * 0.40, r * 0.29), lch(0.995, 0, 0))
    pen.fill(oval(c[0] - h.light * r * 0.34, c[1] + r * 0.42, r * 0.14), lch(0.995, 0, 0), 0.7)
    pen.back()
    thick = 0.030 + 0.030 * p.lash
    wing = (wide * (1.05 + 0.14 * p.lash), -0.020 - 0.035 * p.lash)
    line = [turn(*q) for q in [inner, *upper[1:4], (wide * 0.98, -0.005), wing]]
    ink = mix(INK, h.hair, 0.18)
    pen.fill(
        taper(line, [0.014, thick * 0.8, thick, thick * 1.1, thick * 0.75, 0.006]), ink, part="eye"
    )
    pen.line(spline(down[1:-1]), h.deep, 0.018, 0.5)
    if p.fold > 0.25:
        pen.line(spline(lid[1:-1]), h.deep, 0.019, 0.65)
    if p.bags > 0.15:
        below = [
            (-0.6 * wide, tall * 0.72 + 0.035),
            (0.0, tall * 0.8 + 0.075),
            (0.75 * wide, tall * 0.55 + 0.055),
        ]
        pen.line(spline([turn(*q) for q in below]), h.deep, 0.020, 0.60 * p.bags)
    lines = max(p.wrinkles, 0.35 * (h.cheeks > 0.8) * (p.age > 30))
    if lines > 0.2:
        for k in (-0.015, 0.045):
            crow = [turn(wide * 1.26, k), turn(wide * 1.55, k * 1.9)]
            pen.line(spline(crow), h.deep, 0.018, 0.8 * lines)


def draw_brows(pen: Pen, h: Head) -> None:
    """Both brows: level by nature, so that calm is friendly; the expression moves their ends."""
    p = h.person
    colour = mix(h.hair, INK, 0.30)
    if p.hair == "bald" or p.grey > 0.45:
        colour = mix(h.hair, h.deep, 0.60)
    elif h.hair[0] > 0.6:
        colour = mix(h.hair, h.deep, 0.55)
    if abs(colour[0] - h.skin[0]) < 0.17:  # a brow must be seen
        colour = shade(h.skin, -0.20, 0, -0.02)
    long, thick, y = p.eye_size * 1.16, p.brow_thick, p.eye_y - p.brow_y
    gap, rise, end = p.eye_gap, h.brow_in, h.brow_out
    points = [(gap - long * 0.92, y + 0.010 - rise), (gap - long * 0.35, y - p.brow_arch * (0.55 if rise > -0.03 else 0.2) - rise * (0.65 if rise > 0 else 0.4)),
              (gap + long * 0.30, y - p.brow_arch - end * 0.7), (gap + long * 1.10, y + 0.046 - end * 0.9)]  # fmt: skip
    for s in (-1, 1):
        path = taper(
            [h.at(s * a, b, 0.03) for a, b in points],
            [thick * 0.75, thick * 1.1, thick * 0.95, thick * 0.2],
        )
        pen.fill(path, colour, 0.96, part="brow")


def draw_nose(pen: Pen, h: Head) -> None:
    """A small nose: a soft shade on one side of the bridge, the tip's light, the shade below."""
    p, light = h.person, h.light
    top, tip_y, w = p.eye_y + 0.02, p.eye_y + p.nose_len - 0.02, p.nose_w
    s = -light
    if abs(h.sin_yaw) > 0.12:
        s = 1 if h.sin_yaw > 0 else -1
    out = 0.19
    side = shape(
        h.all_at((s * 0.060, top - 0.12, 0.03), (s * 0.048, top + 0.08, 0.08), (s * 0.036, tip_y - 0.11, out * 0.8),
                 (s * 0.05, tip_y, out * 0.8)),
        h.all_at((s * w, tip_y + 0.015, 0.03), (s * w, tip_y - 0.07, 0.02), (s * 0.115, top + 0.07, 0.0),
                 (s * 0.125, top - 0.10, 0.0)),
    )  # fmt: skip
    a, b = h.at(s * 0.03, tip_y, 0.1), h.at(s * w * 1.1, tip_y)
    pen.fill(side, lin(a, b, (h.shadow, 1.0), (h.shadow, 0.6)), part="nose")
    ball = 0.045 + 0.055 * p.nose_round
    c = h.at(light * 0.012, tip_y - 0.035, out)
    pen.fill(oval(*c, ball * 1.25, ball), h.rosy, 0.18 + 0.22 * p.blush * 0.6)
    under = shape(
        h.all_at((-w, tip_y, 0.03), (-w * 0.62, tip_y + 0.050, 0.06), (-w * 0.25, tip_y + 0.048, out * 0.7),
                 (0, tip_y + 0.052 + 0.04 * p.nose_round, out * 0.8), (w * 0.25, tip_y + 0.048, out * 0.7),
                 (w * 0.62, tip_y + 0.050, 0.06), (w, tip_y, 0.03)),
        h.all_at((w * 0.55, tip_y + 0.016, 0.10), (0, tip_y + 0.026, out), (-w * 0.55, tip_y + 0.016, 0.10)),
    )  # fmt: skip
    pen.fill(under, h.deep, 0.75 + 0.2 * p.tone, part="nose")
    for k in (-1, 1):
        c = h.at(k * w * 0.48, tip_y + 0.034, 0.09)
        pen.fill(oval(*c, 0.030 * (1.2 if k == s else 1) * h.cos_yaw, 0.016, k * 14), h.deep, 0.9)
        wing = h.all_at(
            (k * w * 0.84, tip_y - 0.07, 0.05),
            (k * w * 1.06, tip_y - 0.02, 0.02),
            (k * w * 0.86, tip_y + 0.033, 0.03),
        )
        pen.line(spline(wing), h.deep, 0.023, 0.65)
    bridge = h.all_at((light * 0.022, top + 0.06, 0.08), (light * 0.022, tip_y - 0.13, out))
    pen.line(spline(bridge), h.bright, 0.042, 0.7 - 0.3 * p.tone)
    pen.fill(
        oval(*h.at(light * 0.03, tip_y - 0.055, out), ball * 0.48, ball * 0.36),
        shade(h.bright, 0.04),
        0.7 - 0.3 * p.tone,
    )


def lip_colour(h: Head):
    """The lips: the skin's own red, and lipstick over it."""
    p, t = h.person, h.person.tone
    own = shade(h.skin, -0.095, -22, 0.035)
    red = lch(0.60 - 0.20 * t, 0.12 - 0.04 * t, 26)
    worn = lch(0.55 - 0.10 * t, 0.165 - 0.03 * t, 20)
    return mix(mix(own, red, 0.18 + 0.36 * (1 - p.masc)), worn, 0.65 * p.lipstick)


def draw_mouth(pen: Pen, h: Head) -> None:
    """The mouth: closed lips, or open with teeth when it smiles and laughs."""
    p, opening = h.person, h.open
    w, y, lift = p.mouth_w + h.wider, p.mouth_y + (0.01 if h.open else 0), h.corner * 0.085
    thin = 1 - 0.3 * h.cheeks
    lip_up, lip_low = p.lip_up * thin, p.lip_low * (1 - 0.2 * h.cheeks)
    colour = lip_colour(h)
    left, right = (-w, y - lift), (w, y - lift)
    sag = 0.30 * lift if h.corner > 0.7 else 0.12 * lift
    seam = [
        left,
        (-w * 0.5, y + 0.004 - lift * 0.22),
        (0, y + 0.010 + sag),
        (w * 0.5, y + 0.004 - lift * 0.22),
        right,
    ]
    top = [right, (w * 0.55, y - lip_up * 0.72 - lift * 0.28), (w * 0.20, y - lip_up), (0, y - lip_up * 0.72),
           (-w * 0.20, y - lip_up), (-w * 0.55, y - lip_up * 0.72 - lift * 0.28), left]  # fmt: skip
    bottom = [right, (w * 0.62, y + opening * 0.70 + lip_low * 0.62 - lift * 0.3), (0, y + opening + lip_low + sag),
              (-w * 0.62, y + opening * 0.70 + lip_low * 0.62 - lift * 0.3), left]  # fmt: skip
    turned = lambda points: h.all_at(*points, forward=0.05)
    s, t, b = turned(seam), turned(top), turned(bottom)
    c = h.at(0, y + opening + lip_low + 0.075, 0.05)
    pen.fill(oval(*c, 0.12, 0.030), h.shadow, 0.6)
    pen.fill(shape(s, t), shade(colour, -0.06), part="mouth")
    pen.fill(shape(s, b), colour, part="mouth")
    if opening:
        inner = [right, (w * 0.60, y + opening * 0.78 - lift * 0.3), (0, y + opening + sag * 0.9),
                 (-w * 0.60, y + opening * 0.78 - lift * 0.3), left]  # fmt: skip
        narrow = lambda points: turned([(a * 0.93, v) for a, v in points])
        hollow = shape(narrow(seam), narrow(inner))
        pen.fill(hollow, lch(0.28, 0.08, 18), part="mouth")
        pen.clip(hollow)
        if h.corner > 0.5:
            deep = 0.06 + 0.022 * (opening > 0.1)
            teeth = [(-w, y - lift - 0.04), (w, y - lift - 0.04), (w * 0.84, y + deep * 0.45 - lift * 0.3),
                     (0, y + deep + sag), (-w * 0.84, y + deep * 0.45 - lift * 0.3)]  # fmt: skip
            q = turned(teeth)
            pen.fill(shape(q[:2], q[2:]), lch(0.97, 0.008, 80))
        if opening > 0.08:
            pen.fill(
                oval(*h.at(0, y + opening + 0.045, 0.05), w * 0.52, 0.070), lch(0.60, 0.13, 20)
            )
        pen.back()
    else:
        shine = turned(
            [(-w * 0.25, y + lip_low * 0.55 + sag), (w * 0.18, y + lip_low * 0.58 + sag)]
        )
        pen.line(spline(shine), shade(colour, 0.09), 0.024, 0.5)
        pen.line(spline(s), mix(h.deep, INK, 0.5), 0.028, 0.95)
    for q in (left, right):
        pen.fill(oval(*h.at(q[0] * 1.02, q[1], 0.05), 0.024), h.deep, 0.8)
    if h.cheeks > 0.5:
        mark = 0.25 + 0.6 * p.dimples
        for k in (-1, 1):
            fold = [
                (k * (w + 0.075), y - lift - 0.06),
                (k * (w + 0.095), y - lift + 0.01),
                (k * (w + 0.07), y - lift + 0.06),
            ]
            pen.line(spline(turned(fold)), h.deep, 0.020, mark)


def draw_lines(pen: Pen, h: Head) -> None:
    """Lines of age and of laughter."""
    p, w = h.person, h.person.wrinkles
    tip, y, mouth = p.eye_y + p.nose_len, p.mouth_y, p.mouth_w + h.wider
    strength = max(w * 0.7, 0.22 * h.cheeks * (p.age > 19))
    for s in (-1, 1):
        if strength > 0.05:
            smile = h.all_at(
                (s * p.nose_w * 1.3, tip - 0.04),
                (s * (mouth * 0.95 + 0.02), tip + 0.10),
                (s * (mouth + 0.08), y - 0.02),
            )
            pen.line(spline(smile), h.deep, 0.021, strength * 0.75)
        if w > 0.5:
            chin = h.all_at(
                (s * (mouth + 0.05), y + 0.07),
                (s * (mouth + 0.06), y + 0.15),
                (s * (mouth + 0.02), y + 0.21),
            )
            pen.line(spline(chin), h.deep, 0.02, w * 0.35)
    if w > 0.2:
        for i, level in enumerate((-0.46, -0.37, -0.28)[: 2 + (w > 0.6)]):
            brow = h.all_at(
                (-0.26 + 0.04 * i, level + 0.012),
                (-0.1, level - 0.008),
                (0.1, level - 0.006),
                (0.25 - 0.03 * i, level + 0.014),
            )
            pen.line(spline(brow), h.deep, 0.018, w * 0.6)
