"""From a record to a picture with its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from . import places_indoor, places_outdoor
from .arms import draw_arms
from .beard import draw_beard, draw_glasses, draw_moustache
from .body import Body
from .clothes import draw_clothes
from .face import draw_brows, draw_eye, draw_lines, draw_mouth, draw_nose
from .hair import EARS_FREE
from .hair_back import draw_back
from .hair_long import draw_front
from .head import KEY_POINTS, Head, draw_ear, draw_skull
from .pen import HEAD_PARTS, PART_NUMBER, PARTS, STYLES, Pen
from .records import INDOORS, Record
from .scenery import Scene
from .things import draw_things

WIDTH = {"portrait": 1.0, "half-body": 1.0, "nobody": 1.0, "pair": 1.5, "three": 2.0}
# Size of the unit (half a head, crown to chin) and height of the head's middle, as shares of the height.
SIZE = {
    "portrait": (0.275, 0.455),
    "half-body": (0.200, 0.350),
    "pair": (0.265, 0.465),
    "three": (0.250, 0.475),
}
# The light on people: colours to multiply by, from the lit side to the far side.
AIR = {
    ("out", "dawn"): ((1.0, 0.96, 0.93), (0.93, 0.88, 0.93)), ("out", "sunset"): ((1.0, 0.94, 0.82), (0.92, 0.77, 0.78)),
    ("out", "night"): ((0.93, 0.91, 0.97), (0.72, 0.67, 0.82)), ("in", "dawn"): ((1.0, 0.97, 0.94), (0.96, 0.92, 0.92)),
    ("in", "sunset"): ((1.0, 0.96, 0.88), (0.94, 0.86, 0.82)), ("in", "night"): ((1.0, 0.95, 0.85), (0.86, 0.76, 0.72)),
}  # fmt: skip
_HEAD = np.zeros(256, bool)
_HEAD[[PART_NUMBER[name] for name in HEAD_PARTS]] = True


@dataclass(frozen=True)
class Picture:
    """A picture and its labels, all of one height H and width W."""

    rgb: np.ndarray  # uint8 (H, W, 3)
    person: np.ndarray  # uint8 (H, W): 0 nobody, 1 the leftmost person, 2 the next
    part: np.ndarray  # uint8 (H, W): the number of a name in PARTS
    head: (
        np.ndarray
    )  # uint8 (H, W): the person where it is part of a head (hair and scarf too), else 0
    keypoints: np.ndarray  # float32 (people, len(KEY_POINTS), 2): x and y in pixels


def draw_head(pen: Pen, h: Head) -> None:
    """Everything of a head but the hair behind it."""
    near, both, free = h.near(), abs(h.sin_yaw) < 0.12, h.person.hair in EARS_FREE
    for s in (-1, 1):
        if s != near or both or not free:
            draw_ear(pen, h, s)
    draw_skull(pen, h, h.person.hair not in ("bald", "buzz", "quiff", "headscarf"))
    pen.clip(h.face_path)
    draw_lines(pen, h)
    pen.back()
    draw_beard(pen, h)
    draw_mouth(pen, h)
    draw_moustache(pen, h)
    draw_nose(pen, h)
    pen.clip(h.face_path)
    draw_eye(pen, h, -1)
    draw_eye(pen, h, 1)
    draw_brows(pen, h)
    draw_glasses(pen, h, arms=True)
    pen.back()
    draw_front(pen, h)
    if free:
        for s in (-1, 1):
            if s == near or both:
                draw_ear(pen, h, s)
    draw_glasses(pen, h)


def draw_person(pen: Pen, head: Head, arms: bool) -> None:
    """A whole person, the head's middle at the origin."""
    body = Body(head, arms)
    roll = head.moment.roll
    pen.turn(roll, 0.0, 1.0)
    draw_back(pen, head)
    pen.back()
    tilt = 0.11 * head.moment.yaw - 0.35 * roll  # the shoulders answer the head
    pen.turn(tilt, 0.0, 1.2)
    draw_clothes(pen, body)
    pen.back()
    pen.turn(roll, 0.0, 1.0)
    draw_head(pen, head)
    pen.back()
    if arms:
        pen.turn(tilt, 0.0, 1.2)
        draw_arms(pen, body)
        pen.back()


