"""Other people's formats become story files; small files written by hand, and broken ones."""

import json
import random
import re
import time
import tomllib
from contextlib import suppress

import pytest

from identitystory.cli.main import main
from identitystory.config import Preset
from identitystory.errors import StoryError
from identitystory.protocols import ModelFacts
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.story.file import load_story
from identitystory.story.imports.draft import Shot, drafted
from identitystory.story.imports.registry import draft_of
from identitystory.story.imports.shots import from_yaml
from identitystory.story.imports.toml import missing, story_text
from identitystory.story.schema import MAX_CHARACTERS, MAX_PROMPT, MAX_SCENES

FOUNTAIN = """\
Title:
    **The pier**
Author: Nobody

FADE IN:

INT. LIGHTHOUSE KITCHEN - NIGHT #1#

MARA (30s), a woman with long red hair, stirs a pot. TOM comes in.

TOM
(shivering)
It is cold
out there.

MARA (CONT'D)
Then stay.

/* not
this */
EXT. PIER - CONTINUOUS

They look at the sea. [[nor this]]

@McBride (V.O.)
Nobody came.

CUT TO:

.the end

!MARA sleeps.
"""
TABLE = """\
My film;;;;
Scene #;Shot;Shot Description;Characters;Lens
1;A;Mara opens the {door};Mara, Tom;35mm
;;;;
2;A;;Tom and Mara;
"""
YAML = """\
title: Two friends
characters:
  Mara: a young woman with long red hair
  Rex: {description: a big dog}
scenes:
  - scene: 1
    location: a pier
    shots:
      - {shot: 1.10, description: Mara waves, size: close-up, dialogue: [Mara: Hello!, {who: Rex, says: wuff}]}
      - Rex runs
  - {scene: 2, action: NO, time: at night}
"""
BRACKETS = """\
[Bob] A man, wearing a black suit
[Alice]a woman, wearing a white shirt

[Bob] at home, read new paper #at home, [Bob] reads
[NC]A tiger appeared in the forest
[Bob] and [Alice] in a car
"""
VISTORY = {
    "Characters": {
        "Ana": {"name_en": "Ana", "name_ch": "安娜", "prompt_en": "A girl with a blue hat."},
        "Bolt": {"name_en": "Bolt", "prompt_en": "a robot of steel", "tag": "non_human"},
    },
    "Shots": [
        {
            "index": 1,
            "Setting Description": {"en": "a harbour at dusk."},
            "Plot Correspondence": {"en": "Ana waits.", "ch": "x"},
            "Characters Appearing": {"en": ["Ana", "Bolt"]},
            "Static Shot Description": {"en": "Ana sits on a crate."},
            "Shot Perspective Design": {"en": "wide shot"},
        },
        {"Characters Appearing": {"ch": ["安娜"]}, "Static Shot Description": {"ch": "睡觉"}},
    ],
}
HUMAN = {
    "character": "young girl with curly hair",
    "token": "girl",
    "prompts": ["A photo of a young girl with curly hair, in a red coat"],
}
FILES = {
    "pier.fountain": FOUNTAIN,
    "list.csv": TABLE,
    "list.yaml": YAML,
    "bob.txt": BRACKETS,
    "story.json": json.dumps(VISTORY),
    "human.json": json.dumps(HUMAN),
}


def draft(tmp_path, name, content=None):
    path = tmp_path / name
    content = FILES[name] if content is None else content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return draft_of(path)


def complaint(tmp_path, name, content):
    """What is said about a file, the path cut down to its name."""
    with pytest.raises(StoryError) as caught:
        draft(tmp_path, name, content)
    said = str(caught.value)
    assert said.isprintable(), "one line, nothing that a terminal would act on"
    return said.replace(f"{tmp_path}/", "")


def filled_in(text):
    """What a writer makes of the marked places: everybody is a man, who has nothing to do."""
    text = re.sub(r'^description = ""', 'description = "a man"', text, flags=re.M)
    text = re.sub(r"^description = .*\n# noun = .*", 'description = "a man"', text, flags=re.M)
    return re.sub(r'^prompt = ""', 'prompt = "a street"', text, flags=re.M)


