import functools
import io
import itertools
import json
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch

from identitystory.cli import progress as show
from identitystory.cli.commands import Group, options, scale, whole
from identitystory.cli.commands import call as call_with
from identitystory.cli.main import COMMANDS, main, parser
from identitystory.cli.reference import cli_page
from identitystory.cli.typed import read_scenes
from identitystory.config import Preset
from identitystory.errors import ModelError
from identitystory.protocols import ModelFacts
from identitystory.runs.events import Started, StepDone, Warned
from identitystory.runs.service import Service
from identitystory.settings import setting_types, settings, with_settings

ROOT = Path(__file__).parent.parent
SMALL = ["--steps", "10", "--portraits", "4"]
INLINE = [
    "--character", "Mara: a woman with dark curly hair",
    "--scene", "{Mara} reads",
    "--scene", "{Mara} sleeps",
]  # fmt: skip


@pytest.fixture
def call(backend, tmp_path, monkeypatch, capsys):
    """Runs a command on the fakes in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def describe(model, device, dtype):
        if model == "nowhere":
            raise ModelError("there is no folder\n'nowhere'")
        return ModelFacts("w", "cpu", "float32")

    def run(*argv, load=lambda *_, **__: backend):
        try:
            code = main([*argv], service=lambda: Service(load=load, describe=describe))
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_generate_without_a_file_tells_where_the_pictures_are(call, tmp_path):
    code, out, _ = call("generate", *INLINE, *SMALL)
    assert code == 0
    assert (tmp_path / "runs" / "mara-reads" / "frames" / "002.png").exists()
    end = out.splitlines()[-3:]
    assert end[0].startswith("3 parts made, 0 kept: ")
    assert end[0].endswith(" s, 152 U-Net evaluations")  # 2·10·4 + 2·(2·10 + 2·8)
    assert end[1:] == [
        "pictures: runs/mara-reads/frames",
        "all on one page: runs/mara-reads/sheet.png",
    ]


def test_the_second_time_nothing_is_done_and_settings_need_not_be_repeated(call):
    call("generate", *INLINE, *SMALL)
    code, out, _ = call("generate", *INLINE)
    assert code == 0
    assert "nothing to do, 3 parts were there: " in out


def test_json_is_one_object_a_line_and_nothing_else(call):
    code, out, err = call("generate", *INLINE, *SMALL, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert events[0]["event"] == "Started"
    assert events[-1]["event"] == "Finished"
    assert events[-1]["evaluations"] == 152


def test_quiet_says_only_where_the_pictures_are(call):
    _, out, _ = call("generate", *INLINE, *SMALL, "--quiet")
    assert out == "runs/mara-reads\n"


@pytest.mark.parametrize(
    ("name", "on", "off", "value"),
    [
        ("compiled", ["--compile"], ["--no-compile"], True),
        ("reuse", ["--reuse", "2"], ["--reuse", "1"], 2),
    ],
)
def test_how_the_unet_is_run_is_a_setting_of_the_run_and_of_its_keys(
    call, backend, tmp_path, name, on, off, value
):
    asked = []

    def load(*_, **options):
        asked.append(options.get(name))
        return backend

    command = ["generate", *INLINE, *SMALL, "--out", "r", "--only", "1"]
    record = lambda: json.loads((tmp_path / "r" / "run.json").read_text())
    call(*command, load=load)
    key = record()["parts"]["frames/001"]["key"]
    call(*command, *on, load=load)
    assert record()["configuration"][name] == value
    assert record()["parts"]["frames/001"]["key"] != key
    call(*command, load=load)  # the folder's own setting, and nothing left to do
    call(*command, *off, load=load)
    assert name not in record()["configuration"]
    assert record()["parts"]["frames/001"]["key"] == key
    assert asked == [None, value]  # both pictures and both faces are kept, and come back


def test_discover_extend_and_reroll(call, tmp_path):
    code, out, _ = call("discover", *INLINE, *SMALL, "--out", "r")
    assert code == 0
    assert out.splitlines()[-1] == "identities: r/cast"
    call("generate", *INLINE, "--out", "r")
    code, out, _ = call("extend", "r", "--scene", "{Mara} swims")
    assert code == 0
    assert "1 parts made, 3 kept" in out
    before = (tmp_path / "r" / "frames" / "002.png").read_bytes()
    assert call("generate", *INLINE, "--out", "r", "--only", "2", "--seed", "9")[0] == 0
    assert (tmp_path / "r" / "frames" / "002.png").read_bytes() != before


def test_extending_keeps_a_noun_of_ones_own_again_and_with_somebody_new(call, tmp_path):
    """No word of the description is a person to the program: the noun is recorded, and stays."""
    (tmp_path / "s.toml").write_text(
        '[[character]]\nname = "Zed"\ndescription = "a green martian with antennae"\n'
        'noun = "martian"\n[[scene]]\nprompt = "{Zed} reads"\n'
    )
    record = lambda: json.loads((tmp_path / "r" / "run.json").read_text())
    assert call("generate", "s.toml", *SMALL, "--out", "r")[0] == 0
    before = record()["parts"]
    assert call("extend", "r", "--scene", "{Zed} swims")[0] == 0
    more = ["--character", "Ann: a girl", "--scene", "{Ann} and {Zed} rest"]
    code, out, _ = call("extend", "r", *more)
    assert (code, "2 parts made, 3 kept" in out) == (0, True)  # Ann and her scene
    code, out, _ = call("extend", "r", *more)
    assert (code, "nothing to do, 5 parts were there" in out) == (0, True)
    story = record()["story"]
    assert [c["noun"] for c in story["characters"]] == ["martian", "girl"]
    assert story["scenes"][2]["prompt"] == "a girl and a green martian with antennae rest"
    assert {k: record()["parts"][k] for k in before} == before
    said = call("extend", "r", "--character", "Zed: a man", "--scene", "{Zed} rests")[2]
    assert "the name 'Zed' is given twice" in said


def test_a_picture_is_made_again(call, tmp_path):
    call("generate", *INLINE, *SMALL, "--out", "r", "--seed", "4")
    assert call("generate", "r/frames/002.png")[0] == 0
    again = tmp_path / "runs" / "mara-reads-again" / "frames" / "001.png"
    assert again.read_bytes() == (tmp_path / "r" / "frames" / "002.png").read_bytes()


def test_of_a_picture_the_identities_alone_can_be_found(call, tmp_path):
    call("generate", *INLINE, *SMALL, "--out", "r")
    code, out, _ = call("discover", "r/frames/002.png", "--out", "new")
    assert (code, out.splitlines()[-1]) == (0, "identities: new/cast")
    assert not list((tmp_path / "new").glob("frames/*.png"))
    assert call("generate", "r/frames/002.png", "--out", "new", "--max-takes", "7")[0] == 0
    record = json.loads((tmp_path / "new" / "run.json").read_text())
    assert record["request"]["max_takes"] == 7


def test_a_run_takes_no_story_of_the_line_beside_its_own(call):
    call("discover", *INLINE, *SMALL, "--out", "r")
    for more in (["--scene", "{Mara} runs"], ["--style", "oil"]):
        code, out, err = call("generate", "r", *more)
        assert (code, out) == (2, "")
        assert "or add scenes with identitystory extend r" in err


def test_a_picture_that_is_made_again_takes_no_runs_place(call, tmp_path):
    call("generate", *INLINE, *SMALL, "--out", "r")
    before = (tmp_path / "r" / "run.json").read_bytes()
    for number in (1, 2, 2):
        assert call("generate", f"r/frames/00{number}.png")[0] == 0
    first, second = sorted((tmp_path / "runs").iterdir())
    for folder, number in ((first, 1), (second, 2)):
        picture = (folder / "frames" / "001.png").read_bytes()
        assert picture == (tmp_path / "r" / "frames" / f"00{number}.png").read_bytes()
    code, _, err = call("generate", "r/frames/002.png", "--out", "r")
    assert (code, err.count("\n")) == (2, 1)
    assert "r holds a run of other scenes" in err
    assert (tmp_path / "r" / "run.json").read_bytes() == before


def test_scenes_are_named_as_numbers_and_ranges_in_any_number():
    assert read_scenes(["3-5,7"]) == (2, 3, 4, 6)
    assert read_scenes(["003", "1, 2"]) == (2, 0, 1)
    assert read_scenes([]) == ()


def test_only_the_scenes_of_a_range_are_painted(call, tmp_path):
    more = [*INLINE, "--scene", "{Mara} swims", "--scene", "{Mara} runs"]
    assert call("generate", *more, *SMALL, "--out", "r", "--only", "1-2,4")[0] == 0
    frames = sorted(p.name for p in (tmp_path / "r" / "frames").glob("???.png"))
    assert frames == ["001.png", "002.png", "004.png"]


def seeds(folder):
    record = json.loads((folder / "run.json").read_text())
    return record["seed"], record["frame_seeds"]


@pytest.mark.parametrize("random", ["random", "-1"])
def test_a_random_seed_is_told_recorded_and_drawn_once_a_run(call, tmp_path, monkeypatch, random):
    drawn = iter([1234, 77, 78])
    monkeypatch.setattr("secrets.randbelow", lambda top: next(drawn))
    command = ["generate", *INLINE, *SMALL, "--out", "r", "--seed", random]
    code, out, _ = call(*command)
    assert (code, out.splitlines()[0][-10:]) == (0, " seed 1234")
    assert seeds(tmp_path / "r") == (1234, {})
    code, out, err = call(*command)  # the same command goes on, it does not paint all anew
    assert "nothing to do, 3 parts were there: " in out
    assert "warning: the run goes on with its own seed" in err
    assert seeds(tmp_path / "r") == (1234, {})
    for seed in (77, 78):  # but a scene that is asked for gets another each time, as a new take
        assert f"seed {seed}" in call(*command, "--only", "2")[1]
        assert seeds(tmp_path / "r") == (1234, {"1": seed})
    assert call("takes", "r", "2")[1].count(" take ") == 3


TWO = """
title = "{title}"
[[character]]
name = "Mara"
description = "a woman with {hair} hair"
[[scene]]
prompt = "{{Mara}} reads"
"""


@pytest.fixture
def two(tmp_path):
    """Two story files of one title."""
    (tmp_path / "a.toml").write_text(TWO.format(title="Same", hair="red"))
    (tmp_path / "b.toml").write_text(TWO.format(title="Same", hair="grey"))


def test_several_stories_are_painted_by_one_model_each_in_its_own_folder(call, backend, two):
    loads = []
    load = lambda *_, **__: loads.append(1) or backend
    command = ["generate", "a.toml", "b.toml", *SMALL, "--out", "all", "--quiet"]
    code, out, _ = call(*command, load=load)
    assert (code, loads) == (0, [1])
    first, second = out.splitlines()
    assert first == "all/same"
    assert second.startswith("all/same-")
    assert (Path(first) / "frames/001.png").read_bytes() != (
        Path(second) / "frames/001.png"
    ).read_bytes()
    assert call(*command)[1] == out  # again: each finds its own
    assert call("generate", first, second, "--quiet")[1] == out  # runs are stories too


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["a.toml", "no.toml"], "no.toml: there is no such file"),
        (["a.toml", "b.toml", "--only", "2"], "a.toml: there is no scene 2"),
        (["a.toml", "./a.toml"], "two of the stories are the same"),
        (["a.toml", "x.png"], "x.png: a frame is made again by itself"),
        (["a.toml", "b.toml", "--scene", "x"], "not both"),
    ],
)
def test_what_is_wrong_with_one_story_is_told_before_any_is_painted(call, two, argv, line):
    code, out, err = call("generate", *argv, *SMALL)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err
    assert not Path("runs").exists()


def test_a_story_that_fails_does_not_cost_the_others(call, two):
    Path("runs/same").mkdir(parents=True)
    Path("runs/same/notes.txt").write_text("mine")
    code, out, err = call("generate", "a.toml", "b.toml", *SMALL, "--quiet")
    assert code == 2
    assert out.startswith("runs/same-")
    assert len(out.splitlines()) == 1
    told = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert told[0].startswith("identitystory: a.toml: runs/same holds other files (notes.txt)")
    assert told[1:] == ["identitystory: 1 of 2 stories failed; the same command tries them again"]
    call("generate", "b.toml", *SMALL, "--out", "r")
    code, _, err = call("generate", "a.toml", "b.toml", "--out", "r")
    assert (code, err) == (
        2, "identitystory: r is a run; --out of several stories is a folder for their folders\n"
    )  # fmt: skip


def test_a_distilled_search_is_asked_for_by_an_option_and_taken_back(call):
    command = ["generate", *INLINE, *SMALL, "--out", "r"]
    code, _, err = call(*command, "--distilled")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no few-step LoRA, which a distilled search needs" in err
    assert not Path("r").exists()
    assert call(*command, "--no-distilled")[0] == 0
    assert configuration(Path("r"))["discovery"].get("distilled", False) is False


def configuration(folder):
    return json.loads((folder / "run.json").read_text())["configuration"]


def test_any_setting_is_set_by_its_name_recorded_and_kept(call, tmp_path):
    given = ["--set", "injection.start=3", "--set", "discovery.settle=1", "--set", "attempts=2"]
    given += ["--set", "discovery.search_steps=none", "--set", "injection.guidance_interval=0,0.5"]
    given += ["--set", "discovery.normalize=true"]
    given += ["--set", "discovery.search_prompt={description}, 1=1"]
    command = ["generate", *INLINE, "--out", "r", "--only", "1"]
    assert call(*command, *SMALL, *given)[0] == 0
    made = configuration(tmp_path / "r")
    assert made["injection"]["start"] == 3  # --steps alone would give 8
    assert made["injection"]["guidance_interval"] == [0.0, 0.5]
    found = {name: made["discovery"].get(name) for name in ("settle", "normalize", "search_steps")}
    assert found == {"settle": 1.0, "normalize": True, "search_steps": None}
    assert made["discovery"]["search_prompt"] == "{description}, 1=1"
    assert made["attempts"] == 2
    assert type(made["discovery"]["settle"]) is float  # as a preset has it: the same key
    assert call(*command)[0] == 0  # the folder's own
    assert configuration(tmp_path / "r") == made
    assert call(*command, "--set", "injection.start=10")[0] == 0
    assert configuration(tmp_path / "r")["injection"] == {**made["injection"], "start": 10}


def test_every_field_of_the_configurations_has_a_name_for_set():
    """Each setting's own default, written as text, gives the same preset again."""
    base = Preset("mine")
    values = {k: v for k, v in settings(base).items() if k != "name"}
    assert setting_types().keys() == values.keys()
    text = lambda value: json.dumps(value).strip('[]"') if value is not None else "none"
    assert with_settings(base, [f"{k}={text(v)}" for k, v in values.items()]) == base


