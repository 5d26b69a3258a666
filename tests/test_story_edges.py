"""Where a story's words begin and end: names, nouns, dots, reserved names and byte order marks."""

import json
from pathlib import Path

import pytest
from PIL import Image

from identitystory.errors import ConfigError, StoryError
from identitystory.story.advice import advice, language_of
from identitystory.story.document import kind_of, parse
from identitystory.story.file import (
    file_stem,
    inline_story,
    load_story,
    make_character,
    make_story,
    more_scenes,
    slug,
)
from identitystory.story.imports import consistory
from identitystory.story.scenes import recast
from identitystory.story.sets import load_sets, load_stories, set_text
from identitystory.story.text import calls_black, clean_description, fill, is_person, noun_in
from identitystory.types import Character

TOM = Character("Tom", "an old man", "man")
STORY = (
    '[[character]]\nname = "Tom"\ndescription = "an old man"\n[[scene]]\nprompt = "{Tom} reads"\n'
)


def named(name, description="a man", noun=None):
    """Somebody of a story, as it is read."""
    entry = {"name": name, "description": description} | ({"noun": noun} if noun else {})
    return make_story({"character": [entry], "scene": [{"prompt": "x"}]}, source="s").characters[0]


@pytest.mark.parametrize("text", ["breathe {Tom}", "banana {Tom}", "Japan {Tom}"])
def test_an_article_is_a_word_of_its_own(text):
    """``breathe`` ends with ``the``, ``banana`` with ``a``, ``Japan`` with ``an``."""
    assert fill(text, [TOM])[0] == text.replace("{Tom}", "an old man")


def test_who_is_named_again_is_called_by_the_noun():
    assert fill("{Tom} sits. The {Tom} and {Tom}", [TOM])[0] == (
        "an old man sits. The man and the man"
    )


@pytest.mark.parametrize(
    ("noun", "description"),
    [
        ("man", "an old woman"),
        ("man", "a manly girl"),
        ("mother", "a step-mother"),
        ("bus", "a bus-driver"),
        ("old man", "an old man"),
        ("man.", "an old man"),
    ],
)
def test_a_noun_is_a_whole_word_of_the_description(noun, description):
    with pytest.raises(StoryError, match=f"the noun '{noun}' is not a word of the description"):
        named("Ann", description, noun)


def test_a_noun_is_spelt_as_the_description_spells_it():
    assert named("Ann", "a Queen of hearts", "queen").noun == "Queen"
    assert named("Ann", "a bus-driver", "bus-driver").noun == "bus-driver"


def test_a_name_without_braces_is_advised_on_where_it_is_a_whole_word():
    said = lambda scene: advice(inline_story(["Tom: an old man"], ["{Tom} sits", scene]))
    there = "scene 2 says 'Tom' without braces; write {Tom} to put the character there"
    assert [there in said(scene) for scene in ("Tom, waving", "Tommy waves", "Atom")] == [
        True,
        False,
        False,
    ]
    assert there not in said("{Tom} and Tom")


@pytest.mark.parametrize("name", ["Mr. Fox", "Fox Jr.", "J. R. Fox"])
def test_a_dot_may_end_a_word_of_a_name(name):
    assert named(name).name == name


@pytest.mark.parametrize("name", ["a.b", "J.R.", ".Fox", "Fox ..", "Fox . Hill", ".", "Mr.. Fox"])
def test_a_dot_may_stand_nowhere_else_in_a_name(name):
    with pytest.raises(StoryError, match=r"and '\.' at the end of a word, as in 'J\. R\. Fox'$"):
        named(name)


def test_the_full_stop_of_a_description_goes_and_those_inside_stay():
    assert clean_description(" A man, Mr. Fox's son .,; ") == "a man, Mr. Fox's son"


@pytest.mark.parametrize("name", ["con", "PRN", "Aux", "nul", "com1", "COM9", "lpt0"])
def test_what_windows_keeps_for_itself_is_no_file_name(name):
    assert file_stem(name) == f"{name}_"


