import json

import pytest

from identitystory.errors import ModelError
from identitystory.story.vocabulary import (
    crowd_warning,
    load_vocabulary,
    nearest,
    stems_of,
    unknown_words,
    vocabulary_warning,
    words_of,
)

KNOWN = frozenset(
    [
        "a",
        "woman",
        "with",
        "long",
        "red",
        "hair",
        "smiling",
        "smiles",
        "beach",
        "on",
        "house",
        "run",
    ]
)


def test_words_are_small_letters_without_numbers_and_signs():
    assert words_of("A Woman, aged 40, reads Tom's (red) book!") == [
        "a", "woman", "aged", "reads", "tom's", "red", "book",
    ]  # fmt: skip


def test_unknown_words_come_once_in_order_and_known_ones_not_at_all():
    unknown = unknown_words(["A woman on a pier", "red PIER, a beech"], KNOWN)
    assert list(unknown) == ["pier", "beech"]
    assert unknown["beech"] == ("beach",)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("smile", ("smiles", "smiling")),
        ("beaches", ("beach",)),
        ("running", ("run",)),
        ("xylophone", ()),
    ],
)
def test_nearest_prefers_the_same_stem(word, near):
    assert nearest(word, KNOWN) == near


def test_what_is_left_of_a_word_has_three_letters_or_is_none():
    assert stems_of("reds") == {"reds", "red"}
    assert stems_of("bus") == {"bus"}


def test_the_warning_is_one_line_with_what_to_write_instead():
    assert vocabulary_warning(unknown_words(["a pier on a beech"], KNOWN)) == (
        "the model has never seen 'pier', 'beech' (it knows 'beach'); it will guess"
    )
    assert vocabulary_warning({}) is None


def test_a_long_list_is_cut_with_the_number_left_out():
    line = vocabulary_warning({f"w{i:02d}": () for i in range(15)})
    assert line.endswith("'w11', and 3 more; it will guess")
    line = vocabulary_warning({f"w{i:02d}": () for i in range(12)})
    assert line.endswith("'w10', 'w11'; it will guess")


def test_a_checkpoint_without_the_file_knows_everything(tmp_path):
    assert load_vocabulary(tmp_path) is None
    (tmp_path / "vocabulary.json").write_text(json.dumps({"words": ["Beach"]}))
    assert load_vocabulary(tmp_path) == {"beach"}


@pytest.mark.parametrize("content", ["{", "[]", '{"word": []}', '{"words": 3}'])
def test_a_broken_file_is_the_models_fault(tmp_path, content):
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(ModelError, match="is broken"):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize(("casts", "warned"), [([1, 0], False), ([1, 2], True), ([], False)])
def test_more_people_than_the_model_has_learned_are_told(tmp_path, casts, warned):
    """Only a card says a limit, and only a scene above it is warned of."""
    assert crowd_warning(tmp_path, casts) is None
    for says_nothing in ("[suits]\nsteps = 3\n", "[data]\nseed = 1\n"):
        (tmp_path / "card.toml").write_text(says_nothing)
        assert crowd_warning(tmp_path, casts) is None
    (tmp_path / "card.toml").write_text("[data]\npeople_in_a_picture = 1\n")
    assert (crowd_warning(tmp_path, casts) is not None) == warned


def test_the_parts_of_a_known_word_with_a_hyphen_are_known():
    known = KNOWN | {"half-body", "photo", "of"}
    assert unknown_words(["a half-body photo of a woman"], known) == {}
    assert list(unknown_words(["half a body, full-body"], known)) == ["full"]


def test_the_nearest_are_two_and_nearly_the_same():
    known = frozenset(["feast", "least", "yeast", "abcxy"])
    assert len(nearest("beast", known)) == 2
    assert len(nearest("beast", known | {"beasy"}, count=4)) == 4
    assert nearest("abcde", known) == ()
    assert nearest("smile", frozenset(["smiled", "smiles", "smiling"])) == ("smiled", "smiles")


def test_the_nearest_are_looked_for_of_the_first_twelve_alone():
    unknown = unknown_words([" ".join(f"beach{letter}" for letter in "abcfghijklmno")], KNOWN)
    assert list(unknown.values()) == [("beach",)] * 12 + [()]


def test_of_two_letters_before_an_ending_one_goes():
    assert stems_of("stopping") == {"stopping", "stopp", "stop"}


def test_no_scenes_are_no_crowd(tmp_path):
    (tmp_path / "card.toml").write_text("[data]\npeople_in_a_picture = 0\n")
    assert crowd_warning(tmp_path, []) is None
    assert crowd_warning(tmp_path, [1]) is not None
