"""The bench on fakes: killed and repeated, the same table; what is shared; what is shown."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, ModelError, RunError, StoryError
from identitystory.experiments import batch, evaluate, instruments, table1
from identitystory.experiments.batch import note_peak, paint, read_peak
from identitystory.experiments.evaluate import Evaluation
from identitystory.experiments.table1 import chosen_methods, experiment, markdown, measured
from identitystory.experiments.tables import Outcome, Row
from identitystory.methods.registry import METHODS
from identitystory.metrics.measures import Score
from identitystory.models.files.suited import preset
from identitystory.presets import with_guidance
from identitystory.protocols import ModelFacts
from identitystory.runs.sheets import NAMES as LEFT
from identitystory.runs.sheets import TILE, wrapped
from identitystory.story.file import inline_story
from identitystory.story.sets import load_stories
from tests.workshop import FACTS, Workshop

PRESET = Preset(
    "test",
    num_steps=10,
    discovery=DiscoveryConfig(num_portraits=6, rank=1, iterations=1),
    injection=InjectionConfig(start=8),
)
STORIES = (
    inline_story(["Mara: a woman with dark curly hair"], ["{Mara} reads", "a pier"], title="One"),
    inline_story(
        ["Mara: a woman with dark curly hair", "Tom: an old man with a beard"],
        ["{Mara} and {Tom} sail", "{Tom} sleeps"],
        title="Two",
    ),
)
NAMES = ("general", "direct-identity", "identitystory")


def grey(folders):
    """A stand-in for the metrics: the mean of all pixels, of each run folder's own pictures."""
    files = [file for folder in folders for file in sorted(folder.glob("frames/???.png"))]
    means = [float(np.asarray(Image.open(file)).mean()) for file in files]
    values = Score("grey", sum(means) / len(means), min(means), max(means), len(folders))
    of = lambda folder: [m for m, file in zip(means, files, strict=True) if folder in file.parents]
    each = {str(f): [Score("grey", sum(of(f)) / len(of(f)), None, None, 1)] for f in folders}
    return Evaluation(
        {"all": [values]}, each, [], {}, {"grey": {"name": "pixels"}}, {}, "frames", 0
    )


@pytest.fixture
def request_(tmp_path):
    return experiment(STORIES, tmp_path / "bench", PRESET, NAMES)


def make_table(request, say=lambda line: None):
    return table1.as_json(request, measured(request, grey, say))


def run_of(request, name, story):
    return request.run(variant_of(request, name), story)


def variant_of(request, name):
    return next(v for v in request.variants if v.name == name)


def with_methods(request, *names):
    return replace(request, variants=tuple(variant_of(request, name) for name in names))


def scores(table):
    return {name: row["scores"] for name, row in table["methods"].items()}


def test_every_method_paints_every_story_and_faces_are_searched_once(backend, request_):
    workshop = Workshop(backend)
    paint(request_, workshop.service)
    said = []
    table = make_table(request_, said.append)
    assert list(table["methods"]) == list(NAMES)
    assert said == [f"measuring {name}" for name in NAMES]
    values = {str(some) for some in scores(table).values()}
    assert len(values) == 3
    portraits, direct, redenoised = 10 * 6 * 2, 10 * 4, 8 * 4  # Mara of both stories is one
    assert workshop.steps["identity"] == portraits + direct + redenoised
    assert workshop.steps["general"] == 2 * 10 * 4
    cost = {name: row["cost"] for name, row in table["methods"].items()}
    assert [cost[name]["evaluations"] for name in NAMES] == [20, 20, 20 + 16]
    assert all(c["peak_mib"] > 10 and c["seconds"] > 0 for c in cost.values())