@pytest.mark.parametrize("name", ["Conrad", "falcon", "com", "com10", "lpt", "xnul"])
def test_what_is_only_like_it_is_a_file_name(name):
    assert file_stem(name) == name


def test_two_names_of_one_file_are_told_apart():
    people = [{"name": name, "description": "a man"} for name in ("Mr. Fox", "Mr_ Fox")]
    with pytest.raises(StoryError, match=r"'Mr_ Fox' is given too like 'Mr\. Fox'"):
        make_story({"character": people, "scene": [{"prompt": "x"}]}, source="s")


@pytest.mark.parametrize("name", ["story.toml", "story.json", "story"])
def test_a_byte_order_mark_is_not_of_the_story(tmp_path, name):
    data = {
        "character": [{"name": "Tom", "description": "an old man"}],
        "scene": [{"prompt": "{Tom} reads"}],
    }
    text = json.dumps(data) if name.endswith("json") else STORY
    plain, marked = tmp_path / name, tmp_path / "marked" / name
    marked.parent.mkdir()
    plain.write_text(text, encoding="utf-8")
    marked.write_text(text, encoding="utf-8-sig")
    assert marked.read_bytes() == b"\xef\xbb\xbf" + plain.read_bytes()
    assert load_story(marked) == load_story(plain)


def test_a_byte_order_mark_is_not_of_a_set(tmp_path):
    text = STORY.replace("[[", "[[story.").replace(
        "[[story.character", "[[story]]\n[[story.character"
    )
    text = text.replace("[[story]]\n", '[[story]]\ntitle = "The reader"\n')
    (tmp_path / "plain.toml").write_text(text, encoding="utf-8")
    (tmp_path / "marked.toml").write_text(text, encoding="utf-8-sig")
    assert load_sets(tmp_path / "marked.toml") == load_sets(tmp_path / "plain.toml")


def test_a_set_has_a_mebibyte_at_most_and_is_utf_8(tmp_path):
    text = set_text("One", [("Tom", "an old man")], ["{Tom} sits"])
    full, file = text + "#" * (2**20 - len(text)), tmp_path / "set.toml"
    file.write_text(full)
    assert [story.title for story in load_sets(file)] == ["One"]
    file.write_text(full + "#")
    with pytest.raises(StoryError, match=r"set\.toml is larger than 512 KiB"):
        load_sets(file)
    file.write_bytes(b"title = '\xff'\n")
    with pytest.raises(StoryError, match=r"set\.toml: line 1 is not UTF-8"):
        load_sets(tmp_path)


def test_files_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    """``\u00b2`` is a digit that is no number."""
    names = ["1\u00b23", "2", "10", "a2", "a10"]
    for name in names:
        (tmp_path / f"{name}.toml").write_text(STORY)
    (tmp_path / "notes.txt").write_text(STORY)
    assert [story.title for story in load_sets(tmp_path)] == names


def test_in_the_public_benchmark_a_token_is_a_whole_word_and_a_name_is_not_found_again(tmp_path):
    """``man`` is not the end of ``woman``, nor the name in the braces that were just put in."""
    data = {
        "character": ["old man", "tall man"],
        "token": ["man", "man"],
        "prompts": ["A woman, a man and a man-eater meet the man"],
    }
    (tmp_path / "story_1.json").write_text(json.dumps(data))
    (scene,) = load_story(tmp_path / "story_1.json").scenes
    assert scene.prompt == data["prompts"][0]
    assert scene.text == "A woman, {Man} and a man-eater meet {Man 2}"
    assert scene.cast == ("Man", "Man 2")


def test_the_head_of_a_phrase_is_its_last_known_word():
    assert noun_in("a fisherman king with a queen") == "king"
    assert noun_in("a king: the boy's father") == "king"


