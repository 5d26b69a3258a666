"""What the studio says of pictures and texts beside their states: advice, checks, expectations."""

import json
from dataclasses import replace

import pytest

from identitystory.errors import PromptError
from identitystory.runs.folder import RunFolder
from identitystory.runs.looked import read_looked
from identitystory.runs.service import Service
from tests.studio_desk import TEXT, desk, shared, studio, workshop  # noqa: F401  (fixtures)
from tests.test_studio_attacks import refused
from tests.workshop import FACTS

WIDE = replace(FACTS, size=(256, 256), multiple=32, sizes=((256, 256), (384, 256)))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A studio whose model was made for wide pictures, too."""
    made = workshop()
    made.service = Service(load=made.service.load, describe=lambda *_: WIDE)
    return studio(tmp_path_factory.mktemp("wide"), made)


def test_the_studio_warns_of_all_that_the_command_line_warns_of(wide):
    text = TEXT.replace("{Mara} reads", "{Mara} reads with no hat").replace(
        'title = "The pier"', 'title = "The pier"\nsize = "320x320"'
    )
    story = wide.new(text)
    entry = wide.worker.library.entry(story["id"])
    said = wide.worker.service.outlook(entry.request("cpu")).warnings
    assert any("people stand side by side" in line for line in said)
    assert any("was not made for pictures of" in line for line in said)
    assert any("no hat" in line for line in said)
    assert story["advice"] == [*said]
    assert wide.post("/api/check", {"text": text, "story": story["id"]})["advice"] == [*said]
    assert wide.post("/api/check", {"text": text})["advice"] == [*said[1:]]  # of no settings
    refused(wide.client.post("/api/check", json={"text": text, "story": "0" * 12}), 404)
    refused(wide.client.post("/api/check", json={"text": text, "story": "../x"}), 422)


def test_a_prompt_that_painting_would_refuse_is_told_as_it_is_typed(tmp_path):
    def check(prompts):
        if any("pier" in prompt for prompt in prompts):
            raise PromptError("the prompt has 999 tokens")

    made = workshop()
    made.service = Service(
        load=made.service.load, describe=lambda *_: replace(WIDE, check_prompts=check)
    )
    told = studio(tmp_path, made).post("/api/check", {"text": TEXT})
    assert told["problem"] is None
    assert told["advice"][0] == "the prompt has 999 tokens"


def test_a_check_is_a_job_that_paints_nothing_and_says_what_the_command_says(shared):  # noqa: F811
    story = shared.painted(shared.new())
    path, run = shared.path(story), shared.root / "stories" / story["id"] / "run"
    pictures = {p: p.read_bytes() for p in (run / "frames").glob("*.png")}
    job = shared.post(f"{path}/check", {"revision": story["revision"]}, 202)
    assert (job["kind"], job["person"]) == ("check", "")
    told = shared.worked(story)
    assert {p: p.read_bytes() for p in (run / "frames").glob("*.png")} == pictures
    assert [frame["state"] for frame in told["frames"]] == ["current"] * 3
    found = read_looked(RunFolder(run)).frames
    assert sorted(found) == sorted(frame["picture"] for frame in told["frames"])
    for frame in told["frames"]:
        assert frame["check"]["suspicion"] == round(found[frame["picture"]].suspicion, 3)
        assert list(frame["check"]["marks"]) == frame["cast"]
    assert shared.worker.queue.job(job["id"]).state == "done"


def test_there_must_be_something_to_check(desk):  # noqa: F811
    story = desk.new()
    asked = {"revision": story["revision"]}
    told = desk.client.post(f"{desk.path(story)}/check", json=asked)
    assert "nothing is painted yet" in refused(told, 400)
    refused(desk.client.post(f"{desk.path(story)}/check", json={"revision": "x"}), 409)


def test_what_a_picture_was_held_against_is_told_as_long_as_the_scene_says_so(shared):  # noqa: F811
    expects = 'expect = ["at night", "two people"]\n'
    story = shared.painted(shared.new(TEXT.replace('reads"\n', f'reads"\n{expects}')))
    run = shared.root / "stories" / story["id"] / "run"
    record = json.loads((run / "run.json").read_text())
    night = {"line": "at night", "holds": False, "read": "hour day"}
    two = {"line": "two people", "holds": True, "read": ""}
    record["parts"]["frames/001"] |= {"expected": [night, two], "people": 3}
    (run / "run.json").write_text(json.dumps(record))
    told = shared.get(shared.path(story))["frames"]
    assert (told[0]["expected"], told[0]["people"]) == ([night, two], 3)
    assert (told[1]["expected"], told[1]["people"]) == ([], None)
    other = story["text"].replace('"at night", ', "")
    now = shared.put(f"{shared.path(story)}/text", {"text": other, "revision": story["revision"]})
    assert now["frames"][0]["state"] == "current"
    assert now["frames"][0]["expected"] == [two]
