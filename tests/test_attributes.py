"""What prompts say, and the miniature's reader on people it never saw."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close

from identitystory.errors import ModelError
from identitystory.metrics.attributes import (
    FACE,
    TABLE,
    WEIGHTS,
    AttributeNet,
    faces_at,
    load_reader,
    mean_degrees,
    said,
)
from tests.people import tiles
from tests.quality import reader as shipped

PHRASES = {
    "hair": {"long * hair": ["long"], "short * hair": ["short"], "very short * hair": ["buzzed"]},
    "outfit": {"shirt": ["t-shirt", "long-sleeved shirt"], "work shirt": ["work clothes"]},
    "place": {"beach": ["beach"], "street": ["city street"], "city street": ["city street"]},
}


def test_an_angle_is_the_mean_of_its_values_as_likely_as_each_is():
    logits = torch.tensor([0.25, 0.5, 0.25]).log()
    assert mean_degrees(logits, (-8.0, 1.0, 8.0)) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def reader():
    return shipped()


def values(prompt, attribute):
    found = said(prompt, PHRASES).get(attribute)
    return sorted(found) if found else None


def test_an_attribute_counts_only_when_the_prompt_says_it():
    assert said("a woman", PHRASES) == {}
    assert said("a woman on the beach", PHRASES) == {"place": frozenset({"beach"})}
    assert values("A beachcomber", "place") is None


def test_the_longest_phrase_wins():
    assert values("a man in a red work shirt", "outfit") == ["work clothes"]
    assert values("a man in a red shirt", "outfit") == ["long-sleeved shirt", "t-shirt"]
    assert values("a man with very short black hair", "hair") == ["buzzed"]
    assert values("a man in a t-shirt", "outfit") is None  # another word than shirt


def test_a_star_is_up_to_three_words_of_one_noun():
    assert values("a girl with long hair", "hair") == ["long"]
    assert values("a girl with long dark curly hair", "hair") == ["long"]
    assert values("a girl in a long coat with red hair", "hair") is None
    assert values("a girl in a long coat, red hair", "hair") is None


def test_what_excludes_itself_is_not_said():
    assert values("on a beach near the city street", "place") is None
    assert values("in the street, a city street", "place") == ["city street"]


def test_the_face_is_cut_out_where_it_is_said_to_be():
    """A white square on black, cut out exactly: half a width of 16 of 64 pixels, 1.1 times as far."""
    where = torch.tensor([[-0.25, 0.125, 0.25]])
    pixels = -torch.ones(1, 3, 128, 128)
    x, y, half = 64 * 0.75, 64 * (1.125 + 0.125), 64 * 1.1 * 0.25
    left, right, top, bottom = (round(v) for v in (x - half, x + half, y - half, y + half))
    pixels[:, :, top:bottom, left:right] = 1
    face = faces_at(pixels, where)
    assert face.shape == (1, 3, FACE, FACE)
    assert (face[:, :, 2:-2, 2:-2] > 0.999).all()
    moved = faces_at(pixels, where + torch.tensor([[0.6, 0, 0]]))
    assert moved.mean() < -0.9


def test_the_network_looks_where_it_is_told_and_else_where_it_guesses():
    torch.manual_seed(0)
    network = AttributeNet([2, 5]).eval()
    pixels = torch.rand(2, 3, 64, 64) * 2 - 1
    answers, guess = network(pixels)
    assert [a.shape for a in answers] == [(2, 2), (2, 5)]
    again, _ = network(pixels, guess)
    assert_close(again, answers)
    elsewhere, same_guess = network(pixels, guess + 0.5)
    assert (elsewhere[1] - answers[1]).abs().max() > 1e-4
    assert_close(same_guess, guess)


def test_with_several_people_only_the_scene_is_read(reader):
    image = tiles()[0][0]
    prompt = "a man and an old woman on a city street by day"
    assert set(reader.verdicts(image, prompt, 2)) == {"place", "hour"}
    assert "age" in reader.verdicts(image, "an old man", 1)
    assert reader.verdicts(image, "a man", 0) == {}


def test_a_larger_picture_is_read_at_the_readers_size(reader):
    image = tiles()[2][0]
    large = image.resize((512, 512), Image.Resampling.BICUBIC)
    assert reader.read(large)["place"] == reader.read(image)["place"]


def test_no_reader_is_none_and_a_broken_one_an_error(tmp_path):
    assert load_reader(tmp_path) is None
    (tmp_path / TABLE).write_text("{}")
    with pytest.raises(ModelError, match="broken"):
        load_reader(tmp_path)
    (tmp_path / TABLE).write_text(
        json.dumps(
            dict(name="r", size=8, scene=[], accuracy={}, phrases={}, values={"a": ["x", "y"]})
        )
    )
    save_file({"other": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match="broken"):
        load_reader(tmp_path)
