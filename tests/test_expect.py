"""What a writer expects of a picture: the grammar, planted pictures that hold or do not, and runs."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.cli.main import main
from identitystory.errors import StoryError
from identitystory.metrics.attributes import FOLDER, load_reader, unread
from identitystory.metrics.expecting import Result, Seen, held, unreadable
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.protocols import Backend, ModelFacts
from identitystory.runs.events import Expected, Finished
from identitystory.runs.expect import check
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest, recorded
from identitystory.runs.service import Service
from identitystory.story.expect import ACCEPTED, expectations, understood
from identitystory.story.file import make_story
from identitystory.story.sets import shortened
from tests.conftest import FakeGenerator, FakeIdentityGenerator
from tests.people import facts, masks, portraits
from tests.test_people import PRESET, Seeing
from tests.workshop import contents

MARA, TOM = "a woman with red hair", "an old man"
PEOPLE = [
    {"name": "Mara", "description": MARA},
    {"name": "Old Tom", "description": TOM},
    {"name": "Rex", "description": "a big dog", "identity": False},
]
PROMPTS = ("{Mara} and {Old Tom} on a beach", "{Mara} in a library", "an empty pier")


def story(*lines, scene=0, people=PEOPLE):
    scenes = [{"prompt": prompt} for prompt in PROMPTS]
    scenes[scene]["expect"] = list(lines)
    return make_story({"title": "Told", "character": people, "scene": scenes}, source="s")


def about(**fields):
    return {"who": "", "words": "", "count": 0, "holds": True} | fields


@pytest.mark.parametrize(
    ("line", "kind", "told"),
    [
        ("Mara has red hair", "looks", about(who="Mara", words="red hair")),
        ("{Mara} has red hair.", "looks", about(who="Mara", words="red hair")),
        ("Mara  wears a Red coat", "looks", about(who="Mara", words="a red coat")),
        ("Old Tom is smiling", "looks", about(who="Old Tom", words="smiling")),
        ("Old Tom has no beard", "looks", about(who="Old Tom", words="beard", holds=False)),
        ("Old Tom is present", "presence", about(who="Old Tom")),
        ("Old Tom is absent", "presence", about(who="Old Tom", holds=False)),
        ("nobody", "people", about()),
        ("one person", "people", about(count=1)),
        ("Two people", "people", about(count=2)),
        ("7 people", "people", about(count=7)),
        ("at night", "place", about(words="at night")),
        ("on a beach at night", "place", about(words="on a beach at night")),
    ],
)
def test_each_sentence_of_the_grammar(line, kind, told):
    tale = story(line)
    [expected] = expectations(tale, tale.scenes[0], "s")
    assert vars(expected) == {"line": " ".join(line.split()), "kind": kind, **told}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("red hair", ACCEPTED),
        ("Mara likes tea", ACCEPTED),
        ("Mara is no fool", ACCEPTED),
        ("", ACCEPTED),
        ("twelve people", ACCEPTED),
        ("Marra has red hair", "names 'Marra', who is not a character. Did you mean 'Mara'?"),
        ("Rex is absent", "names 'Rex', who is painted from words alone"),
    ],
)
def test_what_is_no_sentence_is_refused_in_one_line_that_says_what_is_taken(line, says):
    with pytest.raises(StoryError) as error:
        story(line)
    assert str(error.value).startswith("s: scene 1: 'expect' ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_the_longest_name_is_heard_first():
    people = [{"name": name, "description": MARA} for name in ("Ann", "Ann is")]
    scenes = [{"prompt": "{Ann} and {Ann is}", "expect": ["Ann is is old", "Ann is old"]}]
    tale = make_story({"character": people, "scene": scenes}, source="s")
    heard = [(e.who, e.words) for e in expectations(tale, tale.scenes[0], "s")]
    assert heard == [("Ann is", "old"), ("Ann", "old")]


def test_looks_are_expected_of_who_is_in_the_scene_and_absence_of_anybody():
    with pytest.raises(
        StoryError, match=r"but Old Tom is not in it; write \{Old Tom\} in its prompt"
    ):
        story("Old Tom has a beard", scene=1)
    story("Old Tom is absent", scene=1)


def test_a_story_that_is_cut_keeps_who_is_expected_to_be_absent():
    tale = story("Old Tom is absent", "nobody", scene=1)
    short = shortened(replace(tale, scenes=tale.scenes[1:]), 1)
    assert [c.name for c in short.characters] == ["Mara", "Old Tom"]
    assert len(expectations(short, short.scenes[0], "s")) == 2


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("two people", "'expect' must be a list of texts; write expect = ['Mara has red hair'"),
        ([1], "expect 1 must be text, not 1"),
        (["nobody"] * 21, "there are 21 expectations; at most 20 are taken"),
        (["x" * 201], "expect 1 has 201 characters; at most 200 are taken"),
    ],
)
def test_another_form_is_refused_in_the_words_of_a_writer(given, says):
    data = {"character": PEOPLE, "scene": [{"prompt": "{Mara}", "expect": given}]}
    with pytest.raises(StoryError) as error:
        make_story(data, source="s")
    assert says in str(error.value)


# --- pictures ------------------------------------------------------------------------------------


class Reads:
    """Hair off the left half of what it is shown, places off the whole picture's corner."""

    phrases: ClassVar = {
        "hair colour": {"red hair": ["red"], "blue hair": ["blue"], "hair": ["red", "blue"]},
        "beard": {"beard": ["full", "short"]},
        "place": {"beach": ["beach"], "library": ["library"]},
    }
    scene = frozenset({"place"})

    def read(self, image):
        pixels = np.asarray(image)
        red = pixels[:, : image.width // 2].mean((0, 1)).argmax() == 0
        place = "beach" if pixels[0, 0, 1] > 100 else "library"
        return {"hair colour": "red" if red else "blue", "beard": "none", "place": place}


LEFT, RIGHT, MIDDLE = (4, 4, 60, 28), (4, 72, 60, 124), (10, 34, 30, 50)


def seen(tale, *heads, boxes, scene=0, reader=True, size=(128, 64)):
    """A picture that is red on the left and blue on the right, by the sea."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2, 0] = image[:, size[0] // 2 :, 2] = 255
    image[0, 0] = 0, 200, 0
    find = Wide(boxes, heads, size)
    return Seen(Image.fromarray(image), tale, tale.scenes[scene], find, Reads() if reader else None)


class Wide(Seeing):
    """A segmenter of pictures that are not square."""

    def __init__(self, boxes, heads, size):
        super().__init__(boxes, heads)
        self.size = size

    def heads(self, image, phrases):
        masks = np.zeros((len(self.planted[0]), *self.size[::-1]), bool)
        for mask, (top, left, bottom, right) in zip(masks, self.planted[0], strict=True):
            mask[top:bottom, left:right] = True
        return torch.from_numpy(masks)


BOTH = {MARA: LEFT, TOM: RIGHT}
HEADS = (4, 8, 24, 24), (4, 90, 24, 106)


@pytest.mark.parametrize(
    ("line", "holds", "read"),
    [
        ("Mara has red hair", True, ""),
        ("Mara has blue hair", False, "hair colour red"),
        ("Old Tom has blue hair", True, ""),  # each is looked at where they stand
        ("Old Tom has red hair", False, "hair colour blue"),
        ("Old Tom has no beard", True, ""),
        ("Old Tom has a beard", False, "beard none"),
        ("Mara has no red hair", False, "hair colour red"),
        ("Mara has no blue hair", True, ""),
        ("two people", True, ""),
        ("one person", False, "2 seen"),
        ("nobody", False, "2 seen"),
        ("Mara is present", True, ""),
        ("Old Tom is absent", False, "Old Tom was found"),
        ("on a beach", True, ""),
        ("in a library", False, "place beach"),
    ],
)
def test_a_picture_of_two_is_held_against_each_line(line, holds, read):
    tale = story(line)
    expected = expectations(tale, tale.scenes[0], "s")
    assert held(expected, seen(tale, *HEADS, boxes=BOTH)) == [Result(line, holds, read)]


def test_who_is_not_found_has_no_looks_and_who_is_not_meant_needs_a_head_of_their_own():
    tale = story("Mara has red hair", "Mara is present")
    expected = expectations(tale, tale.scenes[0], "s")
    assert [r.read for r in held(expected, seen(tale, HEADS[1], boxes=BOTH))] == [
        "Mara was not found",
        "Mara was not found",
    ]
    tale = story("Old Tom is absent", scene=1)
    expected = expectations(tale, tale.scenes[1], "s")
    alone = seen(tale, HEADS[0], boxes={MARA: LEFT, TOM: LEFT}, scene=1)  # both descriptions fit
    assert [r.holds for r in held(expected, alone)] == [True]
    beside = seen(tale, *HEADS, boxes=BOTH, scene=1)
    assert held(expected, beside) == [Result("Old Tom is absent", False, "Old Tom was found")]


def test_what_nothing_here_can_tell_is_neither_true_nor_false():
    tale = story("Mara has red hair", "at night", "two people")
    blind = replace(seen(tale, *HEADS, boxes=BOTH, reader=False), segmenter=_NoHeads())
    found = held(expectations(tale, tale.scenes[0], "s"), blind)
    assert [r.holds for r in found] == [None, None, None]
    assert all(r.read for r in found)


class _NoHeads:
    def segment(self, image, phrases):
        return SimpleNamespace(
            masks=torch.ones(1, 64, 128, dtype=torch.bool).repeat(len(phrases), 1, 1)
        )


def test_words_that_the_reader_does_not_know_are_named():
    phrases, scene = Reads.phrases, Reads.scene
    assert unread("long red hair and a beard", phrases) == ["long"]
    says = lambda *lines: list(
        unreadable(
            [understood(line, story(), story().scenes[0], "s") for line in lines], phrases, scene
        )
    )
    assert says("Mara has red hair", "on a beach", "two people", "Mara is absent") == []
    [told] = says("Mara has red hair and tentacles")
    assert told == (
        "'Mara has red hair and tentacles' has 'tentacles', which this model's reader does not know; "
        "it reads hair colour, beard"
    )
    assert "'library'" in says("Mara has a library")[0]
    assert says("on the moon") == [
        "'on the moon' has 'moon', which this model's reader does not know; it reads place"
    ]


def test_the_miniatures_reader_confirms_what_drawn_people_look_like_and_nothing_else(tmp_path):
    folder = find_checkpoint("miniature").base
    reader = load_reader(folder / FOLDER)
    right = wrong = asked = 0
    for image, mask, truth in list(zip(portraits(), masks(), facts(), strict=True))[::3]:
        rows, columns = np.nonzero(mask)
        box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        colours = [c for c in ("black", "red", "white", "blond") if c != truth["hair colour"]]
        lines = ["Mara has glasses", *(f"Mara has {colour} hair" for colour in colours)]
        true = [f"Mara has {truth['hair colour']} hair"] * (truth["hair colour"] != "hidden")
        tale = story(*true, *lines, scene=1)
        at = Seen(image, tale, tale.scenes[1], Wide({MARA: box}, [box], image.size), reader)
        found = held(expectations(tale, tale.scenes[1], "s"), at)
        right += sum(bool(r.holds) for r in found[: len(true)])
        asked += len(true)
        glasses = found[len(true)].holds == (truth["glasses"] != "none")
        wrong += sum(bool(r.holds) for r in found[len(true) + 1 :]) + (not glasses)
    assert asked >= 5
    assert right >= asked - 1
    assert wrong <= 1
    words = story("Mara has tentacles", scene=1)
    request = RunRequest(words, tmp_path / "run", PRESET)
    model = ModelFacts("w1", "cpu", "float32", folder=folder)
    with pytest.raises(StoryError, match="scene 2: 'expect': 'Mara has tentacles' has 'tentacles'"):
        check(request, make_plan(request, model, None), model)


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture
def service():
    opened = []
    boxes = {MARA: (10, 20, 64, 52), TOM: (10, 2, 64, 18)}
    find = Seeing(boxes, [(12, 26, 34, 46)])
    parts = Backend("fake", FakeGenerator(), FakeIdentityGenerator(), find)

    def load(*_, **__):
        opened.append(1)
        return parts

    made = Service(load=load, describe=lambda *_: ModelFacts("w1", "cpu", "float32"))
    made.opened = opened
    return made


def run(service, request):
    *events, end = service.run(request)
    assert isinstance(end, Finished)
    return end, [event for event in events if isinstance(event, Expected)]


def test_a_run_holds_its_pictures_against_what_is_expected_and_looks_once(service, tmp_path):
    request = RunRequest(story("one person", "Mara has red hair", scene=1), tmp_path / "r", PRESET)
    end, [told] = run(service, request)
    assert (told.index, told.part) == (1, "frames/002")
    unread = {"line": "Mara has red hair", "holds": None}
    unread["read"] = "the model has no reader of what people look like"
    assert told.expected == ({"line": "one person", "holds": True, "read": ""}, unread)
    record = json.loads((request.out / "run.json").read_text())
    assert record["parts"]["frames/002"]["expected"] == [*told.expected]
    assert "expected" not in record["parts"]["frames/001"]
    before, opened = contents(request.out), len(service.opened)
    again, known = run(service, request)
    assert (again.made, again.kept, known) == ((), end.made, [told])
    assert (contents(request.out), len(service.opened)) == (
        before,
        opened,
    )  # nothing is opened anew


def test_other_expectations_paint_nothing_and_are_looked_at_and_shown(service, tmp_path):
    request = RunRequest(story("one person", scene=1), tmp_path / "r", PRESET)
    run(service, request)
    pictures = [contents(request.out)[f"frames/00{n}.png"] for n in (1, 2, 3)]
    sheet = contents(request.out)["sheet.png"]
    other = replace(request, story=story("two people", "Mara is absent", scene=1))
    end, [told] = run(service, other)
    assert end.made == ()
    assert [each["holds"] for each in told.expected] == [False, False]
    assert [contents(request.out)[f"frames/00{n}.png"] for n in (1, 2, 3)] == pictures
    assert contents(request.out)["sheet.png"] != sheet  # the page says so
    assert recorded(request.out).story == other.story
    none = replace(request, story=story())
    assert run(service, none)[1] == []
    assert (
        "expected" not in json.loads((request.out / "run.json").read_text())["parts"]["frames/002"]
    )


def test_the_command_ends_like_a_test(service, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    request = RunRequest(story("one person", "Old Tom is absent", scene=1), tmp_path / "r", PRESET)
    call = lambda *argv: main([*argv], service=lambda: service)
    run(service, replace(request, story=story()))
    assert call("expect", "r") == 2
    assert "no scene of r expects anything; write expect = " in capsys.readouterr().err
    run(service, request)
    before = contents(tmp_path / "r/frames")
    assert call("expect", "r") == 0
    assert capsys.readouterr().out.splitlines() == [
        "holds: r/frames/002.png: one person",
        "holds: r/frames/002.png: Old Tom is absent",
        "2 expectations, 0 of them fail",
    ]
    run(service, replace(request, story=story("one person", "two people", scene=1)))
    assert call("expect", "r") == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "FAILS: r/frames/002.png: two people (1 seen)",
        "2 expectations, 1 of them fail",
    ]
    assert call("expect", "r", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == 1
    assert told["expectations"][1] == {
        "scene": 2,
        "picture": "r/frames/002.png",
        "line": "two people",
        "holds": False,
        "read": "1 seen",
    }
    assert contents(tmp_path / "r/frames") == before
    (tmp_path / "r/frames/002.masks.png").unlink()
    assert call("expect", "r") == 2
    assert "no scene of r that expects something is painted" in capsys.readouterr().err
    record = tmp_path / "r/run.json"
    record.write_text(record.read_text().replace('"holds": false', '"holds": "no"'))
    assert call("expect", "r") == 2  # a stranger's
    assert "run.json is broken" in capsys.readouterr().err