def test_a_screenplay_is_a_picture_a_heading_with_whoever_speaks(tmp_path):
    made = draft(tmp_path, "pier.fountain")
    assert made.title == "The pier"
    assert made.people == {"Tom": "", "Mara": ""}  # in order of their cues
    assert made.hints["Mara"] == "MARA (30s), a woman with long red hair, stirs a pot."
    kitchen, pier, end = made.shots
    assert kitchen.text == (
        "{Mara} (30s), a woman with long red hair, stirs a pot. {Tom} comes in, "
        "lighthouse kitchen, at night"
    )
    assert kitchen.dialogue == [("Tom", "It is cold out there."), ("Mara", "Then stay.")]
    assert kitchen.notes == ["INT. LIGHTHOUSE KITCHEN - NIGHT #1#"]
    assert pier.text == "They look at the sea, pier, at night"  # CONTINUOUS: the time before
    assert pier.dialogue == [("McBride", "Nobody came.")]
    assert pier.cast == []  # a voice is not seen
    assert end.text == "{Mara} sleeps, the end"


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("INT. KITCHEN", "kitchen"),
        ("ext. kitchen - day", "kitchen, by day"),
        ("INT./EXT. CAR - HIGHWAY - MORNING", "car - highway, in the morning"),
        ("I/E CAR \u2013 DUSK (LATER)", "car, at dusk"),
        ("EST. TOWN - 1985 #12A#", "town, 1985"),
        (".Dream", "dream"),
    ],
)
def test_a_heading_says_where_and_when(tmp_path, heading, place):
    made = draft(tmp_path, "a.fountain", f"{heading}\n\nRain.")
    assert made.shots[0].text == f"Rain, {place}"


def test_a_line_of_two_blanks_goes_on_with_what_is_said(tmp_path):
    said = "MARA\nI waited.\n  \nAll night.\n\nShe leaves.\n\nTOM\nOh.\n \nHe sits."
    made = draft(tmp_path, "a.fountain", f"INT. A\n\n{said}\n  \nIt rains.\n  \nEXT. B\n\nSnow.")
    room, outside = made.shots
    assert room.dialogue == [("Mara", "I waited. All night."), ("Tom", "Oh.")]
    assert room.text == "She leaves. He sits. It rains, with {Mara} and {Tom}, a"
    assert outside.text == "Snow, b"
    made = draft(tmp_path, "a.fountain", "INT. A\nRain.\n  \nMARA\nYes.\n   \nEXT. B\n\nSnow.")
    assert [shot.dialogue for shot in made.shots] == [[("Mara", "Yes.")], []]


def test_lines_in_capitals_that_are_no_cues_are_action(tmp_path):
    made = draft(tmp_path, "a.fountain", "INT. A\n\nA SHOT\n\n!BANG\nIt falls.\n\nCUT TO:\nNo.\n")
    assert made.people == {}
    assert made.shots[0].text == "A SHOT BANG It falls. No, a"


@pytest.mark.parametrize(
    ("cue", "name"),
    [("OLD MAN #2", "Old Man 2"), ("MARY O'NEIL", "Mary O'Neil"), ("MR. X", "Mr. X")],
)
def test_cues_become_names_that_a_story_takes(tmp_path, cue, name):
    made = draft(tmp_path, "a.fountain", f"INT. A\n\n{cue}\nHello.\n")
    assert list(made.people) == [name]
    assert made.shots[0].text == f"{{{name}}}, a"


def test_a_shot_list_says_which_columns_it_understood(tmp_path):
    made = draft(tmp_path, "list.csv")
    assert [shot.text for shot in made.shots] == [
        "{Mara} opens the door, with {Tom}",  # braces of others are no names
        "{Tom} and {Mara}",
    ]
    assert [shot.notes for shot in made.shots] == [["Scene # 1, Shot A"], ["Scene # 2, Shot A"]]
    assert made.told == (
        "columns understood: 'Scene #' (number), 'Shot' (number), 'Shot Description' (text), "
        "'Characters' (cast)",
        "columns not understood: 'Lens'",
    )


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["DESCRIPTION", "Shot description", "action", " Visual: "])
def test_headers_and_separators_are_tolerated(tmp_path, sign, name):
    made = draft(tmp_path, "a.csv", f"no{sign}{name}\r\n1{sign}rain\r\n")
    assert [shot.text for shot in made.shots] == ["rain"]