def test_the_public_benchmark_has_up_to_1000_prompts(tmp_path):
    data = {"character": "old man", "token": "man", "prompts": ["an old man"] * 1000}
    path = tmp_path / "story_1.json"
    path.write_text(json.dumps(data))
    assert len(load_story(path).scenes) == 1000
    path.write_text(json.dumps(data | {"prompts": ["an old man"] * 1001}))
    with pytest.raises(StoryError, match="1,001 prompts; at most 1,000 are taken"):
        load_story(path)
    longest = "an old man " + "x" * 989
    path.write_text(json.dumps(data | {"prompts": ["an old man", longest]}))
    assert len(load_story(path).scenes) == 2
    path.write_text(json.dumps(data | {"prompts": ["an old man", longest + "x"]}))
    with pytest.raises(StoryError, match="'prompts', item 2 has 1,001 characters; at most 1,000"):
        load_story(path)


@pytest.mark.parametrize(
    ("said", "description"),
    [("a girl", "a girl"), ("Girl", "a Girl"), ("old man", "an old man"), ("the boy", "the boy")],
)
def test_a_description_of_the_public_benchmark_gets_an_article_where_it_has_none(
    tmp_path, said, description
):
    data = {"character": said, "token": said.split()[-1], "prompts": [f"{said} reads"]}
    (tmp_path / "story_1.json").write_text(json.dumps(data))
    story = load_story(tmp_path / "story_1.json")
    assert story.characters[0].description == description


def test_a_token_of_the_public_benchmark_is_a_name_of_30_letters_at_most(tmp_path):
    token = "x" * 40
    data = {"character": f"a {token} boy", "token": token, "prompts": [f"a {token} boy reads"] * 2}
    (tmp_path / "story_1.json").write_text(json.dumps(data))
    (character,) = load_story(tmp_path / "story_1.json").characters
    assert (character.name, character.noun) == ("X" + "x" * 29, token)


def test_yaml_may_be_nested_20_deep_and_no_deeper():
    assert parse("[" * 20 + "]" * 20, "s", "YAML") is not None
    with pytest.raises(StoryError, match="s: line 1: nested more than 20 deep in YAML"):
        parse("[" * 21 + "]" * 21, "s", "YAML")
    with pytest.raises(StoryError, match=r"s: line 1: an alias \(\*\) in YAML"):
        parse("[&a x, " + "[" * 19 + "*a" + "]" * 20, "s", "YAML")


def test_a_key_of_toml_may_have_4_dots_and_no_more():
    assert parse(".".join("a" * 5) + " = 1", "s", "TOML")
    with pytest.raises(StoryError, match="s: line 2 has a key with more than 4 dots"):
        parse("\n" + ".".join("a" * 6) + " = 1", "s", "TOML")


def test_of_a_set_the_first_of_each_number_of_people_are_taken_in_turn(tmp_path):
    """Three stories of one, then one of two: two are one of each, in the order of the set."""
    people = [("Ann", "a woman"), ("Bob", "a man")]
    both = ["{Ann} sits", "{Ann} and {Bob} sit", "{Bob} sits"]
    texts = [set_text(f"One {n}", people[:1], both[:1] * 3) for n in range(3)]
    texts.append(set_text("Two", people, both))
    path = tmp_path / "set.toml"
    path.write_text("".join(texts))
    titles = lambda **asked: [story.title for story in load_stories(path, **asked)]
    assert titles() == ["One 0", "One 1", "One 2", "Two"]
    assert titles(limit=2) == ["One 0", "Two"]
    assert titles(limit=3) == ["One 0", "One 1", "Two"]
    short = load_stories(path, scenes=1)[-1]
    assert [scene.text for scene in short.scenes] == both[:1]
    assert [c.name for c in short.characters] == ["Ann"]
    for none in ({"limit": 0}, {"scenes": 0}):
        with pytest.raises(ConfigError, match="--limit and --scenes must be at least 1"):
            load_stories(path, **none)