def _air(canvas: skia.Canvas, record: Record, light: int, x: float, y: float, s: float) -> None:
    """The hour's light over a person, in the layer that holds that person alone."""
    kind = "in" if record.place.name in INDOORS else "out"
    colours = [skia.Color4f(*c, 1.0).toColor() for c in AIR[kind, record.place.hour]]
    ends = [(x + light * s * 1.3, y - s), (x - light * s * 1.5, y + 2 * s)]
    shader = skia.GradientShader.MakeLinear(points=ends, colors=colours)
    canvas.drawPaint(skia.Paint(Shader=shader, BlendMode=skia.BlendMode.kModulate))


def paint(record: Record, height: int = 256, style: str = "storybook") -> Picture:
    """Draw a record ``height`` pixels high: as wide for one or nobody, 1.5 times for two, twice for three."""
    ratio = WIDTH[record.framing]
    width = round(height * ratio)
    surface, labels = skia.Surface(width, height), skia.Surface(width, height)
    canvas, marks = surface.getCanvas(), labels.getCanvas()
    marks.clear(0xFF000000)
    canvas.scale(height, height)
    marks.scale(height, height)
    of_people, of_place = STYLES[style]
    scene = Scene(Pen(canvas, None, of_place), ratio, record.place)
    (places_indoor.DRAW | places_outdoor.DRAW)[record.place.name](scene)
    if record.framing == "nobody":
        draw_things(scene)
    rng = np.random.default_rng([13, record.place.seed])
    points = np.zeros((len(record.people), len(KEY_POINTS), 2), np.float32)
    pen = Pen(canvas, marks, of_people)
    for i, (person, moment) in enumerate(zip(record.people, record.moments, strict=True)):
        points[i] = _place_person(pen, record, i, Head(person, moment), ratio, rng) * height
    rgb = surface.toarray(colorType=skia.kRGBA_8888_ColorType)[..., :3].copy()
    label = labels.toarray(colorType=skia.kRGBA_8888_ColorType)
    who, part = label[..., 0].copy(), label[..., 1].copy()
    return Picture(rgb, who, part, np.where(_HEAD[part], who, 0).astype(np.uint8), points)


def _place_person(pen: Pen, record: Record, i: int, head: Head, ratio: float, rng) -> np.ndarray:
    """Draw person ``i`` where it stands; returns its key points (K, 2) in picture heights."""
    n, (s, y) = len(record.people), SIZE[record.framing]
    s *= rng.uniform(0.97, 1.03)
    x = ratio * (0.5 if n == 1 else (i + 0.5) / n * 0.90 + 0.05) + rng.uniform(-0.02, 0.02)
    y += rng.uniform(-0.008, 0.008)
    young = max(0.0, min(1.0, (16 - head.person.age) / 11))
    if n > 1:
        y += 0.09 * young
    elif record.framing == "half-body":
        y += 0.02 * young
    lean = 0.0
    if record.framing == "half-body" and head.moment.gesture == "leaning":
        lean = 7.0 if head.person.parting > 0 else -7.0
    pen.who = i + 1
    air = (("in" if record.place.name in INDOORS else "out"), record.place.hour) in AIR
    if air:
        pen.canvas.saveLayer(None, None)
    pen.move(x, y, s)
    pen.turn(lean, 0.0, 3.4)
    draw_person(pen, head, record.framing == "half-body")
    pen.back()
    pen.back()
    if air:
        _air(pen.canvas, record, head.light, x, y, s)
        pen.canvas.restore()
    spots = np.array(head.key_points())
    for degrees, px, py in ((head.moment.roll, 0.0, 1.0), (lean, 0.0, 3.4)):
        t = np.radians(degrees)
        turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
        spots = (spots - (px, py)) @ turn + (px, py)
    return spots * s + (x, y)


__all__ = ["KEY_POINTS", "PARTS", "Picture", "paint"]
