"""What comes from outside is bounded: numbers, keys, words; and refused in one line, at once."""

import random
import time

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, StoryError
from identitystory.experiments.workers import engine
from identitystory.masks import dilate
from identitystory.models.device import resolve_device
from identitystory.settings import Overrides, overridden, setting_types, with_settings
from identitystory.story import sets, vocabulary
from identitystory.story.document import MAX_DOTS, parse
from identitystory.story.file import load_story

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
    with pytest.raises(StoryError, match=r"^s: line \d has a key with more than 16 dots"):
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
    for text, told in ((DEEP[0], "more than 16 dots"), (f"x = {'[' * 9999}", "nested")):
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