def test_lines_of_a_cell_are_kept_apart(tmp_path):
    table = 'description,cast,dialogue\n"A wave\nbreaks","Mara\nTom","Mara: Hi\nTom: Hello"\n'
    (shot,) = draft(tmp_path, "a.csv", table).shots
    assert (shot.text, shot.cast) == ("A wave breaks, with {Mara} and {Tom}", ["Mara", "Tom"])
    assert shot.dialogue == [("Mara", "Hi"), ("Tom", "Hello")]


@pytest.mark.parametrize(
    "table",
    [
        "shot;description;characters\n1;Mara walks, slowly, in rain, by day, in red, alone;Mara\n",
        "A film, of sorts, by day\ndescription\nMara walks, slowly, in rain, by day, in red, alone\n",
        "description;;\nMara walks, slowly, in rain, by day, in red, alone;;\n",
        'shot,description,cast\n1,"Mara walks, slowly, in rain, by day, in red, alone",Mara\n2;3;4;5;6\n',
    ],
)
def test_what_parts_the_cells_is_said_by_the_names_of_the_columns(tmp_path, table):
    shot = draft(tmp_path, "a.csv", table).shots[0]
    assert (
        shot.text.replace("{Mara}", "Mara") == "Mara walks, slowly, in rain, by day, in red, alone"
    )


def test_yaml_shots_have_what_their_scene_says_and_stay_text(tmp_path):
    made = draft(tmp_path, "list.yaml")
    assert made.people == {"Mara": "a young woman with long red hair", "Rex": "a big dog"}
    wave, run, no = made.shots
    assert wave.text == "{Mara} waves, a pier, close-up"
    assert wave.notes == ["scene 1, shot 1.10"]
    assert wave.dialogue == [("Mara", "Hello!"), ("Rex", "wuff")]
    assert run.text == "{Rex} runs, a pier"
    assert no.text == "NO, at night"
    assert missing(made) == []
    assert "identity = false" in story_text(made, "x").partition("Rex")[2]  # a dog


def test_names_in_brackets_and_captions(tmp_path):
    made = draft(tmp_path, "bob.txt")
    assert made.people == {
        "Bob": "a man, wearing a black suit",
        "Alice": "a woman, wearing a white shirt",
    }
    assert [(shot.text, shot.caption) for shot in made.shots] == [
        ("{Bob} at home, read new paper", "at home, Bob reads"),
        ("A tiger appeared in the forest", ""),
        ("{Bob} and {Alice} in a car", ""),
    ]
    assert missing(made) == []
    assert draft(tmp_path, "b.txt", BRACKETS.replace("\n\n", "\n")).people == made.people


def test_vistory_shots_in_english_or_what_there_is(tmp_path):
    made = draft(tmp_path, "story.json")
    sits, sleeps = made.shots
    assert sits.text == "{Ana} sits on a crate, with {Bolt}, a harbour at dusk, wide shot"
    assert sits.caption == "Ana waits."
    assert sleeps.text == "睡觉, with {Ana}"
    assert "identity = false" in story_text(made, "x").partition("Bolt")[2]  # a robot


def test_consistory_human_is_read_as_it_is_and_can_be_imported(tmp_path):
    made = draft(tmp_path, "human.json")
    assert made.people == {"Girl": "a young girl with curly hair"}
    assert [shot.text for shot in made.shots] == ["A photo of {Girl}, in a red coat"]
    assert [s.prompt for s in load_story(tmp_path / "human.json").scenes] == HUMAN["prompts"]


@pytest.mark.parametrize("name", FILES)
def test_what_is_imported_filled_in_is_a_story_that_can_be_planned(tmp_path, name, capsys):
    (tmp_path / name).write_text(FILES[name])
    out = tmp_path / "new.toml"
    assert main(["import", str(tmp_path / name), "--out", str(out)]) == 0
    assert f"then: identitystory generate {out}" in capsys.readouterr().out
    lacks = missing(draft_of(tmp_path / name))
    if lacks:
        with pytest.raises(StoryError, match=r"'description' is empty|no word for a person"):
            load_story(out)
    out.write_text(filled_in(out.read_text()))
    story = load_story(out)
    request = RunRequest(story, tmp_path / "run", Preset("test"))
    planned = make_plan(request, ModelFacts("w", "cpu", "float32"), None)
    assert len(planned.frames) == len(story.scenes) == len(draft_of(tmp_path / name).shots)