def test_the_table_counts_the_steps_without_guidance_once(tmp_path):
    """fast guides 12 of 20 steps: 32 a template and 24 a character; guidance 1 guides none."""
    one = inline_story(["Mara: a woman"], ["{Mara} reads"], title="One")
    of = lambda preset, name: table1.calls(
        variant_of(experiment((one,), tmp_path, preset), name), one
    )
    assert of(preset("recommended"), "identitystory") == 72
    assert of(preset("fast"), "identitystory") == 50
    plain = with_guidance(preset("recommended"), 1.0)
    assert of(plain, "identitystory") == 36
    assert [of(plain, name) for name in ("general", "consistory")] == [20, 40]
    assert [of(preset("fast"), name) for name in ("general", "direct-identity")] == [40, 40]


def test_a_second_time_nothing_is_painted_and_the_table_is_the_same(backend, request_):
    workshop = Workshop(backend)
    paint(request_, workshop.service)
    files = table1.write(request_, measured(request_, grey))
    before = [file.read_bytes() for file in files]
    workshop.steps = {"general": 0, "identity": 0}
    paint(request_, workshop.service)
    assert workshop.steps == {"general": 0, "identity": 0}
    assert [f.read_bytes() for f in table1.write(request_, measured(request_, grey))] == before
    assert json.loads(before[0])["stories"] == 2


def _slow(backend, request):
    paint(request, Workshop(backend, nap=0.004).service)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads, from Python 3.12
@pytest.mark.parametrize("sign", ["general/one/frames/002.png", "identitystory/one/run.json"])
def test_kill_9_and_the_same_command_give_the_same_pictures_and_scores(
    backend, request_, tmp_path, sign
):
    whole = experiment(STORIES, tmp_path / "whole", PRESET, NAMES)
    paint(whole, Workshop(backend).service)
    child = multiprocessing.get_context("fork").Process(target=_slow, args=(backend, request_))
    child.start()
    deadline = time.monotonic() + 60
    while not (request_.out / "runs" / sign).exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with pytest.raises(RunError, match="is not finished; give the same bench command again"):
        make_table(request_)
    paint(request_, Workshop(backend).service)
    assert scores(make_table(request_)) == scores(make_table(whole))
    pictures = lambda r: {str(p.relative_to(r.out)): p.read_bytes() for p in r.out.rglob("*.png")}
    assert pictures(request_) == pictures(whole)


def test_the_page_has_a_row_a_method_and_a_column_a_frame(backend, request_):
    paint(request_, Workshop(backend).service)
    page = sheet_of(request_, STORIES[0])
    above = page.height - 3 * TILE
    assert page.width == LEFT + 2 * TILE
    for row, name in enumerate(NAMES):
        frame = run_of(request_, name, STORIES[0]).out / "frames" / "002.png"
        expected = Image.open(frame).convert("RGB").resize((TILE,) * 2, 1)
        left, top = LEFT + TILE, above + row * TILE
        shown = page.crop((left, top, left + TILE, top + TILE))
        assert np.array_equal(np.asarray(shown), np.asarray(expected))


def sheet_of(request, story):
    """As it lies in side_by_side, with the texts of the scenes."""
    table1.write_sheets(replace(request, stories=(story,)), "side_by_side", heads=True)
    return Image.open(request.out / "side_by_side" / "one.png").convert("RGB")


def test_the_texts_of_the_scenes_stand_above_their_columns(backend, request_):
    """Each text as it is drawn alone, its names without braces, in its column and nowhere else."""
    story = replace(STORIES[0], scenes=tuple(reversed(STORIES[0].scenes)))
    paint(request_, Workshop(backend).service)
    one, other = (sheet_of(request_, s) for s in (STORIES[0], story))
    above = one.height - 3 * TILE
    heads = lambda page: [
        np.asarray(page.crop((LEFT + n * TILE, 0, LEFT + (n + 1) * TILE, above))) for n in (0, 1)
    ]
    (reads, pier), turned = heads(one), heads(other)
    assert reads.min() < 128
    assert pier.min() < 128
    assert not np.array_equal(reads, pier)
    assert np.array_equal(reads, turned[1])
    assert np.array_equal(pier, turned[0])
    assert np.asarray(one.crop((0, 0, LEFT, above))).min() == 255
    named = inline_story(["Mara: a woman"], ["{Mara} reads", "Mara reads"], title="One")
    with_braces, without = heads(sheet_of(request_, named))
    assert np.array_equal(with_braces, without)


