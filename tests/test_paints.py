"""What a checkpoint has no picture of is told, refused or replaced (story/paints.py)."""

import re
from dataclasses import replace

import numpy as np
import pytest

from identitystory.cli.main import main
from identitystory.errors import ModelError, StoryError
from identitystory.protocols import Backend, ModelFacts
from identitystory.runs.events import Warned
from identitystory.runs.files import read_png_facts
from identitystory.runs.options import new_request
from identitystory.runs.request import RunRequest, recorded, sized_story
from identitystory.runs.service import Service
from identitystory.story import paints
from identitystory.story.file import inline_story, load_story
from identitystory.story.sets import load_sets
from identitystory.story.vocabulary import MAX_NAMED
from identitystory.types import Scene
from miniature.card import paints as taught_by_the_world
from miniature.card import paints_lines
from miniature.pictures.recipe import record_of
from miniature.world import captions, words
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter
from tests.test_people import PRESET

WORLD = paints.Paints(**{kind: tuple(said) for kind, said in taught_by_the_world().items()})
MARA = "Mara: a woman with red hair"


def scene(text, cast=("Mara",)):
    return Scene(text.replace("{Mara}", "a woman with red hair"), cast, text)


def outside(text, cast=("Mara",)):
    return [(each.kind, each.words) for each in paints.unseen(scene(text, cast), WORLD)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{Mara} in a castle", [("place", "in a castle")]),
        ("{Mara} at the bottom of a well by night", [("place", "at the bottom of a well")]),
        ("{Mara} in the cafe at night, in a red coat", []),
        ("{Mara} in a white shirt in a garden", []),
        ("{Mara} shirtless on a beach", [("bare", "shirtless")]),
        ("{Mara} in a bikini by the sea", [("bare", "in a bikini")]),
        ("a full-body photo of {Mara} in a library", [("framing", "a full-body photo of")]),
        ("a half-body photo of {Mara} reading a book", []),
        ("{Mara} holding a dog", [("doing", "holding a dog")]),
        ("{Mara} reading in a library", [("doing", "reading")]),
        ("{Mara} without a hat", [("negation", "without a hat")]),
    ],
)
def test_words_that_the_painter_has_no_picture_of_are_found_by_kind(text, told):
    assert outside(text) == told


def test_of_a_scene_with_nobody_it_must_be_said_in_words_that_it_was_taught():
    assert outside("a view of a beach", ()) == [("nobody", "a view of a beach")]
    assert outside("a view of a beach, nobody in it", ()) == []


def test_what_the_world_says_of_its_own_pictures_is_never_told():
    """Captions of 120 drawn pictures, each of other words, and the stories that are shipped for it."""
    for n in range(120):
        record, rng = (
            record_of("held_out_pairs" if n % 4 == 0 else "held_out", n),
            np.random.default_rng(n),
        )
        frame = words.FRAMING[record.framing][n % 3]
        if not record.people:
            continue
        if len(record.people) > 1:
            text = f"{frame} {captions.company(record, rng, ['{Mara}', '{Tom}'])}"
        else:
            text = f"{frame} {{Mara}} {captions.scene(record, 0, rng)}"
        assert outside(text) == [], text
    shipped = [load_story("examples/lighthouse.toml"), *load_sets("little_people")]
    assert not [each for s in shipped for one in s.scenes for each in paints.unseen(one, WORLD)]