def test_what_a_command_takes_reaches_its_function_with_its_type():
    """Every option of every command, given once: it comes as the signature says."""
    for name, command in COMMANDS.items():
        inner = command.commands if isinstance(command, Group) else {"": command}
        for part, function in inner.items():
            typed, values = zip(*map(given_once, options(function)), strict=True)
            given = vars(parser().parse_args([name, *part.split(), *itertools.chain(*typed)]))
            there = reached(function, {**given, "service": None})
            assert [there[key] for key, _ in values] == [value for _, value in values]


def reached(function, given):
    """What ``function`` would be called with, the fields of its dataclasses in their place."""
    instead = functools.wraps(function)(lambda **values: values)
    found = {}
    for name, value in call_with(instead, given).items():
        found |= vars(value) if is_dataclass(value) else {name: value}
    return found


def given_once(option):
    """What is typed to give an option, and its name with the value that should come of it."""
    told = option.told
    name = told.get("dest") or option.word.removeprefix("--").replace("-", "_")
    flag = [option.word] if option.word.startswith("--") else []
    if "type" not in told and "choices" not in told:
        return flag, (name, True)
    text, value = {
        whole: ("7", 7), scale: ("1.5", 1.5), str: ("x", "x"), Path: ("p", Path("p"))
    }.get(told.get("type"), told.get("choices", ())[-1:] * 2)  # fmt: skip
    several = told.get("action") == "append" or told.get("nargs") in ("+", "*")
    return [*flag, text], (name, (value,) if several else value)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["generate", "no.toml"], "no.toml: there is no such file"),
        (["generate"], "give a story file, or --character"),
        (["generate", "s.toml", "--scene", "x"], "give a story file or --character"),
        (["generate", *INLINE, "--preset", "papper"], "Did you mean 'paper'?"),
        (["generate", *INLINE, "--only", "7"], "there is no scene 7; this story has scenes 1 to 2"),
        (
            ["generate", *INLINE, "--only", "2-3"],
            "there is no scene 3; this story has scenes 1 to 2",
        ),
        (["generate", *INLINE, "--only", "0"], "there is no scene 0; scenes are numbered from 1"),
        (["generate", *INLINE, "--only", "1-999999999"], "there is no scene 999999999; scenes are"),
        (["generate", *INLINE, "--only", "2-1"], "--only 2-1 goes backwards; give 1-2"),
        (["generate", *INLINE, "--only", "1,,2"], "--only '' is no scene; give numbers and ranges"),
        (["generate", *INLINE, "--only", "1-"], "--only '1-' is no scene; give numbers and ranges"),
        (["generate", *INLINE, "--only", "-1"], "--only '-1' is no scene; give numbers and ranges"),
        (["generate", "x.png", "--seed", "3"], "its own seed; leave --seed and --only out"),
        (["generate", *INLINE, "--model", "nowhere"], "there is no folder 'nowhere'"),
        (["generate", *INLINE, "--out", "file"], "file is a file; --out takes a folder"),
        (["generate", *INLINE, "--out", "/proc/x"], "/proc/x cannot be written"),
        (["generate", *INLINE, "--seed", "-2"], "--seed '-2' is not a whole number"),
        (
            ["generate", *INLINE, "--seed", "abc"],
            "--seed 'abc' is not a whole number of at least 0, random or -1",
        ),
        (["generate", *INLINE, "--steps", "0"], "it must be at least 1"),
        (["generate", *INLINE, "--portraits", "0"], "num_portraits is 0"),
        (["generate", "x.png"], "x.png: there is no such file"),
        (["generate", "x.png", "--set", "reuse=2"], "its own settings; leave --preset, --set,"),
        (["generate", "x.png", "--steps", "9"], "its own settings; leave --preset, --set, --steps"),
        (["discover", "x.png", "--preset", "fast"], "its own settings; leave --preset, --set,"),
        (["generate", "x.png", "--style", "oil"], "own words; leave --character, --scene, --style"),
        (["generate", *INLINE, "--set", "start"], "'start' sets nothing; write NAME=VALUE"),
        (["generate", *INLINE, "--set", "injection.strat=9"], "Did you mean 'injection.start'?"),
        (["generate", *INLINE, "--set", "start=9"], "Did you mean 'injection.start'?"),
        (["generate", *INLINE, "--set", "x=9"], "no setting is called 'x'; there are sampler, num"),
        (
            ["generate", *INLINE, "--set", "injection.start=half"],
            "start is 'half'; it must be a wh",
        ),
        (
            ["generate", *INLINE, "--set", "injection.start=99"],
            "start is 99, but there are only 20",
        ),
        (["generate", *INLINE, "--set", "discovery.rank=true"], "rank is True; it must be a whole"),
        (["generate", *INLINE, "--set", "discovery.center=1"], "'1'; it must be true or false"),
        (
            ["generate", *INLINE, "--set", "discovery.guidance=0.5"],
            "guidance is 0.5; it must be a n",
        ),
        (
            ["generate", *INLINE, "--set", "sampler=eular"],
            "sampler is 'eular'. Did you mean 'euler'?",
        ),
        (["bench", "--out", "b", "--set", "rnak=9"], "no setting is called 'rnak'"),
        (["evaluate", ".", "--out", "file/x"], "file/x cannot be written: Not a directory"),
        (["evaluate", ".", "--out", "/proc/x"], "/proc/x cannot be written"),
        (["bench", "--out", "b", "--results", "file/r.md"], "file cannot be written: Not a dir"),
        (["extend", "none", "--scene", "x"], "none holds no run"),
        (["extend", "none"], "give a story file with more scenes"),
        (["paint"], "invalid choice: 'paint'"),
        (["generate", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(call, tmp_path, argv, line):
    (tmp_path / "file").write_text("x")
    code, out, err = call(*argv)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert line in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "r/x"), 1, "r/x: No space left on device"),
        (MemoryError(), 1, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "out of memory"),
        (torch.OutOfMemoryError("tried to allocate 2 GiB"), 1, "try --preset low-vram or --dtype"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"), 1, "out of memory"),
        (KeyboardInterrupt(), 130, "stopped; what is finished is kept"),
    ],
)
def test_a_failing_machine_is_one_line_and_its_own_exit_code(call, error, code, line):
    def load(*_, **__):
        raise error

    found, _, err = call("generate", *INLINE, *SMALL, "--quiet", load=load)
    assert found == code
    assert line in err.splitlines()[-1]


