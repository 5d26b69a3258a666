"""benchmarks/empty.py: how often nobody is in a picture of nobody."""

import numpy as np
import torch
from PIL import Image

from benchmarks.empty import CAST, COLUMNS, HOURS, empty, scenes, sheet
from identitystory.story.file import inline_story

SIZE = (24, 16)


class Bright:
    """Sees a head, and a face, in every bright picture."""

    def segment(self, image, phrases):
        raise NotImplementedError

    def heads(self, image, phrases):
        bright = np.asarray(image).mean() > 100
        return torch.ones(int(bright), image.height, image.width, dtype=torch.bool)


class Yellow:
    def faces(self, image):
        return ["a face"] if image.getpixel((0, 0))[2] < 100 < image.getpixel((0, 0))[0] else []


def pictures():
    colours = [(0, 0, 0), (255, 255, 255), (255, 255, 0), (9, 9, 9)]
    return [Image.new("RGB", SIZE, colour) for colour in colours]


def test_both_look_at_every_picture_and_the_share_is_of_those_without():
    heads, faces = empty(pictures(), Bright(), Yellow())
    assert heads[:2] == ("no head", 4)
    assert heads[2].startswith("0.500 [0.150, 0.850]")  # Wilson, 2 of 4
    assert faces[:2] == ("no face", 4)
    assert faces[2].startswith("0.750 [")


def test_every_place_is_asked_for_and_every_hour():
    made = scenes([f"in room {n}" for n in range(6)], ", nobody there")
    story = inline_story(CAST, made, title="nobody")
    assert [len(scene.cast) for scene in story.scenes] == [0] * 6
    assert [f"room {n} " in text for n, text in enumerate(made)] == [True] * 6
    assert all(any(hour in text for text in made) for hour in HOURS)
    assert all(text.endswith(", nobody there") for text in made)


def test_a_sheet_has_all_pictures():
    page = np.asarray(sheet(pictures() * 3))
    assert page.shape == (2 * SIZE[1] // 2, COLUMNS * SIZE[0] // 2, 3)
    assert page[0, SIZE[0] // 2].tolist() == [255, 255, 255]  # the second picture
    assert page[-1, 2 * SIZE[0] // 2 - 1].tolist() == [9, 9, 9]  # the twelfth
