"""The little people's words. What needs the renderer is marked ``workshop``."""

from __future__ import annotations

import numpy as np
import pytest

from miniature.text import random_facts
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
    from miniature.data import draw_alone

    first, again, other = (
        world.render(*draw_alone(world.body, 3, index, 0)).image for index in (5, 5, 6)
    )
    assert (first == again).all()
    assert (first != other).any()


PAIRS = dict(seed=3, people=100, of=500)


@pytest.mark.workshop
def test_pairs_are_of_the_people_of_the_set_and_held_out_together(world) -> None:
    """Known pairs of known people, the last ones of held-out people, changing places."""
    from miniature.data import HELD_OUT_PAIRS, HELD_OUT_PEOPLE, draw_alone, draw_together

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
    from miniature.data import draw_together

    heights = []
    for index in range(12):
        picture = world.render(*draw_together(world.body, PAIRS, index, 0))
        heights += [y / len(picture.image) for _, y in picture.eyes]
    assert min(heights) > 0.1
    assert max(heights) < 0.75


@pytest.mark.workshop
def test_masks_say_who_is_where(world) -> None:
    """Of two people the first is left, and each one's eyes lie inside the own mask."""
    from miniature.data import draw_together

    cast, view = draw_together(world.body, PAIRS, 5, 0)
    picture = world.render(cast, view)
    who = picture.mask[..., 0]
    assert set(np.unique(who)) == {0, 1, 2}
    left, right = (np.nonzero(who == k)[1].mean() for k in (1, 2))
    assert left < right
    for k, (x, y) in enumerate(picture.eyes, start=1):
        assert who[int(y), int(x)] == k


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