def test_the_shipped_card_says_what_the_next_one_will(miniature_folder):
    """Of the shipped world: `python -m miniature.pack` writes the same table."""
    assert paints.load_paints(miniature_folder) == WORLD
    assert "\n".join(paints_lines()) in (miniature_folder / "card.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def miniature_folder():
    from identitystory.models.files.checkpoint import find_folder

    return find_folder("miniature")


def test_of_phrases_that_begin_alike_the_longest_is_heard():
    pattern = paints._any(["in a tree", "in a tree house", "at sea"])
    assert re.match(pattern, "in a tree house")[0] == "in a tree house"
    assert re.match(pattern, "in a tree")[0] == "in a tree"
    assert re.match(paints._any([]), "") is None


def test_a_line_for_each_kind_with_what_it_knows():
    found = paints.unseen(scene("{Mara} shirtless in the libary, holding a dog"), WORLD)
    assert list(paints.warnings(found, WORLD)) == [
        "the model has no picture of a place called 'in the libary' (it knows 'in a library')",
        "the model has no picture of anybody 'holding a dog' (it knows 'holding a book' and 'holding a cat')",
        "the model has seen nobody without clothes; leave out 'shirtless'",
    ]


def test_of_many_the_first_are_named_and_the_others_counted():
    found = [paints.Unseen("place", f"in room {n}") for n in range(MAX_NAMED + 2)]
    (line,) = paints.warnings([*found, found[0]], WORLD)
    assert line.endswith(f"'in room {MAX_NAMED - 1}', and 2 more")
    (line,) = paints.warnings(paints.unseen(scene("a view of a beach", ()), WORLD), WORLD)
    assert line.endswith(f"'a view of a beach' (it knows {WORLD.nobody[0]!r})")


@pytest.mark.parametrize(
    "card",
    ["paints = 3", '[paints]\nsea = ["a"]', "[paints]\nplaces = [3]", '[paints]\nplaces = "a"'],
)
def test_a_broken_table_is_one_line(tmp_path, card):
    (tmp_path / "card.toml").write_text(card)
    with pytest.raises(ModelError, match="is broken"):
        paints.load_paints(tmp_path)


def test_without_the_table_everything_is_painted(tmp_path):
    assert paints.load_paints(tmp_path) is None
    story = inline_story([MARA], ["{Mara} in a castle"])
    for how in ("", "refuse", "replace"):
        assert [*paints.heeded(story, tmp_path, how)] == [*story.scenes]


# --- Refused and replaced -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("{Mara} in a libary at night", "a woman with red hair in a library at night"),
        ("{Mara} in a castle by day", "a woman with red hair by day"),
        ("{Mara} shirtless, on a beach", "a woman with red hair, on a beach"),
        ("{Mara} smilin without a hat in a park", "a woman with red hair smiling in a park"),
        (
            "a full-body photo of {Mara} at home",
            "a half-body photo of a woman with red hair at home",
        ),
        ("a beach at night", "a beach at night, nobody in it"),
        ("{Mara} at home", "a woman with red hair at home"),
    ],
)
def test_replaced_words_are_the_nearest_and_what_has_none_is_left_out(
    miniature_folder, text, prompt
):
    story = inline_story([MARA], [text])
    (made,) = paints.heeded(story, miniature_folder, "replace")
    assert made == replace(story.scenes[0], prompt=prompt)


def test_a_description_stays_word_for_word(miniature_folder):
    story = inline_story(["Mara: a woman in a castle with smilin eyes"], ["{Mara} in a castle"])
    (made,) = paints.heeded(story, miniature_folder, "replace")
    assert made.prompt == "a woman in a castle with smilin eyes"
    both = [MARA, "Tom: a man in a castle"]
    story = inline_story(both, ["{Mara} and {Tom}, {Mara} in a castle"])
    (made,) = paints.heeded(story, miniature_folder, "replace")
    assert made.prompt == "a woman with red hair and a man in a castle, the woman"


@pytest.mark.parametrize(
    ("character", "text", "told"),
    [
        (MARA, "{Mara} in a castle", "scene 1: the model has no picture of 'in a castle'"),
        (MARA, "{Mara} yodels at home", "scene 1: the model has no picture of 'yodels'"),
        ("Tom: a shirtless man", "{Tom} at home", "'Tom': the model has no picture of 'shirtless'"),
        ("Tom: a man with quartz eyes", "{Tom} at home", "'Tom': .* 'quartz'"),
    ],
)
def test_a_story_is_refused_in_one_line(miniature_folder, character, text, told):
    with pytest.raises(StoryError, match=told) as caught:
        paints.heeded(inline_story([character], [text]), miniature_folder, "refuse")
    assert "\n" not in str(caught.value)


def test_bare_skin_of_a_description_is_not_replaced_but_refused(miniature_folder):
    story = inline_story(["Tom: a shirtless man"], ["{Tom} at home"])
    with pytest.raises(StoryError, match="shirtless"):
        paints.heeded(story, miniature_folder, "replace")


def test_without_the_table_of_phrases_bare_skin_is_painted_too(tmp_path):
    story = inline_story(["Tom: a shirtless man"], ["{Tom} at home"])
    words = '{"words": ["a", "shirtless", "man", "at", "home"]}'
    (tmp_path / "vocabulary.json").write_text(words)
    for how in ("refuse", "replace"):
        assert [*paints.heeded(story, tmp_path, how)] == [*story.scenes]


