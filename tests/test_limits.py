"""What comes from outside is bounded: numbers, keys, words; and refused in one line, at once."""

import random
import time

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, StoryError
from identitystory.experiments.workers import engine
from identitystory.masks import dilate
from identitystory.metrics import attributes
from identitystory.models.device import resolve_device
from identitystory.settings import Overrides, overridden, setting_types, with_settings
from identitystory.story import readings, sets, vocabulary
from identitystory.story.document import MAX_BYTES, MAX_DOTS, parse
from identitystory.story.file import inline_story, load_story, make_story
from identitystory.story.schema import MAX_ALL_EXPECTED, MAX_ALL_FILLED, MAX_FILLED, MAX_SCENES

PRESET = Preset("x")
HUGE = 10**10


@pytest.mark.parametrize("name", [n for n, kind in setting_types().items() if "int" in str(kind)])
@pytest.mark.parametrize("value", [str(HUGE), "9" * 5000, "-1"])
def test_every_whole_setting_has_a_largest_value_and_says_it(name, value):
    with pytest.raises(ConfigError, match=r"whole number of at least .* and at most") as told:
        with_settings(PRESET, [f"{name}={value}"])
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("name", [n for n, kind in setting_types().items() if kind is float])
@pytest.mark.parametrize("value", ["1e10", "1e999", "NaN", "-Infinity"])
def test_every_number_has_a_largest_value(name, value):
    with pytest.raises(ConfigError, match="must be a number"):
        with_settings(PRESET, [f"{name}={value}"])


@pytest.mark.parametrize(
    "given", [{"portraits": HUGE}, {"steps": HUGE}, {"batch": HUGE}, {"reuse": HUGE}]
)
def test_an_absurd_option_is_refused_at_once(given):
    start = time.process_time()
    with pytest.raises(ConfigError, match=rf"(is|are) {HUGE}\b.*at most"):
        overridden(PRESET, Overrides(**given))
    assert time.process_time() - start < 0.5


def test_workers_have_a_largest_number():
    with pytest.raises(ConfigError, match=f"--workers is {HUGE}; it must be at least 1 and at"):
        engine("local", HUGE)


def test_a_radius_beyond_the_picture_covers_it_and_costs_no_more():
    import torch

    masks = torch.zeros(2, 8, 12, dtype=torch.bool)
    masks[0, 3, 4] = True
    grown = dilate(masks, 10**9)
    assert grown[0].all()
    assert not grown[1].any()
    most = InjectionConfig(k_max=1e4, reference_size=1)
    assert dilate(masks, int(most.k_max_at(8)))[0].all()