@pytest.mark.parametrize("style", ["a { line", "a } line"])
def test_one_brace_is_a_brace(style):
    with pytest.raises(StoryError, match="'style' holds a brace"):
        inline_story(["Tom: an old man"], ["{Tom} sits"], style=style)


def test_somebody_is_made_from_words():
    assert make_character("Tom", "an old man", None, place="p") == TOM
    assert make_character("Tom", "an old man", "man", place="p") == TOM
    girl = make_character("Ann", "a girl with her mother", "mother", place="p")
    assert (girl.noun, girl.words_only, girl.seed) == ("mother", False, 0)
    with pytest.raises(StoryError, match=r"p \(Tom\): no word for a person"):
        make_character("Tom", "an old cloud", None, place="p")


def test_what_is_never_painted_is_refused_of_a_story_and_of_somebody():
    with pytest.raises(StoryError, match="s: scene 2 asks for a sexual picture"):
        told({"prompt": "{Tom} reads"}, {"prompt": "a nude girl"})
    with pytest.raises(StoryError, match=r"p \(Tom\) asks for a sexual picture"):
        make_character("Tom", "a nude boy", None, place="p")


PERSON = {"name": "Tom", "description": "an old man"}


def told(*scenes, **more):
    """The story of such scenes, and of Tom unless others are given."""
    data = {"character": [PERSON], "scene": list(scenes) or [{"prompt": "{Tom} reads"}]}
    return make_story(data | more, source="s")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"character": [PERSON | {"seed": 0}]}, f"character 1: 'seed' is 0; it must be a whole number from 1 to {2**53 - 1}"),
        ({"character": [PERSON | {"seed": 2**53}]}, f"character 1: 'seed' is {2**53}; it must be a whole number from 1 to {2**53 - 1}"),
        ({"character": [PERSON | {"seed": 1, "identity": False}]}, "character 1 (Tom): 'seed' is of the search for a face, and there is none; take 'seed' out"),
        ({"seed": 1}, "the story has an unknown key 'seed'. Did you mean 'scene'?"),
        ({"scene": [{"prompt": "x", "character": "y"}]}, "scene 1 has an unknown key 'character'. There are: 'prompt', "),
        ({"size": 3}, "'size' is 3; it must be [1216, 832] or '1216x832', width and height"),
        ({"size": [1, 2, 3]}, "'size' is a list; it must be [1216, 832] or '1216x832'"),
        ({"size": "x" * 21}, f"'size' is '{'x' * 21}'; it must be [1216, 832] or"),
        ({"lora": "x"}, "'lora' is 'x'; lora = ['ink.safetensors:0.8'] lists up to 10 files"),
        ({"lora": ["../ink.safetensors"]}, "lora 1 is '../ink.safetensors'; lora = "),
        ({"lora": ["a.safetensors"] * 11}, "'lora' is a list; lora = ['ink.safetensors:0.8'] lists up to 10"),
        ({"locations": {f"L{n}": "x" for n in range(101)}}, "there are 101 locations; at most 100 are taken"),
        ({"locations": {"harbour": " "}}, "location 'harbour' is empty. Say what is there: "),
        ({"locations": {"harbour": "a", "harbour ": "b"}}, "'locations': the name 'harbour' is given twice; take one out"),
        ({"scene": [{"prompt": "{Tom}", "wears": {"Tom": "a", " Tom": "b"}}]}, "scene 1: 'wears': the name 'Tom' is given twice"),
        ({"character": [PERSON] * 21}, "there are 21 characters; at most 20 are taken"),
        ({"title": 1, "style": 2, "negative": 3}, "'title' must be text, not 1 (and 2 more mistakes)"),
        ({"character": "Tom"}, "'character' must be a list of tables; write [[character]], with two"),
        ({"scene": [{"prompt": "x", "seconds": float("nan")}]}, "scene 1: 'seconds' is nan; it must be a number from 0.5 to 600"),
        ({"scene": [{"prompt": "x", "seconds": 601}]}, "scene 1: 'seconds' is 601; it must be a number from 0.5 to 600"),
        ({"scene": [{"prompt": "x", "seconds": "y"}]}, "scene 1: 'seconds' is 'y'; it must be a number from 0.5 to 600"),
        ({"scene": [{"prompt": "x", "dialogue": ["y"]}]}, "scene 1: dialogue 1 must be a table with 'who', 'says', not 'y'"),
        ({"scene": [{"prompt": "x", "pose": {"from": 1.5}}]}, "scene 1: 'pose': 'from' must be a number, not 1.5"),
        ({"scene": [{"prompt": "x", "lora": 1}]}, "scene 1 has an unknown key 'lora'."),
        ({"scene": [{"prompt": "x", "expect": "y"}]}, "scene 1: 'expect' must be a list of texts; write expect = "),
        ({"scene": [{"prompt": "x", "expect": ["one person"] * 21}]}, "there are 21 expectations; at most 20 are taken"),
        ({"scene": [{"prompt": "x", "expect": ["red hair"]}]}, "scene 1: 'expect' has 'red hair'; it must be"),
        ({"\ud800": 1}, "a key holds half a character (a lone surrogate); remove it"),
    ],
)  # fmt: skip
def test_each_mistake_of_form_is_said_in_a_writers_words(more, sentence):
    with pytest.raises(StoryError) as caught:
        told(**more)
    assert str(caught.value).startswith(f"s: {sentence}")