def test_captions_and_dialogue_are_the_storys(tmp_path):
    for name in ("pier.fountain", "bob.txt"):
        text = story_text(draft(tmp_path, name), name)
        (tmp_path / f"{name}.toml").write_text(filled_in(text))
    kitchen, pier, _ = load_story(tmp_path / "pier.fountain.toml").scenes
    assert kitchen.dialogue == (("Tom", "It is cold out there."), ("Mara", "Then stay."))
    assert pier.dialogue == ()
    assert "# McBride: Nobody came." in (tmp_path / "pier.fountain.toml").read_text()
    assert load_story(tmp_path / "bob.txt.toml").scenes[0].caption == "at home, Bob reads"


def test_no_file_is_overwritten(tmp_path, capsys):
    (tmp_path / "bob.txt").write_text(BRACKETS)
    (tmp_path / "bob.toml").write_text("mine")
    assert main(["import", str(tmp_path / "bob.txt")]) == 2
    assert "bob.toml is there already; choose another file with --out" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "bob.txt"), "--out", str(tmp_path / "no" / "b")]) == 2
    assert (tmp_path / "bob.toml").read_text() == "mine"


@pytest.mark.parametrize("name", [name for name in FILES if name != "human.json"])
def test_where_a_story_is_asked_for_it_says_to_import(tmp_path, name, capsys):
    (tmp_path / name).write_text(FILES[name])
    assert main(["generate", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert said.endswith(f"; first run: identitystory import {tmp_path / name}\n")
    assert len(said.splitlines()) == 1


def test_a_screenplay_without_its_suffix_is_known_by_its_first_words(tmp_path):
    assert draft(tmp_path, "pier.txt", FOUNTAIN).title == "The pier"
    assert draft(tmp_path, "pier", FOUNTAIN.partition("FADE IN:\n")[2]).title == ""


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nshots: [*b,*b]\n"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.yaml", BOMB, "a.yaml: line 2: an alias (*) in YAML"),
        ("a.yaml", "[" * 100_000, "a.yaml: line 1: nested more than 20 deep in YAML"),
        ("a.yaml", "a: b: c", "a.yaml: line 1, column 5: not valid YAML: mapping values"),
        ("a.yaml", "? [a]\n: b", "not valid YAML: found unhashable key"),
        ("a.yaml", "shots: nothing", "no list of shots in it; it is called 'shots', 'scenes'"),
        ("a.yaml", "- {x: 1}", "no column says what a shot shows; call it 'description'"),
        ("a.csv", "", "no column says what a shot shows; call it 'description'. There are: none"),
        ("a.csv", "x,\x1b[31my\n1,2", "There are: 'x', '[31my'"),
        ("a.csv", "action\n", "no scene or shot was found in it"),
        ("a.csv", "action\n" + "x\n" * 1001, "1,001 pictures; at most 1,000 are taken"),
        ("a.csv", "action\n" + "x" * 200_000, "not a table: field larger than field limit"),
        ("a.fountain", "Nothing here.", "no scene heading in it. One begins with INT. or EXT."),
        ("a.fountain", "\xe9".encode("latin-1"), "line 1 is not UTF-8"),
        ("a.fountain", "x" * 600_000, "larger than 512 KiB"),
        ("a.txt", "[Bob] a man", "no scene or shot was found in it"),
        ("a.txt", "Once upon a time", "a.txt is none of these: a Fountain screenplay, a StoryDif"),
        ("a.toml", "[[scene]]", "A story file of ours needs no import"),
        ("a.json", '{"Characters": [], "Shots": 3}', "no scene or shot was found in it"),
        ("a.json", "[" * 100_000, "nested or numbers too large"),
    ],
)
def test_each_mistake_is_one_line(tmp_path, name, content, sentence):
    assert sentence in complaint(tmp_path, name, content)


def test_yaml_makes_no_objects(tmp_path):
    made = draft(tmp_path, "a.yaml", "- action: !!python/object/apply:os.getcwd []\n- action: x\n")
    assert [shot.text for shot in made.shots] == ["x"]


