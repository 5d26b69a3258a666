"""The studio's API on fakes: what a page can do, and what it is told."""

import json

import pytest

from identitystory.cli.main import main
from identitystory.errors import StoryError
from identitystory.marks.packet import TRAINED, find
from identitystory.runs.folder import opened
from identitystory.studio import pictures
from identitystory.studio.edits import edited
from tests.studio_desk import SHORT, TEXT, desk, shared, studio, workshop  # noqa: F401  (fixtures)


def states(story):
    return [frame["state"] for frame in story["frames"]]


def test_a_library_begins_once_and_the_tour_ends(tmp_path):
    made = studio(tmp_path, workshop(), example=True)
    [row] = made.get("/api/stories")["stories"]
    assert (row["title"], row["frames"], row["painted"]) == ("The lighthouse", 6, 6)
    assert made.get("/api/options")["tour"]
    made.client.delete(f"/api/stories/{row['id']}")
    made.client.post("/api/tour/done")
    again = studio(tmp_path, workshop(), example=True)
    assert again.get("/api/stories")["stories"] == []
    assert not again.get("/api/options")["tour"]


def test_a_story_from_empty_to_painted_and_what_each_frame_says(desk):  # noqa: F811
    story = desk.new()
    assert states(story) == ["empty"] * 3
    assert story["cost"]["frames"] == [0, 1, 2]
    assert story["cost"]["characters"] == ["Mara", "Tom"]
    job = desk.post(f"{desk.path(story)}/paint", {"revision": story["revision"]}, 202)
    assert states(desk.get(desk.path(story))) == ["queued"] * 3
    told = desk.worked(story)
    assert states(told) == ["current"] * 3
    assert [c["state"] for c in told["characters"]] == ["current"] * 2
    assert told["characters"][0]["of"] == 16
    assert told["cost"]["frames"] == []
    assert told["cost"]["calls"] == 0
    [done] = [each for each in desk.get("/api/queue")["jobs"] if each["id"] == job["id"]]
    assert done["state"] == "done"
    assert story["cost"]["seconds"] is None
    dearer = desk.post(
        f"{desk.path(told)}/cost", {"revision": told["revision"], "only": [0], "reroll": 2}
    )
    assert dearer["calls"] > 0
    assert dearer["seconds"] is not None


def test_the_cost_is_what_the_run_says_before_it_begins(desk):  # noqa: F811
    story = desk.new()
    desk.painted(story)
    events = (desk.root / "stories" / story["id"] / "run/events.jsonl").read_text().splitlines()
    assert story["cost"]["calls"] == json.loads(events[0])["evaluations"]


