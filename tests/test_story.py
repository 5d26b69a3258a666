import json
import tomllib
from pathlib import Path

import pytest

from identitystory.cli.reference import schema_text
from identitystory.errors import StoryError
from identitystory.story.advice import advice
from identitystory.story.file import file_stem, inline_story, load_story, make_story, slug
from identitystory.story.text import fill, noun_in
from identitystory.types import Character

ROOT = Path(__file__).parent.parent
MARA = Character("Mara", "a middle-aged woman with dark curly hair", "woman")
TOM = Character("Tom", "an old man", "man")

GOOD = """
title = "The lighthouse"
style = "watercolour"
[[character]]
name = "Mara"
noun = "woman"
description = "A middle-aged woman with  dark curly hair."
[[scene]]
prompt = "{Mara} reads a letter on the pier at dawn"
"""


def written(tmp_path, content, name="story.toml"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def complaint(tmp_path, content, name="story.toml"):
    """What load_story says about ``content``, the path cut down to the file's name."""
    with pytest.raises(StoryError) as caught:
        load_story(written(tmp_path, content, name))
    said = str(caught.value)
    assert "\n" not in said
    return said.replace(f"{tmp_path}/", "")


def test_a_toml_story_becomes_prompts_with_style_and_description(tmp_path):
    story = load_story(written(tmp_path, GOOD))
    assert story.characters == (MARA,)
    (scene,) = story.scenes
    assert scene.prompt == (
        "watercolour, a middle-aged woman with dark curly hair reads a letter on the pier at dawn"
    )
    assert scene.cast == ("Mara",)
    assert scene.text == "{Mara} reads a letter on the pier at dawn"


def test_json_with_the_same_keys_is_the_same_story(tmp_path):
    data = {
        "$schema": "story.schema.json",
        "title": "The lighthouse",
        "style": "watercolour",
        "character": [{"name": "Mara", "description": MARA.description}],
        "scene": [{"prompt": "{Mara} reads a letter on the pier at dawn"}],
    }
    as_json = load_story(written(tmp_path, json.dumps(data), "story.json"))
    assert as_json == load_story(written(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("{Mara} reads", "a middle-aged woman with dark curly hair reads"),
        ("the {Mara} reads", "the middle-aged woman with dark curly hair reads"),
        ("a portrait of an {Mara}", "a portrait of a middle-aged woman with dark curly hair"),
        ("{Tom} sleeps, {Tom} snores", "an old man sleeps, the man snores"),
        ("{Tom}, the {Tom}, The {Tom}", "an old man, the man, The man"),
        ("{ Tom }'s boat", "an old man's boat"),
        ("banana {Tom}", "banana an old man"),
        ("nobody", "nobody"),
    ],
)
def test_placeholders_read_like_english(text, prompt):
    assert fill(text, [MARA, TOM])[0] == prompt


def test_the_cast_is_in_order_of_mention():
    assert fill("{Tom} and {Mara} and {Tom}", [MARA, TOM])[1] == ("Tom", "Mara")


def test_a_description_without_article_takes_the_scenes():
    boy = Character("Bo", "young boy", "boy")
    assert fill("a {Bo} runs, {Bo} falls", [boy])[0] == "a young boy runs, the boy falls"


@pytest.mark.parametrize(
    ("description", "noun"),
    [
        ("a tall doctor, mother of a girl", "doctor"),
        ("a chimney sweep with a black face", "sweep"),
        ("a DJ with headphones", "DJ"),
        ("an influencer in pink", "influencer"),
        ("an old fisherman's granddaughter with long blond hair", "granddaughter"),
        ("the miller\u2019s youngest son", "son"),
        ("a bus driver in her forties", "driver"),
        ("a stay-at-home dad", "dad"),
        ("a bus-driver", "bus-driver"),
        ("a snow queen", "queen"),
        ("a frog prince", "prince"),
        ("a brave little tailor", "tailor"),
        ("a mermaid with green hair", "mermaid"),
        ("in his fifties, a butcher", "butcher"),
        ("a young Black man", "man"),
        ("an elderly woman asleep in a chair", "woman"),
        ("a girl named Rose", "girl"),
        ("a police dog", "dog"),
        ("a robot with a child's face", "robot"),
        ("a wolf dressed as a grandmother", "wolf"),
        ("a man driving a car", "man"),
        ("somewhere over the rainbow", None),
    ],
)
def test_the_noun_is_the_head_of_the_first_phrase_with_somebody_in_it(description, noun):
    assert noun_in(description) == noun


def test_two_characters_of_one_letter_are_told_apart():
    """Short strings are one object in Python, so that ``is`` would take them for the same entry."""
    twice = '[[character]]\nname = "A"\ndescription = "a woman"\n' * 2
    with pytest.raises(StoryError, match="the name 'A' is given twice"):
        make_story(tomllib.loads(twice + '[[scene]]\nprompt = "{A} reads"\n'), source="s")


@pytest.mark.parametrize(
    "name",
    [
        "Mr. Fox",
        "D\u2019Artagnan",
        "\u5f20\u00b7\u4e09",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647",
    ],
)
def test_names_of_every_script_and_with_their_marks(name):
    data = {
        "character": [{"name": name, "description": "a man"}],
        "scene": [{"prompt": f"{{{name}}} reads"}],
    }
    story = make_story(data, source="s")
    assert story.scenes[0].prompt == "a man reads"
    assert story.scenes[0].cast == (name.replace("\u2019", "'"),)


def test_a_name_must_fit_as_a_file_name():
    name = "\U00020000" * 39  # 4 bytes each
    with pytest.raises(StoryError, match="takes 156 bytes as a file name"):
        make_story(
            {"character": [{"name": name, "description": "a man"}], "scene": [{"prompt": "x"}]},
            source="s",
        )


def test_a_key_that_stands_twice_in_json_is_a_mistake(tmp_path):
    file = tmp_path / "story.json"
    file.write_text('{"title": "a", "title": "b", "character": [], "scene": []}')
    with pytest.raises(StoryError, match="the key 'title' is given twice"):
        load_story(file)


def test_a_style_has_no_braces():
    data = {
        "style": "in {Mara}'s style",
        "character": [{"name": "Mara", "description": "a woman"}],
        "scene": [{"prompt": "{Mara} reads"}],
    }
    with pytest.raises(StoryError, match="'style' holds a brace"):
        make_story(data, source="s")


HEAD = '[[character]]\nname = "Mara"\ndescription = "a young woman"\n'
SCENE = '[[scene]]\nprompt = "{Mara} reads"\n'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            HEAD + SCENE * 2 + '[[scene]]\nprompt = "{Mira} reads"\n',
            "story.toml: scene 3 names 'Mira', who is not a character. Did you mean 'Mara'?",
        ),
        (
            HEAD + '[[scene]]\nprompt = "{Xavier} reads"\n',
            "story.toml: scene 1 names 'Xavier', who is not a character. There are: 'Mara'.",
        ),
        (
            HEAD + '[[scene]]\nprompt = "{Mara reads"\n',
            "story.toml: scene 1 has a brace without its partner. Names stand in braces: {Mara}",
        ),
        (
            HEAD + '[[scene]]\nprompt = "  "\n',
            "story.toml: scene 1: 'prompt' is empty. Say what happens, e.g. \"{Mara} reads\"",
        ),
        (
            HEAD + f'[[scene]]\nprompt = "{"x" * 3000}"\n',
            "story.toml: scene 1: 'prompt' has 3,000 characters; at most 1,000 are taken. "
            "Shorten it.",
        ),
        (
            f'[[character]]\nname = "M"\ndescription = "{"x" * 401}"\n' + SCENE,
            "story.toml: character 1: 'description' has 401 characters; at most 400 are taken. "
            "Shorten it.",
        ),
        (
            HEAD,
            'story.toml: there are no scenes. Add one: [[scene]] with prompt = "{Mara} reads"',
        ),
        (SCENE, 'story.toml: there are no characters. Add one: [[character]] with name = "Mara"'),
        (HEAD + "[[scene]]\n", "story.toml: scene 1 has no 'prompt'"),
        (HEAD + "[[scene]]\nprompt = 5\n", "story.toml: scene 1: 'prompt' must be text, not 5"),
        (
            HEAD + '[[scene]]\npromt = "x"\n',
            "story.toml: scene 1 has no 'prompt' (and 1 more mistake)",
        ),
        (
            HEAD + SCENE + 'pompt = "x"\n',
            "story.toml: scene 1 has an unknown key 'pompt'. Did you mean 'prompt'?",
        ),
        (
            'titel = "x"\n' + HEAD + SCENE,
            "story.toml: the story has an unknown key 'titel'. Did you mean 'title'?",
        ),
        (
            HEAD + 'cast = "mara"\nidentity = false\n' + SCENE,
            "story.toml: character 1 (Mara): 'cast' goes with identity = true; add it, or take 'cast' out",
        ),
        (
            HEAD + 'look = "winter"\n' + SCENE,
            "story.toml: character 1 (Mara): 'look' goes with 'cast'; add it, or take 'look' out",
        ),
        ("title = true\n" + HEAD + SCENE, "story.toml: 'title' must be text, not true or false"),
        ("title = {}\n" + HEAD + SCENE, "story.toml: 'title' must be text, not a table"),
        ("title = []\n" + HEAD + SCENE, "story.toml: 'title' must be text, not a list"),
        (
            "zzzz = 1\n" + HEAD + SCENE,
            "story.toml: the story has an unknown key 'zzzz'. There are: 'title', 'style', 'size', 'aspect', "
            "'negative', 'locations', 'lora', 'character', 'scene'.",
        ),
        (
            HEAD + '[scene]\nprompt = "x"\n',
            "story.toml: 'scene' must be a list of tables; write [[scene]], with two brackets",
        ),
        (
            'scene = ["x"]\n' + HEAD,
            "story.toml: scene 1 must be a table with 'prompt', 'id', 'size', 'aspect', "
            "'negative', 'wears', 'pose', 'caption', 'dialogue', 'shot', 'camera', 'notes', 'seconds', "
            "'expect', not 'x'",
        ),
        (HEAD + SCENE * 1001, "story.toml: there are 1,001 scenes; at most 1,000 are taken"),
        (
            HEAD + SCENE + "seconds = 0\n",
            "story.toml: scene 1: 'seconds' is 0; it must be a number from 0.5 to 600",
        ),
        (
            HEAD + SCENE + 'id = "3rd"\n',
            "story.toml: scene 1: 'id' is '3rd'; it must be a letter, then letters, digits, - and _",
        ),
        (
            HEAD + SCENE + 'id = "a b"\n',
            "story.toml: scene 1: 'id' is 'a b'; it must be a letter, then letters, digits, - and _",
        ),
        (
            HEAD + SCENE + f'id = "{"x" * 41}"\n',
            "story.toml: scene 1: 'id' has 41 characters; at most 40 are taken. Shorten it.",
        ),
        (HEAD + SCENE + "id = 3\n", "story.toml: scene 1: 'id' must be text, not 3"),
        (
            HEAD + SCENE + 'id = "a"\n' + SCENE + SCENE + 'id = "a"\n',
            "story.toml: scenes 1 and 3 have the id 'a'; ids must differ",
        ),
        (
            HEAD + HEAD + SCENE,
            "story.toml: the name 'Mara' is given twice; names must differ",
        ),
        (
            HEAD + HEAD.replace("Mara", "mara") + SCENE,
            "story.toml: the name 'mara' is given too like 'Mara'; names must differ",
        ),
        (
            HEAD.replace("woman", "cloud") + SCENE,
            "story.toml: character 1 (Mara): no word for a person in 'a young cloud'. "
            'Add a noun that stands in the description, e.g. noun = "woman"',
        ),
        (
            HEAD + 'noun = "man"\n' + SCENE,
            "story.toml: character 1 (Mara): the noun 'man' is not a word of the description "
            "'a young woman'",
        ),
        (
            HEAD.replace("a young woman", "{Tom}, a woman") + SCENE,
            "story.toml: character 1 (Mara): 'description' holds a brace; braces belong in scenes",
        ),
        (
            HEAD + '[[scene]]\nprompt = "a\\u0007b"\n',
            "story.toml: scene 1: 'prompt' holds the control character U+0007; remove it",
        ),
        (
            'title = "x"\nstyle = = 3\n',
            "story.toml: line 2, column 9: not valid TOML: Invalid value",
        ),
        (
            'title = "x',
            "story.toml: line 1, column 11: not valid TOML: Unterminated string",
        ),
        (
            b'title = "x"\nstyle = "\xff"\n',
            "story.toml: line 2 is not UTF-8; save the file as UTF-8",
        ),
        (b"x" * (2**19 + 1), "story.toml is larger than 512 KiB; that is no story file"),
        ("a = " + "[" * 5000, "story.toml: not a story: TOML nested or numbers too large"),
    ],
)
def test_each_mistake_is_one_line_with_its_place(tmp_path, content, sentence):
    assert complaint(tmp_path, content) == sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{\n "title": }', "story.json: line 2, column 11: not valid JSON: Expecting value"),
        (
            '{"title": null, "character": [{"name": "M", "description": "a man"}], "scene": [{"prompt": "x"}]}',
            "story.json: 'title' must be text, not null",
        ),
        ("[1]", "story.json: a story is a table with [[character]] and [[scene]]"),
        ("[" * 100_000, "story.json: not a story: JSON nested or numbers too large"),
        (
            '{"character": [{"name": "M", "description": "a\\ud800 man"}], "scene": [{"prompt":"x"}]}',
            "story.json: character 1: 'description' holds half a character (a lone surrogate); "
            "remove it",
        ),
    ],
)
def test_each_json_mistake_is_one_line_with_its_place(tmp_path, content, sentence):
    assert complaint(tmp_path, content, "story.json") == sentence


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, end in (
        (tmp_path / "no.toml", ": there is no such file"),
        (tmp_path, " is a folder"),
    ):
        with pytest.raises(StoryError, match=end):
            load_story(path)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/b",
        "a\\b",
        "..",
        "a.b",
        "",
        "'",
        " - ",
        "a\x00b",
        "a\nb\u202e",
        "{x}",
        "x" * 41,
    ],
)
def test_a_name_can_never_be_a_path(name):
    data = {
        "character": [{"name": name, "description": "a man"}],
        "scene": [{"prompt": "somebody"}],
    }
    with pytest.raises(StoryError, match="name"):
        make_story(data, source="s")


