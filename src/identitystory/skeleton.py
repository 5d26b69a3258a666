"""Poses as pictures that control nets read: OpenPose's coloured skeletons, and people as planes of depth.

Lengths of a body are in half heads (crown to chin is 2); y grows downwards and z towards us, the
origin is the head's middle. A head that turns by yaw, pitch and roll takes its points along:

    yaw, towards the picture's right    x' = x cos + z sin     z' = z cos - x sin
    pitch, upwards                      y' = y cos - z' sin    z'' = z' cos + y sin
    roll, clockwise                     x'' = x' cos - y' sin  y'' = x' sin + y' cos

Colours, joints and their order are those of OpenPose's 18 points, widths those that the control nets
for SDXL were trained with.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .config import ControlConfig
from .errors import StoryError
from .pose import MAX_POSE_PICTURE, Pose
from .sizes import Size
from .types import Control, Scene

Point = tuple[float, float]

# Of a face that looks straight ahead: x, y, z. "Right" is the person's, who faces us.
NOSE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR = 0, 14, 15, 16, 17
HEAD = {
    NOSE: (0.0, 0.42, 0.80),
    RIGHT_EYE: (-0.35, 0.14, 0.58),
    LEFT_EYE: (0.35, 0.14, 0.58),
    RIGHT_EAR: (-0.72, 0.10, -0.08),
    LEFT_EAR: (0.72, 0.10, -0.08),
}
HIDDEN = {  # a point is behind the head from this z on
    NOSE: -9.0,
    RIGHT_EYE: 0.10,
    LEFT_EYE: 0.10,
    RIGHT_EAR: -0.42,
    LEFT_EAR: -0.42,
}
BODY = {  # neck, then right and left of: shoulder, elbow, wrist, hip, knee, ankle
    1: (0.0, 1.45),
    2: (-1.3, 1.65), 3: (-1.6, 3.9), 4: (-1.65, 5.8), 5: (1.3, 1.65), 6: (1.6, 3.9), 7: (1.65, 5.8),
    8: (-0.75, 5.4), 9: (-0.8, 8.7), 10: (-0.8, 12.0), 11: (0.75, 5.4), 12: (0.8, 8.7), 13: (0.8, 12.0),
}  # fmt: skip
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
    (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
# Of a face's five points: the eyes, the nose's tip and the mouth's corners, each tied to the nose.
FACE_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
FACE_NOSE, FACE_LIMBS, FACE_STICK, FACE_SPOT = 2, (0, 1, 3, 4), 4, 10  # pixels at any size
DIMMED = 0.6  # limbs beside their joints
MAX_SIDE = 512  # of a picture that is kept in a story
PICTURES = ("PNG", "JPEG", "WEBP")


def turned(x: float, y: float, z: float, pose: Pose) -> tuple[float, float, float]:
    """Where a point of the head is when it is held so."""
    yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    x, z = x * math.cos(yaw) + z * math.sin(yaw), z * math.cos(yaw) - x * math.sin(yaw)
    y, z = y * math.cos(pitch) - z * math.sin(pitch), z * math.cos(pitch) + y * math.sin(pitch)
    return x * math.cos(roll) - y * math.sin(roll), x * math.sin(roll) + y * math.cos(roll), z


def place(pose: Pose, number: int, people: int, size: Size) -> tuple[float, float, float]:
    """x and y of the head's middle and half the head's height, in pixels.

    ``number`` of ``people`` in the cast, from the left. Large heads are in the middle, as in a
    portrait; small ones stand higher, so that there is room for the body.
    """
    width, height = size
    share = 0.5 if pose.height is None else pose.height
    x = 0.05 + 0.9 * (number + 0.5) / people if pose.x is None else pose.x
    return x * width, (0.07 + 0.7 * share) * height, share * height / 2


def points(pose: Pose, number: int, people: int, size: Size) -> dict[int, Point]:
    """Joint -> its place in pixels, of those that show; some may lie outside of the picture."""
    return points_at(pose, *place(pose, number, people, size))


def points_at(pose: Pose, x: float, y: float, s: float) -> dict[int, Point]:
    """`points` of a head with its middle at ``x``, ``y``, half of it ``s`` high."""
    found = {joint: (x + s * u, y + s * v) for joint, (u, v) in BODY.items()}
    for joint, spot in HEAD.items():
        u, v, depth = turned(*spot, pose)
        if depth >= HIDDEN[joint]:
            found[joint] = x + s * u, y + s * v
    return found


def half_width(size: Size) -> int:
    """Half the width of a limb, and the radius of a joint, in pixels of a picture of this size."""
    side = max(size)
    return 4 if side < 500 else 4 * min(2 + side // 1000, 7)


def drawn(people: Sequence[Mapping[int, Point]], size: Size) -> Image.Image:
    """The skeletons of ``people`` on black, RGB; joints that are not there, or outside, are left out."""
    width, height = size
    r = half_width(size)
    image = Image.new("RGB", size)
    pen = ImageDraw.Draw(image)
    inside = [
        {j: p for j, p in person.items() if 0 <= p[0] < width and 0 <= p[1] < height}
        for person in people
    ]
    for number, (a, b) in enumerate(LIMBS):
        dim: tuple[int, ...] = tuple(int(c * DIMMED) for c in COLOURS[number])
        for person in inside:
            if a in person and b in person:
                pen.polygon(_limb(person[a], person[b], r), fill=dim)
    for joint, colour in enumerate(COLOURS):
        for person in inside:
            if joint in person:
                x, y = person[joint]
                pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return image


def face_drawn(points: Sequence[Point], size: Size) -> Image.Image:
    """A face's five points on black, RGB, as InstantID's control net was taught to read them.

    Args:
        points: the eye on the left, the eye on the right, the nose's tip, the mouth's left corner and its
            right one, in pixels; what lies outside is cut off.
        size: (width, height) of the picture.
    """
    image = Image.new("RGB", size)
    pen = ImageDraw.Draw(image)
    for number in FACE_LIMBS:
        dim = tuple(int(c * DIMMED) for c in FACE_COLOURS[number])
        pen.polygon(_limb(points[number], points[FACE_NOSE], FACE_STICK), fill=dim)
    for (x, y), colour in zip(points, FACE_COLOURS, strict=True):
        r = FACE_SPOT
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return image


def _limb(a: Point, b: Point, r: float) -> list[Point]:
    """The outline of an ellipse from ``a`` to ``b``, ``2 r`` wide."""
    cx, cy, long = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, math.dist(a, b) / 2
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    outline = []
    for turn in np.linspace(0, 2 * math.pi, 32, endpoint=False).tolist():
        u, v = long * math.cos(turn), r * math.sin(turn)
        outline.append(
            (
                cx + u * math.cos(angle) - v * math.sin(angle),
                cy + u * math.sin(angle) + v * math.cos(angle),
            )
        )
    return outline


def silhouettes(masks: Tensor) -> Image.Image:
    """People as one near plane of depth before a far one: white where a mask is, RGB.

    ``masks`` are (s, H, W) bool. It tells where people stand and how large they are, not how they
    are turned.
    """
    there = masks.any(dim=0).cpu().numpy()
    return Image.fromarray((there * np.uint8(255)).astype(np.uint8)).convert("RGB")


# --- what a scene says ----------------------------------------------------------------------------


def kind_of(scene: Scene) -> str:
    """Which control net the scene's pose asks for; empty if it has no pose."""
    return scene.pose[0].kind if scene.pose else ""


