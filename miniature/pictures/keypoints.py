"""Where faces are: from the marks of a picture, whatever drew it."""

from __future__ import annotations

import numpy as np

from ..package import HEAD, Point, Pose, points_at, turned
from ..world.head import KEY_POINTS
from ..world.picture import SIZE
from .sets import PictureSet, head_of, part_of, person_of

NOWHERE = float("nan")
EYE_PARTS = ("eye", "eyes", "iris")


def eyes_of(data: PictureSet, number: int, who: int = 0) -> tuple[float, float] | None:
    """Row and column of the point between the eyes of person ``who``, None where they do not show."""
    marks = data.marks[number]
    eye = data.table(EYE_PARTS, 1)[part_of(marks)] > 0
    y, x = np.nonzero(eye & (person_of(marks) == who + 1))
    return (float(y.mean()), float(x.mean())) if len(y) else None


def head_box(data: PictureSet, number: int, who: int = 0) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) around the face of person ``who``, brow to chin and ear to ear."""
    marks = data.marks[number]
    mine = head_of(marks) & (person_of(marks) == who + 1)
    skin = mine & (
        data.table(("skin", "eye", "brow", "nose", "mouth", "beard"), 1)[part_of(marks)] > 0
    )
    y, x = np.nonzero(skin if skin.any() else mine)
    if not len(y):
        return None
    return int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1


def face_place(data: PictureSet, number: int) -> tuple[float, float, float]:
    """Where the face of a picture of one person is, as ``AttributeNet`` counts: x and y of the point
    between the eyes from -1 to 1, half the face's width as a share of half the picture's."""
    record = data.shots[number].record
    box, eyes = head_box(data, number), eyes_of(data, number)
    if len(record.people) != 1 or box is None or eyes is None:
        return NOWHERE, NOWHERE, NOWHERE
    h, w = data.marks.shape[1:]
    reach = min(0.5, max(0.1, (box[3] - box[2]) / w))
    return 2 * eyes[1] / w - 1, 2 * eyes[0] / h - 1, reach


# The package's joints of a head, by the world's names; hers go by the picture's sides.
JOINTS = {"nose tip": 0, "left eye": 14, "right eye": 15, "left ear": 16, "right ear": 17}


def skeletons(data: PictureSet, number: int, *, own: bool) -> list[dict[int, Point]]:
    """The joints of everybody in a picture, as the package draws poses.

    Args:
        data: the set.
        number: of the picture.
        own: eyes, ears and nose where that face has them; else where a general face of these angles
            has them, put as well over the face's own as a shift can.
    """
    shot, found = data.shots[number], []
    for moment, spots in zip(shot.record.moments, shot.keypoints, strict=True):
        s = SIZE[shot.record.framing][0] * data.spec["height"]
        pose = Pose(yaw=moment.yaw, pitch=moment.pitch, roll=moment.roll)
        mine = {
            JOINTS[name]: spot
            for name, spot in zip(KEY_POINTS, spots, strict=True)
            if name in JOINTS
        }
        shifts = [
            np.subtract(mine[j], np.multiply(turned(*spot, pose)[:2], s))
            for j, spot in HEAD.items()
        ]
        x, y = (float(v) for v in np.mean(shifts, axis=0))
        joints = points_at(pose, x, y, s)
        if own:
            joints |= {j: (float(x), float(y)) for j, (x, y) in mine.items() if j in joints}
        found.append(joints)
    return found
