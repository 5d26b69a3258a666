"""The little people's words. What needs the renderer is marked ``workshop``."""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pytest

from miniature.stages.text import random_facts
from miniature.world.captions import HOUR, caption, description, grammar_words, scene

FACTS = [random_facts(np.random.default_rng(k)) for k in range(300)]
CAPTIONS = [caption(facts, k) for k, facts in enumerate(FACTS)]


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ").split()


def test_a_seed_means_one_wording_and_seeds_differ() -> None:
    facts = FACTS[0]
    assert caption(facts, 7) == caption(facts, 7)
    assert len({caption(facts, k) for k in range(40)}) >= 30


def test_every_word_is_in_the_vocabulary() -> None:
    """The warning about unseen words rests on ``grammar_words`` being complete."""
    known = {w.strip(",.") for w in grammar_words()} | {"a", "and"}
    assert {w for text in CAPTIONS for w in _words(text)} <= known


@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("glasses", "glasses", {"round", "rectangular"}),
        ("moustache", "beard", {"moustache"}),
        ("freckles", "freckles", {True}),
        ("curls", "hair", {"curly"}),
        ("woman", "sex", {"woman"}),
        ("elderly", "age", {"old"}),
        ("beach", "place", {"beach"}),
        ("angry", "expression", {"anger"}),
        ("overalls", "outfit", {"overalls"}),
    ],
)
def test_what_is_said_is_true(word: str, key: str, values: set) -> None:
    """A word stands in a caption only where its fact holds, and it does stand in some."""
    said = [facts[key] for facts, text in zip(FACTS, CAPTIONS, strict=True) if word in _words(text)]
    assert said
    assert set(said) <= values


def test_only_what_shows_is_said() -> None:
    """Eye colour only in a portrait; the hour only where there is a sky; no colour of no hair."""
    hours = {phrase for options in HOUR.values() for phrase in options if phrase}
    for facts, text in zip(FACTS, CAPTIONS, strict=True):
        if facts["framing"] != "portrait":
            assert " eyes" not in text
        if facts["place"] in ("kitchen", "library", "cafe", "office", "studio"):
            assert not any(text.endswith(h) or f"{h}," in text for h in hours)
        if facts["hair"] == "bald":
            assert " hair" not in text.replace("no hair", "")