def test_the_largest_and_smallest_of_what_is_taken():
    name = "\U00020000" * 37 + "ab"  # 150 bytes
    assert named(name).name == name
    with pytest.raises(StoryError, match="takes 151 bytes as a file name; at most 150 fit"):
        named(f"{name}c")
    for seed in (1, 2**53 - 1):
        assert told(character=[PERSON | {"seed": seed}]).characters[0].seed == seed
    for seconds in (0.5, 600):
        assert told({"prompt": "x", "seconds": seconds}).scenes[0].seconds == seconds
    full = {"prompt": "{Tom}", "expect": ["one person"] * 20}
    assert len(told(*[full] * 200).scenes) == 200
    with pytest.raises(StoryError, match="have 4,001 expectations; at most 4,000 are taken"):
        told(*[full] * 200, {"prompt": "{Tom}", "expect": ["nobody"]})
    assert len(inline_story(["Tom: an old man"], ["x" * 300]).title) == 200


def test_a_story_is_called_after_its_file_and_has_its_loras_beside_it(tmp_path):
    (tmp_path / "reader.toml").write_text('lora = ["ink.safetensors:0.8"]\n' + STORY)
    story = load_story(tmp_path / "reader.toml")
    assert (story.title, story.loras) == ("reader", (f"{tmp_path}/ink.safetensors:0.8",))
    data = {"character": "old man", "token": "man", "prompts": ["an old man"]}
    (tmp_path / "story_1.json").write_text(json.dumps(data))
    assert load_story(tmp_path / "story_1.json").title == "story_1"
    (tmp_path / "play.fountain").write_text("INT. HOUSE\n\nTOM\nYes.\n")
    with pytest.raises(StoryError, match=r"a Fountain screenplay; first run: identitystory import"):
        load_story(tmp_path / "play.fountain")


def test_a_known_character_may_be_given_again_and_another_may_not_be_called_so():
    known = inline_story(["Tom: an old man"], ["{Tom} sits"])
    again = ["Tom: an old man", "Ann: a woman"]
    more = more_scenes(known, again, ["{Tom} and {Ann} sit"])
    assert [c.name for c in more.characters] == ["Tom", "Ann"]
    assert [scene.text for scene in more.scenes] == ["{Tom} and {Ann} sit"]
    with pytest.raises(StoryError, match="the name 'Tom' is given twice"):
        more_scenes(known, ["Tom: a young man"], ["{Tom} sits"])


