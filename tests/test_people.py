"""Who is in a picture: found only with a head, counted, told, tried again; planted masks throughout."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image, PngImagePlugin

from benchmarks.heads import Tally, records
from identitystory.attempts import find_template
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ModelError
from identitystory.injection import make_template
from identitystory.masks import distinct_heads, with_heads
from identitystory.methods.method import find_cast
from identitystory.pipeline import paint
from identitystory.protocols import ModelFacts
from identitystory.runs import painter
from identitystory.runs.events import FrameReady, TemplateReady, Warned
from identitystory.runs.files import read_png_facts, write_png
from identitystory.runs.folder import RunFolder
from identitystory.runs.people import caption, note, told, told_before, told_by
from identitystory.runs.plan import Part
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.seeds import attempt_seed
from identitystory.story.file import make_story
from identitystory.types import Identity, Prompt
from identitystory.wording import crowd, identity_prompt
from tests.conftest import MARA, SIZE, TOM, FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T

PRESET = Preset(
    "test",
    num_steps=T,
    discovery=DiscoveryConfig(num_portraits=4, iterations=0, rank=1),
    injection=InjectionConfig(start=8),
)
PERSON, HEAD = (10, 20, 64, 52), (12, 26, 34, 46)  # top, left, bottom, right
CHEEK = (22, 28, 33, 39)  # .03 of the picture, in the middle of the head
BESIDE = (12, 2, 30, 18)  # another head
FACE = Identity(torch.ones(16), torch.arange(1))


def area(*boxes, side=SIZE):
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


class Seeing(FakeSegmenter):
    """A `FakeSegmenter` that knows heads: at each picture those that are planted, the last ones ever after."""

    def __init__(self, boxes, *heads):
        super().__init__(boxes)
        self.planted = list(heads)

    def heads(self, image, phrases):
        assert image.mode == "RGB"
        assert all(isinstance(phrase, str) for phrase in phrases)
        now = self.planted.pop(0) if len(self.planted) > 1 else self.planted[0]
        return area(*now)


# --- Shapes ---------------------------------------------------------------------------------------


def test_a_mask_is_a_persons_if_it_holds_more_than_half_of_a_head():
    whole, cheek = area(PERSON, CHEEK)
    assert 0.026 < cheek.float().mean() < 0.048
    kept = with_heads(torch.stack([whole & ~cheek, cheek]), area(HEAD))
    assert torch.equal(kept[0], whole & ~cheek)
    assert not kept[1].any()


def test_of_two_a_face_found_without_its_hair_takes_the_head_that_nobody_holds():
    """Most of it lies in that head, and nobody has more of it; with a head too few nobody is found so."""
    (cheek, head), other = area(CHEEK, HEAD), area((HEAD[0], 0, HEAD[2], 8))[0]
    heads = torch.stack([head, other])
    assert torch.equal(with_heads(torch.stack([cheek, other]), heads), heads)
    assert not with_heads(torch.stack([cheek, area(PERSON)[0] & ~head]), head[None]).any()
    body = area((HEAD[2] - 3, 20, 64, 52))[0]  # a little of the head, most of it elsewhere
    assert [bool(m.any()) for m in with_heads(torch.stack([body, other]), heads)] == [False, True]
    larger = head & ~cheek & ~area((HEAD[0], HEAD[1], HEAD[0] + 9, HEAD[3]))[0]
    assert int(cheek.sum()) < int(larger.sum()) <= int(head.sum()) // 2
    found = with_heads(torch.stack([cheek, larger]), heads)
    assert [bool(mask.any()) for mask in found] == [False, True]
    assert not with_heads(torch.stack([cheek, cheek.roll(4, 1)]), heads).any()  # as much each
    assert torch.equal(with_heads(torch.stack([other, cheek]), heads), heads.flip(0))
    beside = [
        area((22, 36, 33, right))[0] for right in (55, 56)
    ]  # a half and less of it is outside
    given = [bool(with_heads(torch.stack([mask, other]), heads)[0].any()) for mask in beside]
    assert given == [True, False]


def test_who_holds_a_head_is_given_no_other():
    small, large = area((12, 0, 16, 4), HEAD)
    own = small | area((22, 26, 27, 46))[0]  # most of it lies in the large head
    masks = torch.stack([own, area((50, 0, 60, 10))[0]])
    assert torch.equal(with_heads(masks, torch.stack([small, large]))[0], own)


def test_a_head_fills_two_fifths_of_its_box_and_is_at_most_two_and_a_half_times_as_long_as_wide():
    """At these limits it still is one, and a pixel beyond them none."""
    bars = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    bars[(0, 3, 6, 9), :10] = True
    fewer = bars.clone()
    fewer[3, 4] = False
    long, longer = area((0, 0, 4, 10), (0, 0, 4, 11))
    for mask, heads in ((bars, 1), (fewer, 0), (long, 1), (long.T, 1), (longer, 0), (longer.T, 0)):
        assert len(distinct_heads([mask], (SIZE, SIZE))) == heads
    assert len(distinct_heads([bars & ~bars], (SIZE, SIZE))) == 0


@pytest.mark.parametrize(("rows", "held"), [(11, False), (12, True)])
def test_half_a_head_is_not_enough(rows, held):
    """The head has 22 rows."""
    body = area((HEAD[2] - rows, 20, 64, 52))
    assert bool(with_heads(body, area(HEAD)).any()) is held


def test_where_there_is_no_head_nobody_is():
    assert not with_heads(area(PERSON), torch.zeros(0, SIZE, SIZE, dtype=torch.bool)).any()


def test_heads_are_counted_once_and_only_if_they_are_shaped_like_one():
    strip, pole, frame = (0, 0, 5, 60), (0, 0, 60, 5), area((0, 0, 60, 60))[0]
    frame[4:56, 4:56] = False
    given = [*area(CHEEK, HEAD, BESIDE, strip, pole), frame]
    found = distinct_heads(given, (SIZE, SIZE))
    assert {tuple(mask.flatten().tolist()) for mask in found} == {
        tuple(mask.flatten().tolist()) for mask in area(HEAD, BESIDE)
    }
    assert distinct_heads([], (SIZE, SIZE)).shape == (0, SIZE, SIZE)
    assert distinct_heads([], (SIZE, SIZE)).dtype is torch.bool


@pytest.mark.parametrize(("left", "heads"), [(46, 2), (37, 2), (36, 1)])
def test_two_heads_may_overlap_by_less_than_half_of_one(left, heads):
    other = (12, left, 34, left + 20)
    assert len(distinct_heads([*area(HEAD, other, side=70)], (70, 70))) == heads


# --- Templates ------------------------------------------------------------------------------------


def template(segmenter, cast=("Mara",)):
    words = [c.description for c in (MARA, TOM)][: len(cast)]
    return make_template(FakeGenerator(), segmenter, Prompt("x"), cast, words)


def test_a_patch_of_cheek_is_missing_and_two_people_are_two():
    boxes = {MARA.description: PERSON, TOM.description: CHEEK}
    one = template(Seeing(boxes, [HEAD]), ("Mara", "Tom"))
    assert (one.missing, one.people) == (("Tom",), 1)
    assert not one.masks[1].any()
    boxes[TOM.description] = (10, 0, 64, 19)
    both = template(Seeing(boxes, [HEAD, BESIDE]), ("Mara", "Tom"))
    assert (both.missing, both.people) == ((), 2)


def test_without_a_cast_people_are_counted_and_nobody_is_looked_for():
    segmenter = Seeing({}, [HEAD])
    assert (template(segmenter, ()).people, segmenter.calls) == (1, 0)


def test_a_segmenter_that_knows_no_heads_is_taken_at_its_word():
    found = template(FakeSegmenter({MARA.description: CHEEK}))
    assert (found.missing, found.people) == ((), None)


def test_heads_of_another_size_are_refused_in_one_line():
    class Wrong(FakeSegmenter):
        def heads(self, image, phrases):
            return area(HEAD, side=SIZE // 2)

    with pytest.raises(ModelError, match=r"heads of shape \(1, 32, 32\)"):
        template(Wrong({MARA.description: PERSON}))


@pytest.mark.parametrize(
    ("scene", "heads", "attempt", "people"),
    [
        (0, [[HEAD]], 0, 1),
        (0, [[HEAD, BESIDE], [HEAD]], 1, 1),  # two Maras, then one
        (0, [[HEAD, BESIDE], [HEAD, BESIDE], [BESIDE]], 0, 2),  # rather two than without her
        (
            2,
            [[HEAD, BESIDE], [HEAD], [HEAD]],
            1,
            1,
        ),  # nobody was meant; fewest strangers, then first
        (2, [[HEAD], [], [HEAD]], 1, 0),
    ],
)
def test_other_seeds_are_tried_while_somebody_is_too_much(
    story, boxes, scene, heads, attempt, people
):
    boxes[MARA.description] = PERSON
    got = find_template(
        FakeGenerator(), Seeing(boxes, *heads), story, story.scenes[scene], PRESET, seed=5
    )
    seed = 5 if not attempt else attempt_seed(5, attempt)
    assert (got.seed, got.people) == (seed, people)


class Undressed:
    """Sees in each picture those of the cast who are planted as bare, the last ones ever after."""

    def __init__(self, *bare):
        self.planted = list(bare)
        self.doubts = []  # whether it was asked who may be

    def __call__(self, image, masks, heads, doubt):
        self.doubts.append(doubt)
        assert masks.shape[1:] == (image.height, image.width)
        return self.planted.pop(0) if len(self.planted) > 1 else self.planted[0]


@pytest.mark.parametrize(
    ("bare", "heads", "attempt", "told"),
    [
        ([[]], [[HEAD]], 0, ()),
        ([[0], []], [[HEAD]], 1, ()),
        ([[0], [0], [0], [0], []], [[HEAD]], 4, ()),  # the fifth and last
        ([[0]], [[HEAD]], 0, ("Mara",)),  # stays: the first, and told
        ([[0], [], [0]], [[HEAD], [BESIDE]], 0, ("Mara",)),  # rather bare than not found
        ([[0], [], [0]], [[HEAD], [HEAD, BESIDE], [HEAD]], 1, ()),  # rather beside a stranger
    ],
)
def test_other_seeds_are_tried_while_somebody_wears_nothing(
    story, boxes, bare, heads, attempt, told
):
    boxes[MARA.description] = PERSON
    seeing = Seeing(boxes, *heads)
    how = {"seed": 5, "bare": Undressed(*bare)}
    got = find_template(FakeGenerator(), seeing, story, story.scenes[0], PRESET, **how)
    seed = 5 if not attempt else attempt_seed(5, attempt)
    assert (got.seed, got.bare, got.missing) == (seed, told, ())
    assert all(how["bare"].doubts)  # a face is still to be put in


@pytest.mark.parametrize(("attempts", "painted"), [(1, 1), (2, 3), (3, 5)])
def test_after_the_first_twice_as_many_are_painted_while_somebody_wears_nothing(
    story, boxes, attempts, painted
):
    boxes[MARA.description], preset = PERSON, replace(PRESET, attempts=attempts)
    for bare, heads, count in ((Undressed([0]), [HEAD], painted), (None, [BESIDE], attempts)):
        seeing = Seeing(boxes, heads)
        find_template(FakeGenerator(), seeing, story, story.scenes[0], preset, seed=5, bare=bare)
        assert seeing.calls == count


def test_a_backend_that_sees_no_clothes_looks_for_none(story, boxes, backend):
    assert backend.bare is None
    faces = {"Mara": Identity(torch.ones(16), torch.arange(1))}
    frame = paint(backend, story, story.scenes[0], faces, PRESET, seed=5)
    assert (frame.template.seed, frame.template.bare) == (5, ())
    bare = Undressed([0], [])
    frame = paint(replace(backend, bare=bare), story, story.scenes[0], faces, PRESET, seed=5)
    assert (frame.template.seed, frame.template.bare) == (attempt_seed(5, 1), ())


TURN = 2 * PRESET.attempts - 1  # templates of one


@pytest.mark.parametrize(
    ("heads", "bare", "turn", "painted"),
    [
        # Of each template and each picture in turn, heads; and who is bare.
        ([[HEAD]], [[]], 0, 1),
        ([[HEAD], [HEAD, BESIDE], [HEAD]], [[]], 1, 2),  # a face brought a head
        ([[HEAD], [HEAD, BESIDE]] * 3, [[]], 0, 3),  # as wrong each time: the first, and no more
        ([[HEAD, BESIDE]], [[]], 0, 1),  # as many as in the template: nothing was brought
        ([[HEAD]], [[], [0], []], 1, 2),  # a face took a collar away
        ([[HEAD], [HEAD, BESIDE], [HEAD], [HEAD]], [[], [], [], [0]], 0, 3),  # rather two than bare
    ],
)
def test_a_picture_that_is_worse_than_its_template_is_painted_on_another(
    backend, story, boxes, heads, bare, turn, painted
):
    boxes[MARA.description] = PERSON
    backend = replace(backend, segmenter=Seeing(boxes, *heads), bare=Undressed(*bare))
    frame = paint(backend, story, story.scenes[0], {"Mara": FACE}, PRESET, seed=5)
    assert frame.template.seed == attempt_seed(5, turn * TURN)
    assert len(backend.identity.conditions) == painted


def test_with_one_attempt_a_picture_stays_as_it_is(backend, story, boxes):
    boxes[MARA.description] = PERSON
    backend = replace(backend, segmenter=Seeing(boxes, [HEAD], [HEAD, BESIDE]))
    preset = replace(PRESET, attempts=1)
    frame = paint(backend, story, story.scenes[0], {"Mara": FACE}, preset, seed=5)
    assert (frame.template.seed, frame.people, len(backend.identity.conditions)) == (5, 2, 1)


def test_a_run_paints_it_on_another_too_and_so_it_is_painted_again(tmp_path, backend, story, boxes):
    boxes[MARA.description] = PERSON
    story = replace(story, scenes=story.scenes[:1])
    heads = [[HEAD], [HEAD, BESIDE], [HEAD]]
    _, parts = run(tmp_path, backend, story, heads, boxes, attempts=3)
    assert "people" not in parts["frames/001"]
    picture = tmp_path / "run" / "frames" / "001.png"
    facts, before = read_png_facts(picture, tmp_path / "run"), picture.read_bytes()
    assert facts["template_seed"] == attempt_seed(parts["frames/001"]["seed"], TURN)
    picture.unlink()
    assert run(tmp_path, backend, story, heads, boxes, attempts=3)[1] == parts
    assert picture.read_bytes() == before


def test_a_picture_that_is_tried_again_takes_its_own_seconds(
    tmp_path, backend, story, boxes, monkeypatch
):
    """By a clock that ticks when it is read: from one picture to the next is one tick."""
    monkeypatch.setattr(painter, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    boxes[MARA.description] = PERSON
    story = replace(story, scenes=(story.scenes[0], story.scenes[2]))
    heads = [[HEAD], [HEAD, BESIDE], [HEAD], [HEAD], [HEAD], []]
    events, _ = run(tmp_path, backend, story, heads, boxes, attempts=2)
    assert [e.index for e in events if isinstance(e, TemplateReady)] == [0, 0, 1]
    assert [e.seconds for e in events if isinstance(e, FrameReady)] == [1, 1]


def test_nobody_is_told_missing_in_a_template_that_was_thrown_away(tmp_path, backend, story, boxes):
    boxes[MARA.description] = PERSON
    story = replace(story, scenes=story.scenes[:1])
    heads = [[HEAD], [HEAD, BESIDE], [BESIDE], [BESIDE], [BESIDE], [HEAD, BESIDE]]
    events, _ = run(tmp_path, backend, story, heads, boxes, attempts=2)
    assert [e.missing for e in events if isinstance(e, TemplateReady)] == [(), ("Mara",)]
    assert [e.missing for e in events if isinstance(e, FrameReady)] == [()]
    assert not [e.message for e in events if isinstance(e, Warned) and "not found" in e.message]


def test_a_finished_picture_without_a_template_is_held_to_the_same(story):
    image, scene = Image.new("RGB", (SIZE, SIZE)), story.scenes[0]
    for box, missing in ((PERSON, ()), (CHEEK, ("Mara",))):
        M, told = find_cast(Seeing({MARA.description: box}, [HEAD]), story, scene, image)
        assert (told, bool(M.any())) == (missing, not missing)


# --- Those who are painted from words alone -------------------------------------------------------

WITH_REX = make_story(
    {
        "character": [
            {"name": "Mara", "description": MARA.description},
            {"name": "Rex", "description": "a brown dog", "identity": False},
        ],
        "scene": [
            {"prompt": "{Mara} and {Rex} in a meadow by day"},
            {"prompt": "{Mara} in a meadow by day"},
        ],
    },
    source="test",
)


@pytest.mark.parametrize("words", ["description", "scene"])
def test_beside_a_dog_mara_is_painted_as_without_it(backend, words):
    """One face is put in, hers, into her mask; no word of the dog is in what it is painted from."""
    config = replace(PRESET, injection=replace(PRESET.injection, identity_words=words))
    faces = {"Mara": Identity(torch.ones(16), torch.arange(1))}
    backend = replace(backend, segmenter=Seeing({MARA.description: PERSON}, [HEAD]))
    masks, asked = [], []
    for scene in WITH_REX.scenes:
        assert scene.cast == ("Mara",)
        frame = paint(backend, WITH_REX, scene, faces, config)
        masks.append(frame.template.masks)
        asked.append(backend.identity.conditions.pop())
        assert frame.template.missing == ()
    assert torch.equal(*masks)
    assert [len(prompts) for prompts in asked] == [1, 1]
    assert all(torch.equal(prompts[0].face, faces["Mara"].embedding) for prompts in asked)
    assert "dog" not in asked[0][0].text
    if words == "description":
        assert asked[0][0].text == asked[1][0].text == MARA.description


def test_a_dog_may_be_taken_for_a_head_and_need_not():
    with_dog, alone = WITH_REX.scenes
    assert crowd(WITH_REX, with_dog) == range(1, 3)
    assert crowd(WITH_REX, alone) == range(1, 2)
    assert crowd(WITH_REX, replace(with_dog, text="{ Rex } and {Mara}")) == range(1, 3)
    rex = replace(WITH_REX, characters=(replace(WITH_REX.characters[1], name="O'Rex"),))
    for text in ("{O'Rex}", "{O\u2019Rex}"):
        assert crowd(rex, replace(with_dog, text=text)) == range(1, 3)
    scene = identity_prompt(
        WITH_REX, alone, WITH_REX.characters[0], InjectionConfig(identity_words="scene")
    )
    assert scene == alone.prompt


# --- What a run tells -----------------------------------------------------------------------------


def run(tmp_path, backend, story, heads, boxes, attempts=1, **more):
    backend = replace(backend, segmenter=Seeing(boxes, *heads))
    facts = ModelFacts("w", "cpu", "float32")
    service = Service(load=lambda *_, **__: backend, describe=lambda *_: facts)
    preset = replace(PRESET, attempts=attempts)
    events = list(service.run(RunRequest(story, tmp_path / "run", preset, **more)))
    return events, json.loads((tmp_path / "run" / "run.json").read_text())["parts"]


def test_too_many_and_too_few_are_told_in_the_event_run_json_and_on_the_page(
    tmp_path, backend, story, boxes
):
    boxes |= {MARA.description: PERSON, TOM.description: (10, 0, 64, 19)}
    # A template and a picture each: two Maras, Tom is missing, a stranger in the empty scene.
    heads = [[HEAD, BESIDE], [HEAD, BESIDE], [HEAD], [HEAD], [HEAD], [HEAD]]
    events, parts = run(tmp_path, backend, story, heads, boxes)
    frames = [e for e in events if isinstance(e, FrameReady)]
    assert [(e.people, e.meant, e.missing) for e in frames] == [
        (2, (1,), ()),
        (1, (2,), ("Tom",)),
        (1, (0,), ()),
    ]
    warned = [e.message for e in events if isinstance(e, Warned) and "seen" in e.message]
    assert warned[0] == "scene 1: people: 2 seen, 1 meant; try --only 1 --seed random"
    assert "nobody meant" in warned[2]
    assert [sorted(parts[f"frames/00{n}"].keys() & {"missing", "people"}) for n in (1, 2, 3)] == [
        ["people"],
        ["missing", "people"],
        ["people"],
    ]
    page = (tmp_path / "run" / "sheet.png").read_bytes()
    again, kept = run(
        tmp_path, backend, story, [[]], boxes
    )  # nothing is painted, all is still known
    assert kept == parts
    assert not [e for e in again if isinstance(e, FrameReady)]
    assert (tmp_path / "run" / "sheet.png").read_bytes() == page


class Places(FakeIdentityGenerator):
    """Sees the face of the last of a cast alone."""

    def face_points(self, image, masks):
        return [None] * (len(masks) - 1) + [torch.zeros(5, 2)]

    def portrait_points(self):
        raise AssertionError("there is a template")


def test_whose_face_is_not_seen_in_a_template_is_told(tmp_path, backend, story, boxes):
    backend = replace(backend, identity=Places())
    boxes |= {MARA.description: PERSON, TOM.description: (10, 0, 64, 19)}
    events, _ = run(tmp_path, backend, story, [[HEAD, BESIDE]], boxes)
    told = [e.message for e in events if isinstance(e, Warned) and "no face" in e.message]
    assert [line.split(",")[0] for line in told] == ["scene 2: no face was seen where 'Mara' is"]


def test_who_stays_bare_is_told_in_the_event_run_json_the_picture_and_on_the_page(
    tmp_path, backend, story, boxes
):
    story = replace(story, scenes=story.scenes[:2])
    boxes |= {MARA.description: PERSON, TOM.description: (10, 0, 64, 19)}
    heads = [[HEAD], [HEAD], [HEAD, BESIDE]]
    backend = replace(
        backend, bare=Undressed([0], [], [0], [0, 1])
    )  # a template and a picture each
    events, parts = run(tmp_path, backend, story, heads, boxes)
    frames = [e for e in events if isinstance(e, FrameReady)]
    assert [(e.bare, e.missing, e.people) for e in frames] == [
        ((), (), 1),
        (("Mara", "Tom"), (), 2),
    ]
    (warned,) = [e.message for e in events if isinstance(e, Warned) and "wear" in e.message]
    assert warned == "scene 2: Mara and Tom seem to wear nothing; try --only 2 --seed random"
    assert backend.bare.doubts == [True, False, True, False]
    assert "bare" not in parts["frames/001"]
    assert parts["frames/002"]["bare"] == ["Mara", "Tom"]
    file = tmp_path / "run" / "frames" / "002.png"
    assert read_png_facts(file, tmp_path / "run")["bare"] == ["Mara", "Tom"]
    again, kept = run(tmp_path, replace(backend, bare=None), story, [[]], boxes)
    assert kept == parts  # nothing is painted, all is still known
    assert not [e for e in again if isinstance(e, FrameReady)]
    assert caption(story, 1, parts["frames/002"]).endswith("[Mara and Tom seem to wear nothing]")


def test_where_all_are_there_nothing_is_told_and_pictures_say_what_they_said(
    tmp_path, backend, story, boxes
):
    story = replace(story, scenes=story.scenes[:1])
    boxes[MARA.description] = PERSON
    events, parts = run(tmp_path, backend, story, [[HEAD]], boxes)
    assert not [e for e in events if isinstance(e, Warned) and "seen" in e.message]
    assert parts["frames/001"].keys() == {"state", "key", "seed"}
    text = PngImagePlugin.PngImageFile(tmp_path / "run" / "frames" / "001.png").text
    assert all('"people"' not in chunk for chunk in text.values())


def test_what_the_page_says(story):
    assert told([], 1, range(1, 2)) == told([], None, range(1, 2)) == {}
    assert told(["Tom"], 0, range(1, 3)) == {"missing": ["Tom"], "people": 0}
    assert told_by({"missing": [], "key": "k"}) == told_by(None) == {}
    assert told_by({"people": 0, "missing": ["Tom"]}) == {"people": 0, "missing": ["Tom"]}
    said = {"missing": ["Tom"], "people": 0}
    assert note(said, range(1, 3)) == "Tom not found; people: nobody seen, 1 to 2 meant"
    scene = replace(story.scenes[0], text="{Mara} reads")
    story = replace(story, scenes=(scene,))
    assert caption(story, 0, {}) == "001  Mara reads"
    assert caption(story, 0, {"people": 2}) == "001  Mara reads [people: 2 seen, 1 meant]"


# --- The script that holds it against drawings ------------------------------------------------------


def test_a_tally_tells_right_masks_from_wrong_ones_and_kept_from_refused():
    whole, cheek = area(PERSON, CHEEK)
    tally = Tally()
    tally.add(torch.stack([whole & ~cheek, cheek]), area(HEAD), area(PERSON, BESIDE))
    assert tally.counted == {1: 1}
    assert tally.masks == {"right, kept": 1, "wrong, refused": 1}
    assert [len(r.people) for r in records("held_out", 0, 2)] == [0, 0]


def test_what_is_known_comes_from_run_json_and_of_a_chosen_take_from_the_picture(tmp_path):
    folder, part = RunFolder(tmp_path), Part("frames/001", "k" * 16, 0, dict)
    write_png(folder.frame(0), Image.new("RGB", (4, 4)), {"key": part.key, "people": 3}, tmp_path)
    parts = {"frames/002": {"key": part.key, "state": "done", "people": 2, "missing": ["Mara"]}}
    by_record = told_before({"parts": parts}, folder, [part], {part.name})
    assert by_record == {part.name: {"people": 2, "missing": ["Mara"]}}
    for record in (None, {"parts": {"frames/001": {"key": "other", "state": "done", "people": 2}}}):
        assert told_before(record, folder, [part], {part.name}) == {part.name: {"people": 3}}
    assert told_before(None, folder, [part], set()) == {}
