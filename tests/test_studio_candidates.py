"""Several people of one description in the studio: found beside the story, one of them taken and given back."""

import json

import pytest
from PIL import Image

from identitystory.runs import files
from identitystory.runs.characters import library
from identitystory.runs.request import recorded
from identitystory.studio.worker import Worker
from tests.studio_desk import TEXT, desk, shared, studio, workshop  # noqa: F401  (fixtures)
from tests.test_studio_attacks import refused


@pytest.fixture(autouse=True)
def own_library(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def once(shared):  # noqa: F811
    """A painted story, and the same when three candidates for Mara were found."""
    story = shared.painted(shared.new())
    asked = {"revision": story["revision"], "name": "Mara", "count": 3}
    cost = shared.post(f"{shared.path(story)}/candidates/cost", asked)
    job = shared.post(f"{shared.path(story)}/candidates", asked, 202)
    return story, cost, job, shared.worked(story)


def mara(story):
    return story["characters"][0]


def taken(desk, story, number, name="Mara"):  # noqa: F811
    asked = {"revision": story["revision"], "name": name, "number": number}
    desk.post(f"{desk.path(story)}/take", asked, 202)
    return desk.worked(story)


def test_candidates_are_found_beside_the_story_which_stays_as_it_is(shared, once):  # noqa: F811
    story, cost, job, found = once
    assert (job["kind"], job["what"], job["person"]) == (
        "candidates",
        "3 candidates for Mara",
        "Mara",
    )
    assert found["frames"] == story["frames"]
    assert {**mara(found), "candidates": []} == mara(story)
    assert [each["number"] for each in mara(found)["candidates"]] == [1, 2, 3]
    keys = [key for each in mara(found)["candidates"] for key in each["pictures"]]
    assert len(set(keys)) == 6  # each in two scenes
    for key in keys:
        answer = shared.client.get(f"{shared.path(story)}/pictures/{key}?width=320")
        assert (answer.status_code, answer.content[8:12]) == (200, b"WEBP")
    run = shared.root / "stories" / story["id"] / "run"
    assert (run / "casting/Mara.png").is_file()
    [done] = [each for each in shared.get("/api/queue")["jobs"] if each["id"] == job["id"]]
    assert done["state"] == "done"
    again = {"revision": story["revision"], "name": "Mara", "count": 3}
    log = (run / "casting/events.jsonl").read_text().splitlines()
    begun = [event for line in log if (event := json.loads(line))["event"] == "Started"]
    searched, painted = (each["evaluations"] for each in begun)
    assert cost["calls"] == searched // 3 + painted > 0  # all three share one search
    assert shared.post(f"{shared.path(story)}/candidates/cost", again)["calls"] == 0


def test_one_is_taken_as_the_command_line_takes_them_kept_and_given_back(shared, once):  # noqa: F811
    story = once[3]
    run = shared.root / "stories" / story["id"] / "run"
    now = taken(shared, story, 2)
    assert (mara(now)["candidate"], mara(now)["state"]) == (2, "current")
    assert mara(now)["portraits"] != mara(story)["portraits"]
    assert recorded(run).story.character("Mara").candidate == 2
    assert (run / "cast/Mara.character").is_file()
    assert now["text"] == story["text"]
    assert [f["state"] for f in now["frames"]] == ["stale", "stale", "current"]
    assert mara(now)["description"] == mara(story)["description"]  # the words are the writer's

    kept = {"revision": now["revision"], "name": "Mara", "called": "Second"}
    shared.post(f"{shared.path(now)}/keep", kept, 202)
    shared.worked(now)
    person = library.read("Second")
    assert person.content == (run / "cast/Mara.character").read_bytes()

    asked = {"revision": now["revision"], "name": "Mara", "seed": 9}
    shared.post(f"{shared.path(now)}/find", asked, 202)
    seeds = [take["seed"] for take in mara(shared.worked(now))["takes"]]
    assert seeds == [0, 9]

    back = taken(shared, now, 0)
    assert mara(back)["candidate"] == 0
    assert mara(back)["portraits"] == mara(story)["portraits"]
    assert [f["state"] for f in back["frames"]] == ["current"] * 3


def test_somebody_elses_candidates_leave_the_first_ones_to_be_taken(shared, once):  # noqa: F811
    story = once[3]
    asked = {"revision": story["revision"], "name": "Tom", "count": 1}
    shared.post(f"{shared.path(story)}/candidates", asked, 202)
    now = shared.worked(story)
    assert [len(c["candidates"]) for c in now["characters"]] == [3, 1]
    now = taken(shared, now, 3)
    assert [c["candidate"] for c in now["characters"]] == [3, 0]
    assert all(job["state"] == "done" for job in shared.get("/api/queue")["jobs"][:2])
    edits = [{"do": "character", "name": "Mara", "set": {"description": "a tall woman"}}]
    other = shared.post(f"{shared.path(now)}/edit", {"revision": now["revision"], "edits": edits})
    assert (mara(other)["candidate"], mara(other)["candidates"]) == (0, [])


@pytest.mark.parametrize(
    "facts",
    [{}, {"characters": []}, {"characters": "x"}, {"characters": [{"sought": 3}]},
     {"characters": [{"sought": ["Mara", "a woman with dark curly hair"], "name": "M"}], "scene": 1}],
)  # fmt: skip
def test_a_picture_that_says_nonsense_is_nobodys_candidate(shared, once, facts):  # noqa: F811
    story = once[3]
    before = mara(shared.get(shared.path(story)))["candidates"]
    root = shared.root / "stories" / story["id"] / "run/casting"
    files.write_png(
        root / "frames/099.png", Image.new("RGB", (8, 8)), {"key": "a" * 64, **facts}, root
    )
    assert mara(shared.get(shared.path(story)))["candidates"] == before


def test_what_cannot_be_is_said_and_puts_nothing_into_the_queue(desk):  # noqa: F811
    story = desk.new()
    path = desk.path(story)
    ask = lambda verb, **more: desk.client.post(
        f"{path}/{verb}", json={"revision": story["revision"], "name": "Mara", **more}
    )
    for verb, more in (("candidates", {}), ("candidates/cost", {}), ("take", {"number": 1})):
        refused(ask(verb, **more, revision="0" * 16), 409)
    assert "find several people first" in refused(ask("take", number=1), 400)
    for count in (0, 25, "6", 2.5):
        refused(ask("candidates", count=count), 422)
    refused(ask("take", number=-1), 422)
    refused(ask("take", number=1, kin="../../etc"), 422)
    assert not [j for j in desk.get("/api/queue")["jobs"] if j["state"] == "pending"]
    story = desk.painted(story)
    assert "no candidate 1 of 'Mara'" in refused(ask("take", number=1), 400)
    assert "find several people first" in refused(ask("take", number=1, kin="0" * 12), 400)
    assert "has no face" in refused(ask("candidates", name="Zoe"), 400)


@pytest.mark.journey
def test_what_a_worker_left_behind_the_next_one_goes_on_with(tmp_path):
    made = workshop()
    here = studio(tmp_path, made)
    story = here.painted(here.new())
    path, queue = here.path(story), here.worker.queue
    asked = {"revision": story["revision"], "name": "Mara", "count": 2}
    job = here.post(f"{path}/candidates", asked, 202)["id"]
    frames = tmp_path / "stories" / story["id"] / "run/casting/frames"
    Worker(tmp_path, "cpu", made.service, lambda: not (frames / "002.png").is_file()).one()
    assert queue.job(job).state == "running"  # as of a worker that was killed
    [first] = mara(here.get(path))["candidates"]
    before = (frames / "001.png").stat().st_mtime_ns
    queue.recover("cpu")
    people = mara(here.worked(story))["candidates"]
    assert queue.job(job).state == "done"
    assert [len(each["pictures"]) for each in people] == [2, 2]
    assert people[0] == first
    assert (frames / "001.png").stat().st_mtime_ns == before  # what is finished is not made twice


def test_several_are_found_and_taken_before_anybody_was_found(tmp_path):
    made = workshop()
    here = studio(tmp_path, made)
    story = here.new()
    path, run = here.path(story), tmp_path / "stories" / story["id"] / "run"
    asked = {"revision": story["revision"], "name": "Mara", "count": 2}
    cost = here.post(f"{path}/candidates/cost", asked)["calls"]
    here.post(f"{path}/candidates", asked, 202)
    found = here.worked(story)
    log = (run / "casting/events.jsonl").read_text().splitlines()
    begun = [event for line in log if (event := json.loads(line))["event"] == "Started"]
    assert cost == begun[0]["evaluations"] // 2 + begun[1]["evaluations"] > 0
    assert [each["number"] for each in mara(found)["candidates"]] == [1, 2]
    assert [(c["state"], c["candidate"]) for c in found["characters"]] == [("empty", 0)] * 2
    assert [f["state"] for f in found["frames"]] == ["empty"] * 3
    assert not (run / "run.json").exists()

    before = made.steps["identity"]
    now = taken(here, found, 2)
    assert (
        made.steps["identity"] == before + 10
    )  # the one portrait, once more: Tom is not looked for
    assert [(c["state"], c["candidate"]) for c in now["characters"]] == [
        ("current", 2),
        ("empty", 0),
    ]
    assert [c["chosen"] for c in mara(now)["candidates"]] == [False, True]
    before = made.steps["identity"]
    back = taken(here, now, 0)
    assert made.steps["identity"] == before  # in the portraits that all of them share
    assert (mara(back)["candidate"], mara(back)["state"]) == (0, "current")
    done = here.painted(taken(here, back, 1))
    assert [f["state"] for f in done["frames"]] == ["current"] * 3
    assert mara(done)["candidate"] == 1


def test_the_one_face_is_found_in_the_portraits_of_several(tmp_path):
    made = workshop()
    here = studio(tmp_path, made)
    story = here.new(TEXT.partition("# the first")[0] + '[[scene]]\nprompt = "{Mara} reads"\n')
    asked = {"revision": story["revision"], "name": "Mara", "count": 1}
    here.post(f"{here.path(story)}/candidates", asked, 202)
    here.worked(story)
    before = made.steps["identity"]
    cost = here.post(f"{here.path(story)}/cost", {"revision": story["revision"], "only": [0]})
    done = here.painted(story, only=[0])
    assert mara(done)["state"] == "current"
    steps = made.steps["identity"] - before
    assert steps < 160  # no portrait anew, of 16 of 10 steps
    assert cost["characters"] == ["Mara"]


def test_several_are_found_of_other_words_than_somebody_was_found_in(desk):  # noqa: F811
    story = desk.painted(desk.new(), cast_only=True)
    edits = [{"do": "character", "name": "Mara", "set": {"description": "a tall woman"}}]
    asked = {"revision": story["revision"], "edits": edits}
    story = desk.post(f"{desk.path(story)}/edit", asked)
    assert mara(story)["state"] == "stale"
    asked = {"revision": story["revision"], "name": "Mara", "count": 2}
    desk.post(f"{desk.path(story)}/candidates", asked, 202)
    now = taken(desk, desk.worked(story), 2)
    assert (mara(now)["candidate"], mara(now)["state"]) == (2, "current")