def test_file_names_are_single_harmless_words():
    assert file_stem("Anna-Lena O'Neil_2") == "Anna-Lena_O_Neil_2"
    assert file_stem("José") == "José"
    assert file_stem("con") == "con_"
    assert slug("../../The Lighthouse: Part é!") == "the-lighthouse-part-e"
    assert slug("灯台") == "灯台"


def test_inline_stories_take_name_colon_description():
    story = inline_story(
        ["Mara: a young woman with red hair"], ["{Mara} reads on a beach"], style="sketch"
    )
    assert story.scenes[0].prompt == "sketch, a young woman with red hair reads on a beach"
    assert story.title == "Mara reads on a beach"
    with pytest.raises(StoryError, match="'Mara a woman' needs a name and a description"):
        inline_story(["Mara a woman"], ["{Mara} reads"])
    with pytest.raises(StoryError, match="the command line: scene 1 names 'Mira'"):
        inline_story(["Mara: a woman"], ["{Mira} reads"])
    with pytest.raises(StoryError, match="the command line: there are no scenes"):
        inline_story(["Mara: a woman"], [])


def test_advice_names_what_is_probably_not_meant():
    story = inline_story(["Mara: a woman", "Tom: a man"], ["{Mara} waves to Tom", "an empty pier"])
    assert advice(story) == [
        "scene 1 says 'Tom' without braces; write {Tom} to put the character there",
        "scene 2 names no character in braces; nobody's face is kept",
        "'Tom' is in no scene",
    ]


