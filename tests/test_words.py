"""What a story's words become: prompts, casts and plans; and which words no model reads."""

import json
from dataclasses import replace

import pytest

from identitystory.errors import StoryError
from identitystory.methods.method import Work
from identitystory.methods.one_prompt import identity_prompt as one_prompt_identity
from identitystory.methods.one_prompt import setting
from identitystory.methods.registry import METHODS, method
from identitystory.metrics.attributes import said
from identitystory.models.files.suited import preset as named_preset
from identitystory.protocols import ModelFacts
from identitystory.runs.checks import warnings
from identitystory.runs.folder import RunFolder
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest, story_from_dict, story_to_dict
from identitystory.story.advice import advice, language_of
from identitystory.story.file import inline_story, make_story, more_scenes
from identitystory.story.sets import shortened
from identitystory.story.text import calls_black, noun_in, scenes_said
from identitystory.story.vocabulary import unknown_words
from identitystory.types import Identity
from identitystory.wording import asked_template, identity_prompts, phrases, search_prompt

MARA = {"name": "Mara", "description": "a young woman with long red hair"}
TOM = {"name": "Tom", "description": "an old man"}
REX = {"name": "Rex", "description": "a brown dog", "identity": False}
FACTS = ModelFacts("weights", "cpu", "float32")


def preset():
    """The settings that most use."""
    return named_preset("recommended", "miniature")


def told(*scenes, characters=(MARA, TOM), **more):
    """The story of such scenes, each a prompt or a table."""
    made = [{"prompt": s} if isinstance(s, str) else s for s in scenes]
    return make_story({"character": list(characters), "scene": made} | more, source="s")


def prompt(scene, **more):
    """T_i of one scene."""
    return told(scene, **more).scenes[0].prompt


def planned(story, tmp_path, name="identitystory"):
    """The plan of a story that was never painted."""
    request = RunRequest(story, tmp_path / "run", preset(), method=name)
    return make_plan(request, FACTS, None)


def keys(story, tmp_path, name="identitystory"):
    """The keys of its frames."""
    return [part.key for part in planned(story, tmp_path, name).frames]


def test_a_noun_in_brackets_on_the_command_line():
    (nell,) = inline_story(["Nell (widow): an old widow with grey hair"], ["{Nell}"]).characters
    assert (nell.name, nell.noun) == ("Nell", "widow")
    with pytest.raises(StoryError, match="the noun 'man' is not a word of the description"):
        inline_story(["Nell (man): an old widow"], ["{Nell}"])


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{Mara}'s dog on a beach", "a young woman's dog on a beach, the woman with long red hair"),
        ("{Mara}\u2019s dog.", "a young woman's dog, the woman with long red hair"),
        ("{Mara}'s dog and {Mara}", "a young woman's dog and the woman with long red hair"),
        ("{Mara} and {Mara}'s dog", "a young woman with long red hair and the woman's dog"),
        ("{Tom}'s boat", "an old man's boat"),
    ],
)
def test_what_somebody_owns_describes_them_once(text, filled):
    scene = told(text).scenes[0]
    assert scene.prompt == filled
    assert len(scene.cast) == 1
    assert (
        unknown_words([filled], frozenset(filled.replace("'s", "").replace(",", "").split())) == {}
    )


def test_one_prompt_keeps_whose_it_is():
    story = told("{Mara}'s dog on a beach")
    assert setting(story, story.scenes[0]) == "the woman's dog on a beach"


def unread(text, **more):
    """What is said of a scene's words."""
    return [
        line for line in advice(told(text, characters=[MARA], **more)) if "in no scene" not in line
    ]


def test_another_script_and_another_language_are_told_in_one_line():
    assert unread("{Mara} \u0447\u0438\u0442\u0430\u0435\u0442 \u043a\u043d\u0438\u0433\u0443") == [
        "'\u0447\u0438\u0442\u0430\u0435\u0442', '\u043a\u043d\u0438\u0433\u0443' are not read: "
        "models read English, and Latin letters"
    ]
    (line,) = unread("{Mara} avec les chiens dans une maison au bord du lac et la mer")
    assert line == ("'avec', 'les', 'dans' and 4 more are not read as French: models read English")
    assert unread("{Mara} in Los Angeles, in a caf\u00e9 on la Rambla") == []
    assert language_of("a man with a dog") == ""