def test_a_change_tells_what_it_would_repaint_before_it_is_done_and_why_afterwards(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path = desk.path(story)
    other = TEXT.replace("{Mara} reads", "{Mara} sleeps").replace("curly", "long")
    would = desk.post(f"{path}/cost", {"revision": story["revision"], "text": other})
    assert (would["frames"], would["characters"]) == ([0, 1], ["Mara"])
    assert desk.get(path) == story
    now = desk.put(f"{path}/text", {"text": other, "revision": story["revision"]})
    assert states(now) == ["stale", "stale", "current"]
    assert now["frames"][0]["picture"] == story["frames"][0]["picture"]
    assert now["frames"][0]["why"] == "its words were changed; Mara is described otherwise"
    assert now["frames"][1]["why"] == "Mara is described otherwise"
    assert now["characters"][0]["why"] == "Mara is described otherwise"
    slower = desk.put(f"{path}/settings", {**SHORT, "guidance": 2.0})
    assert "settings were changed" in slower["frames"][2]["why"]


def test_scenes_are_reordered_with_their_pictures_and_comments(desk):  # noqa: F811
    story = desk.painted(desk.new())
    edit = {"revision": story["revision"], "edits": [{"do": "order", "scenes": [2, 0, 1]}]}
    moved = desk.post(f"{desk.path(story)}/edit", edit)
    pictures = [frame["picture"] for frame in story["frames"]]
    assert [frame["picture"] for frame in moved["frames"]] == [pictures[n] for n in (2, 0, 1)]
    assert states(moved) == ["current"] * 3
    assert moved["cost"]["calls"] == 0
    assert "# the first" in moved["text"]
    assert moved["text"].index("an empty pier") < moved["text"].index("{Mara} reads")


def test_edits_are_all_or_nothing_and_say_what_the_command_line_says(desk, tmp_path, capsys):  # noqa: F811
    story = desk.new()
    edits = [
        {"do": "story", "set": {"style": "ink"}},
        {"do": "person", "set": {"name": "Ann", "description": "a girl with short hair"}},
        {"do": "add", "index": 1, "set": {"prompt": "{Ann} waves", "caption": "Hello"}},
        {"do": "remove", "index": 3},
        {"do": "character", "name": "Tom", "set": {"wears": "a blue suit"}},
        {"do": "scene", "index": 0, "set": {"negative": "glasses"}},
    ]
    made = desk.post(f"{desk.path(story)}/edit", {"revision": story["revision"], "edits": edits})
    texts = [frame["text"] for frame in made["frames"]]
    assert texts == ["{Mara} reads", "{Ann} waves", "{Mara} and {Tom} on a pier"]
    assert made["frames"][1]["caption"] == "Hello"
    assert made["frames"][0]["negative"] == "glasses"
    assert made["frames"][2]["prompt"].startswith("ink, ")
    assert "wearing a blue suit" in made["frames"][2]["prompt"]
    wrong = [edits[0], {"do": "scene", "index": 0, "set": {"prompt": "{Tim} waves"}}]
    told = desk.post(
        f"{desk.path(story)}/edit", {"revision": made["revision"], "edits": wrong}, 400
    )
    assert told["error"]["code"] == "story"
    assert desk.get(desk.path(story)) == made
    file = tmp_path / "story.toml"
    file.write_text(made["text"].replace("{Mara} reads", "{Tim} waves"))
    assert main(["generate", str(file)]) == 2
    assert told["error"]["message"] in capsys.readouterr().err.replace(f"{file}", "story.toml")


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        ([{"do": "remove", "index": 3}], "there is no scene 4; there are scenes 1 to 3"),
        ([{"do": "scene", "index": -1, "set": {}}], "there is no scene 0"),
        ([{"do": "remove", "index": 0}] * 3, "a story has at least one scene"),
        ([{"do": "order", "scenes": [0, 1]}], "must name each of the 3 scenes once, from 0"),
        ([{"do": "order", "scenes": [0, 1, 1]}], "must name each of the 3 scenes once, from 0"),
        ([{"do": "character", "name": "Ann", "set": {}}], "nobody is called 'Ann' in"),
        ([{"do": "dismiss", "name": "Ann"}], "nobody is called 'Ann' in"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits, line):
    with pytest.raises(StoryError, match=line):
        edited(TEXT, edits)


def test_scenes_that_are_written_on_one_line_are_edited_as_text():
    text = TEXT.partition("# the first")[0]
    inline = f'scene = [{{prompt = "a pier"}}, {{prompt = "a hill"}}]\n{text}'
    assert edited(inline, [{"do": "story", "set": {"style": "ink"}}]).count("style") == 1
    with pytest.raises(StoryError, match=r"write \[\[scene\]\] tables, to edit them here"):
        edited(inline, [{"do": "remove", "index": 0}])


WRITTEN = {
    "caption": "At last",
    "dialogue": [{"who": "Mara", "says": 'I read "all" of it'}, {"who": "Tom", "says": "Ä"}],
    "shot": "close-up",
    "camera": "slow push in",
    "notes": "more light",
    "seconds": 2.5,
    "wears": {"Mara": "a red coat"},
    "negative": "glasses",
    "size": "512x512",
}


def test_all_that_a_scene_may_say_is_written_and_taken_out_again(desk):  # noqa: F811
    story = desk.new(TEXT + "# the end\n")
    path, set_ = desk.path(story), {"prompt": "{Mara} reads", **WRITTEN}
    edit = {"revision": story["revision"], "edits": [{"do": "scene", "index": 0, "set": set_}]}
    made = desk.post(f"{path}/edit", edit)
    assert made["frames"][0]["written"] == set_
    assert [f["written"] for f in made["frames"][1:]] == [f["written"] for f in story["frames"][1:]]
    edit["revision"] = made["revision"]
    edit["edits"][0]["set"] = dict.fromkeys(WRITTEN)
    assert desk.post(f"{path}/edit", edit)["text"] == story["text"]
    assert "# the first" in made["text"]
    assert "# the end" in made["text"]


def test_tables_that_were_written_by_hand_are_edited_in_any_order(desk):  # noqa: F811
    hand = '[scene.wears]\nMara = "a coat"\n\n[[scene.dialogue]]\nwho = "Mara"\nsays = "Oh"\n'
    story = desk.new(TEXT.replace('reads"\n', f'reads"\n\n{hand}'))
    path, revision = desk.path(story), story["revision"]
    expected = {
        "prompt": "{Mara} reads",
        "wears": {"Mara": "a coat"},
        "dialogue": [{"who": "Mara", "says": "Oh"}],
    }
    for key, value in {
        "shot": "wide",
        "wears": {"Mara": "a hat"},
        "dialogue": WRITTEN["dialogue"],
        "notes": "no",
    }.items():
        edit = {"revision": revision, "edits": [{"do": "scene", "index": 0, "set": {key: value}}]}
        made = desk.post(f"{path}/edit", edit)
        expected[key], revision = value, made["revision"]
        assert made["frames"][0]["written"] == expected


COMMENTED = """title = "The pier"

# who
[[character]]
name = "Mara"
description = "a woman"
# not yet: seed = 3

# the old man
[[character]]
name = "Tom"
description = "a man"

# --- by day ---

# one
[[scene]]
prompt = "{Mara} reads"

# her coat
[scene.wears]
Mara = "a coat"

# two
[[scene]]
prompt = "a pier"

# --- by night ---

# three
[[scene]]
prompt = "a boat"

# the end
"""


def parts(*numbers, old="", new=""):
    """These paragraphs of COMMENTED, from 0, as one text."""
    return "\n\n".join(COMMENTED.split("\n\n")[n] for n in numbers).replace(old, new)


ANN = {"name": "Ann", "description": "a girl"}


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"do": "order", "scenes": [2, 0, 1]}, parts(0, 1, 2, 3, 8, 4, 5, 7, 6, 9)),
        ({"do": "remove", "index": 0}, parts(0, 1, 2, 3, 6, 7, 8, 9)),
        ({"do": "remove", "index": 1}, parts(0, 1, 2, 3, 4, 5, 7, 8, 9)),
        ({"do": "remove", "index": 2}, parts(0, 1, 2, 3, 4, 5, 6, 7, 9)),
        ({"do": "dismiss", "name": "Tom"}, parts(0, 1, 3, 4, 5, 6, 7, 8, 9)),
        (
            {"do": "person", "set": ANN},
            parts(
                *range(10),
                old="# --- by day",
                new='[[character]]\nname = "Ann"\ndescription = "a girl"\n\n# --- by day',
            ),
        ),
        (
            {"do": "add", "index": 0, "set": {"prompt": "a gull"}},
            parts(*range(10), old="# one", new='[[scene]]\nprompt = "a gull"\n\n# one'),
        ),
        (
            {"do": "story", "set": {"style": "ink"}},
            parts(*range(10), old='pier"\n\n# who', new='pier"\nstyle = "ink"\n\n# who'),
        ),
        (
            {"do": "scene", "index": 0, "set": {"negative": "hats"}},
            parts(*range(10), old='reads"', new='reads"\nnegative = "hats"'),
        ),
        (
            {"do": "scene", "index": 0, "set": {"wears": {"Mara": "a hat"}}},
            parts(
                *range(10),
                old='\n\n# her coat\n[scene.wears]\nMara = "a coat"',
                new='\n# her coat\nwears = {Mara = "a hat"}',
            ),
        ),
    ],
)
def test_an_edit_leaves_each_comment_with_what_it_is_about(edit, text):
    assert edited(COMMENTED, [edit]) == text