def test_a_bug_keeps_its_traceback(call):
    def load(*_, **__):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        call("generate", *INLINE, *SMALL, load=load)


def test_plain_progress_is_a_line_every_few_seconds_with_rate_and_time_left(monkeypatch):
    clock = iter(float(i) for i in range(1000))
    monkeypatch.setattr(show.time, "monotonic", lambda: next(clock))
    out, err = io.StringIO(), io.StringIO()
    steps = [StepDone("cast/Mara", 10 * i, 1000) for i in range(1, 21)]
    show.show_plain([Warned("beware"), *steps], out, err)
    assert err.getvalue() == "warning: beware\n"
    lines = out.getvalue().splitlines()
    assert 2 <= len(lines) <= 10
    assert all(" of 1,000 evaluations, " in line and " s left" in line for line in lines)


def test_the_bar_survives_a_story_with_markup_in_its_title():
    out = io.StringIO()
    started = Started("[bold]x[/nope]", Path("r"), ("cast/[a]",), ("cast/[a]",), 10, 0)
    show.show_rich([started, StepDone("cast/[a]", 2, 10), Warned("[b] bad [/x]")], out, out)
    assert "[bold]x[/nope] -> r" in out.getvalue()
    assert "warning: [b] bad [/x]" in out.getvalue()


def test_the_published_help_is_current():
    published = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert published == cli_page(), "run: python -m identitystory.cli.reference"