def test_a_story_with_somebody_else_says_so_in_the_scenes_that_name_them():
    story = told({"prompt": "{Tom} reads"}, {"prompt": "a pier"}, style="ink")
    ann = Character("Tom", "a young woman", "woman")
    other = recast(story, ann)
    assert other.characters == (ann,)
    assert [scene.prompt for scene in other.scenes] == ["ink, a young woman reads", "ink, a pier"]
    assert recast(other, TOM) == story
    eve = {"name": "Eve", "description": "a girl", "wears": "a red coat"}
    both = told({"prompt": "{Tom} and {Eve} sit"}, {"prompt": "{Eve}"}, character=[PERSON, eve])
    other = recast(both, ann)
    assert other.characters == (ann, both.characters[1])
    assert [scene.prompt for scene in other.scenes] == [
        "a young woman and a girl wearing a red coat sit",
        both.scenes[1].prompt,
    ]


def test_the_style_of_the_public_benchmark_is_the_storys(tmp_path):
    data = {"character": "old man", "token": "man", "prompts": ["an old man"], "style": "A photo"}
    (tmp_path / "story_1.json").write_text(json.dumps(data))
    assert load_story(tmp_path / "story_1.json").style == "A photo"
    (tmp_path / "story_1.json").write_text(json.dumps(data | {"style": 3}))
    with pytest.raises(StoryError, match="'style' must be text"):
        load_story(tmp_path / "story_1.json")


def test_a_long_value_is_shown_by_its_first_37_signs(tmp_path):
    path = tmp_path / "story.toml"
    story = lambda letters: path.write_text(f"character = ['{'x' * letters}']\nscene = ['']")
    story(38)
    with pytest.raises(StoryError, match=rf"'description', .*, not '{'x' * 38}'"):
        load_story(path)
    story(39)
    with pytest.raises(StoryError, match=rf"'description', .*, not '{'x' * 36}\.\.\."):
        load_story(path)


@pytest.mark.parametrize("key", ["title", "seconds", "size", "yaw"])
@pytest.mark.parametrize("number", [f"0x{'f' * 4200}", str(2**64), str(-(2**64))])
def test_a_number_that_no_story_needs_is_refused(tmp_path, key, number):
    told = {
        "title": f"title = {number}\n{STORY}",
        "size": f"size = [{number}, 832]\n{STORY}",
        "seconds": f"{STORY}seconds = {number}\n",
        "yaw": f"{STORY}pose = {{yaw = {number}}}\n",
    }
    (tmp_path / "story.toml").write_text(told[key])
    with pytest.raises(StoryError, match=r"not a story: TOML nested or numbers too large$"):
        load_story(tmp_path / "story.toml")
    assert parse(str(2**64 - 1), "s", "JSON") == 2**64 - 1
    with pytest.raises(StoryError, match="JSON nested or numbers too large"):
        parse(f'{{"a": [{2**64}]}}', "s", "JSON")


@pytest.mark.parametrize(
    ("text", "black"),
    [("a Black girl", True), ("a girl Black as night", False), ("a Black cat", False)],
)
def test_black_is_of_people_where_it_stands_before_them(text, black):
    assert calls_black(text) is black


def test_only_clothes_that_are_told_are_worn():
    people = [
        {"name": "Ann", "description": "a woman", "wears": "a coat"},
        {"name": "Bob", "description": "a man"},
    ]
    scene = {"prompt": "{Ann} and {Bob} sit"}
    (made,) = make_story({"character": people, "scene": [scene]}, source="s").scenes
    assert made.wears == (("Ann", "a coat"),)


def test_a_date_is_shown_as_it_is_written(tmp_path):
    path = tmp_path / "story.toml"
    path.write_text(STORY.replace('"{Tom} reads"', "2026-01-31"))
    with pytest.raises(StoryError, match="'prompt' must be text, not 2026-01-31"):
        load_story(path)


