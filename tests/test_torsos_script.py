"""benchmarks/torsos.py: whether the strip below the neck has the face's colour, held against drawings."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.torsos import adults, drawn, in_skin, scenes, truth
from identitystory import preset
from identitystory.metrics.attributes import FOLDER, load_reader
from identitystory.metrics.torso import skin_below
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.models.files.checkpoint import find_folder
from identitystory.runs.opening import open_model
from miniature.world.pen import PART_NUMBER

SKIN, SHIRT = (224, 172, 140), (61, 109, 181)
FACE = (64.0, 40.0, 20.0)  # x and y between the eyes, half the face's width


def torso(*rows):
    """A picture of skin with a torso whose rows are given, from the strip's first row (82) down to 103."""
    rgb = np.full((128, 128, 3), SKIN, np.uint8)
    for first, last, colour in rows:
        rgb[first:last] = colour
    return rgb


@pytest.mark.parametrize(
    ("rows", "share"),
    [((), 1.0), (((82, 128, SHIRT),), 0.0), (((82, 93, SHIRT),), 0.5), (((0, 60, SHIRT),), 0.0)],
)
def test_the_share_is_that_of_the_strip_that_has_the_faces_colour(rows, share):
    assert skin_below(torso(*rows), FACE) == pytest.approx(share, abs=0.001)


@pytest.mark.parametrize(("light", "share"), [(1.12, 1.0), (0.82, 1.0), (0.6, 0.0)])
def test_shoulders_may_be_lit_a_little_otherwise_than_the_face(light, share):
    """In OKLab .04 lighter and .11 darker is skin, .24 darker is a brown shirt."""
    shoulders = tuple(round(light * c) for c in SKIN)
    assert skin_below(torso((60, 128, shoulders)), FACE) == share


def test_a_strip_below_the_picture_has_no_share():
    assert math.isnan(skin_below(torso()[:80], FACE))
    assert not math.isnan(skin_below(torso()[:84], FACE))


def test_drawn_clothes_are_dyed_and_nothing_else():
    for picture in drawn(3):
        cloth = picture.part == PART_NUMBER["cloth"]
        made = in_skin(picture)
        assert (made[~cloth] == picture.rgb[~cloth]).all()
        skin = np.median(picture.rgb[picture.part == PART_NUMBER["skin"]], axis=0)
        assert np.abs(np.median(made[cloth], axis=0) - skin).max() < 12


def test_it_is_right_of_drawn_pictures():
    said = truth(load_reader(find_folder("miniature") / FOLDER), 16)
    assert said["seen"] == 1
    assert said["bare"] >= 0.85
    assert said["dressed"] >= 0.85


def test_an_opened_checkpoint_sees_who_wears_nothing():
    """Its reader, which looks at templates and at finished pictures; one without a reader sees nothing."""
    facts = describe_model("miniature", "cpu", "float32")
    bare = open_model(load_backend, "miniature", preset("recommended"), facts).bare
    for picture in drawn(4):
        mask = torch.from_numpy(picture.part > 0)[None]
        assert bare(Image.fromarray(picture.rgb), mask, None) == []
        assert bare(Image.fromarray(in_skin(picture)), mask, None) == [0]


def test_places_are_spread_over_all_and_people_are_grown_up():
    places = [f"in room {n}" for n in range(10)]
    assert scenes(places, 3, "") == ["{A} in room 0", "{A} in room 3", "{A} in room 6"]
    assert scenes(places, 99, "a coat")[9] == "{A} in room 9, in a coat"
    assert len(scenes(places, 99, "")) == 10
    said = adults(30)
    assert len(set(said)) == 30
    assert not [who for who in said if {"boy", "girl", "teenager", "teenage"} & set(who.split())]
