"""Faces that a run found and that are not its characters' now: kept, found again, thrown away."""

from dataclasses import replace

import pytest
import torch

from identitystory.errors import ConfigError, StoryError
from identitystory.runs import faces, takes
from identitystory.runs.events import Finished
from identitystory.runs.folder import RunFolder, read_identity
from identitystory.runs.request import recorded
from identitystory.runs.strip import told_of
from identitystory.story.file import make_story
from identitystory.types import plain
from tests.test_service import STEPS, contents, kinds, request_, workshop  # noqa: F401


def seeded(request, name, seed):
    """The request with another seed of the search for ``name``."""
    people = [replace(c, seed=seed) if c.name == name else c for c in request.story.characters]
    return replace(request, story=replace(request.story, characters=tuple(people)))


def test_another_seed_finds_another_face_and_the_first_comes_back_for_nothing(workshop, request_):  # noqa: F811
    workshop.run(request_)
    before = contents(request_.out)
    told = workshop.service.outlook(seeded(request_, "Mara", 7))
    assert [fate.part for fate in told.parts if fate.paints] == [
        "cast/Mara", "frames/001", "frames/002"
    ]  # fmt: skip
    workshop.run(seeded(request_, "Mara", 7))
    other = contents(request_.out)
    assert recorded(request_.out).story.character("Mara").seed == 7
    assert other["cast/Mara.safetensors"] != before["cast/Mara.safetensors"]
    assert other["cast/Tom.safetensors"] == before["cast/Tom.safetensors"]
    kept = [name for name in other if name.startswith("cast/takes/")]
    assert {other[name] for name in kept} == {
        before[f"cast/Mara.{end}"] for end in ("png", "safetensors")
    }
    assert workshop.service.outlook(request_).calls == 0
    workshop.steps = 0
    events = workshop.run(request_)
    assert (workshop.steps, kinds(events, Finished)[0].evaluations) == (0, 0)
    now = contents(request_.out)
    assert {k: v for k, v in now.items() if "/takes/" not in k} == before


def test_the_seed_of_a_person_is_the_seed_of_a_run_for_that_person(workshop, request_, tmp_path):  # noqa: F811
    workshop.run(replace(request_, seed=7, paint=False))
    alone = replace(seeded(request_, "Mara", 7), out=tmp_path / "alone", paint=False)
    workshop.run(alone)
    for name, same in (("Mara", True), ("Tom", False)):
        runs = (RunFolder(out).identity(name) for out in (request_.out, alone.out))
        first, second = (read_identity(file).embedding for file in runs)
        assert torch.equal(first, second) == same


def test_kept_faces_are_pruned_and_the_one_in_use_is_not(workshop, request_):  # noqa: F811
    only_faces = replace(request_, paint=False)
    for seed in (0, 7, 8):
        workshop.run(seeded(only_faces, "Mara", seed))
    folder = RunFolder(request_.out)
    assert len(list(folder.face_takes.glob("*.png"))) == 2
    count, freed = takes.prune(request_.out, keep=1)
    assert (count, freed > 0, len(list(folder.face_takes.iterdir()))) == (1, True, 2)
    assert takes.prune(request_.out)[0] == 1
    workshop.steps = 0
    workshop.run(seeded(only_faces, "Mara", 8))
    assert workshop.steps == 0
    workshop.run(only_faces)
    assert workshop.steps == 2 * STEPS  # of two chunks: the first face is searched for anew


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"seed": 0}, "a whole number from 1 to 9007199254740991"),
        ({"seed": 1.5}, "a whole number from 1"),
        ({"seed": True}, "a whole number from 1"),
        ({"seed": 2**53}, "a whole number from 1"),
        ({"seed": 7, "identity": False}, "take 'seed' out"),
        ({"seed": 7, "cast": "mara"}, "take 'seed' out"),
    ],
)
def test_a_seed_that_is_none_is_one_line(more, said):
    who = {"name": "Mara", "description": "a young woman"} | more
    with pytest.raises(StoryError, match=said):
        make_story({"character": [who], "scene": [{"prompt": "{Mara}"}]}, source="a.toml")


def test_a_seed_of_a_crafted_record_is_bounded(workshop, request_):  # noqa: F811
    with pytest.raises(ConfigError, match="the seed is"):
        workshop.run(seeded(request_, "Mara", 2**63))


def test_without_metadata_a_face_is_kept_all_the_same(workshop, request_):  # noqa: F811
    quiet = replace(request_, metadata=False, paint=False)
    workshop.run(quiet)
    workshop.run(seeded(quiet, "Mara", 7))
    workshop.steps = 0
    workshop.run(quiet)
    assert workshop.steps == 0


@pytest.mark.parametrize(("face", "kept"), [("", True), ("f" * 64, False)])
def test_a_file_without_metadata_knows_its_search_and_no_word(request_, face, kept):  # noqa: F811
    who = replace(request_.story.characters[0], face=face)
    facts = {"key": "k", "part": "identity", "character": plain(who)}
    bare = told_of(replace(request_, metadata=False), lambda: facts)
    assert set(bare) == {"key", "part", *(["search"] if kept else [])}
    assert faces.search(bare) == faces.search(facts)
    other = {"character": plain(replace(who, seed=3))}
    assert (faces.search(facts) != faces.search(other)) is kept