def test_description_comes_before_scene() -> None:
    """The two-part form of a story's prompt: who, then what."""
    rng = np.random.default_rng(0)
    facts = {**FACTS[3], "framing": "portrait"}
    who, what = description(facts, rng), scene(facts, rng)
    assert who.split()[0] in ("a", "an")
    assert not any(noun in _words(what) for noun in ("man", "woman", "boy", "girl"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """The renderer without the asset pack; its cache takes a minute to build."""
    from miniature.paths import BUILD
    from miniature.world.render import World

    cache = BUILD / "world"
    return World(64, cache=cache if cache.exists() else tmp_path_factory.mktemp("world"))


@pytest.mark.workshop
def test_a_picture_is_drawn_from_its_numbers(world) -> None:
    """The same (seed, index) gives the same bytes; another index another face."""
    from miniature.pictures.dataset import draw_alone

    first, again, other = (
        world.render(*draw_alone(world.body, 3, index, 0)).image for index in (5, 5, 6)
    )
    assert (first == again).all()
    assert (first != other).any()


PAIRS = dict(seed=3, people=100, of=500)


@pytest.mark.workshop
def test_pairs_are_of_the_people_of_the_set_and_held_out_together(world) -> None:
    """Known pairs of known people, the last ones of held-out people, changing places."""
    from miniature.pictures.dataset import (
        HELD_OUT_PAIRS,
        HELD_OUT_PEOPLE,
        draw_alone,
        draw_together,
    )

    for index, known in ((0, True), (100 - HELD_OUT_PAIRS, False)):
        cast, _ = draw_together(world.body, PAIRS, index, 0)
        numbers = [person.index for person, _ in cast]
        assert all((k < 500 - HELD_OUT_PEOPLE) == known for k in numbers)
        again, _ = draw_together(world.body, PAIRS, index, 1)
        assert [person.index for person, _ in again] == numbers[::-1]
        for person, _ in cast:
            [(alone, _)], _ = draw_alone(world.body, 3, person.index, 0)
            assert str(alone) == str(person)


@pytest.mark.workshop
def test_two_heads_are_in_the_picture_whatever_their_heights(world) -> None:
    """Nobody is cut off at the neck: all eyes are well inside, a child's and an adult's too."""
    from miniature.pictures.dataset import draw_together

    heights = []
    for index in range(12):
        picture = world.render(*draw_together(world.body, PAIRS, index, 0))
        heights += [y / len(picture.image) for _, y in picture.eyes]
    assert min(heights) > 0.1
    assert max(heights) < 0.75


@pytest.mark.workshop
def test_masks_say_who_is_where(world) -> None:
    """Of two people the first is left, and each one's eyes lie inside the own mask."""
    from miniature.pictures.dataset import draw_together

    cast, view = draw_together(world.body, PAIRS, 5, 0)
    picture = world.render(cast, view)
    who = picture.mask[..., 0]
    assert set(np.unique(who)) == {0, 1, 2}
    left, right = (np.nonzero(who == k)[1].mean() for k in (1, 2))
    assert left < right
    for k, (x, y) in enumerate(picture.eyes, start=1):
        assert who[int(y), int(x)] == k


@pytest.mark.workshop
def test_without_the_asset_pack_hair_is_made_here(world) -> None:
    """On the head of all but the bald and the buzzed, whose stubble is painted on the skin."""
    from miniature.world.people import HAIRS, draw_moment, draw_person
    from miniature.world.places import draw_view

    assert world.pack is None
    pixels = {}
    for hair in HAIRS:
        person = draw_person(world.body, 3, 1, sex="woman", age="young", hair=hair)
        picture = world.render([(person, draw_moment(person, 1, poses=("stand",)))], draw_view(1))
        pixels[hair] = int((picture.mask[..., 1] == 6).sum())
        [(_, y)] = picture.eyes
        assert (picture.mask[: int(y), :, 1] == 6).any() == (hair not in ("bald", "buzzed"))
    assert pixels["long"] == max(pixels.values())


@pytest.mark.workshop
def test_a_full_body_picture_has_all_of_the_person(world) -> None:
    """From the hair to the shoes, with a margin; the eyes are in the upper half."""
    from miniature.world.people import draw_moment, draw_person
    from miniature.world.places import draw_view

    for index in range(4):
        person = draw_person(world.body, 3, index)
        view = draw_view(index, framing="full-body")
        picture = world.render([(person, draw_moment(person, index, poses=("stand",)))], view)
        rows = np.nonzero((picture.mask[..., 0] == 1).any(axis=1))[0]
        assert 0 < rows[0] < rows[-1] < len(picture.image) - 1
        assert len(rows) > len(picture.image) / 3
        [(_, y)] = picture.eyes
        assert rows[0] < y < rows[0] + len(rows) / 3


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """What ``open_world`` gives the renderer, without one; the pack is at no usual place."""
    from types import ModuleType

    from miniature import paths

    renderer = ModuleType("miniature.world.render")
    renderer.World = lambda size, *, cache, assets: assets
    monkeypatch.setitem(sys.modules, "miniature.world.render", renderer)
    monkeypatch.setattr(paths, "ASSETS", tmp_path / "usual.zip")

    def call(*argv: str):
        parser = argparse.ArgumentParser()
        paths.add_world_options(parser)
        return paths.open_world(parser.parse_args(argv))

    return call


def test_a_pack_that_was_named_must_be_there(opened, tmp_path) -> None:
    with pytest.raises(SystemExit, match=r"^--assets .*mine\.zip: there is no such file"):
        opened("--assets", str(tmp_path / "mine.zip"))
    (tmp_path / "mine.zip").touch()
    assert opened("--assets", str(tmp_path / "mine.zip")) == tmp_path / "mine.zip"


def test_going_on_without_the_pack_is_said_in_a_line(opened, tmp_path, capsys) -> None:
    """A stranger's world is another one; the usual place is taken silently."""
    assert opened() is None
    assert capsys.readouterr().out.startswith("no asset pack: hair, brows and lashes are")
    (tmp_path / "usual.zip").touch()
    assert opened() == tmp_path / "usual.zip"
    assert capsys.readouterr().out == ""
    assert opened("--no-assets") is None
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_fringe_is_cut_before_the_eyes_and_nowhere_else() -> None:
    """A corner in front of the eyes is enough; above, beside and behind hair stays."""
    from miniature.world.body import hangs_before_the_face

    corners = np.array(
        [[0.3, 7.3, 1.2], [0.3, 7.9, 1.2], [0.9, 7.3, 1.2], [0.3, 7.3, -0.5]]
    )  # before an eye, on the forehead, beside the cheek, in the neck
    alone = np.repeat(corners[:, None], 3, 1)
    assert hangs_before_the_face(alone, 7.6, 0.7).tolist() == [True, False, False, False]
    crossing = np.stack([corners[1], corners[1], corners[0]])[None]
    assert hangs_before_the_face(crossing, 7.6, 0.7).tolist() == [True]
