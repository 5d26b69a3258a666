"""The cast in the studio: the user's library, who a story takes from it, other people of the same words."""

import json
import threading
import time

import pytest

from identitystory.marks.packet import TRAINED, find
from identitystory.runs.characters import consent, library
from identitystory.runs.characters.archive import made, read
from identitystory.runs.characters.form import Consent
from tests.characters import FACTS, GOLDEN, person
from tests.studio_desk import TEXT, desk, shared, studio, workshop  # noqa: F401  (fixtures)
from tests.test_studio_attacks import refused


@pytest.fixture(autouse=True)
def own_library(tmp_path, monkeypatch):
    """A user's library that is empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/identitystory/cast"


def brought(desk, content=None, called=None, status=201):  # noqa: F811
    """The answer to a file that is handed in."""
    asked = {"called": called} if called else {}
    content = person().content if content is None else content
    answer = desk.client.post("/api/characters/import", params=asked, content=content)
    assert answer.status_code == status, answer.text
    return answer.json()


def photos(until="2100-01-01"):
    """A face that is of photos."""
    agreed = Consent(id="a" * 32, by="Ann", purpose="a story", given="2026-01-01", until=until)
    it = person()
    told = {
        key: getattr(it.told, key)
        for key in ("format", "name", "description", "noun", "made", "licence")
    }
    return made({**told, "consent": agreed}, it.portraits, {FACTS.embeds: it.vectors(FACTS.embeds)})


def test_the_library_is_listed_shown_and_handed_out(desk):  # noqa: F811
    assert desk.get("/api/characters") == {"characters": []}
    mara = brought(desk)
    assert (mara["name"], mara["portraits"], mara["usable"]) == ("Mara", 3, True)
    assert mara["looks"]["winter"] == {"wears": "a red coat", "description": ""}
    assert mara["consent"] is None
    assert desk.get("/api/characters/Mara") == mara
    assert desk.get("/api/characters")["characters"] == [mara]
    whole = desk.client.get("/api/characters/Mara/portraits/0")
    assert whole.content == person().parts["portraits/000.png"]
    small = desk.client.get("/api/characters/Mara/portraits/2?width=160")
    assert (small.headers["content-type"], small.content[8:12]) == ("image/webp", b"WEBP")
    assert TRAINED in (find(small.content) or "")
    refused(desk.client.get("/api/characters/Mara/portraits/3"), 404)
    file = desk.client.get("/api/characters/Mara/file")
    assert file.content == person().content
    assert file.headers["content-disposition"].endswith("Mara.character")


def test_somebody_is_renamed_removed_and_brought_back(desk):  # noqa: F811
    brought(desk)
    story = desk.new()
    desk.post(f"{desk.path(story)}/cast", {"revision": story["revision"], "character": "Mara"})
    desk.post("/api/characters/Mara/rename", {"to": "The baker"})
    assert library.names() == ["The_baker"]
    told = desk.get(desk.path(story))
    assert told["problem"] is None
    assert told["characters"][0]["cast"] == "The_baker"  # the story knows the new name
    assert desk.client.delete("/api/characters/The_baker").status_code == 204
    assert "nobody in the library" in desk.get(desk.path(story))["problem"]["message"]
    back = desk.post("/api/characters/The_baker/restore", {})
    assert back["sha256"] == person().sha256
    refused(desk.client.post("/api/characters/The_baker/restore", json={}), 404)
    brought(desk, called="Mara")
    taken = desk.client.post("/api/characters/Mara/rename", json={"to": "the baker"})
    assert "choose another name" in refused(taken, 400)
    assert "choose another name" in brought(desk, called="Mara", status=400)["error"]["message"]


def test_looks_are_edited_by_name(desk):  # noqa: F811
    brought(desk)
    made = desk.post("/api/characters/Mara/look", {"look": "rain", "wears": "a yellow raincoat"})
    assert made["looks"]["rain"]["wears"] == "a yellow raincoat"
    gone = desk.post("/api/characters/Mara/look", {"look": "winter"})
    assert "winter" not in gone["looks"]
    wrong = desk.client.post("/api/characters/Mara/look", json={"look": "x", "wears": "{Tom}"})
    refused(wrong, 400)
    assert desk.get("/api/characters/Mara") == gone


def test_a_story_takes_somebody_from_the_library_and_gives_them_back(desk):  # noqa: F811
    brought(desk)
    story = desk.new()
    path = f"{desk.path(story)}/cast"
    asked = {"revision": story["revision"], "character": "Mara", "name": "Tom", "look": "winter"}
    story = desk.post(path, asked)
    tom = story["characters"][1]
    assert (tom["cast"], tom["look"], tom["wears"]) == ("Mara", "winter", "a red coat")
    assert tom["description"] == person().told.description
    assert "# the first\n[[scene]]" in story["text"]
    assert story["cost"]["characters"] == ["Mara", "Tom"]  # his is embedded, at no cost
    story = desk.painted(story)
    assert [f["state"] for f in story["frames"]] == ["current", "missing", "current"]
    asked = {"revision": story["revision"], "character": None, "name": "Tom"}
    story = desk.post(path, asked)
    tom = story["characters"][1]
    assert (tom["cast"], tom["description"]) == ("", person().told.description)
    assert tom["state"] == "stale"
    told = desk.client.post(path, json=asked | {"revision": story["revision"]})
    assert "nobody who has a face of your library" in refused(told, 400)
    new = {"revision": story["revision"], "character": "Mara", "name": "Nell"}
    story = desk.post(path, new)
    assert [each["name"] for each in story["characters"]] == ["Mara", "Tom", "Nell"]
    for name, status in (("Nell", 200), ("Tom", 400), ("Zoe", 400)):
        edits = [{"do": "dismiss", "name": name}]
        asked = {"revision": desk.get(desk.path(story))["revision"], "edits": edits}
        desk.post(f"{desk.path(story)}/edit", asked, status)
    # Nell came and went without a trace, so that it is the text that was seen then.
    told = desk.client.post(path, json=new | {"character": "Zoe"})
    assert "nobody in the library is called 'Zoe'" in refused(told, 400)


def test_another_person_of_the_same_words_is_found_chosen_and_given_up_again(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path, run = desk.path(story), desk.root / "stories" / story["id"] / "run"
    before = {p: p.read_bytes() for p in run.rglob("*.*") if p.is_file()}
    mara = story["characters"][0]
    job = desk.post(f"{path}/find", {"revision": story["revision"], "name": "Mara", "seed": 9}, 202)
    assert (job["kind"], job["what"]) == ("find", "another Mara")
    found = desk.worked(story)
    assert {p: p.read_bytes() for p in before} == before  # nothing of the story was touched
    assert found["frames"] == story["frames"]
    assert [(take["seed"], take["chosen"]) for take in found["characters"][0]["takes"]] == [
        (0, True),
        (9, False),
    ]
    other = found["characters"][0]["takes"][1]
    assert (other["of"], other["portraits"] != mara["portraits"]) == (16, True)
    assert (
        desk.client.get(f"{path}/pictures/{other['portraits']}?kind=portraits").status_code == 200
    )

    edits = [{"do": "character", "name": "Mara", "set": {"seed": 9}}]
    asked = {"revision": found["revision"], "edits": edits}
    cost = desk.post(f"{path}/cost", asked)  # told before
    assert (cost["frames"], cost["characters"]) == ([0, 1], [])
    chosen = desk.post(f"{path}/edit", asked)
    assert chosen["characters"][0]["portraits"] == other["portraits"]
    assert chosen["characters"][0]["state"] == "current"
    assert [f["state"] for f in chosen["frames"]] == ["stale", "stale", "current"]
    assert chosen["frames"][0]["why"] == "Mara has another face"
    painted = desk.painted(chosen)
    assert painted["characters"][0]["portraits"] == other["portraits"]
    assert painted["frames"][0]["picture"] != story["frames"][0]["picture"]

    edits[0]["set"] = {"seed": None}
    back = desk.post(f"{path}/edit", {"revision": painted["revision"], "edits": edits})
    assert back["characters"][0]["portraits"] == mara["portraits"]
    assert back["cost"]["calls"] == 0  # the old person and their pictures were kept
    assert [f["picture"] for f in back["frames"]] == [f["picture"] for f in story["frames"]]


def test_a_found_face_is_what_the_story_itself_would_find(desk):  # noqa: F811
    text = TEXT.replace('hair"\n', 'hair"\nseed = 9\n', 1)
    direct = desk.painted(desk.new(text))["characters"][0]
    story = desk.painted(desk.new())
    asked = {"revision": story["revision"], "name": "Mara", "seed": 9}
    desk.post(f"{desk.path(story)}/find", asked, 202)
    assert desk.worked(story)["characters"][0]["takes"][1]["portraits"] == direct["portraits"]


def test_who_was_found_is_kept_in_the_library_with_the_chosen_face(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path = desk.path(story)
    asked = {"revision": story["revision"], "name": "Mara"}
    desk.post(f"{path}/find", asked | {"seed": 9}, 202)
    story = desk.worked(story)
    edits = [{"do": "character", "name": "Mara", "set": {"seed": 9}}]
    story = desk.post(f"{path}/edit", {"revision": story["revision"], "edits": edits})
    asked = {"revision": story["revision"], "name": "Mara", "called": "My Mara"}
    assert desk.post(f"{path}/keep", asked, 202)["what"] == "My Mara for your library"
    desk.worked(story)
    [kept] = desk.get("/api/characters")["characters"]
    assert (kept["name"], kept["called"]) == ("My_Mara", "Mara")
    assert (
        library.read("My_Mara").told.found.seed == 9
    )  # the chosen one, though nothing was painted
    told = desk.client.post(f"{path}/keep", json=asked)
    assert "choose another name" in refused(told, 400)


def test_what_cannot_be_found_again_is_said(desk):  # noqa: F811
    brought(desk)
    story = desk.new()
    path = desk.path(story)
    find = lambda name: desk.client.post(
        f"{path}/find", json={"revision": desk.get(path)["revision"], "name": name}
    )
    assert "find it first" in refused(find("Mara"), 400)
    assert "has no face" in refused(find("Zoe"), 400)
    asked = {"revision": story["revision"], "character": "Mara", "name": "Tom"}
    story = desk.post(f"{path}/cast", asked)
    assert "of your library already" in refused(find("Tom"), 400)


def test_a_search_that_is_cancelled_leaves_the_story_as_it_was(desk):  # noqa: F811
    story = desk.painted(desk.new())
    asked = {"revision": story["revision"], "name": "Mara", "seed": 9}
    job = desk.post(f"{desk.path(story)}/find", asked, 202)
    desk.client.post(f"/api/jobs/{job['id']}/cancel")
    assert desk.worked(story) == story


def test_a_face_whose_consent_ended_is_shown_to_nobody_and_blocks(desk, monkeypatch):  # noqa: F811
    desk.client.post("/api/characters/import", content=photos().content)
    ann = desk.get("/api/characters/Mara")
    assert (ann["usable"], ann["consent"]["by"], ann["consent"]["purpose"]) == (
        True,
        "Ann",
        "a story",
    )
    assert "id" not in ann["consent"]
    story = desk.new()
    cast = {"revision": story["revision"], "character": "Mara", "name": "Mara"}
    story = desk.painted(desk.post(f"{desk.path(story)}/cast", cast))
    assert story["characters"][0]["portraits"]
    library.withdraw("Mara")
    gone = desk.get("/api/characters/Mara")
    assert (gone["usable"], gone["portraits"]) == (False, 0)
    assert "ended on" in gone["why"]
    refused(desk.client.get("/api/characters/Mara/portraits/0"), 404)
    refused(desk.client.get("/api/characters/Mara/file"), 400)
    refused(desk.client.post("/api/characters/import?called=B", content=photos().content), 400)
    told = desk.get(desk.path(story))
    assert "consent" in told["problem"]["message"]
    assert told["characters"][0]["portraits"] is None
    paint = desk.client.post(f"{desk.path(story)}/paint", json={"revision": told["revision"]})
    assert "consent" in refused(paint, 400)
    asked = {"revision": told["revision"], "character": None, "name": "Mara"}
    assert desk.post(f"{desk.path(story)}/cast", asked)["problem"] is None  # a way out


def kept_of(desk, story, name="Mara"):  # noqa: F811
    """What the story's run keeps of the face of ``name``."""
    cast = desk.root / "stories" / story["id"] / "run/cast"
    return sorted(path.name for path in cast.glob(f"{name}*"))


