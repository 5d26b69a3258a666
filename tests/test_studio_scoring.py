"""Scores of pictures: planted heads, faces and words, and files that were damaged."""

import json
from dataclasses import replace

import pytest
import torch

from identitystory.protocols import Backend
from identitystory.runs import files
from identitystory.studio import scoring
from tests.conftest import FakeIdentityGenerator, FakeSegmenter
from tests.studio_desk import PEOPLE, shared  # noqa: F401  (a fixture)
from tests.workshop import FACTS

NEAR = {"Mara": 0.8, "Tom": 0.5}


class Heads(FakeSegmenter):
    """Sees the heads of those who are named, as large as half of their box."""

    def __init__(self, *phrases):
        super().__init__(PEOPLE)
        self.seen = phrases

    def heads(self, image, phrases):
        masks = self.segment(image, self.seen).masks
        masks[:, image.height // 2 :] = False
        return masks


class Alike(FakeIdentityGenerator):
    """Embeds every head as somebody who is as `NEAR` to each face as is said there."""

    def embed(self, images):
        mara, tom = NEAR.values()
        return torch.tensor([[mara, tom, (1 - mara**2 - tom**2) ** 0.5]] * len(images))


@pytest.fixture(scope="module")
def once(shared):  # noqa: F811
    """A painted story whose faces are at right angles."""
    story = shared.painted(shared.new())
    run = shared.root / "stories" / story["id"] / "run"
    for name, face in zip(NEAR, torch.eye(3), strict=False):
        file = run / f"cast/{name}.safetensors"
        tensors, facts = files.read_tensors(file), files.read_tensor_facts(file)
        files.write_tensors(file, tensors | {"embedding": face}, facts)
    return shared, story, run


@pytest.fixture
def painted(once):
    """The same, and nothing of it is measured."""
    (once[2] / scoring.FILE).unlink(missing_ok=True)
    return once


def measure(run, *people, model=FACTS):
    parts = FakeIdentityGenerator(), Alike(), Heads(*people)
    return scoring.measure(run, model, lambda: Backend("fake", *parts))


def told(desk, story):
    return [frame["scores"] for frame in desk.get(desk.path(story))["frames"]]


def test_a_worker_measures_what_it_paints(once):
    desk, story, run = once
    assert (run / scoring.FILE).is_file()
    nothing = dict.fromkeys(("same_person", "words", "faces"))  # these fakes know no heads
    assert told(desk, story) == [nothing] * 3
    assert [take["scores"] for take in desk.get(f"{desk.path(story)}/scenes/0/takes")["takes"]] == [
        nothing
    ]


def test_the_least_of_the_faces_counts_and_heads_are_counted(painted):
    desk, story, run = painted
    assert told(desk, story) == [None] * 3
    assert measure(run, *PEOPLE) == 3
    [one, two, nobody] = told(desk, story)
    assert (one["same_person"], one["faces"]) == (0.8, 1)
    assert (two["same_person"], two["faces"]) == (0.5, 2)
    assert nobody == {"same_person": None, "words": None, "faces": None}


def test_who_has_no_head_is_not_found(painted):
    desk, story, run = painted
    measure(run, "an old man with a beard")
    assert [scores["faces"] for scores in told(desk, story)] == [0, 1, None]
    assert told(desk, story)[0]["same_person"] is None


def test_words_are_the_share_that_is_read_right(painted, monkeypatch, tmp_path):
    class Reader:
        def verdicts(self, image, prompt, people):
            return {"place": True, "hour": people == 1, "hair": True} if people else {}

    monkeypatch.setattr(scoring.attributes, "load_reader", lambda folder: Reader())
    desk, story, run = painted
    measure(run, model=replace(FACTS, folder=tmp_path))
    assert [scores["words"] for scores in told(desk, story)] == [1.0, 0.667, None]


def test_each_picture_is_measured_once_and_only_by_its_own_model(painted):
    _, _, run = painted
    assert measure(run, model=replace(FACTS, fingerprint="another")) == 0
    assert measure(run, *PEOPLE) == 3

    def opened():
        raise AssertionError("there is nothing to measure")

    assert scoring.measure(run, FACTS, opened) == 0


def test_nobody_is_compared_with_a_face_that_was_found_since(painted):
    desk, story, run = painted
    file = run / "cast/Mara.safetensors"
    tensors, facts = files.read_tensors(file), files.read_tensor_facts(file)
    files.write_tensors(file, tensors, facts | {"key": "another"})
    measure(run, *PEOPLE)
    files.write_tensors(file, tensors, facts)
    assert [scores["same_person"] for scores in told(desk, story)] == [None, 0.5, None]


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 99, "pictures": {}}', '{"format": 1, "pictures": {"k": 3}}', "\0"],
)
def test_a_damaged_file_of_scores_is_none(painted, content):
    desk, story, run = painted
    (run / scoring.FILE).write_text(content)
    assert told(desk, story) == [None] * 3
    assert measure(run, *PEOPLE) == 3
    numbers = json.loads((run / scoring.FILE).read_text())["pictures"]
    key = story["frames"][0]["picture"]
    numbers[key]["words"] = "<b>"
    (run / scoring.FILE).write_text(json.dumps({"format": 1, "pictures": numbers}))
    assert told(desk, story)[0]["words"] is None
