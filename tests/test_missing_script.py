"""benchmarks/missing.py: shares of faces found, with and without a word."""

import math

import torch
from PIL import Image

from benchmarks.missing import looked, shares, table
from identitystory.metrics.evidence import Instruments, MeasuredStory, Member, Picture, look
from identitystory.types import Face

HALF, NEAR = "a half-body photo of a man", "a portrait of a man"


def test_shares_are_over_pictures_and_the_difference_is_certain_where_all_stories_agree():
    stories = [[(HALF, False), (NEAR, True), (NEAR, True)][:n] for n in (2, 3, 3, 3)]
    with_word, without, interval, count = shares(stories, "half-body")
    assert (with_word, without, interval, count) == (0, 1, (-1, -1), 4)


def test_one_story_of_four_makes_nothing_certain():
    stories = [[(HALF, False), (NEAR, True)], *[[(HALF, True), (NEAR, True)]] * 3]
    with_word, without, (low, high), _ = shares(stories, "half-body")
    assert (with_word, without) == (0.75, 1)
    assert low < -0.25 < high == 0


def test_a_word_that_no_prompt_has_has_no_share():
    with_word, without, interval, count = shares([[(NEAR, True), (NEAR, False)]] * 4, "glasses")
    assert math.isnan(with_word)
    assert (without, interval, count) == (0.5, None, 0)


def test_a_face_counts_if_it_is_found_in_its_picture(tmp_path):
    class Bright:
        def faces(self, image):
            face = Face((0, 0, 4, 4), 1.0, torch.zeros(1), torch.zeros(4, 4))
            return [face] if image.getpixel((0, 0)) == (255, 255, 255) else []

    pictures = []
    for name, colour in (("a", "white"), ("b", "black")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
        cast = (Member("Tom", "a man", "Tom"),)
        masks = torch.ones(1, 8, 8, dtype=torch.bool)
        pictures.append(Picture(tmp_path / f"{name}.png", name, cast, masks))
    seen = look(MeasuredStory("", tuple(pictures), 1), Instruments(recogniser=Bright()))
    assert looked(seen) == [("a", True), ("b", False)]


def test_the_table_has_a_line_a_word():
    stories = [[(HALF, False), (NEAR, True)]] * 4
    assert table(stories, ["half-body", "man"]).splitlines()[2:] == [
        "| half-body | 4 | 0.000 | 1.000 | -1.000 [-1.000, -1.000] |",
        "| man | 8 | 0.500 | nan | nan |",
    ]