def test_consent_is_withdrawn_for_good_in_every_story_and_from_undo(desk):  # noqa: F811
    for called in ("Mara", "Twin"):
        brought(desk, photos().content, called)
    stories = []
    for called in ("Mara", "Twin"):
        cast = {"revision": (story := desk.new())["revision"], "character": called, "name": "Mara"}
        stories.append(desk.painted(desk.post(f"{desk.path(story)}/cast", cast)))
    own = desk.painted(desk.new())
    aside = stories[1]
    desk.client.delete(desk.path(aside))
    assert desk.client.delete("/api/characters/Twin").status_code == 204
    pictures = [frame["picture"] for frame in stories[0]["frames"]]
    assert kept_of(desk, stories[0]) == ["Mara.png", "Mara.safetensors"]

    told = desk.post("/api/characters/Mara/withdraw", {})
    # And those that other tests put aside.
    assert {*told["stories"]} >= {story["id"] for story in stories}
    assert own["id"] not in told["stories"]
    assert (told["character"]["usable"], told["character"]["portraits"]) == (False, 0)
    assert "ended on" in told["character"]["why"]
    assert not read(library.place("Mara").read_bytes(), "it").parts
    assert kept_of(desk, stories[0]) == []
    assert not list((desk.root / "deleted" / aside["id"]).rglob("cast/Mara*"))
    assert kept_of(desk, own) == ["Mara.png", "Mara.safetensors"]  # an invented face of that name
    now = desk.get(desk.path(stories[0]))
    assert "consent" in now["problem"]["message"]
    assert [frame["picture"] for frame in now["frames"]] == pictures  # what was painted stays
    refused(desk.client.get("/api/characters/Mara/file"), 400)
    refused(desk.client.post("/api/characters/Twin/restore", json={}), 404)
    refused(desk.client.post("/api/characters/import?called=B", content=photos().content), 400)

    twice = desk.post("/api/characters/Mara/withdraw", {})
    assert twice == {"character": told["character"], "stories": []}