DEEP = [
    ".".join("a" * 40_000) + " = 1",
    "[" + " . ".join("a" * 40_000) + "]",
    "x = {" + ".".join(['"a"'] * 40_000) + " = 1}",
    "x = 'a'\n" + ".".join(["'a'"] * 40_000) + " = 1",
    '"' + "a" * 100 + '".' * 40_000,
    '"\\"".' * 40_000,
    "'''x'''\n" + "a." * 40_000,
]


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_a_deep_key_is_refused_before_it_is_read(text):
    """Python's reader of TOML takes 25 s for the first of them."""
    start = time.process_time()
    with pytest.raises(StoryError, match=r"^s: line \d has a key with more than 4 dots"):
        parse(text, "s")
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "mark", ['"', "'", '"""', "'''", '\\"', "#", "\\", '"\\', "a.b\n", "[", "{"]
)
def test_looking_for_deep_keys_takes_time_with_the_length_alone(mark):
    """A megabyte of every mark that could start something: read or refused within a second or two."""
    text = mark * ((1 << 20) // len(mark))
    start = time.process_time()
    try:
        parse(text, "s")
    except StoryError as error:
        assert len(str(error)) < 300  # noqa: PT017
    assert time.process_time() - start < 5


@pytest.mark.parametrize("dots", [MAX_DOTS, MAX_DOTS + 1])
def test_the_deepest_key_that_is_read(dots):
    text = ".".join("abcdefghi"[: dots + 1]) + " = 1"
    if dots == MAX_DOTS:
        assert list(parse(text, "s")) == ["a"]
    else:
        with pytest.raises(StoryError, match="line 3 has a key"):
            parse(f"x = 1\n\n{text}", "s")


def test_many_numbers_in_a_line_are_no_deep_key():
    """A pose for each of twenty people stands in one line."""
    line = ", ".join(f"P{n} = {{yaw = -30.5, pitch = 1.5, x = 0.25}}" for n in range(20))
    assert len(parse(f"pose = {{{line}}}", "s")["pose"]) == 20


def test_dots_in_texts_and_comments_are_no_keys():
    dots = "She waits. " * 50
    text = f'''# {dots}
a = "{dots}" # {dots}
b = \'{dots}\'
c = """
{dots}" "" \\""" {dots}"""
d = \'\'\'
{dots}\'\'\'\'
e.f.g = 1
{".".join("h" * (MAX_DOTS + 1))} = "{dots}"
'''
    found = parse(text, "s")
    assert found["a"] == found["b"] == dots
    assert found["c"] == f'{dots}" "" """ {dots}'
    assert found["d"] == f"{dots}'"
    assert found["e"] == {"f": {"g": 1}}


def test_a_set_of_stories_is_read_with_the_same_bounds(tmp_path):
    file = tmp_path / "sets.toml"
    for text, told in ((DEEP[0], "more than 4 dots"), (f"x = {'[' * 9999}", "nested")):
        file.write_text(f"[[story]]\n{text}\n")
        with pytest.raises(StoryError, match=told):
            sets.load_sets(file)


def test_ten_thousand_unknown_words_are_told_in_a_moment():
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(12_000)]
    known = frozenset(words[10_000:])
    start = time.process_time()
    unknown = vocabulary.unknown_words([" ".join(words[:10_000]), words[0]], known)
    told = vocabulary.vocabulary_warning(unknown)
    assert time.process_time() - start < 2
    assert len(unknown) == 10_000
    assert told.endswith(f"and {10_000 - vocabulary.MAX_NAMED} more; it will guess")
    assert f"'{words[11]}'" in told


# --- What a small file may stand for ---------------------------------------------------------------

MARA = {"name": "Mara", "description": "a woman"}


def story_of(prompts, **more):
    people = more.pop("people", [MARA])
    scenes = [{"prompt": prompt, **more.pop("scene", {})} for prompt in prompts]
    return make_story({"character": people, "scene": scenes, **more}, source="s")


def test_locations_named_again_and_again_are_refused_before_they_are_put_together():
    """A file of 500 kB stood for 70 MB of prompts, and took minutes."""
    places = {f"L{n}": "the harbour " + "x" * 380 for n in range(20)}
    named = "".join(f"{{L{n}}}" for n in range(20))
    with pytest.raises(StoryError, match="scene 1 with its locations in words has 7,840 charac"):
        story_of([f"{{Mara}} {named}"[6:]] * 2, locations=places)


@pytest.mark.parametrize(("extra", "taken"), [(0, True), (1, False)])
def test_a_prompt_in_words_has_a_largest_length(extra, taken):
    people = [{"name": f"P{n}", "description": "a woman " + "x" * 392} for n in range(8)]
    people.append({"name": "Q", "description": "a man " + "x" * 300})
    written = "".join(f"{{P{n}}}" for n in range(8)) + "{Q}"
    prompt = written + "y" * (MAX_FILLED - 8 * 400 - 306 + extra)
    if taken:
        assert len(story_of([prompt], people=people).scenes[0].prompt) == MAX_FILLED
    else:
        with pytest.raises(StoryError, match="scene 1 with its characters in words has 4,001"):
            story_of([prompt], people=people)