@pytest.mark.parametrize(
    ("marks", "line"),
    [
        ("(red shirt:1.4) (hat:2)", "'(red shirt:1.4)', '(hat:2)' are not read as a weight"),
        ("<lora:paint:0.8>", "'<lora:paint:0.8>' is not read: no file is loaded"),
        ("BREAK a beach", "'BREAK' is not read: a prompt has no parts"),
        ("[Mara]", "'[Mara]' is not read: names stand in braces, {Mara}"),
    ],
)
def test_marks_of_other_programs_are_named_in_one_line_each(marks, line):
    found = [each for each in unread(f"{{Mara}} {marks}") if "without braces" not in each]
    assert len(found) == 1
    assert found[0].startswith(line)
    assert unread("{Mara} (smiling) at 10:30, a break < 3") == []


def test_what_is_not_to_be_there_brings_the_hint_to_say_it_otherwise():
    (line,) = unread("{Mara} with no glasses, without a hat, no longer sad")
    assert line.startswith("'no glasses', 'without a hat': ")
    assert line.endswith('negative = "glasses, hat"')


def test_a_prompt_that_is_read_in_pieces_is_told(tmp_path):
    story = told("{Mara} reads", "{Mara} " + "walks " * 90)
    facts = replace(FACTS, check_prompts=lambda texts: [t for t in texts if len(t.split()) > 77])
    request = RunRequest(story, tmp_path, preset())
    made = make_plan(request, facts, None)
    (line,) = [n for n in warnings(request, made, facts, RunFolder(tmp_path)) if "77" in n]
    assert line.startswith("prompts of scene 2 have more words than the model reads at once")


def test_negative_is_added_to_the_presets_for_templates_and_faces(tmp_path):
    story = told("{Mara} reads", {"prompt": "{Mara}", "negative": "hat"}, negative="glasses")
    assert [s.negative for s in story.scenes] == ["glasses", "glasses, hat"]
    config = replace(preset().injection, negative="blurry")
    assert asked_template(story, story.scenes[1], 0, config).negative == "blurry, glasses, hat"
    found = {"Mara": Identity(None, None)}
    (face,) = identity_prompts(story, story.scenes[0], ["Mara"], found, config, seed=0)
    assert face.negative == "blurry, glasses"
    bare = told("{Mara} reads", "{Mara}")
    assert asked_template(bare, bare.scenes[0], 0, replace(config, negative=None)).negative is None
    for name in METHODS:
        painter = method(name, preset())
        assert any("glasses, hat" in text for text, _ in painter.prompts(story, 1))
        assert all(
            a != b
            for a, b in zip(keys(story, tmp_path, name), keys(bare, tmp_path, name), strict=True)
        )
    general = method("general", preset())
    assert general.said(Work(story, (0, 0), (0,), {}), [1])[0].negative == "glasses, hat"
    (more,) = more_scenes(story, [], ["{Mara} sleeps"]).scenes
    assert more.negative == "glasses"


def test_clothes_are_words_of_scenes_and_not_of_portraits(tmp_path):
    dressed = MARA | {"wears": "a blue suit"}
    red = {"prompt": "{Mara} reads", "wears": {"Mara": "a red coat"}}
    story = told("{Mara} reads", red, characters=[dressed])
    said = "a young woman with long red hair wearing a"
    assert [s.prompt for s in story.scenes] == [f"{said} blue suit reads", f"{said} red coat reads"]
    mara, bare = story.characters[0], told("{Mara} reads", characters=[MARA])
    config = preset()
    assert search_prompt(mara, config.discovery) == search_prompt(
        bare.characters[0], config.discovery
    )
    assert (
        planned(story, tmp_path).identities["Mara"].key
        == planned(bare, tmp_path).identities["Mara"].key
    )
    assert phrases(story, story.scenes[0]) == [MARA["description"]]
    description = replace(config.injection, identity_words="description")
    found = {"Mara": Identity(None, None)}
    (face,) = identity_prompts(story, story.scenes[1], ["Mara"], found, description, seed=0)
    assert face.text == f"{said} red coat"
    assert one_prompt_identity(story, 1) == f"{said} red coat"