def test_consent_is_withdrawn_from_a_face_that_the_story_has_no_more(desk):  # noqa: F811
    brought(desk, photos().content)
    cast = {"revision": (story := desk.new())["revision"], "character": "Mara", "name": "Mara"}
    story = desk.painted(desk.post(f"{desk.path(story)}/cast", cast))
    without = {"text": TEXT.replace("Mara", "Nora"), "revision": story["revision"]}
    story = desk.painted(desk.put(f"{desk.path(story)}/text", without))
    assert [each["name"] for each in story["characters"]] == ["Nora", "Tom"]
    assert kept_of(desk, story) == ["Mara.png", "Mara.safetensors"]
    own = kept_of(desk, story, "Nora")
    assert story["id"] in desk.post("/api/characters/Mara/withdraw", {})["stories"]
    assert (kept_of(desk, story), kept_of(desk, story, "Nora")) == ([], own)


def test_only_a_face_of_photos_that_is_there_has_a_consent_to_withdraw(desk):  # noqa: F811
    brought(desk)
    refused(desk.client.post("/api/characters/Zoe/withdraw", json={}), 404)
    told = desk.client.post("/api/characters/Mara/withdraw", json={})
    assert "invented face, which needs no consent" in refused(told, 400)
    assert desk.get("/api/characters/Mara")["usable"]