def test_too_many_unknown_words_are_refused_and_not_looked_for(miniature_folder):
    text = "{Mara} " + " ".join(f"q{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(101))
    with pytest.raises(StoryError, match="101 words and phrases"):
        paints.heeded(inline_story([MARA], [text]), miniature_folder, "replace")


def events_of(tmp_path, folder, unknown, text="{Mara} in a castle by day"):
    shapes = {"num_steps": PRESET.num_steps}
    people = FakeSegmenter({"a woman with red hair": (0, 0, 40, 40)})
    fake = Backend("fake", FakeGenerator(**shapes), FakeIdentityGenerator(**shapes), people)
    facts = ModelFacts("w", "cpu", "float32", folder)
    service = Service(load=lambda *_, **__: fake, describe=lambda *_: facts)
    request = RunRequest(inline_story([MARA], [text]), tmp_path / "run", PRESET, unknown=unknown)
    told = [e.message for e in service.run(request) if isinstance(e, Warned)]
    return told, fake, request


def test_a_run_keeps_what_was_asked_and_paints_what_it_knows(tmp_path, miniature_folder):
    told, fake, request = events_of(tmp_path, miniature_folder, "replace")
    assert "scene 1 is painted as 'a woman with red hair by day'" in told
    assert not [line for line in told if "castle" in line]
    painted = {p.text for prompts in fake.general.conditions for p in prompts}
    assert painted == {"a woman with red hair by day"}
    again = recorded(request.out)
    assert (again.unknown, again.story.scenes[0].text) == ("replace", "{Mara} in a castle by day")
    assert new_request(request.story, request.out, unknown="warn").unknown == ""


@pytest.mark.parametrize(("unknown", "code"), [("warn", 0), ("refuse", 2), ("replace", 0)])
def test_what_becomes_of_such_words_is_an_option(
    tmp_path, miniature_folder, backend, capsys, unknown, code
):
    facts = ModelFacts("w", "cpu", "float32", miniature_folder)
    service = Service(load=lambda *_, **__: backend, describe=lambda *_: facts)
    argv = ["generate", "--character", MARA, "--scene", "{Mara} in a castle by day"]
    argv += ["--steps", "10", "--portraits", "4", "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*argv, "--unknown", unknown], service=lambda: service) == code
    said = [line for line in capsys.readouterr().err.splitlines() if "castle" in line]
    assert [line.partition(":")[0] for line in said] == {
        "warn": ["warning"], "refuse": ["identitystory"], "replace": []
    }[unknown]  # fmt: skip
    if not code:
        told = read_png_facts(tmp_path / "run" / "frames" / "001.png")
        assert ("castle" in told["scene"]["prompt"]) == (unknown == "warn")


def test_a_run_warns_once_of_what_is_outside(tmp_path, miniature_folder):
    told, _, request = events_of(tmp_path, miniature_folder, "")
    assert [line for line in told if "castle" in line] == [
        "the model has no picture of a place called 'in a castle'"
    ]
    assert sized_story(request, ModelFacts("w", "cpu", "float32", miniature_folder)).scenes[
        0
    ].prompt == ("a woman with red hair in a castle by day")


FEW = paints.Paints(
    places=("in a park", "in a bark", "in a mark"),
    doing=("at rest", "reading"),
    nobody=("nobody in it", "no people"),
)


def test_at_most_two_are_named_and_they_are_nearly_the_same():
    near = lambda words: paints.instead_of(paints.Unseen("place", words), FEW)
    assert len(near("in a dark")) == 2
    assert near("in a perch") == ()  # of five letters three
    assert paints.instead_of(paints.Unseen("nobody", "x"), FEW) == ("nobody in it",)


def test_what_somebody_does_is_a_word_with_ing():
    assert paints.unseen(scene("{Mara} reading, all at"), FEW) == []


def test_of_a_scene_with_nobody_the_writers_words_are_named():
    styled = Scene("ink, a beach", (), "a beach")
    assert paints.unseen(styled, FEW) == [paints.Unseen("nobody", "a beach")]
    bare = Scene("ink, a beach", (), "")
    assert paints.unseen(bare, FEW) == [paints.Unseen("nobody", "ink, a beach")]


def test_capitals_change_nothing():
    assert paints._parts(Scene("x", ("Mara",), "The {Mara} waits. A {Mara} reads")) == [
        "waits",
        "reads",
    ]
    assert paints._swapped("in a Castle", {"castle": "library"}) == "in a library"


def test_as_many_as_a_hundred_are_looked_for_and_twelve_are_named(tmp_path):
    words = [f"q{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(100)]
    (tmp_path / "vocabulary.json").write_text('{"words": ["a", "woman", "with", "red", "hair"]}')
    story = inline_story([MARA], ["{Mara} " + " ".join(words)])
    assert [*paints.heeded(story, tmp_path, "replace")] == [*story.scenes]
    with pytest.raises(StoryError, match=f"{words[11]!r}; say it in words that it knows"):
        paints.heeded(story, tmp_path, "refuse")


def test_a_description_without_an_article_stays_word_for_word(miniature_folder):
    story = inline_story(["Mara: woman in a castle"], ["{Mara} in a castle"])
    (made,) = paints.heeded(story, miniature_folder, "replace")
    assert made.prompt == "woman in a castle"


def test_without_a_list_of_words_phrases_alone_are_refused(tmp_path):
    (tmp_path / "card.toml").write_text('[paints]\nplaces = ["in a park"]\n')
    story = inline_story([MARA], ["{Mara} strange in a park"])
    assert [*paints.heeded(story, tmp_path, "refuse")] == [*story.scenes]
    with pytest.raises(StoryError, match="has no picture of 'in a castle'; say"):
        paints.heeded(inline_story([MARA], ["{Mara} in a castle"]), tmp_path, "refuse")