def test_a_text_without_a_last_line_break_is_edited():
    text = edited(TEXT.rstrip("\n"), [{"do": "order", "scenes": [2, 1, 0]}])
    assert edited(text, [{"do": "order", "scenes": [2, 1, 0]}]) == TEXT


def test_places_style_and_negative_are_the_storys_and_not_its_scenes(desk):  # noqa: F811
    story = desk.new()
    set_ = {"style": "ink", "negative": "hats", "locations": {"pier": "a long pier by day"}}
    edits = [
        {"do": "story", "set": set_},
        {"do": "scene", "index": 0, "set": {"prompt": "{Mara} at {pier}"}},
    ]
    made = desk.post(f"{desk.path(story)}/edit", {"revision": story["revision"], "edits": edits})
    assert made["written"] == {"title": "The pier", **set_}
    assert made["frames"][0]["written"] == {"prompt": "{Mara} at {pier}"}
    assert made["frames"][0]["text"] == "{Mara} at a long pier by day"
    assert made["frames"][0]["negative"] == "hats"


def test_the_cost_of_edits_is_told_before_they_are_saved(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path = desk.path(story)

    def cost(*edits, status=200):
        body = {"revision": story["revision"], "edits": list(edits)}
        return desk.post(f"{path}/cost", body, status)

    scene = lambda **set_: {"do": "scene", "index": 1, "set": set_}
    assert cost(scene(caption="x", dialogue=WRITTEN["dialogue"], shot="wide"))["calls"] == 0
    assert cost(scene(wears={"Mara": "a red coat"}))["frames"] == [1]
    assert cost({"do": "story", "set": {"style": "ink"}})["frames"] == [0, 1, 2]
    assert cost({"do": "order", "scenes": [2, 1, 0]})["calls"] == 0
    would = cost({"do": "character", "name": "Tom", "set": {"description": "a tall man"}})
    assert (would["frames"], would["characters"]) == ([1], ["Tom"])
    assert "who is not a character" in cost(scene(prompt="{Tim}"), status=400)["error"]["message"]
    many = {"revision": story["revision"], "only": [0, 2], "reroll": 3}
    one = {"revision": story["revision"], "only": [0], "reroll": 1}
    assert desk.post(f"{path}/cost", many)["frames"] == [0, 2]
    assert desk.post(f"{path}/cost", many)["calls"] > desk.post(f"{path}/cost", one)["calls"]
    assert desk.get(path) == story


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        (TEXT.replace("{Tom} on", "{Tim} on"), 15, None, "scene 2 names 'Tim'"),
        (TEXT + "a = 1 2", 20, 7, "not valid TOML"),
        (TEXT.replace('name = "Tom"', 'nam = "Tom"'), 7, None, "character 2"),
        ("", None, None, "there are no characters"),
        ("x" * 20, 1, 21, "not valid TOML"),
    ],
)
def test_a_text_is_checked_as_it_is_typed(desk, text, line, column, said):  # noqa: F811
    problem = desk.post("/api/check", {"text": text})["problem"]
    assert said in problem["message"]
    assert (problem["line"], problem["column"]) == (line, column)
    kept = desk.post("/api/stories", {"text": text}, 201)
    assert kept["problem"] == problem
    assert (kept["text"], kept["frames"]) == (text, [])