def test_who_is_being_painted_when_consent_is_withdrawn_is_not_kept(tmp_path):
    made = studio(tmp_path, workshop(nap=0.01))
    brought(made, photos().content)
    cast = {"revision": (story := made.new())["revision"], "character": "Mara", "name": "Mara"}
    story = made.post(f"{made.path(story)}/cast", cast)
    job = made.post(f"{made.path(story)}/paint", {"revision": story["revision"]}, 202)
    painter = threading.Thread(target=made.worker.one)
    painter.start()
    while not kept_of(made, story):
        time.sleep(0.005)
    made.post("/api/characters/Mara/withdraw", {})
    painter.join(timeout=60)
    assert made.worker.queue.job(job["id"]).state == "cancelled"
    assert kept_of(made, story) == []


def test_what_a_painter_writes_after_the_consent_was_withdrawn_is_deleted_too(
    tmp_path, monkeypatch
):
    made = studio(tmp_path, workshop())
    brought(made, photos().content)
    cast = {"revision": (story := made.new())["revision"], "character": "Mara", "name": "Mara"}
    story = made.post(f"{made.path(story)}/cast", cast)
    folder = made.root / "stories" / story["id"] / "run/cast"

    def late(job):
        whole = {path: path.read_bytes() for path in folder.glob("Mara*")}
        made.post("/api/characters/Mara/withdraw", {})
        assert whole
        assert kept_of(made, story) == []
        for path, content in whole.items():
            path.write_bytes(content)

    monkeypatch.setattr(made.worker, "_score", late)
    made.painted(story)
    assert kept_of(made, story) == []


