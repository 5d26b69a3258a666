"""Eight people that the miniature was never trained on: three drawn portraits, masks, facts."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from miniature.pictures.recipe import HELD_OUT
from miniature.world.captions import caption
from miniature.world.picture import paint
from miniature.world.records import Record, categories
from miniature.world.sampling import draw_person, draw_record

PEOPLE, PICTURES = 8, 3  # of each person
FIRST = HELD_OUT + 900_000  # numbers of people whom no set and no story has


@cache
def records() -> list[Record]:
    """What the 24 pictures show, person by person."""
    rng = np.random.default_rng(7)
    people = [draw_person(FIRST + k) for k in range(PEOPLE)]
    return [draw_record(rng, [person], "portrait") for person in people for _ in range(PICTURES)]


@cache
def _drawn() -> list[tuple[Image.Image, np.ndarray]]:
    pictures = [paint(record) for record in records()]
    return [(Image.fromarray(p.rgb), p.person > 0) for p in pictures]


def portraits() -> list[Image.Image]:
    """All 24 pictures."""
    return [image for image, _ in _drawn()]


def masks() -> list[np.ndarray]:
    """(256, 256) bool: where the person of each picture is."""
    return [mask for _, mask in _drawn()]


def tiles() -> list[list[Image.Image]]:
    """The pictures of each person."""
    flat = portraits()
    return [flat[k : k + PICTURES] for k in range(0, len(flat), PICTURES)]


def facts() -> list[dict[str, str]]:
    """What is true of each of the 24 pictures."""
    return [categories(record, 0) for record in records()]


def captions(seed: int = 0) -> list[str]:
    """A true caption of each of the 24 pictures."""
    rng = np.random.default_rng(seed)
    return [caption(record, rng) for record in records()]
