"""Facts about captions as the networks hear them, and what phrases say."""

from __future__ import annotations

import pytest
import torch

from identitystory.metrics.attributes import said
from miniature import paths
from miniature.pictures.labels import CATEGORY_SIZES, NOBODY
from miniature.stages import text
from miniature.stages.identity_lora import bare
from miniature.stages.phrases import phrases
from miniature.stages.reader import VALUES, mirrored
from miniature.train import STEPS, TINY, command_of
from miniature.world.captions import VOCABULARY
from miniature.world.records import Moment, Place, Record
from miniature.world.sampling import draw_person


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Both tokenizers, made anew."""
    patch = pytest.MonkeyPatch()
    patch.setenv(paths.VARIABLE, str(tmp_path_factory.mktemp("state")))
    yield text.make_tokenizers()
    patch.undo()


def test_every_word_of_the_world_is_one_token(tokenizers):
    for word in VOCABULARY:
        parts = [p for p in word.replace("é", "e").split("-") if word != "café"]
        assert all(len(tokenizers[0](p).input_ids) == 3 for p in parts), word


def test_the_class_word_is_found(tokenizers):
    ids = text.tokens(tokenizers[0], ["a portrait of a young man", "an old woman and a boy", ""])
    first = text.place_of_class_word(ids, tokenizers[0])
    second = text.place_of_class_word(ids, tokenizers[0], 1)
    assert tokenizers[0].decode(ids[0, first[0]]).strip() == "man"
    assert tokenizers[0].decode(ids[1, second[1]]).strip() == "boy"
    assert first[2] == second[0] == 0


def test_both_encoders_agree_on_the_shape_of_what_is_said(tokenizers):
    encoders = text.TextEncoders(len(tokenizers[0]))
    ids = [text.tokens(t, ["a girl with a red bob"]) for t in tokenizers]
    states, pooled, first = encoders(*ids)
    assert states.shape == (1, 77, sum(text.WIDTHS))
    assert (pooled.shape[1], first.shape[1]) == text.WIDTHS[::-1]


def test_nobody_is_not_asked_for():
    truth = torch.full((1, text.PEOPLE * len(CATEGORY_SIZES)), NOBODY)
    truth[0, 0] = 1
    logits = torch.zeros(1, text.PEOPLE * sum(CATEGORY_SIZES))
    loss, _ = text.attributes_loss(logits, truth)
    assert loss.item() == pytest.approx(torch.tensor(2.0).log().item())


def test_phrases_mean_what_captions_mean_by_them():
    table = phrases(VALUES)
    told = said(
        "a portrait of an old woman with glasses in a red suit, on the beach at night", table
    )
    assert told["sex"] == {"woman"}
    assert told["age"] == {"old"}
    assert told["glasses"] == {"round", "square"}
    assert told["outfit"] == {"suit"}
    assert told["colour"] == {"red"}
    assert told["place"] == {"beach"}
    assert told["hour"] == {"night"}
    assert "age" not in said("a man", table)


def test_a_mirrored_head_turns_the_other_way():
    at = list(VALUES).index("yaw")
    truth = torch.zeros(2, len(VALUES), dtype=torch.long)
    turned = mirrored(truth, torch.tensor([True, False]))
    assert turned[0, at] == len(VALUES["yaw"]) - 1
    assert turned[1, at] == 0


def test_a_bare_caption_says_the_class_words_alone():
    rng = __import__("numpy").random.default_rng(0)
    people = (draw_person(1, age=70.0, masc=1.0), draw_person(2, age=8.0, masc=0.0))
    pair = Record(people, (Moment(), Moment()), Place(), "pair")
    assert bare(pair, rng) == "a man and a girl"


def test_one_command_goes_through_all_stages():
    names = [s.name for s in STEPS]
    assert len(set(names)) == len(names)
    for before, after in (("text", "unet"), ("vae --cool", "latents"), ("latents", "unet"),
                          ("teacher", "tower"), ("unet", "identity_lora"), ("few_steps", "pack")):  # fmt: skip
        assert names.index(before) < names.index(after)
    for step in STEPS:
        command = command_of(step, scale=1, processes=1, tiny=True, out=None)
        if step.module == "pictures.draw":
            assert command[-1] == str(TINY[command[3]])
