"""Runs that version 0.8 made (tests/data/golden) are read, kept and made again by today's code.

ConsiStory's was made again with its recipe 3, which gives other pictures."""

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
from identitystory.protocols import ModelFacts
from identitystory.runs.events import Finished
from identitystory.runs.options import new_request
from identitystory.runs.request import recorded
from identitystory.runs.service import Service
from identitystory.story.file import load_story

GOLDEN = Path(__file__).parent / "data" / "golden"


@pytest.fixture(params=["ours", "consistory"])
def old(request, tmp_path):
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "run"))


def recorded_model(run):
    facts = json.loads((run / "run.json").read_text())["model"]
    return ModelFacts(facts["fingerprint"], facts["device"], facts["dtype"])


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


def test_an_old_run_is_kept_whole(old):
    """The keys of all parts are still what they were: not one picture is painted again."""
    before = pictures(old)
    service = Service(load=unopened, describe=lambda *_: recorded_model(old))
    last = finished(service, new_request(load_story(str(GOLDEN / "story.toml")), old))
    frames = {f"frames/00{n}" for n in (1, 2, 3)}
    assert last.made == ()
    assert {part for part in last.kept if part.startswith("frames/")} == frames
    assert pictures(old) == counted_from_1(before)


def same_checkpoint(run):
    if describe_model("miniature", "cpu", "float32").fingerprint != recorded_model(run).fingerprint:
        pytest.skip("the shipped miniature is another than the one that painted the golden runs")


def alike(one, other):
    """Equal but for the last bits that another processor's float32 may round otherwise."""
    a, b = (np.asarray(Image.open(p).convert("RGB"), dtype=np.int16) for p in (one, other))
    return np.abs(a - b).mean() < 0.25


def test_what_an_old_run_lost_is_painted_again_as_it_was(old):
    same_checkpoint(old)
    lost = old / "frames" / "001.png"
    whole = shutil.move(lost, old / "whole.png")
    request = new_request(load_story(str(GOLDEN / "story.toml")), old)
    assert finished(Service(), replace(request, device="cpu")).made == ("frames/002",)
    assert alike(old / "frames" / "002.png", whole)


def test_an_old_run_is_evaluated_as_it_lies(old):
    """Its numbers are read off run.json: no picture is missed, and none is another scene's."""
    seen = read_run(old).pictures
    assert [picture.file.name for picture in seen] == ["000.png", "001.png", "002.png"]
    assert [p.prompt for p in seen] == [s.prompt for s in recorded(old).story.scenes]