@pytest.mark.parametrize("error", [PermissionError(13, "it is locked"), OSError("it is locked")])
def test_a_file_that_cannot_be_read_says_why(tmp_path, monkeypatch, error):
    path = tmp_path / "story.toml"
    path.write_text(STORY)

    def refused(*_):
        raise error

    monkeypatch.setattr(type(path), "open", refused)
    with pytest.raises(StoryError, match=r"story\.toml cannot be read: it is locked$"):
        load_story(path)


def test_a_folders_name_has_60_letters_and_150_bytes_at_most():
    assert slug("x" * 100) == "x" * 60
    assert slug("x" * 59 + " y") == "x" * 59
    assert slug("\u706f" * 100) == "\u706f" * 50  # three bytes each
    assert slug("a" + "\u706f" * 100) == "a" + "\u706f" * 49
    assert slug("!?") == "story"


@pytest.mark.parametrize(
    ("noun", "person"), [("woman", True), ("dog", False), ("bus-driver", True), ("glorp", True)]
)
def test_whatever_is_no_animal_or_machine_may_have_a_face(noun, person):
    assert is_person(noun) is person


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("der Mann mit einem Hut", "German"),
        ("la femme dans les bois", "French"),
        ("el hombre con una rosa", "Spanish"),
        ("il ragazzo nel bosco con una rosa", "Italian"),
        ("uma mulher com um livro", "Portuguese"),
        ("het meisje met een hoed", "Dutch"),
        ("dziecko jest przy oknie", "Polish"),
        ("the man with a hat", ""),
        ("the man in la la land", ""),
        ("the man with el perro con rosa", ""),  # two little words each
        ("Paris la nuit", ""),
    ],
)
def test_a_language_is_known_by_its_little_words(text, language):
    assert language_of(text) == language


def test_little_words_are_named_of_texts_in_that_language_alone():
    story = told({"prompt": "{Tom} avec les chiens"}, {"prompt": "the man in la land, at dans"})
    (line,) = [line for line in advice(story) if "French" in line]
    assert line.startswith("'avec', 'les' are not read as French")


def test_three_words_are_all_named():
    story = told({"prompt": "{Tom} <a:1> <b:2> <c:3>"})
    (line,) = [line for line in advice(story) if "<" in line]
    assert line.startswith("'<a:1>', '<b:2>', '<c:3>' are not read: ")


def test_a_noun_that_the_description_has_not_stands_in_later_mentions():
    bo = Character("Bo", "a tall one", "boy")
    assert fill("{Bo} runs, {Bo} falls", [bo])[0] == "a tall one runs, the boy falls"
    assert fill("{Bo}'s dog", [bo])[0] == "a tall one's dog"


def test_what_is_not_painted_is_kept_of_a_scene():
    page = {"caption": "Dawn.", "shot": "close-up", "camera": "slow push in", "notes": "Later."}
    (scene,) = told({"prompt": "{Tom} reads"} | page).scenes
    assert {key: getattr(scene, key) for key in page} == page


def test_a_title_of_the_command_line_is_the_storys():
    assert inline_story(["Tom: an old man"], ["{Tom} sits"], title="Dawn").title == "Dawn"


def test_the_noun_of_a_character_file_is_kept_unless_the_story_says_another():
    known = Character(
        "x", "a girl with her mother", "mother", "a hat", face="f", file="c", consent="d"
    )
    asked = []

    def cast(*who):
        asked.append(who)
        return known

    def of(**more):
        data = {"character": [{"name": "Ann", "cast": "ann", **more}], "scene": [{"prompt": "x"}]}
        return make_story(data, source="s", cast=cast).characters[0]

    made = of(look="winter")
    assert asked == [("ann", "winter", "s: character 1 (Ann)")]
    assert (made.name, made.description, made.noun) == ("Ann", known.description, "mother")
    assert (made.wears, made.face, made.file, made.consent) == ("a hat", "f", "c", "d")
    assert of(noun="girl").noun == "girl"
    assert of(wears="").wears == ""
    assert of(description="an old woman").noun == "woman"
    with pytest.raises(StoryError, match="'seed' is of the search for a face, and there is none"):
        of(seed=3)


