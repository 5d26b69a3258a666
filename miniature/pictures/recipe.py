"""Which people, in which framing, picture number n of a set shows.

Everything is drawn from the number alone, so any part of a set can be made again, and a set can grow.
People of the held-out sets are nobody's neighbours in the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..world.pen import OTHER_STYLES
from ..world.records import Record
from ..world.sampling import draw_person, draw_record
from .sets import BLOCK

PER_PERSON = 4  # pictures of each person, pair or three
NOBODY = 4  # pictures of each block of singles that show a place alone
ALONE = BLOCK // PER_PERSON - NOBODY // PER_PERSON  # people in a block of singles
HELD_OUT = 1_000_000  # number of the first held-out person
HELD_OUT_SCENES = frozenset({  # what the painter never sees: (place, expression)
    ("beach", "surprised"), ("library", "angry"), ("forest", "laughing"), ("kitchen", "sad"),
    ("harbour", "laughing"),
})  # fmt: skip
# Of a person's four pictures two are portraits, so that there is always another one to know them by.
FRAMINGS = ("portrait", "portrait", "half-body", None)


def slug(style: str) -> str:
    """A style's name as sets, checkpoints and files have it."""
    return style.replace(" ", "_")


@dataclass(frozen=True)
class Kind:
    """A kind of set: people in a picture, number of the first person, width over height, and the pen's
    style. Sets of one ``code`` have the same records."""

    people: int
    first: int
    code: int
    wide: float
    style: str = "storybook"


KINDS = {
    "singles": Kind(1, 0, 1, 1.0),
    "pairs": Kind(2, 0, 2, 1.5),
    "threes": Kind(3, 0, 3, 2.0),
    "strangers": Kind(1, 2 * HELD_OUT, 6, 1.0),  # whom only the recogniser learns from
    "held_out": Kind(1, HELD_OUT, 4, 1.0),
    "held_out_pairs": Kind(2, HELD_OUT, 5, 1.5),
}
KINDS |= {
    f"{kind}_{slug(style)}": replace(KINDS[kind], style=style)
    for style in OTHER_STYLES for kind in ("singles", "pairs")
}  # fmt: skip


def cast_of(kind: str, number: int) -> tuple[list[int], str | None]:
    """Numbers of the people of picture ``number``, and its framing where it is given."""
    k = KINDS[kind]
    if k.people > 1:
        group = number // PER_PERSON
        return [k.first + k.people * group + n for n in range(k.people)], None
    block, place = divmod(number, BLOCK)
    if place >= BLOCK - NOBODY:
        return [], "nobody"
    person, picture = divmod(place, PER_PERSON)
    return [k.first + block * ALONE + person], FRAMINGS[picture]


def record_of(kind: str, number: int) -> Record:
    """What picture ``number`` of a set shows: no held-out scene in the singles, pairs and threes.

    The strangers have them, too: of them only the recogniser learns, which knows no scenes."""
    numbers, framing = cast_of(kind, number)
    people = [draw_person(n) for n in numbers]
    for attempt in range(20):
        rng = np.random.default_rng([KINDS[kind].code, number, attempt])
        record = draw_record(rng, people, framing)
        scenes = {(record.place.name, m.expression) for m in record.moments}
        if KINDS[kind].first or not scenes & HELD_OUT_SCENES:
            break
    return record