def test_advice_names_characters_that_words_cannot_tell_apart():
    people = ["Ann: an old woman", "Bob: a man", "Cleo: an Old woman", "Dora: an old woman"]
    story = inline_story(people, ["{Ann} and {Cleo} talk", "{Bob} and {Dora} talk"])
    told = "have the same description and will look nearly the same; add what tells them apart"
    assert [line.split(", such")[0] for line in advice(story)] == [
        f"'Ann' and 'Cleo' {told}",
        f"'Ann' and 'Dora' {told}",
    ]


HUMAN = {
    "character": "young girl with curly black hair",
    "token": "girl",
    "style": "A close-up photo of",
    "settings": ["in a red coat", "on a pier"],
    "settings_types": ["clothes", "background"],
    "prompts": [
        "A close-up photo of a young girl with curly black hair, in a red coat",
        "A close-up photo of a young girl with curly black hair, on a pier",
    ],
}


def test_the_public_benchmark_is_read_with_its_prompts_untouched(tmp_path):
    story = load_story(written(tmp_path, json.dumps(HUMAN), "story_1.json"))
    assert story.characters == (Character("Girl", "a young girl with curly black hair", "girl"),)
    assert [s.prompt for s in story.scenes] == HUMAN["prompts"]
    assert story.scenes[1].text == "A close-up photo of {Girl}, on a pier"
    assert {s.cast for s in story.scenes} == {("Girl",)}