def test_a_scenes_clothes_make_others_frames_not_new(tmp_path):
    red = {"prompt": "{Mara} reads", "wears": {"Mara": "a red coat"}}
    plain, clad = MARA, MARA | {"wears": "a blue suit"}
    for name in METHODS:
        one, two = (told(red, characters=[c]) for c in (plain, clad))
        assert keys(one, tmp_path, name) == keys(two, tmp_path, name)


def test_captions_and_dialogue_reach_no_key_and_no_prompt(tmp_path):
    page = {"caption": "At last.", "dialogue": [{"who": "Tom", "says": "Land {ho}!"}]}
    story, bare = told({"prompt": "{Mara} reads"} | page), told("{Mara} reads")
    scene = story.scenes[0]
    assert (scene.caption, scene.dialogue) == ("At last.", (("Tom", "Land {ho}!"),))
    assert scene.prompt == bare.scenes[0].prompt
    for name in METHODS:
        ours, theirs = planned(story, tmp_path, name), planned(bare, tmp_path, name)
        assert [p.key for p in ours.frames] == [p.key for p in theirs.frames]
        assert "At last." not in json.dumps(ours.frames[0].facts())


def test_a_location_is_words_that_scenes_name(tmp_path):
    places = {"harbour": "an old harbour by day"}
    story = told("{Mara} in {harbour}", "the {harbour}", "a {harbour}", locations=places)
    assert [s.prompt for s in story.scenes] == [
        "a young woman with long red hair in an old harbour by day",
        "the old harbour by day",
        "an old harbour by day",
    ]
    assert [s.cast for s in story.scenes] == [("Mara",), (), ()]
    in_words = told(
        "{Mara} in an old harbour by day", "the old harbour by day", "an old harbour by day"
    )
    assert keys(story, tmp_path) == keys(in_words, tmp_path)
    assert more_scenes(story, [], ["{Tom} in {harbour}"]).scenes[0].prompt.endswith("by day")
    inked = more_scenes(story, [], ["{Tom} in {harbour}"], style="ink").scenes[0].prompt
    assert inked.startswith("ink, ")


def test_a_run_remembers_all_that_a_story_says():
    page = {"caption": "At last.", "dialogue": [{"who": "Tom", "says": "Yes"}]}
    scene = {"prompt": "{Mara} and {Rex}", "wears": {"Mara": "a coat"}, "negative": "hat"} | page
    more = {"locations": {"pier": "a long pier"}, "negative": "glasses"}
    story = told(scene, characters=[MARA, TOM, REX], **more)
    assert story_from_dict(json.loads(json.dumps(story_to_dict(story)))) == story


@pytest.mark.parametrize(
    ("scene", "more", "sentence"),
    [
        ({"wears": {"Mira": "a coat"}}, {}, "'wears' names 'Mira', who is not a character. Did you"),
        ({"wears": {"Tom": "a coat"}}, {}, "s: scene 1: 'wears' names 'Tom', who is not in it"),
        ({"wears": "a coat"}, {}, "s: scene 1: 'wears' must be a table of texts by name, not 'a c"),
        ({"wears": {"Mara": 3}}, {}, "s: scene 1: 'wears': 'Mara' must be text, not 3"),
        ({"wears": {"Mara": "{x}"}}, {}, "s: scene 1: what 'Mara' wears holds a brace"),
        ({"dialogue": [{"who": "Bob", "says": ""}]}, {}, "'dialogue' names 'Bob', who is not a"),
        ({"dialogue": [{"who": "Tom"}]}, {}, "s: scene 1: dialogue 1 has no 'says'"),
        ({"dialogue": [{"who": "Tom", "say": "x", "says": ""}]}, {}, "unknown key 'say'. Did you mean 'says'"),
        ({"dialogue": "x"}, {}, "s: scene 1: 'dialogue' must be a list of tables; write .{who = "),
        ({"negative": "{x}"}, {}, "s: scene 1: 'negative' holds a brace"),
        ({}, {"locations": {"pier": 3}}, "s: 'locations': 'pier' must be text, not 3"),
        ({}, {"locations": {"Tom": "a pier"}}, "s: 'Tom' is a character and a location; rename one"),
        ({}, {"locations": 3}, "s: 'locations' must be a table of texts by name, not 3"),
    ],
)  # fmt: skip
def test_each_mistake_names_its_place(scene, more, sentence):
    with pytest.raises(StoryError, match=sentence):
        told({"prompt": "{Mara} reads"} | scene, **more)