def test_all_prompts_together_have_a_largest_length():
    prompt = "x" * 1000
    count = MAX_ALL_FILLED // 1000
    assert len(story_of([prompt] * count).scenes) == count
    with pytest.raises(
        StoryError, match="400,001 characters of prompts, in words; at most 400,000"
    ):
        story_of([prompt] * count + ["x"])


def test_all_expectations_together_have_a_largest_number():
    scene = {"prompt": "{Mara}", "expect": ["one person"] * 20}
    data = {"character": [MARA], "scene": [scene] * (MAX_ALL_EXPECTED // 20)}
    assert make_story(data, source="s")
    data["scene"].append({"prompt": "{Mara}", "expect": ["one person"]})
    with pytest.raises(StoryError, match="4,001 expectations; at most 4,000"):
        make_story(data, source="s")


def test_a_full_story_of_a_thousand_scenes_is_far_within_the_limits():
    said = {
        "prompt": "{Mara} reads a book in the old library by day " + "and waits " * 20,
        "caption": "x" * 100,
    }
    data = {"character": [MARA], "scene": [said] * MAX_SCENES, "style": "watercolour"}
    story = make_story(data, source="s")
    assert sum(len(s.prompt) for s in story.scenes) < 0.75 * MAX_ALL_FILLED
    assert len(str(data["scene"])) < 0.8 * MAX_BYTES


def test_what_is_never_painted_is_looked_for_once_in_a_whole_story():
    """Not once a scene, and again for all of them."""

    def looked(count):
        readings.readings.cache_clear()
        inline_story(["Mara: a woman"], [f"{{Mara}} waits {n}" for n in range(count)])
        return readings.readings.cache_info().misses

    assert looked(40) == looked(1)


def test_phrases_of_expectations_are_made_ready_once():
    """Compiling each again for each line took 9 s and more of 8,000 lines."""
    attributes._by_first_word.cache_clear()
    phrases = {"hair": {f"w{n} hair": ["x"] for n in range(700)}, "eyes": {"blue eyes": ["y"]}}
    for n in range(50):
        assert attributes.unread(f"w{n} hair", phrases) == []
    assert attributes._by_first_word.cache_info().misses == len(phrases)


def test_the_largest_values_are_taken():
    assert DiscoveryConfig(num_portraits=10_000, iterations=0).num_portraits == 10_000


# --- Devices -------------------------------------------------------------------------------------

DEVICES = [
    "mps", "xpu", "vulkan", "meta", "cuda:99", "cuda", "cuda:-1", "cuda:", "cuda:0x1", "hpu", "npu",
    "ipu", "xla", "mtia", "privateuseone", "cpu:7", "CPU", "", " cpu", "\u0441pu", "cpu\n", "\x1b[31m",
    "c" * 9999,
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "device"),
    [*(("generate", each) for each in DEVICES), ("discover", "xpu"), ("ablate", "xpu")],
    ids=range(len(DEVICES) + 2),
)
def test_a_device_that_is_not_here_is_one_line_before_a_folder_is_made(
    command, device, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    inline = ["--character", "Mara: a woman", "--scene", "{Mara} reads"]
    given = ["rank"] if command == "ablate" else inline
    assert main([command, *given, "--out", "r", f"--device={device}"]) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert len(said.err) < 300
    assert "device is" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_device_beyond_the_last_is_refused_and_the_last_is_taken(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert str(resolve_device("cuda:1")) == "cuda:1"
    with pytest.raises(ConfigError, match="this machine has only cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_half_a_character_in_a_key_is_one_line(tmp_path):
    """Found by `tests.fuzz`: pydantic tells no place of such a key."""
    file = tmp_path / "s.json"
    file.write_text(
        r'{"\udcff": 1, "character": [{"name": "M", "description": "a man"}], '
        r'"scene": [{"prompt": "{M} reads"}]}'
    )
    with pytest.raises(StoryError, match="a key holds half a character"):
        load_story(file)
