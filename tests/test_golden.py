"""Finished runs (tests/data/golden) are read, kept and made again by today's code."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from identitystory.experiments.evaluate import read_run
from identitystory.models.describe import describe_model
from identitystory.protocols import Backend, ModelFacts
from identitystory.runs.events import Finished, Warned
from identitystory.runs.options import new_request
from identitystory.runs.request import recorded
from identitystory.runs.service import Service
from identitystory.story.file import load_story
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter
from tests.golden import GOLDEN, METHODS, STORY

EARLIER = "version_0_8"  # of another world, at 128 pixels; its frames are numbered from 0
FRAMES = {f"frames/00{n}" for n in (1, 2, 3)}


def copied(name, tmp_path):
    return Path(shutil.copytree(GOLDEN / name, tmp_path / "run"))


def recorded_model(run):
    facts = json.loads((run / "run.json").read_text())["model"]
    return ModelFacts(facts["fingerprint"], facts["device"], facts["dtype"])


def asked(run):
    return new_request(load_story(str(STORY)), run)


def finished(service, request):
    *_, last = service.run(request)
    assert isinstance(last, Finished)
    return last


def unopened(*_, **__):
    raise AssertionError("nothing is left to paint, so no model is opened")


def counted_from_1(pictures):
    """Version 0.8 numbered scenes from 0."""
    return {
        re.sub(r"^\d{3}", lambda n: f"{int(n[0]) + 1:03d}", name): content
        for name, content in pictures.items()
    }


def pictures(run):
    return {p.name: p.read_bytes() for p in sorted(run.glob("*/*.png"))}


@pytest.mark.parametrize("name", [*METHODS, EARLIER])
def test_an_old_run_is_kept_whole(name, tmp_path):
    """The keys of all parts are still what they were: not one picture is painted again."""
    run = copied(name, tmp_path)
    before = pictures(run)
    service = Service(load=unopened, describe=lambda *_: recorded_model(run))
    last = finished(service, asked(run))
    assert last.made == ()
    assert {part for part in last.kept if part.startswith("frames/")} == FRAMES
    assert pictures(run) == (counted_from_1(before) if name == EARLIER else before)


def test_with_another_checkpoint_a_run_is_told_of_it_and_loses_no_picture(tmp_path):
    run = copied(EARLIER, tmp_path)
    before = {p.name: p.read_bytes() for p in (run / "frames").iterdir()}
    shapes = {"num_steps": 4, "size": 64}
    fake = Backend(
        "fake", FakeGenerator(**shapes), FakeIdentityGenerator(**shapes), FakeSegmenter({})
    )
    service = Service(load=lambda *_, **__: fake, describe=lambda *_: ModelFacts("w", "cpu", "f"))
    *events, last = service.run(asked(run))
    told = [
        e.message for e in events if isinstance(e, Warned) and "another checkpoint" in e.message
    ]
    assert len(told) == 1
    assert "\n" not in told[0]
    assert set(last.made) >= FRAMES
    kept = [p.read_bytes() for p in (run / "frames" / "takes").iterdir()]
    assert sorted(kept) == sorted(before.values())


def same_checkpoint(run):
    if describe_model("miniature", "cpu", "float32").fingerprint != recorded_model(run).fingerprint:
        pytest.skip("the shipped miniature is another than the one that painted the golden runs")


def alike(one, other):
    """Equal but for the last bits that another processor's float32 may round otherwise."""
    a, b = (np.asarray(Image.open(p).convert("RGB"), dtype=np.int16) for p in (one, other))
    return np.abs(a - b).mean() < 0.25


@pytest.mark.parametrize("name", METHODS)
def test_what_an_old_run_lost_is_painted_again_as_it_was(name, tmp_path):
    run = copied(name, tmp_path)
    same_checkpoint(run)
    lost = run / "frames" / "002.png"
    whole = shutil.move(lost, run / "whole.png")
    request = replace(asked(run), device="cpu", dtype=recorded_model(run).dtype)
    assert finished(Service(), request).made == ("frames/002",)
    assert alike(lost, whole)


@pytest.mark.parametrize("name", [*METHODS, EARLIER])
def test_an_old_run_is_evaluated_as_it_lies(name, tmp_path):
    """Its numbers are read off run.json: no picture is missed, and none is another scene's."""
    run = copied(name, tmp_path)
    seen = read_run(run).pictures
    first = 0 if name == EARLIER else 1
    assert [picture.file.name for picture in seen] == [f"00{first + n}.png" for n in range(3)]
    assert [p.prompt for p in seen] == [s.prompt for s in recorded(run).story.scenes]
