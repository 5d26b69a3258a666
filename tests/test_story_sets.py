"""The stories to measure on: their numbers, their words, and what else is read as a set."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from importlib import resources
from itertools import combinations, product
from pathlib import Path

import pytest

from benchmarks import write_stories
from identitystory.errors import StoryError
from identitystory.story.file import make_story, slug
from identitystory.story.sets import BUILT_IN, load_sets, set_text
from identitystory.story.vocabulary import load_vocabulary, unknown_words
from miniature.pictures import stories
from miniature.world.records import CATEGORIES, PLACES
from miniature.world.words import PLACE

PACKAGE = Path(str(resources.files("identitystory")))
KNOWN = load_vocabulary(PACKAGE / "weights" / "miniature")
EXAMPLES = Path(__file__).parent.parent / "examples"
COLOURED = re.compile(
    r"\b(black|white|gr[ea]y|red|reddish|reddened|orange|yellow|green|blue|violet|purple|pink|brown"
    r"|blonde?|ginger|auburn|copper|silver|gold|golden|rosy|tanned|crimson|scarlet|turquoise|beige"
    r"|colou?r(s|ed|ful)?|rainbow)\b"
)
HIDDEN = re.compile(
    r"\b(hood(ed)?|masks?|masked|visors?|helmets?|goggles|sunglasses|snorkel\w*|binoculars|veil(ed)?"
    r"|behind a newspaper|seen from|through a (microscope|telescope|camera)"
    r"|over (his|her) (mouth|face|eyes))\b"
)


def test_consistory_human_has_100_sets_of_10_prompts_in_the_papers_sizes():
    sets = load_sets("consistory_human")
    assert Counter(len(story.characters) for story in sets) == {1: 80, 2: 10, 3: 10}
    assert {len(story.scenes) for story in sets} == {10}
    people = [c for story in sets for c in story.characters]
    assert len({c.description for c in people}) == len(people) == 130
    prompts = [scene.prompt for story in sets for scene in story.scenes]
    assert len(set(prompts)) == 1000
    assert len({story.style for story in sets}) == 10
    for story in sets:
        names = {c.name for c in story.characters}
        assert all(set(scene.cast) == names for scene in story.scenes)
        assert all(len(scene.prompt.split()) <= 45 for scene in story.scenes)  # CLIP's 77 tokens


def test_its_people_are_of_both_sexes_and_every_age():
    nouns = Counter(c.noun for s in load_sets("consistory_human") for c in s.characters)
    assert set(nouns) == {"woman", "man", "girl", "boy"}
    said = [c.description for s in load_sets("consistory_human") for c in s.characters]
    for words in (r"\b(old|elderly)\b", r"\bmiddle-aged\b", r"\byoung\b", r"\b(girl|boy)\b"):
        assert sum(bool(re.search(words, s)) for s in said) >= 10


def test_her_and_his_agree_with_the_person():
    for story in load_sets("consistory_human"):
        if len(story.characters) == 1:
            wrong = "her" if story.characters[0].noun in ("man", "boy") else "his"
            assert not any(re.search(rf"\b{wrong}\b", s.text) for s in story.scenes), story.title


def test_a_black_and_white_picture_is_described_without_colours():
    found = [s for s in load_sets("consistory_human") if "black-and-white" in s.style]
    assert len(found) == 10
    said = [text for s in found for text in (*(c.description for c in s.characters), *_texts(s))]
    assert [text for text in said if COLOURED.search(text)] == []


def test_the_face_that_is_measured_is_not_hidden():
    texts = [text for s in load_sets("consistory_human") for text in _texts(s)]
    assert [text for text in texts if HIDDEN.search(text)] == []


def test_one_person_does_nothing_that_takes_two():
    single = [s for s in load_sets("consistory_human") if len(s.characters) == 1]
    texts = [text for s in single for text in _texts(s)]
    assert [text for text in texts if re.search(r"\b(sharing|together|each other)\b", text)] == []


def test_sets_of_one_person_show_600_scenes_and_no_two_of_them_share_most():
    single = [s for s in load_sets("consistory_human") if len(s.characters) == 1]
    shown = [{re.sub(r"\b(his|her)\b|\{.*?\}", "_", text) for text in _texts(s)} for s in single]
    assert len(set().union(*shown)) == 600
    assert max(len(one & other) for one, other in combinations(shown, 2)) <= 6


def _texts(story):
    return [scene.text for scene in story.scenes]


def test_little_people_speaks_the_miniatures_words_and_shows_its_places():
    sets = load_sets("little_people")
    assert Counter(len(story.characters) for story in sets) == {1: 30, 2: 10}
    prompts = [scene.prompt for story in sets for scene in story.scenes]
    assert unknown_words(prompts, KNOWN) == {}
    assert len(set(prompts)) == 400
    shown = Counter(place for s in sets for scene in s.scenes for place in _places(scene.text))
    assert set(shown) == set(PLACES)
    for story in sets:
        assert len({place for s in story.scenes for place in _places(s.text)}) == 10, story.title


def _places(text):
    """The places that a prompt names; of a phrase inside another, the longer one's."""
    named = {place: max(map(len, filter(text.__contains__, words)), default=0)
             for place, words in PLACE.items()}  # fmt: skip
    most = max(named.values())
    return [place for place, length in named.items() if length == most > 0]


def test_pairs_are_told_side_by_side_and_on_wide_pictures():
    """The world shows two people from the shoulders up, in pictures half as wide again."""
    for story in load_sets("little_people"):
        pair = len(story.characters) == 2
        assert {scene.shape or story.shape for scene in story.scenes} == {"384x256" if pair else ""}
        framed = Counter(re.match(r"a (portrait|half-body)", s.text)[1] for s in story.scenes)
        assert framed == ({"portrait": 10} if pair else {"portrait": 5, "half-body": 5})