@pytest.mark.parametrize(
    ("text", "black"),
    [
        ("a young Black man with short hair", True),
        ("A Black woman smiling on a beach", True),
        ("a young man with black hair", False),
        ("a woman in a Black coat", False),
        ("Black hair of a man", False),
        ("a young black man", False),
    ],
)
def test_black_with_a_capital_before_a_person_is_said_of_the_skin(text, black):
    tables = {
        "skin": {"dark skin": ["dark"], "pale skin": ["light"]},
        "age": {"young man": ["young"]},
        "hair": {"black hair": ["black"]},
    }
    assert calls_black(text) == black
    found = said(text, tables)
    assert ("skin" in found) == black
    assert ("hair" in found) == ("black hair" in text.lower())
    assert ("age" in found) == ("oung Black man" in text or "young man" in text)


def test_a_dog_without_a_face_leaves_the_others_part_of_the_plan_as_it_was(tmp_path):
    scene = "{Mara} and {Rex} in a meadow by day"
    with_rex, without = told(scene, characters=[MARA, REX]), told("{Mara}", characters=[MARA])
    (there,) = with_rex.scenes
    assert there.prompt == "a young woman with long red hair and a brown dog in a meadow by day"
    assert there.cast == ("Mara",)
    assert advice(with_rex) == []
    for name in METHODS:
        ours, theirs = planned(with_rex, tmp_path, name), planned(without, tmp_path, name)
        assert (ours.cast, ours.identities) == (theirs.cast, theirs.identities)
        nouns = [noun for _, noun in ours.method.prompts(with_rex, 0) if noun]
        assert nouns == [n for _, n in ours.method.prompts(without, 0) if n]
    assert phrases(with_rex, there) == [MARA["description"]]
    assert setting(with_rex, there) == "and a brown dog in a meadow by day"
    assert [c.name for c in shortened(with_rex, 1).characters] == ["Mara", "Rex"]


def test_scenes_of_nobody_or_of_a_dog_alone_need_no_identity(tmp_path):
    story = told("{Rex} sleeps, the {Rex} snores", "a meadow", characters=[REX])
    assert [s.prompt for s in story.scenes] == ["a brown dog sleeps, the dog snores", "a meadow"]
    made = planned(story, tmp_path)
    assert (made.cast, made.identities) == ((), {})
    assert advice(story) == ["scene 2 names no character in braces; nobody's face is kept"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([3], "scene 3"),
        ([2, 3], "scenes 2-3"),
        ([1, 2, 3, 5, 9, 10], "scenes 1-3, 5, 9-10"),
        (range(1, 1001), "scenes 1-1000"),
        (range(1, 26, 2), "scenes 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 and 1 more"),
        (
            [*range(1, 25, 2), 30, 31, 32],
            "scenes 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23 and 3 more",
        ),
    ],
)
def test_many_scenes_are_said_in_few_words(numbers, words):
    assert scenes_said(numbers) == words


def test_advice_on_many_scenes_is_one_line_a_kind():
    story = told(*["Mara reads"] * 3, "{Mara} reads", *["a meadow"] * 200, characters=[MARA])
    assert advice(story) == [
        "scenes 1-3 say 'Mara' without braces; write {Mara} to put the character there",
        "scenes 1-3, 5-204 name no character in braces; nobody's face is kept",
    ]


@pytest.mark.parametrize(
    "description", ["a police dog", "a small robot with a child's face", "a red tractor"]
)
def test_what_is_no_person_is_refused_with_the_way_out(description):
    rex = {"name": "Rex", "description": description}
    noun = noun_in(description)
    for more in ({}, {"noun": noun}):
        with pytest.raises(StoryError) as caught:
            told("{Rex}", characters=[rex | more])
        assert str(caught.value) == (
            f"s: character 1 (Rex): '{noun}' is no person, and has no face to keep; with "
            "identity = false in a story file it is painted from its words alone"
        )
    assert told("{Rex}", characters=[rex | {"identity": False}]).characters[0].words_only
    with pytest.raises(StoryError, match="'identity' must be true or false, not 'no'"):
        told("{Rex}", characters=[rex | {"identity": "no"}])