def test_long_texts_are_broken_between_words():
    font = ImageFont.load_default(13)
    text = "an old man with a grey beard and a woman with dark curly hair walk along the pier"
    lines = wrapped(text, font, 184)
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 184 for line in lines)
    assert all(font.getlength(f"{a} {b.split()[0]}") > 184 for a, b in pairwise(lines))
    assert "x" * 99 not in wrapped("x" * 99, font, 184)


def scored(label, measure, value, low, high, stories, **more):
    return Row(label, None, measure, value, low, high, stories, **more)


def test_the_table_says_what_was_not_measured_and_shows_intervals(request_):
    cost = {"seconds": None, "evaluations": 100.0, "peak_mib": 12.0}
    costs = {"general": cost}
    assert "| general | - | 100 | 12 |" in markdown(request_, Outcome([], costs=costs))
    rows = [
        scored("general", "CLIP-T", 0.3541, 0.351, 0.358, 5),
        scored("general", "CLIP-T", 0.3, None, None, 2, group="2 characters"),
    ]
    text = markdown(request_, Outcome(rows, costs=costs))
    assert "| general | 0.354 [0.351, 0.358] |" in text
    assert "## 2 characters" in text
    assert "| general | 0.300 |" in text
    cost["peak_mib"] = None
    assert "| general | - | 100 | - |" in markdown(request_, Outcome(rows, costs=costs))
    rows.append(scored("consistory", "CLIP-T", 0.2, None, None, 3, gain=-0.1, pairs=3))
    text = markdown(request_, Outcome(rows, "identitystory", costs=costs | {"consistory": cost}))
    assert "| consistory | 0.200 (3 of 5) |" in text
    assert "Less identitystory, story by story:" in text
    assert "| consistory | -0.100 |" in text


def test_differences_are_those_of_each_story_and_split(backend, request_):
    paint(request_, Workshop(backend).service)
    table = make_table(request_)
    means = {
        n: [
            s[0].value for s in grey([run_of(request_, n, t).out for t in STORIES]).stories.values()
        ]
        for n in NAMES
    }
    gains = [a - b for a, b in zip(means["general"], means["identitystory"], strict=True)]
    more = table["methods"]["general"]["more"]
    assert more["all"]["grey"] == [pytest.approx(sum(gains) / 2), None, None, 2]
    assert more["1 character"]["grey"] == [pytest.approx(gains[0]), None, None, 1]
    assert more["2 characters"]["grey"] == [pytest.approx(gains[1]), None, None, 1]
    assert "more" not in table["methods"]["identitystory"]
    alone = with_methods(request_, "general")
    assert "more" not in make_table(alone)["methods"]["general"]
    single = replace(request_, stories=STORIES[:1])
    assert list(make_table(single)["methods"]["general"]["more"]) == ["all"]


def test_finished_runs_are_not_painted_over_with_other_settings(backend, request_):
    paint(request_, Workshop(backend).service)
    files = {file: file.read_bytes() for file in request_.out.rglob("*") if file.is_file()}
    later = replace(PRESET, injection=InjectionConfig(start=7))
    for other, where, sentence in (
        (PRESET, {"seed": 1}, "was painted with seed 0, and this command asks for 1"),
        (replace(PRESET, num_steps=12), {}, "num_steps 10, and this command asks for 12"),
        (later, {}, r"injection\.start 8, and this command asks for 7"),
        (PRESET, {"model": "sdxl"}, "model miniature, and this command asks for sdxl"),
    ):
        asked = experiment(STORIES, request_.out, other, NAMES, **where)
        with pytest.raises(ConfigError, match=sentence):
            paint(asked, Workshop(backend).service)
        assert {f: f.read_bytes() for f in request_.out.rglob("*") if f.is_file()} == files


