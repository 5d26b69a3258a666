"""Which words a part of a picture is taught to look at."""

import math

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor

from miniature.training.attention_loss import (
    ABOUT,
    PARTS,
    SHARE,
    WITH_THE_NEXT,
    Looking,
    cells_of_parts,
    inattention,
    parts_of_words,
)
from miniature.world.captions import HAIR, HAIR_COLOUR, OUTFIT, PLACE


def said(text: str) -> dict[str, str]:
    """Word -> the part it speaks of, without those that speak of none."""
    words = text.split()
    return {w: PARTS[k] for w, k in zip(words, parts_of_words(words), strict=True) if k >= 0}


def test_an_adjective_goes_with_its_noun():
    text = "a portrait of an old woman with long red hair and glasses smiling on a beach , in a red dress"
    parts = parts_of_words(text.split())
    red = [PARTS[p] for w, p in zip(text.split(), parts, strict=True) if w == "red"]
    assert red == ["hair", "clothes"]
    assert said(text)["old"] == "face"
    assert said(text)["woman"] == "first person"
    assert said(text)["beach"] == "place"
    assert "portrait" not in said(text)


def test_two_people_have_two_parts():
    assert said("a boy with curly hair and an elderly man")["boy"] == "first person"
    assert said("a boy with curly hair and an elderly man")["man"] == "second person"


@pytest.mark.parametrize(
    ("table", "part"), [(HAIR, "hair"), (OUTFIT, "clothes"), (PLACE, "place")], ids=str
)
def test_every_phrase_of_the_grammar_speaks_of_its_part(table, part):
    for phrases in table.values():
        for phrase in phrases:
            words = phrase.format("black").replace("-", " - ").split()
            assert PARTS.index(part) in parts_of_words(words), phrase


def test_no_word_is_both_a_noun_and_an_adjective():
    nouns = {w for words in ABOUT.values() for w in words.split()}
    adjectives = set(WITH_THE_NEXT.split())
    assert not nouns & adjectives
    assert {c for colours in HAIR_COLOUR.values() for p in colours for c in p.split()} <= adjectives


def test_cells_are_shares_of_the_masks():
    masks = np.zeros((1, 128, 128), np.uint8)
    masks[0, :8, :4] = 1  # half a cell of the first person's skin
    masks[0, 8:16, 8:16] = 6 + 8  # a cell of the second person's hair
    cells = cells_of_parts(masks)[0].float()
    part = dict(zip(PARTS, cells, strict=True))
    assert part["first person"][0, 0] == 0.5
    assert part["face"][0, 0] == 0.5
    assert part["second person"][1, 1] == 1
    assert part["hair"][1, 1] == 1
    assert part["first person"].sum() == 0.5
    assert part["place"].sum() == 256 - 1.5


def layer_with(weights: torch.Tensor) -> Looking:
    looking = Looking()
    looking.weights = weights
    return looking


def test_enough_attention_costs_nothing_and_less_its_logarithm():
    about = torch.tensor([[-1, 0, 3, -1]], dtype=torch.int8)  # a person, then hair
    cells = torch.zeros(1, len(PARTS), 2, 2)
    cells[0, 0], cells[0, 3] = 1, 1
    enough = torch.tensor([0.1, SHARE, SHARE, 0.3]).expand(2, 4, 4)
    assert inattention([layer_with(enough)], about, cells) == 0
    little = torch.tensor([0.5, SHARE / 10, SHARE, 0.2]).expand(2, 4, 4)
    assert inattention([layer_with(little)], about, cells) == pytest.approx(math.log(10) / 2)


def test_what_is_not_spoken_of_and_not_in_the_picture_costs_nothing():
    nothing = torch.zeros(2, 4, 4)
    about = torch.tensor([[-1, 4, -1, -1]], dtype=torch.int8)
    cells = torch.zeros(1, len(PARTS), 2, 2)
    cells[0, 3] = 1  # hair that nobody speaks of; clothes that do not show
    assert inattention([layer_with(nothing)], about, cells) == 0


def test_the_processor_is_diffusers_own_and_keeps_its_weights():
    torch.manual_seed(0)
    attention = Attention(query_dim=8, cross_attention_dim=6, heads=2, dim_head=4)
    x, states, looking = torch.randn(3, 5, 8), torch.randn(3, 7, 6), Looking()
    attention.set_processor(AttnProcessor())
    expected = attention(x, states)
    attention.set_processor(looking)
    torch.testing.assert_close(attention(x, states), expected)
    assert looking.weights.shape == (6, 5, 7)
    torch.testing.assert_close(looking.weights.sum(-1), torch.ones(6, 5))
