"""Where faces are: from the marks of a picture, whatever drew it."""

from __future__ import annotations

import numpy as np

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