def test_the_public_benchmark_with_several_people(tmp_path):
    several = HUMAN | {
        "character": ["old man", "elderly man"],
        "token": ["man", "man"],
        "prompts": ["A photo of an elderly man, an old man, in a park"],
    }
    story = load_story(written(tmp_path, json.dumps(several), "story_2.json"))
    assert [c.description for c in story.characters] == ["an old man", "an elderly man"]
    assert [c.name for c in story.characters] == ["Man", "Man 2"]
    assert story.scenes[0].cast == ("Man 2", "Man")
    assert story.scenes[0].text == "A photo of {Man 2}, {Man}, in a park"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"token": ["girl", "boy"]}, "2 in 'token' but 1 in 'character'"),
        ({"prompts": []}, "'prompts' must be text or a list of texts"),
        ({"prompts": [3]}, "'prompts', item 1 must be text"),
        ({"prompts": ["a girl\x07"]}, r"'prompts', item 1 holds the control character U\+0007"),
        ({"prompts": ["a girl\ud800"]}, r"'prompts', item 1 holds the control character U\+D800"),
        ({"character": "young {girl}"}, "'character', item 1 holds a brace"),
        ({"style": "ink\x1b"}, r"'style' holds the control character U\+001B"),
        ({"prompts": ["a dog"]}, "prompt 1 shows none of the characters: 'a dog'"),
        ({"token": "dog", "character": "big dog"}, "the token 'dog'|shows none"),
    ],
)
def test_mistakes_in_benchmark_files_are_named(tmp_path, change, sentence):
    with pytest.raises(StoryError, match=sentence):
        load_story(written(tmp_path, json.dumps(HUMAN | change), "s.json"))


def test_the_examples_are_stories():
    paths = sorted((ROOT / "examples").glob("*.toml"))
    assert len(paths) > 1
    for path in paths:
        assert advice(load_story(path)) == []


def test_the_published_schema_is_current():
    published = (ROOT / "docs" / "story.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run: python -m identitystory.cli.reference"


def test_a_scene_stands_as_long_as_it_says_and_else_as_long_as_its_words_take(tmp_path):
    file = tmp_path / "story.toml"
    file.write_text(HEAD + SCENE + "seconds = 2.5\n" + SCENE)
    assert [scene.seconds for scene in load_story(file).scenes] == [2.5, 0.0]