def test_pictures_of_poses_lie_beside_the_storys_file(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "pose.png")
    pose = {"file": "pose.png", "kind": "depth"}
    data = {"character": [PERSON], "scene": [{"prompt": "{Tom}", "pose": pose}]}
    (tmp_path / "story.json").write_text(json.dumps(data))
    loaded = load_story(tmp_path / "story.json").scenes[0].pose
    assert loaded[0].picture
    assert make_story(data, source="s", folder=tmp_path).scenes[0].pose == loaded


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.yaml", "{}", "YAML"),
        ("a.YML", "", "YAML"),
        ("a.json", "x", "JSON"),
        ("a.toml", "{}", "TOML"),
        ("a", " {}", "JSON"),
        ("a.txt", "x = {}", "TOML"),
    ],
)
def test_a_file_is_known_by_its_suffix_or_else_by_its_first_sign(name, content, kind):
    assert kind_of(Path(name), content) == kind


def test_a_story_has_512_kib_at_most(tmp_path):
    path = tmp_path / "story.toml"
    path.write_text(STORY + "#" * (2**19 - len(STORY)))
    assert len(load_story(path).scenes) == 1


def test_mistakes_are_placed_where_they_are():
    with pytest.raises(StoryError, match="s: line 2, column 11: not valid TOML: Unterminated"):
        parse('a = 1\ntitle = "x', "s")
    with pytest.raises(StoryError, match=r"s: not valid YAML: .* not allowed"):
        parse("a: \x01", "s", "YAML")
    with pytest.raises(StoryError, match="s: line 2: an alias"):
        parse("- &a x\n- *a", "s", "YAML")
    with pytest.raises(StoryError, match="s: line 2, column 5: not valid YAML"):
        parse("x: 1\na: b: c", "s", "YAML")


def test_a_json_file_is_no_set(tmp_path):
    (tmp_path / "set.json").write_text("[[story]]\n")
    with pytest.raises(StoryError, match=r"set\.json: line 1, column 3: not valid JSON"):
        load_sets(tmp_path / "set.json")


def test_a_set_says_nothing_of_a_style_and_size_that_it_has_not():
    assert set_text("One", [("Tom", "an old man")], ["{Tom} sits"]) == (
        '[[story]]\ntitle = "One"\ncharacter = [\n'
        '    { name = "Tom", description = "an old man" },\n]\nscenes = [\n    "{Tom} sits",\n]\n'
    )


def test_the_public_benchmark_is_drafted_with_its_cast():
    data = {
        "character": ["old man", "girl"],
        "token": ["man", "girl"],
        "prompts": ["a girl, old man"],
    }
    made = consistory.draft(data, "s")
    assert made.people == {"Man": "an old man", "Girl": "a girl"}
    assert [(shot.text, list(shot.cast)) for shot in made.shots] == [
        ("{Girl}, {Man}", ["Girl", "Man"])
    ]


def test_mistakes_of_the_public_benchmark_name_their_place():
    read = lambda **data: consistory.story(data, "s", "")
    man = {"character": "old man", "token": "old man"}
    assert read(**man, prompts="an old man").characters[0].noun == "man"
    with pytest.raises(
        StoryError, match="s: character 1: the token 'x' is not a word of 'big cloud'"
    ):
        read(character="big cloud", token="x", prompts="a big cloud")
    with pytest.raises(
        StoryError, match=f"s: prompt 2 shows none of the characters: '{'x' * 60}'$"
    ):
        read(**man, prompts=["an old man", "x" * 70])