def test_a_text_that_is_right_is_told_as_it_is_understood(desk):  # noqa: F811
    told = desk.post("/api/check", {"text": TEXT})
    assert told["problem"] is None
    assert [scene["cast"] for scene in told["scenes"]] == [["Mara"], ["Mara", "Tom"], []]


def test_two_tabs_cannot_overwrite_each_other(desk):  # noqa: F811
    story = desk.new()
    path = desk.path(story)
    desk.put(f"{path}/text", {"text": TEXT + "\n# mine\n", "revision": story["revision"]})
    for asked, body in {
        "text": {"text": TEXT},
        "edit": {"edits": [{"do": "order", "scenes": [1, 0, 2]}]},
        "paint": {},
        "reroll": {"indexes": [0]},
        "cost": {},
        "scenes/0/lock": {"locked": True},
    }.items():
        send = desk.client.put if asked == "text" else desk.client.post
        answer = send(f"{path}/{asked}", json={**body, "revision": story["revision"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert desk.get(path)["text"].endswith("# mine\n")


def test_rerolled_frames_are_takes_to_choose_from(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path, first = desk.path(story), story["frames"][0]["picture"]
    asked = {"revision": story["revision"], "indexes": [0], "seeds": [7, 8, 9]}
    assert desk.post(f"{path}/reroll", asked, 202)["what"] == "1 frame with 3 seeds"
    assert states(desk.get(path)) == ["queued", "current", "current"]
    story = desk.worked(story)
    takes = desk.get(f"{path}/scenes/0/takes")["takes"]
    assert [take["seed"] for take in takes][1:] == [7, 8, 9]
    assert [take["chosen"] for take in takes] == [False, False, False, True]
    assert story["frames"][0]["takes"] == 4
    chosen = {"revision": story["revision"], "picture": first}
    story = desk.post(f"{path}/scenes/0/choose", chosen)
    assert (story["frames"][0]["picture"], states(story)[0]) == (first, "current")
    run = desk.root / "stories" / story["id"] / "run"
    assert json.loads((run / "run.json").read_text())["parts"]["frames/001"]["key"] == first
    strange = desk.post(f"{path}/scenes/1/choose", chosen, 400)["error"]
    assert strange == {
        "code": "run",
        "message": "that is no take of scene 2 as it was painted last",
    }


def test_a_locked_frame_stays_and_is_not_rerolled(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path, key = desk.path(story), story["frames"][0]["picture"]
    story = desk.post(f"{path}/scenes/0/lock", {"revision": story["revision"], "locked": True})
    assert (states(story)[0], story["frames"][0]["locked"]) == ("locked", True)
    refused = desk.post(f"{path}/reroll", {"revision": story["revision"], "indexes": [0]}, 400)
    assert "scene 1 is locked" in refused["error"]["message"]
    edit = [{"do": "story", "set": {"style": "ink"}}]
    story = desk.post(f"{path}/edit", {"revision": story["revision"], "edits": edit})
    assert states(story) == ["locked", "stale", "stale"]
    story = desk.painted(story)
    assert (states(story), story["frames"][0]["picture"]) == (["locked", "current", "current"], key)
    story = desk.post(f"{path}/scenes/0/lock", {"revision": story["revision"], "locked": False})
    assert (states(story)[0], story["frames"][0]["why"]) == ("stale", "the style was changed")
    empty = desk.new()
    lock = {"revision": empty["revision"], "locked": True}
    told = desk.post(f"{desk.path(empty)}/scenes/0/lock", lock, 400)
    assert "scene 1 has no finished picture" in told["error"]["message"]


def test_who_was_not_found_is_told(tmp_path):
    made = studio(tmp_path, workshop(boxes={"a woman with dark curly hair": (4, 4, 60, 30)}))
    story = made.painted(made.new())
    assert states(story) == ["current", "missing", "current"]
    assert story["frames"][1]["absent"] == ["Tom"]
    assert story["frames"][1]["why"] == "Tom was not found in it"


def test_pictures_come_whole_or_small(desk):  # noqa: F811
    story = desk.painted(desk.new())
    key = story["frames"][0]["picture"]
    run = desk.root / "stories" / story["id"] / "run"
    base = f"{desk.path(story)}/pictures"
    whole = desk.client.get(f"{base}/{key}")
    assert whole.content == (run / "frames/001.png").read_bytes()
    assert "immutable" in whole.headers["cache-control"]
    for kind in ("frame", "template", "masks"):
        small = desk.client.get(f"{base}/{key}?kind={kind}&width=160")
        assert (small.headers["content-type"], small.content[8:12]) == ("image/webp", b"WEBP")
        assert TRAINED in (find(small.content) or "")
    sheet = story["characters"][0]["portraits"]
    assert desk.client.get(f"{base}/{sheet}?kind=portraits").content[:4] == b"\x89PNG"
    assert desk.client.get(f"{base}/{'0' * 64}").status_code == 404


def test_a_picture_that_becomes_a_take_while_it_is_looked_at_is_shown(desk, monkeypatch):  # noqa: F811
    story = desk.painted(desk.new())
    run = desk.root / "stories" / story["id"] / "run"
    frame, key = run / "frames" / "001.png", story["frames"][0]["picture"]
    take = run / "frames" / "takes" / f"{key}.png"
    take.parent.mkdir(exist_ok=True)

    def look(path, *rest, **more):
        found = seen(path, *rest, **more)
        if path == frame and frame.exists():
            frame.rename(take)  # when it was found and before it is used
        return found

    seen = pictures.picture
    monkeypatch.setattr(pictures, "picture", look)
    assert desk.get(desk.path(story))["frames"][0]["takes"] == 1

    def read(path, *rest, **more):
        if path == take and take.exists():
            take.rename(frame)
        return whole(path, *rest, **more)

    whole = pictures.read
    monkeypatch.setattr(pictures, "picture", seen)
    monkeypatch.setattr(pictures, "read", read)
    assert desk.client.get(f"{desk.path(story)}/pictures/{key}").status_code == 200
    assert frame.exists()


@pytest.mark.parametrize(
    ("name", "content", "scenes"),
    [
        ("a.fountain", b"INT. HOUSE - DAY\n\nMara reads.\n\nMARA\nHello.\n", 0),
        ("shots.csv", b"prompt,characters\nMara reads,Mara\nMara sleeps,Mara\n", 0),
        ("b.toml", TEXT.encode(), 3),
        ("c.json", json.dumps({"title": "J", "character": [{"name": "Al", "description": "a man"}],
                               "scene": [{"prompt": "{Al} reads"}]}).encode(), 1),
    ],
)  # fmt: skip
def test_files_are_brought_in(desk, name, content, scenes):  # noqa: F811
    answer = desk.client.post(f"/api/import?name={name}", content=content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert len(told["story"]["frames"]) == scenes
    assert bool(told["fill_in"]) == (not scenes)
    assert (told["story"]["problem"] is None) == bool(scenes)


def test_a_story_that_was_deleted_comes_back(desk):  # noqa: F811
    story = desk.painted(desk.new())
    assert desk.client.delete(desk.path(story)).status_code == 204
    assert desk.client.get(desk.path(story)).status_code == 404
    assert desk.post(f"{desk.path(story)}/restore", {})["frames"] == story["frames"]


def test_a_story_that_was_deleted_while_it_is_painted_comes_back(tmp_path):
    made = studio(tmp_path, workshop())
    story = made.new()
    path, load = made.path(story), made.worker.service.load

    def slow(*asked, **more):
        made.client.delete(path)
        return load(*asked, **more)

    made.worker.service.load = slow
    made.post(f"{path}/paint", {"revision": story["revision"]}, 202)
    made.worker.one()
    assert made.get("/api/queue")["jobs"][0]["state"] == "cancelled"
    assert (tmp_path / "stories" / story["id"] / "run").is_dir()  # written after it was deleted
    back = made.post(f"{path}/restore", {})
    assert (back["text"], states(back)) == (story["text"], ["empty"] * 3)
    assert made.client.post(f"{path}/restore").status_code == 404  # it is there
    made.worker.service.load = load
    assert states(made.painted(back)) == ["current"] * 3


def test_a_run_of_the_command_line_is_open_here_and_its_lock_is_respected(desk):  # noqa: F811
    story = desk.painted(desk.new())
    path = desk.path(story)
    run = desk.root / "stories" / story["id"] / "run"
    made = workshop().service
    told = main(
        ["generate", str(run), "--only", "1", "--seed", "5", "--quiet"], service=lambda: made
    )
    assert told == 0
    story = desk.get(path)
    assert (story["frames"][0]["seed"], states(story)[0]) == (5, "current")
    with opened(run):
        lock = {"revision": story["revision"], "locked": True}
        assert desk.post(f"{path}/scenes/0/lock", lock, 409)["error"]["code"] == "busy"


def test_nothing_to_paint_is_said(desk):  # noqa: F811
    story = desk.painted(desk.new())
    told = desk.post(f"{desk.path(story)}/paint", {"revision": story["revision"]}, 400)
    assert told["error"]["message"] == "nothing is to be painted: every picture is there"
    told = desk.post(f"{desk.path(story)}/paint", {"revision": story["revision"], "only": [5]}, 400)
    assert "there is no scene 6" in told["error"]["message"]


def test_a_story_is_handed_out_as_a_comic(desk):  # noqa: F811
    story = desk.painted(desk.new())
    answer = desk.client.get(f"{desk.path(story)}/export/comic")
    assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-")
    assert all(kind["there"] for kind in desk.client.get("/api/options").json()["exports"])


def test_what_is_handed_out_is_what_the_board_shows(desk):  # noqa: F811
    story = desk.new()
    told = desk.client.get(f"{desk.path(story)}/export/html")
    assert (told.status_code, "nothing is painted yet" in told.text) == (400, True)
    story = desk.painted(story)
    path, said = desk.path(story), {"caption": "Here she is", "dialogue": WRITTEN["dialogue"]}
    edits = [
        {"do": "order", "scenes": [2, 0, 1]},
        {"do": "scene", "index": 1, "set": said},
        {"do": "story", "set": {"title": "Renamed", "style": "ink"}},
        {"do": "add", "index": 3, "set": {"prompt": "not painted"}},
    ]
    made = desk.post(f"{path}/edit", {"revision": story["revision"], "edits": edits})
    with opened(desk.root / "stories" / story["id"] / "run"):  # no lock is asked for
        page = desk.client.get(f"{path}/export/html").text
    assert states(made) == ["stale"] * 3 + ["empty"]
    place = [page.index(words) for words in ("empty pier", "Mara reads", "Mara and Tom on a pier")]
    assert place == sorted(place)
    assert all(words in page for words in ("Renamed", "Here she is", "I read"))
    assert "not painted" not in page
    assert desk.get(path) == made


def test_what_is_not_installed_is_said_in_one_line(desk, monkeypatch):  # noqa: F811
    monkeypatch.setattr("identitystory.studio.exporting.find_spec", lambda name: None)
    story = desk.painted(desk.new())
    answer = desk.client.get(f"{desk.path(story)}/export/comic")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "missing")


def test_of_pictures_that_are_gone_nothing_is_kept(desk, monkeypatch):  # noqa: F811
    """A studio that is open for weeks holds what its library has, and not all that it ever had."""
    story = desk.painted(desk.new())
    run = desk.root / "stories" / story["id"] / "run"
    there = pictures.index(run)
    read = []
    monkeypatch.setattr(pictures, "read_png_facts", lambda path, root: read.append(path))
    (run / "frames" / "notes.txt").write_text("a change of the folder")
    assert pictures.index(run).keys() == there.keys()
    assert not read  # files that are as they were
    first = sorted((run / "frames").glob("001*.png"))
    for file in first:
        file.unlink()
    assert len(pictures.index(run)) == len(there) - len(first)
    assert not {*first} & pictures._runs[run].files.keys()
    for n in range(3 * pictures.GONE):
        pictures.index(desk.root / f"gone {n}")
    gone = [each for each in pictures._runs if not each.exists()]
    assert len(gone) <= pictures.GONE
    assert run in pictures._runs