def test_limits_of_a_story_are_kept_and_what_falls_off_is_told():
    crowd = [f"P{n}" for n in range(MAX_CHARACTERS + 5)]
    long = Shot("Mara says so. " * 200, ["Mara", *crowd[:3]])
    made = drafted({}, [Shot("rain", crowd), long, long], source="x")
    assert len(made.people) == MAX_CHARACTERS
    assert {"Mara", *crowd[:3]} <= set(made.people)  # those who are in most pictures stay
    assert made.told[0].startswith(f"{MAX_CHARACTERS + 6} characters, a story takes 20: ")
    assert len(made.shots[1].text) <= MAX_PROMPT
    assert made.shots[1].text.endswith("{Mara} says so.")
    assert made.shots[1].notes[0].startswith("too long for a picture, left out: {Mara} says so")
    whole = "a woman with red hair. " + "She smiles. " * 40
    made = drafted({"Mara": whole}, [Shot("rain")], source="x", title="T" * 201, style="ink " * 60)
    assert [told.partition(": more than ")[0] for told in made.told] == [
        "description of 'Mara'",
        "title",
        "style",
    ]
    rest = made.told[0].partition("400 letters, left out: ")[2]
    assert f"{made.people['Mara']} {rest}." == whole.strip()
    with pytest.raises(StoryError, match="at most 1,000"):
        drafted({}, [Shot("rain")] * (MAX_SCENES + 1), source="x")


def test_of_shots_in_scenes_no_more_are_read_than_a_story_takes():
    """600 scenes of 600 shots would be 360,000."""
    read = []

    class Shots(list):
        def __iter__(self):
            for shot in super().__iter__():
                read.append(shot)
                yield shot

    with pytest.raises(StoryError, match="1,001 pictures; at most 1,000"):
        from_yaml({"scenes": [{"shots": Shots([{"action": "rain"}] * 600)}] * 600}, "x")
    assert len(read) == MAX_SCENES + 1


def test_control_characters_reach_neither_file_nor_terminal(tmp_path, capsys):
    bad = "\x1b[31mred\x07 \u202egnp\x9b"
    rows = f'"Act{bad}ion",description,cast\n,{bad},"Ma\x1bra"\n'
    (tmp_path / "a.csv").write_text(rows)
    assert main(["import", str(tmp_path / "a.csv")]) == 0
    for text in (capsys.readouterr().out, (tmp_path / "a.toml").read_text()):
        assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("name", FILES)
def test_broken_files_are_refused_in_one_line_or_become_stories(tmp_path, name):
    """Cut, doubled, overwritten and shuffled files, 80 of each format."""
    rng = random.Random(name)
    said = []
    signs = "\n\t\0\x1b\u202e{}[]()#@!*&:;,.\"'/\\-= \ud7ffé"
    out = tmp_path / "out.toml"
    for _ in range(80):
        content = FILES[name]
        for _ in range(rng.randint(1, 6)):
            at, to = sorted(rng.choices(range(len(content) + 1), k=2))
            content = rng.choice(
                [
                    content[:at],
                    content[at:],
                    content[:to] + content[at:],
                    content[:at] + content[to:],
                    content[:at] + "".join(rng.choices(signs, k=rng.randint(1, 9))) + content[at:],
                    content[at:to] + content[:at] + content[to:],
                ]
            )
        try:
            made = draft(tmp_path, name, content)
        except StoryError as error:
            said.append(str(error))
            continue
        text = story_text(made, name)
        tomllib.loads(text)
        out.write_text(filled_in(text))
        if made.people:
            assert len(load_story(out).scenes) == len(made.shots), repr(content)
    assert all(map(str.isprintable, said))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("a.fountain", "/*"),
        ("a.fountain", "[["),
        ("a.fountain", "("),
        ("a.fountain", "INT. A - "),
        ("a.fountain", "INT. A\n\n"),
        ("a.fountain", "A\nb\n\n"),
        ("a.fountain", "\n "),
        ("a.fountain", "A\nb\n  \n"),
        ("a.csv", "action,"),
        ("a.csv", "action\n\n"),
        ("a.csv", '"'),
        ("a.yaml", "- action\n"),
        ("a.yaml", "{"),
        ("a.yaml", "- "),
        ("a.txt", "[A] b "),
        ("a.txt", "[A] b\n"),
    ],
)
def test_no_text_takes_time_without_end(tmp_path, name, unit):
    """Of 100,000 letters; what grew with their square would take hours."""
    start = "INT. A\n\nX " if name == "a.fountain" else ""
    began = time.process_time()
    with suppress(StoryError):
        story_text(draft(tmp_path, name, start + unit * (100_000 // len(unit))), name)
    assert time.process_time() - began < 5