def test_finished_runs_are_not_painted_over_in_another_precision(backend, request_):
    """Which ``auto`` may be on another machine."""
    paint(request_, Workshop(backend).service)
    other = Workshop(backend).service
    other.describe = lambda *_: replace(FACTS, dtype="bfloat16")
    sentence = "dtype float32, and this command asks for bfloat16; .*, or --dtype float32"
    with pytest.raises(ConfigError, match=sentence):
        paint(request_, other)


def test_memory_is_that_of_the_frames_that_are_there(backend, request_):
    """The most of several turns over the same frames; nothing of frames that are gone."""
    paint(request_, Workshop(backend).service)
    file = request_.note(variant_of(request_, "general"), STORIES[0])
    run = run_of(request_, "general", STORIES[0]).out
    note_peak(file, run, 99999.0)
    note_peak(file, run, 7.0)
    assert read_peak(file, run) == 99999.0
    record = run / "run.json"
    other = json.loads(record.read_text())
    other["parts"]["frames/001"]["key"] = "another"
    record.write_text(json.dumps(other))
    assert read_peak(file, run) is None  # those frames are gone
    note_peak(file, run, 7.0)
    assert read_peak(file, run) == 7.0
    file.unlink()
    assert read_peak(file, run) is None


def test_seconds_are_those_of_the_storys_own_frames(backend, request_):
    """Scenes that are no longer asked for do not count, nor do lines that a crash cut short."""
    paint(request_, Workshop(backend).service)
    run = run_of(request_, "general", STORIES[0])
    line = lambda n, s: json.dumps({"event": "FrameReady", "index": n, "seconds": s})
    diary = [line(0, 50.0), line(0, 1.0), line(1, 3.0), line(2, 100.0), '{"event": "Fra']
    (run.out / "events.jsonl").write_text("\n".join(diary))
    assert table1._seconds(run) == [1.0, 3.0]


def test_stories_come_from_a_file_a_folder_or_a_file_of_many(tmp_path):
    one = 'title = "One"\n[[character]]\nname = "Mara"\ndescription = "a woman"\n'
    one += '[[scene]]\nprompt = "{Mara} reads"\n'
    (tmp_path / "a.toml").write_text(one)
    (tmp_path / "b.toml").write_text(one.replace("One", "Two"))
    (tmp_path / "notes.txt").write_text("no story")
    assert [s.title for s in load_stories(tmp_path / "a.toml")] == ["One"]
    assert [s.title for s in load_stories(tmp_path)] == ["One", "Two"]
    assert [s.title for s in load_stories(tmp_path, 1)] == ["One"]
    many = "".join(
        f'[[story]]\ntitle = "{t}"\n[[story.character]]\nname = "Mara"\ndescription = "a woman"\n'
        '[[story.scene]]\nprompt = "{Mara} reads"\n'
        for t in ("Three", "Four")
    )
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "all.toml").write_text(many)
    assert [s.title for s in load_stories(tmp_path / "many" / "all.toml")] == ["Three", "Four"]
    (tmp_path / "c.toml").write_text(one)
    with pytest.raises(StoryError, match="two stories are called 'One'"):
        load_stories(tmp_path)
    with pytest.raises(StoryError, match=r"cannot be read|does not exist|no such"):
        load_stories(tmp_path / "nowhere.toml")


def test_names_of_methods_are_checked():
    assert chosen_methods("all") == METHODS
    assert chosen_methods("general, identitystory,general") == ("general", "identitystory")
    with pytest.raises(ConfigError, match="no method is called 'sdxl'"):
        chosen_methods("general,sdxl")


def test_a_method_that_the_model_has_no_weights_for_is_refused_before_anything_is_painted(
    backend, request_, tmp_path
):
    workshop = Workshop(backend)
    bare = ModelFacts("w1", "cpu", "float32", tmp_path)
    workshop.service.describe = lambda *_: bare
    with pytest.raises(ModelError, match="holds no IP-Adapter"):
        paint(
            experiment(STORIES, request_.out, PRESET, ("general", "story-adapter")),
            workshop.service,
        )
    assert not request_.out.exists()