def test_little_people_are_of_every_age_skin_and_sex():
    """All 40 kinds of age, skin and sex are there, ten of them twice."""
    groups = [[stories.kind(person) for person in people] for people in stories.groups()]
    counts = Counter(who for group in groups for who in group)
    assert sorted(counts.values()) == [1] * 30 + [2] * 10
    assert set(counts) == set(product(*(CATEGORIES[name] for name in ("age", "skin", "sex"))))
    assert Counter(len({sex for _, _, sex in group}) for group in groups[30:]) == {2: 6, 1: 4}


@pytest.mark.parametrize(
    ("file", "made"),
    [
        (PACKAGE / "data" / "consistory_human.toml", write_stories.toml),
        (stories.SETS, stories.toml),
        (stories.HELD_OUT_STORIES, stories.held_out_json),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_files_are_what_their_scripts_write(file, made):
    assert file.read_text(encoding="utf-8") == made()


def test_titles_are_run_folders_of_their_own():
    for name in ("consistory_human", "little_people"):
        stems = [slug(story.title) for story in load_sets(name)]
        assert len(set(stems)) == len(stems)


def test_the_public_benchmarks_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    for folder, numbers in (("single", (2, 10, 1)), ("multi-2", (1,))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            two = folder == "multi-2"
            entry = {
                "prompts": ["A photo of a young girl, running"] * 2,
                "token": ["girl", "man"] if two else "girl",
                "character": ["a young girl", "an old man"] if two else "a young girl",
                "style": "A photo of",
                "settings": ["running"] * 2,
                "settings_types": ["action"] * 2,
            }
            (tmp_path / folder / f"story_{number}.json").write_text(json.dumps(entry))
    found = load_sets(tmp_path)
    assert [s.title for s in found] == [
        "multi-2/story_1", "single/story_1", "single/story_2", "single/story_10",
    ]  # fmt: skip
    assert [len(s.characters) for s in found] == [2, 1, 1, 1]


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_examples_are_told_in_the_miniatures_words(file):
    (story,) = load_sets(file)
    assert unknown_words([scene.prompt for scene in story.scenes], KNOWN) == {}


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-story.md"])
def test_stories_on_pages_are_told_in_the_miniatures_words(page):
    text = (EXAMPLES.parent / page).read_text("utf-8")
    stories = re.findall(r"^```toml\n(.*?)^```", text, re.S | re.M)
    assert stories
    for shown in stories:
        story = make_story(tomllib.loads(shown), source=page)
        assert unknown_words([scene.prompt for scene in story.scenes], KNOWN) == {}


@pytest.mark.parametrize("page", ["docs/explanation/limits.md", "docs/tutorial/first-story.md"])
def test_pages_count_its_words(page):
    text = (EXAMPLES.parent / page).read_text("utf-8")
    assert f"knows {len(KNOWN)} " in text


def test_a_single_story_file_is_a_set_of_one():
    (story,) = load_sets(EXAMPLES / "lighthouse.toml")
    assert story.title == "The lighthouse"


ENTRY = """[[story]]
title = "One"
character = [{ name = "Ann", description = "a woman" }]
scenes = ["{Ann} reads"]
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ENTRY + ENTRY, "two stories are called 'One'"),
        (ENTRY.replace("{Ann}", "{Eve}"), "story 1: scene 1 names 'Eve'"),
        (ENTRY.replace('["{Ann} reads"]', '"{Ann} reads"'), "'scenes' must be a list"),
        (ENTRY + "style = ", "not valid TOML"),
        (ENTRY.replace('title = "One"', ""), "story 1 has no 'title'"),
        ("more = 1\n" + ENTRY, "nothing else"),
        ('story = """\n[[story]]\n"""', "nothing else"),
        (ENTRY + '[[story.scene]]\nprompt = "x"', "'scenes' must be a list of prompts, without"),
        (ENTRY + ENTRY.replace('title = "One"', ""), "story 2 has no 'title'"),
    ],
)
def test_a_mistake_names_the_story(tmp_path, text, sentence):
    file = tmp_path / "sets.toml"
    file.write_text(text)
    with pytest.raises(StoryError, match=re.escape(sentence)) as caught:
        load_sets(file)
    assert str(file) in str(caught.value) or "two stories" in sentence


def test_a_name_that_is_nothing_tells_what_there_is(tmp_path):
    with pytest.raises(StoryError, match="Did you mean 'little_people'"):
        load_sets("litle_people")
    with pytest.raises(StoryError, match=f"Built in: {', '.join(BUILT_IN)}"):
        load_sets("xylophone")
    with pytest.raises(StoryError, match="holds no story file"):
        load_sets(tmp_path)


def test_a_written_set_reads_as_what_was_written(tmp_path):
    """Also with quotes, backslashes and letters outside ASCII in the text."""
    cast = [("Zoë", 'a woman called "the heron"'), ("Tom", "a man with a \\ on his hat")]
    scenes = ["{Zoë} and {Tom} walk", "a portrait of {Tom} \U0001f33b"]
    file = tmp_path / "set.toml"
    text = set_text("Two", cast, scenes, style="ink", size="384x256")
    file.write_text(text, encoding="utf-8")
    (story,) = load_sets(file)
    assert (story.title, story.style, story.shape) == ("Two", "ink", "384x256")
    assert [(c.name, c.description) for c in story.characters] == cast
    assert [scene.text for scene in story.scenes] == scenes
