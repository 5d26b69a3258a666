"""Relatives of the user's library in the studio: found like several people, taken and given back like these."""

import json

import pytest
import torch
from PIL import Image

from identitystory.runs import files
from identitystory.runs.characters import library
from identitystory.runs.folder import RunFolder, read_identity
from identitystory.runs.request import recorded
from identitystory.studio.worker import Worker
from tests.characters import person
from tests.studio_desk import studio, workshop
from tests.test_studio_attacks import refused
from tests.test_studio_cast import brought, photos

TEXT = """title = "Home"

[[character]]
name = "Ida"
description = "a girl"

[[character]]
name = "Mara"
description = "a woman with dark curly hair"

[[character]]
name = "Tom"
description = "an old man with a beard"

[[scene]]
prompt = "{Ida} reads"
"""


@pytest.fixture(autouse=True)
def own_library(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A studio in whose library are Ann, who is Mara, and Ben, who is Tom; their files, and the story."""
    root = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(root / "data"))
        here = studio(root, workshop())
        story = here.painted(here.new(TEXT), cast_only=True)
        for name, called in (("Mara", "Ann"), ("Tom", "Ben")):
            asked = {"revision": story["revision"], "name": name, "called": called}
            here.post(f"{here.path(story)}/keep", asked, 202)
            here.worked(story)
        return here, {name: library.read(name) for name in ("Ann", "Ben")}


@pytest.fixture
def here(family):
    """That studio, with its library in its place and a new story of the three."""
    studio_, people = family
    for name, one in people.items():
        library.add(one, name)
    return studio_


def ida(story):
    return story["characters"][0]


def ask(here, story, verb="candidates", status=202, name="Ida", **more):
    asked = {"revision": story["revision"], "name": name, **more}
    return here.post(f"{here.path(story)}/{verb}", asked, status)


def found(here, story, **more):
    ask(here, story, **more)
    return here.worked(story)


def run_of(here, story):
    return here.root / "stories" / story["id"] / "run"


def cosines(here, story, face):
    """Of each candidate's face with this one, in order."""
    folder = RunFolder(run_of(here, story) / "casting")
    cast = recorded(folder.root).story.characters
    return [
        float(torch.cosine_similarity(read_identity(folder.identity(c.name)).embedding, face, 0))
        for c in cast
    ]


def test_relatives_are_found_beside_the_others_and_the_likest_is_the_first(here, family):
    story = here.new(TEXT)
    several = found(here, story, count=2)
    cost = ask(here, story, "candidates/cost", 200, count=3, like=["Ann", "Ben"], **{"as": "child"})
    job = ask(here, story, count=3, like=["Ann", "Ben"], **{"as": "child"})
    assert (job["what"], job["person"]) == ("3 candidates for Ida, like Ann and Ben", "Ida")
    now = here.worked(story)
    log = (run_of(here, story) / "casting/events.jsonl").read_text().splitlines()
    begun = [event for line in log if (event := json.loads(line))["event"] == "Started"]
    assert (
        cost["calls"] == begun[-1]["evaluations"] > 0
    )  # their portraits are there: it is the same girl

    children, others = ida(now)["candidates"][:3], ida(now)["candidates"][3:]
    assert [each["number"] for each in children] == [1, 2, 3]
    assert {(each["relation"], *each["like"]) for each in children} in (
        {("child", "Ann", "Ben")}, {("child", "Ben", "Ann")})  # fmt: skip
    assert others == ida(several)["candidates"]  # and nobody who was found is lost
    assert {each["kin"] for each in others} == {""}
    assert {len(each["pictures"]) for each in children} == {2}
    both = torch.stack([p.vectors(next(iter(p.told.embeddings)))[1] for p in family[1].values()])
    face = torch.nn.functional.normalize(both, dim=1).mean(dim=0)
    alike = cosines(here, story, face)
    assert alike == sorted(alike, reverse=True)
    again = ask(
        here, story, "candidates/cost", 200, count=3, like=["Ben", "Ann"], **{"as": "child"}
    )
    assert again["calls"] == 0


def test_one_is_taken_marked_and_given_back_and_no_other_of_that_number_is(here):
    story = found(here, here.new(TEXT), count=2)
    story = found(here, story, count=2, like=["Ann"], **{"as": "older 20"})
    mark = lambda: [c["chosen"] for c in ida(here.get(here.path(story)))["candidates"]]
    kin = ida(story)["candidates"][0]["kin"]
    assert [c["relation"] for c in ida(story)["candidates"]] == ["older=20"] * 2 + [""] * 2
    for group, marked in ((kin, [False, True, False, False]), ("", [False, False, False, True])):
        ask(here, story, "take", number=2, kin=group)
        now = here.worked(story)
        assert (ida(now)["candidate"], ida(now)["state"]) == (2, "current")
        assert mark() == marked
    chosen = recorded(run_of(here, story)).story.character("Ida")
    assert (chosen.like, chosen.kin, chosen.sought) == ((), (), ("Ida", "a girl"))
    ask(here, story, "take", number=0)
    assert ida(here.worked(story))["candidate"] == 0
    assert not any(mark())


def test_one_is_taken_when_whom_they_are_like_is_gone_and_others_were_looked_for(here):
    story = found(here, here.new(TEXT), count=2, like=["Ann"], **{"as": "sibling"})
    first = ida(story)["candidates"]
    story = found(here, story, count=2)
    story = found(here, story, name="Tom", count=1)
    library.remove("Ann")
    now = here.get(here.path(story))
    assert [c["like"] for c in ida(now)["candidates"]] == [[], [], [""], [""]]
    ask(here, story, "take", number=2, kin=first[1]["kin"])
    now = here.worked(story)
    assert here.get("/api/queue")["jobs"][0]["state"] == "done"
    assert [c["chosen"] for c in ida(now)["candidates"]] == [False, False, False, True]
    assert recorded(run_of(here, story)).story.character("Ida").kin[1] == "sibling"


def test_the_words_of_a_relative_may_be_others_than_the_storys(here):
    story = found(here, here.new(TEXT), count=1, like=["Ann"], **{"as": "child"})
    folder = run_of(here, story) / "casting"
    facts = dict(files.read_png_facts(folder / "frames/001.png", folder))
    (who,) = facts["characters"]
    words = "a girl with red hair"
    other = who | {
        "description": words,
        "sought": ["Ida", words],
        "kin": ["a girl", "parent", *who["like"]],
    }
    picture = Image.new("RGB", (8, 8))
    files.write_png(
        folder / "frames/009.png", picture, facts | {"key": "a" * 64, "characters": [other]}, folder
    )
    now = ida(here.get(here.path(story)))["candidates"]
    assert [(c["relation"], c["description"]) for c in now] == [
        ("parent", words),
        ("child", "a girl"),
    ]
    for broken in (["a girl", "parent"], ["a boy", "parent", *who["like"]], ["a girl", "cousin", *who["like"]],
                   ["a girl", "parent", "x"], "x", 3, []):  # fmt: skip
        told = facts | {"key": "b" * 64, "characters": [other | {"kin": broken}]}
        files.write_png(folder / "frames/010.png", picture, told, folder)
        assert ida(here.get(here.path(story)))["candidates"] == now, broken


NOT = [
    ({"like": ["Ann"]}, 400, "give both"),
    ({"as": "child"}, 400, "give both"),
    ({"like": ["Ann"], "as": "cousin"}, 400, "no relation; there are 'sibling'"),
    ({"like": ["Ann"], "as": "older=91"}, 400, "a number from 1 to 90"),
    ({"like": ["Ann"], "as": "older"}, 400, "by how many years"),
    ({"like": ["Ann", "Ben"], "as": "older=9"}, 400, "one person at another age"),
    ({"like": ["Ann", "Ann"], "as": "child"}, 400, "one face twice"),
    ({"like": ["Zoe"], "as": "child"}, 400, "nobody in the library is called 'Zoe'"),
    ({"like": ["../Ann.character"], "as": "child"}, 400, "nobody in the library"),
    ({"like": ["photo"], "as": "child"}, 400, "of photos; relatives are found of invented faces"),
    ({"like": ["stranger"], "as": "child"}, 400, "found by another model"),
    ({"like": ["Ann", "Ben", "photo"], "as": "child"}, 422, "like"),
    ({"like": "Ann", "as": "child"}, 422, "like"),
    ({"like": [""], "as": "child"}, 422, "like"),
    ({"like": ["Ann"], "as": "x" * 41}, 422, "as"),
    ({"like": ["Ann"], "as_": "child"}, 422, "as_"),
]


@pytest.mark.parametrize(("more", "status", "why"), NOT)
def test_what_cannot_be_is_one_line_and_puts_nothing_into_the_queue(here, more, status, why):
    brought(here, photos().content, "photo")
    brought(here, person().content, "stranger")
    story = here.new(TEXT)
    for verb in ("candidates", "candidates/cost"):
        asked = {"revision": story["revision"], "name": "Ida", "count": 2, **more}
        answer = here.client.post(f"{here.path(story)}/{verb}", json=asked)
        assert why in refused(answer, status)
    assert not [j for j in here.get("/api/queue")["jobs"] if j["state"] == "pending"]


def test_a_job_that_was_cut_off_goes_on_although_they_were_renamed_and_says_who_is_gone(
    here, family
):
    story = here.new(TEXT)
    job = ask(here, story, count=2, like=["Ann"], **{"as": "sibling"})["id"]
    frames, queue = run_of(here, story) / "casting/frames", here.worker.queue
    service = here.worker.service
    Worker(here.root, "cpu", service, lambda: not (frames / "002.png").is_file()).one()
    assert queue.job(job).state == "running"  # as of a worker that was killed
    before = (frames / "001.png").stat().st_mtime_ns
    library.rename("Ann", "Nora")
    queue.recover("cpu")
    people = ida(here.worked(story))["candidates"]
    assert queue.job(job).state == "done"
    assert [(c["like"], len(c["pictures"])) for c in people] == [(["Nora"], 2)] * 2
    assert (frames / "001.png").stat().st_mtime_ns == before  # what is finished is not made twice
    ask(here, story, count=3, like=["Nora"], **{"as": "sibling"})
    library.remove("Nora")
    here.worked(story)
    assert "not in your library any more" in here.get("/api/queue")["jobs"][0]["message"]