def test_a_consent_that_runs_out_deletes_what_is_kept(desk, monkeypatch):  # noqa: F811
    from datetime import date

    desk.client.post("/api/characters/import", content=photos("2027-01-01").content)
    monkeypatch.setattr(consent, "today", lambda: date(2027, 1, 2))
    monkeypatch.setattr(library, "today", lambda: date(2027, 1, 2))
    assert desk.get("/api/characters")["characters"][0]["portraits"] == 0
    assert not read(library.place("Mara").read_bytes(), "it").parts


# --- what a stranger may try ---


@pytest.mark.parametrize(
    "name", ["..", "..%2f..%2fqueue.sqlite", "%2e%2e", "Mara.character", "/etc/passwd", "a" * 151,
             "Mara%00", "mara", "Mara%0a", "C:%5cwindows"],
)  # fmt: skip
def test_a_name_is_no_path(desk, own_library, name):  # noqa: F811
    brought(desk)
    secret = own_library.parent / "secret.character"
    secret.write_bytes(person(1).content)
    for rest in ("", "/portraits/0", "/file"):
        refused(desk.client.get(f"/api/characters/{name}{rest}"), 404)
    for rest in ("/rename", "/look", "/restore", "/withdraw"):
        body = {"to": "x"} if rest == "/rename" else {"look": "x", "wears": "a hat"}
        refused(desk.client.post(f"/api/characters/{name}{rest}", json=body), 404, 405)
    refused(desk.client.delete(f"/api/characters/{name}"), 404, 405)
    assert library.names() == ["Mara"]
    assert secret.exists()


@pytest.mark.parametrize("to", ["../x", "/etc/cron.d/x", "a\0b", "..", "x/../../y", "con"])
def test_a_new_name_leads_nowhere(desk, own_library, to):  # noqa: F811
    brought(desk)
    answer = desk.client.post("/api/characters/Mara/rename", json={"to": to})
    assert answer.status_code in (200, 400)
    kept = desk.client.post(
        "/api/characters/import", params={"called": to}, content=GOLDEN.read_bytes()
    )
    assert kept.status_code in (201, 400)
    files = [p for p in own_library.parent.parent.rglob("*") if p.is_file()]
    assert {p.parent for p in files} == {own_library}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"\x80\x04cos\nsystem\n.", b"<svg/>",
        person().content[:-1], person().content + b"x", person().content[: 1 << 10],
        person().content.replace(b'"format": 1', b'"format": 2', 1),
        person().content.replace(b"portraits/000.png", b"portraits/../.png"),
    ],
)  # fmt: skip
def test_a_crafted_character_file_is_refused_and_leaves_nothing(desk, own_library, content):  # noqa: F811
    refused(desk.client.post("/api/characters/import", content=content), 400)
    assert not list(own_library.glob("*"))