def test_the_command_paints_and_prints(backend, tmp_path, capsys):
    story = tmp_path / "story.toml"
    story.write_text(
        'title = "One"\n[[character]]\nname = "Mara"\ndescription = "a woman"\n'
        '[[scene]]\nprompt = "{Mara} reads"\n'
    )
    command = ["bench", "--stories", str(story), "--methods", "general,identitystory"]
    command += ["--out", str(tmp_path / "out"), "--steps", "10", "--portraits", "6"]
    assert main(command, service=lambda: Workshop(backend).service) == 0
    said = capsys.readouterr()
    assert "| general |" in said.out
    assert "identitystory: One" in said.err
    assert (tmp_path / "out" / "side_by_side" / "one.png").is_file()
    assert main([*command, "--methods", "sdxl"]) == 2
    capsys.readouterr()
    assert main([*command, "--model", "miniature", "--base", "owner/name"]) == 2
    assert "--base goes with --model sdxl or sdxl-light, not with miniature" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("given", "model"),
    [([], "miniature"), (["--base", "o/n"], "sdxl:o/n"), (["--model", "sdxl"], "sdxl")],
)
def test_the_model_is_chosen_as_for_generate(given, model, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(batch, "paint", lambda request, *_: asked.append(request))
    monkeypatch.setattr(instruments, "open_tools", lambda *_: None)
    monkeypatch.setattr(table1, "measured", lambda *_: {})
    monkeypatch.setattr(table1, "write", lambda *_: [])
    monkeypatch.setattr(table1, "markdown", lambda *_: "")
    assert (
        main(["bench", "--limit", "1", "--out", str(tmp_path), *given], service=lambda: None) == 0
    )
    assert (asked[0].model, asked[0].device, asked[0].variants[0].preset.name) == (
        model,
        "auto",
        "recommended",
    )
    suits = "little_people" if model == "miniature" else "consistory_human"
    assert asked[0].stories[0] == load_stories(suits, 1)[0]


def test_an_instrument_that_is_not_here_is_known_before_anything_is_painted(tmp_path, capsys):
    command = ["bench", "--limit", "1", "--out", str(tmp_path / "out")]
    assert main([*command, "--clip", str(tmp_path / "nowhere")], service=lambda: None) == 2
    assert "nowhere" in capsys.readouterr().err
    given = ["--faces", "sface", "--face-models", str(tmp_path)]
    assert main([*command, *given], service=lambda: None) == 2
    assert not (tmp_path / "out").exists()


def test_instruments_are_opened_twice_and_used_for_every_method(monkeypatch, tmp_path):
    """First to know that they are here; then, after painting, once for all."""
    said = []
    opened = lambda wanted, models: (said.append((wanted, models)), f"tools {len(said)}")[1]
    monkeypatch.setattr(instruments, "open_tools", opened)
    monkeypatch.setattr(batch, "paint", lambda *_: said.append("painted"))
    monkeypatch.setattr(table1, "write", lambda *_: [])
    monkeypatch.setattr(table1, "markdown", lambda *_: "")
    monkeypatch.setattr(evaluate, "evaluate", lambda wanted, tools: said.append((wanted, tools)))
    monkeypatch.setattr(
        table1, "measured", lambda _, score, say: [score([run]) for run in ("a", "b")]
    )
    given = ["--clip", "none", "--faces", "sface", "--face-models", "there", "--qalign", "py"]
    command = ["bench", "--limit", "1", "--out", str(tmp_path), "--device", "cpu", *given]
    assert main(command, service=lambda: None) == 0
    wanted = instruments.EvaluationRequest((), False, "none", "sface", Path("there"), "py", "cpu")
    check = (wanted, ["miniature"])
    of = lambda run: (replace(wanted, runs=(run,)), "tools 3")
    assert said == [check, "painted", check, of("a"), of("b")]