def control_of(
    scene: Scene, size: Size, config: ControlConfig, masks: Tensor | None = None
) -> Control | None:
    """What a picture of ``scene`` at ``size`` is to keep to; None without a pose, or without strength.

    Where one of a cast has a pose, the others of it look straight ahead.

    Args:
        scene: with its poses.
        size: (width, height) in pixels.
        config: how closely.
        masks: of the scene that the pose is taken over from, if it is from another.

    Raises:
        StoryError: the pose is of another scene whose masks are not there, or its picture is broken.
    """
    if not scene.pose or not config.strength:
        return None
    first = scene.pose[0]
    if first.picture:
        image = unpacked(first.picture)
    elif first.source and masks is not None:
        image = silhouettes(masks)
    elif first.source:
        raise StoryError(f"the pose is that of scene {first.source}, which is not painted here")
    else:
        said = {pose.who: pose for pose in scene.pose}
        people = [said.get(name, Pose(name)) for name in scene.cast]
        image = drawn([points(p, n, len(people), size) for n, p in enumerate(people)], size)
    return Control(image, first.kind, config.strength, config.interval)


def packed(content: bytes) -> str:
    """A picture's file as a pose keeps it: RGB, 512 pixels a side at most, PNG as base64.

    Raises:
        ValueError: it is none, is larger than 4096 pixels a side, or holds too much for a pose.
    """
    image = _opened(content, PICTURES, 4096)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    while True:
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        text = base64.b64encode(buffer.getvalue()).decode()
        if len(text) <= MAX_POSE_PICTURE:
            return text
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))


def unpacked(picture: str) -> Image.Image:
    """The inverse of `packed`.

    Raises:
        StoryError: it is broken.
    """
    try:
        return _opened(base64.b64decode(picture, validate=True), ("PNG",), MAX_SIDE)
    except ValueError as error:
        raise StoryError(
            f"the picture of a pose is broken ({error}); read the story again"
        ) from None


def _opened(content: bytes, formats: Sequence[str], side: int) -> Image.Image:
    """A picture in RGB; ValueError if it is none or has more pixels than ``side`` squared."""
    try:
        image = Image.open(io.BytesIO(content), formats=tuple(formats))
        if max(image.size) > side:
            raise ValueError(f"it is larger than {side} pixels a side")
        return image.convert("RGB")
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise ValueError(f"it is no whole picture in {' or '.join(formats)}") from None
