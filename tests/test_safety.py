"""What is never painted is refused by every door, before anything is made; what only sounds like it is not."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import attacks
from identitystory.api import IdentityStory
from identitystory.cli.main import main
from identitystory.errors import StoryError, quoted
from identitystory.protocols import ModelFacts
from identitystory.runs.options import new_request
from identitystory.runs.service import Service
from identitystory.story.advice import advice
from identitystory.story.file import inline_story
from identitystory.story.readings import Reading, readings
from identitystory.story.safety import (
    STRICT,
    check_character,
    check_story,
    check_words,
    full_names,
    name_advice,
)
from identitystory.types import Scene

GROUPS = {g["name"]: g for g in tomllib.loads(attacks.ATTACKS.read_text("utf-8"))["group"]}
OPEN = [
    name for name in GROUPS if "hidden" in name or "round" in name
]  # some get through, and are told
BAD = "{Mara} nude, sixteen years old"
WHO = ["--character", "Mara: a woman with dark hair"]
REFUSED = "asks for a sexual picture"


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in OPEN])
def test_attacks_are_refused_and_ordinary_scenes_are_not(name):
    group = GROUPS[name]
    for text in group["texts"]:
        assert attacks.is_refused(text, group.get("negative", "")) is group["refused"], text


def test_the_page_tells_what_was_measured():
    assert attacks.PAGE.read_text("utf-8") == attacks.page()


@pytest.fixture
def door(backend, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    opened = []

    def run(*argv):
        service = Service(
            load=lambda *_, **__: opened.append(1) or backend,
            describe=lambda *_: ModelFacts("f" * 64, "cpu", "float32"),
        )
        code = main([*argv], service=lambda: service)
        out = capsys.readouterr()
        return code, out.err, len(opened)

    return run


def test_every_command_refuses_in_one_line_and_makes_nothing(door):
    few = ["--steps", "10", "--portraits", "4"]
    assert door("generate", *WHO, "--scene", "{Mara} reads", "--out", "good", *few)[0] == 0
    story = (
        '[[character]]\nname = "Mara"\ndescription = "a nude girl"\n[[scene]]\nprompt = "{Mara}"\n'
    )
    Path("bad.toml").write_text(story)
    record = json.loads(Path("good/run.json").read_text())
    record["story"]["scenes"][0]["prompt"] = "a nude girl reads"
    Path("bad").mkdir()
    Path("bad/run.json").write_text(json.dumps(record))
    before = sorted(Path().rglob("*"))
    search = ["--set", 'discovery.search_prompt="nude {description}, a teenager"']
    for argv in (
        ["generate", *WHO, "--scene", BAD],
        ["generate", *WHO, "--scene", "{Mara} reads", "--scene", BAD, "--only", "1"],
        ["generate", *WHO, "--scene", "{Mara} reads", "--out", "other", *search],
        ["generate", "bad.toml"],
        ["generate", "bad"],
        ["discover", "bad.toml"],
        ["discover", "--character", "Mara: a nude girl", "--scene", "{Mara}"],
        ["extend", "good", "--scene", BAD],
        ["generate", *WHO, "--scene", "{Mara} nude like Emma Watson"],
        ["generate", *WHO, "--scene", "{Mara}", "--style", "nude girls"],
        ["bench", "--stories", "bad.toml", "--out", "bench", "--methods", "general"],
    ):
        code, err, opened = door(*argv)
        assert (code, opened) == (2, 1), argv
        assert REFUSED in err.splitlines()[-1], argv
        assert err.count("\n") == 1, argv
    assert sorted(p for p in Path().rglob("*") if "bench" not in p.parts) == before


def test_python_refuses_too(backend, tmp_path):
    load = lambda *_, **__: backend
    facts = ModelFacts("f" * 64, "cpu", "float32")
    model = IdentityStory("fake", None, facts, load)
    with pytest.raises(StoryError, match=REFUSED):
        model.discover("a nude girl with red hair")
    with pytest.raises(StoryError, match=REFUSED):
        model.paint("a naked boy on a beach")
    good = inline_story(["Mara: a woman"], ["{Mara} reads"])
    bad = replace(good, scenes=(Scene(prompt="a naked boy on a beach", cast=()),))
    with pytest.raises(StoryError, match=REFUSED):
        list(Service(load=load, describe=lambda *_: facts).run(new_request(bad, tmp_path / "r")))
    assert not (tmp_path / "r").exists()


def test_strict_refuses_every_sexual_word_and_every_name(monkeypatch):
    tell = lambda scene: inline_story(["Mara: a woman with dark hair"], [scene])
    nude, named = "a nude woman models for painters", "a portrait of Ada Lovelace"
    tell(nude)
    tell(named)
    for value, refused in (("1", True), ("0", False)):
        monkeypatch.setenv(STRICT, value)
        for scene in (nude, named):
            if refused:
                with pytest.raises(StoryError, match=STRICT):
                    tell(scene)
            else:
                tell(scene)
        tell("{Mara} reads in New York")


def test_names_of_people_are_warned_of_and_names_of_places_are_not():
    story = inline_story(
        ["Mara: a woman who looks like Ada Lovelace"],
        [
            "{Mara} meets zendaya at the Eiffel Tower",
            "Then {Mara} sees Vincent van Gogh. Rain falls.",
        ],
    )
    lines = [line for line in advice(story) if "real person" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "'Vincent van Gogh', 'Ada Lovelace', 'Zendaya': if that is a real person"
    )
    for text in (
        "Old Tom sails to New York", "A PORTRAIT OF MARA", "A Portrait Of Mara", "rain. Later snow, Mara",
        "{Mara Lind} reads", "an Irish man in Lisbon", "the North Sea", "Mara's Toys for sale",
    ):  # fmt: skip
        assert full_names(text) == [], text
    assert full_names("a photo of Ada K. Lovelace's house") == ["Ada K Lovelace"]
    assert full_names("a photo of Tom Ada K. Reed") == ["Tom Ada K Reed"]
    assert full_names("Then Ada Lovelace de la") == ["Ada Lovelace"]
    many = [f"Ada {name}" for name in ("Reed", "Lind", "Moss", "Dell", "Finn", "Gray")]
    (line,) = name_advice(inline_story(["Mara: a woman"], [f"{{Mara}} meets {'; '.join(many)}"]))
    assert line.startswith(f"{quoted(many[:5])}: if that")
    assert full_names("Then Ada Lovelace's Tom Reed") == ["Ada Lovelace", "Tom Reed"]


def test_an_age_that_is_told_beside_the_pictures_counts():
    story = {
        "character": [{"name": "Mara", "description": "a woman"}],
        "scene": [{"prompt": "{Mara} undressed"}],
    }
    attacks.make_story(story, source="it")
    story["scene"][0]["dialogue"] = [{"who": "Mara", "says": "I am only twelve"}]
    with pytest.raises(StoryError, match="may be a child \\('only 12'\\)"):
        attacks.make_story(story, source="it")


NUDE = inline_story(["Mara: a woman"], ["{Mara} nude", "a woman reads"])


def test_all_that_a_story_tells_counts():
    """Each of these alone makes of a picture that may be painted one that may not."""
    (mara,), (nude, reads) = NUDE.characters, NUDE.scenes
    check_story(NUDE, "s")
    check_story(  # an adult, by what they wear
        replace(NUDE, characters=(replace(mara, description="nude", wears="a lady's hat"),)), "s"
    )
    with pytest.raises(StoryError, match=r"of somebody who may be a real person \('emma watson'\)"):
        check_character(replace(mara, name="Emma Watson", description="a nude woman"), "p")
    with pytest.raises(StoryError, match=r"a real person \('emma watson'\)"):
        check_words(["a nude woman who looks like emma watson"], place="p")
    for story in (
        replace(NUDE, characters=(replace(mara, consent="7 2027-12-31"),)),
        replace(NUDE, characters=(replace(mara, name="Emma Watson"),)),
        replace(NUDE, characters=(replace(mara, wears="a school uniform, 12 years old"),)),
        replace(NUDE, characters=(replace(mara, candidate=1, sought=("Mia", "a child")),)),
        replace(NUDE, negative="adult"),
        replace(NUDE, scenes=(nude, replace(reads, negative="adult"))),
        replace(NUDE, scenes=(nude, replace(reads, caption="She is 12."))),
        replace(NUDE, scenes=(nude, replace(reads, dialogue=(("Mara", "I am 12 years old"),)))),
        replace(NUDE, scenes=(nude, replace(reads, prompt="a child reads"))),
    ):
        with pytest.raises(StoryError, match=r"^s asks for a sexual picture"):
            check_story(story, "s")
    with pytest.raises(StoryError, match=r"^s asks .* a child \('child'\)"):
        check_story(NUDE, "s", "a child")
    with pytest.raises(StoryError, match=r"^s: scene 1 asks .* a real person \('emma watson'\)"):
        check_story(
            replace(NUDE, scenes=(replace(nude, text="{Emma Watson} nude"), reads), negative="x"),
            "s",
            "emma watson",
        )


@pytest.mark.parametrize(
    ("text", "found"), [("nude", "nude"), ("nudes", "nudes"), ("denudes", ""), ("denuded", "")]
)
def test_an_entry_is_found_as_a_whole_word_also_if_it_is_all(text, found):
    assert Reading(text).find("sexual") == found


@pytest.mark.parametrize(("text", "found"), [("two lasses", "lasses"), ("a lasso", "")])
def test_a_plural_is_found_too(text, found):
    assert Reading(text).find("minor") == found


def test_letters_that_stand_apart_are_read_together_and_plain_words_as_they_are():
    assert [r.find("sexual") for r in readings("h a v e s e x")] == ["", "sex"]
    (plain,) = readings("a good book")
    assert plain.text == " a good book "


def test_numbers_are_no_letters():
    """``717`` spells a word in signs that look alike; among numbers it is the number."""
    (plain,) = {reading.text for reading in readings("the bus 717 at 5 and 8")}
    assert plain == " the bus 717 at 5 and 8 "
    assert " tit " in {word for each in readings("t1t") for word in [each.text]}


def test_a_scene_that_asks_alone_is_named_and_a_story_that_asks_as_a_whole_is_not():
    with pytest.raises(StoryError, match=r"^the command line: scene 2 asks for a sexual"):
        inline_story(["Mara: a woman"], ["{Mara} reads", "a nude girl"])
    with pytest.raises(StoryError, match=r"^the command line asks for a sexual"):
        inline_story(["Mara: a woman"], ["a girl of 9 reads", "a nude woman"])


def test_what_is_said_first_is_named(monkeypatch):
    with pytest.raises(StoryError, match=r"sexual picture \('naked'\)"):
        check_words(["a naked girl"], names=["Nude"], place="p")
    with pytest.raises(StoryError, match=r"a real person \('Ada Lovelace'\)"):
        check_words(["a nude woman called Ada Lovelace"], names=["Tom Reed"], place="p")
    story = inline_story(["Emma Watson: a woman"], ["{Emma Watson} meets zendaya"])
    (line,) = name_advice(story)
    assert line.startswith("'Zendaya': if")
    monkeypatch.setenv(STRICT, "1")
    many = [f"Ada {name}" for name in ("Reed", "Lind", "Moss", "Dell", "Finn", "Gray")]
    with pytest.raises(StoryError, match=f"p names {quoted(many[:5])}; {STRICT}"):
        check_words([f"she meets {'; '.join(many)}"], place="p")


def test_letters_that_stand_apart_are_read_without_the_first_too():
    """It may be an article."""
    assert [r.find("adults") for r in readings("a w o m a n")] == ["", "woman"]


def test_a_small_letter_at_the_beginning_of_a_word_is_no_capital():
    assert full_names("iPhone of Ada Lovelace") == ["Ada Lovelace"]
    assert full_names("iPhone Ada Lovelace") == ["Ada Lovelace"]