def test_a_character_file_may_be_larger_than_a_story_and_not_without_end(desk):  # noqa: F811
    def endless():
        for _ in range(2000):
            yield b" " * (1 << 16)

    large = person(portraits=4, side=640)
    assert len(large.content) > 4 << 20
    brought(desk, large.content)
    refused(desk.client.post("/api/characters/import", content=endless()), 413)
    lying = {"content-length": str(65 << 20)}
    refused(desk.client.post("/api/characters/import", content=b"x", headers=lying), 413)
    refused(desk.client.post("/api/characters/import/", content=endless()), 404, 405, 413, 307)


def test_a_link_in_the_users_library_is_not_followed(desk, own_library, tmp_path):  # noqa: F811
    secret = tmp_path / "secret.character"
    secret.write_bytes(person().content)
    own_library.mkdir(parents=True)
    (own_library / "Eve.character").symlink_to(secret)
    [eve] = desk.get("/api/characters")["characters"]
    assert (eve["usable"], eve["portraits"]) == (False, 0)
    for rest in ("portraits/0", "file"):
        refused(desk.client.get(f"/api/characters/Eve/{rest}"), 400, 404)


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}]
)
def test_another_page_gets_at_nobody(desk, headers):  # noqa: F811
    brought(desk)
    story = desk.new()
    revision = {"revision": story["revision"], "name": "Mara"}
    for method, path, body in (
        ("GET", "/api/characters", None),
        ("GET", "/api/characters/Mara/portraits/0", None),
        ("GET", "/api/characters/Mara/file", None),
        ("POST", "/api/characters/Mara/rename", {"to": "x"}),
        ("POST", "/api/characters/Mara/look", {"look": "x", "wears": "a hat"}),
        ("POST", "/api/characters/Mara/withdraw", {}),
        ("DELETE", "/api/characters/Mara", None),
        ("POST", f"{desk.path(story)}/cast", revision | {"character": "Mara"}),
        ("POST", f"{desk.path(story)}/find", revision),
        ("POST", f"{desk.path(story)}/keep", revision),
        ("POST", f"{desk.path(story)}/candidates", revision),
        ("POST", f"{desk.path(story)}/candidates/cost", revision),
        ("POST", f"{desk.path(story)}/take", revision | {"number": 1}),
    ):
        refused(desk.client.request(method, path, json=body, headers=headers), 403)
    content = person().content
    refused(
        desk.client.post("/api/characters/import?called=B", content=content, headers=headers), 403
    )
    assert library.names() == ["Mara"]
    assert desk.get(desk.path(story)) == story


def test_a_story_takes_no_file_by_this_way(desk):  # noqa: F811
    story = desk.new()
    for name in ("../mara.character", "/etc/passwd", "mara.character"):
        asked = {"revision": story["revision"], "character": name, "name": "Tom"}
        refused(desk.client.post(f"{desk.path(story)}/cast", json=asked), 400, 404)
        edits = [{"do": "character", "name": "Tom", "set": {"cast": name}}]
        asked = {"revision": story["revision"], "edits": edits}
        refused(desk.client.post(f"{desk.path(story)}/edit", json=asked), 400)
    for seed in (0, -1, 2**53, True, "7"):
        asked = {"revision": story["revision"], "name": "Tom", "seed": seed}
        refused(desk.client.post(f"{desk.path(story)}/find", json=asked), 422)
    assert json.loads(desk.client.get(desk.path(story)).content) == story
