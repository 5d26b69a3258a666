"""The bench on fakes: killed and repeated, the same table; what is shared; what is shown."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from identitystory import bench, results
from identitystory.baselines.registry import METHODS
from identitystory.bench import BenchRequest, chosen_methods, paint
from identitystory.cli import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, ModelError, RunError, StoryError
from identitystory.grid import NAMES as LEFT
from identitystory.grid import TILE, load_stories
from identitystory.plan import ModelFacts
from identitystory.results import make_table
from identitystory.story import inline_story
from tests.workshop import Workshop

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
    return {"all": {"grey": (sum(means) / len(means), min(means), max(means))}}, {"grey": "pixels"}


@pytest.fixture
def request_(tmp_path):
    return BenchRequest(STORIES, tmp_path / "bench", PRESET, NAMES)


def scores(table):
    return {name: row["scores"] for name, row in table["methods"].items()}


def test_every_method_paints_every_story_and_faces_are_searched_once(backend, request_):
    workshop = Workshop(backend)
    paint(request_, workshop.service)
    table = make_table(request_, grey)
    assert list(table["methods"]) == list(NAMES)
    values = {str(some) for some in scores(table).values()}
    assert len(values) == 3
    portraits, direct, redenoised = 10 * 6 * 2, 10 * 4, 8 * 4  # Mara of both stories is one
    assert workshop.steps["identity"] == portraits + direct + redenoised
    assert workshop.steps["general"] == 2 * 10 * 4
    cost = {name: row["cost"] for name, row in table["methods"].items()}
    assert [cost[name]["evaluations"] for name in NAMES] == [20, 20, 20 + 16]
    assert all(c["peak_mib"] > 10 and c["seconds"] > 0 for c in cost.values())


def test_a_second_time_nothing_is_painted_and_the_table_is_the_same(backend, request_):
    workshop = Workshop(backend)
    paint(request_, workshop.service)
    files = results.write(request_, make_table(request_, grey))
    before = [file.read_bytes() for file in files]
    workshop.steps = {"general": 0, "identity": 0}
    paint(request_, workshop.service)
    assert workshop.steps == {"general": 0, "identity": 0}
    assert [f.read_bytes() for f in results.write(request_, make_table(request_, grey))] == before
    assert json.loads(before[0])["stories"] == 2


def _slow(backend, request):
    paint(request, Workshop(backend, nap=0.004).service)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads, from Python 3.12
@pytest.mark.parametrize("sign", ["general/one/frames/001.png", "identitystory/one/run.json"])
def test_kill_9_and_the_same_command_give_the_same_pictures_and_scores(
    backend, request_, tmp_path, sign
):
    whole = BenchRequest(STORIES, tmp_path / "whole", PRESET, NAMES)
    paint(whole, Workshop(backend).service)
    child = multiprocessing.get_context("fork").Process(target=_slow, args=(backend, request_))
    child.start()
    deadline = time.monotonic() + 60
    while not (request_.out / "runs" / sign).exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with pytest.raises(RunError, match="is not finished; give the same bench command again"):
        make_table(request_, grey)
    paint(request_, Workshop(backend).service)
    assert scores(make_table(request_, grey)) == scores(make_table(whole, grey))
    pictures = lambda r: {str(p.relative_to(r.out)): p.read_bytes() for p in r.out.rglob("*.png")}
    assert pictures(request_) == pictures(whole)


def test_the_page_has_a_row_a_method_and_a_column_a_frame(backend, request_):
    paint(request_, Workshop(backend).service)
    page = results.side_by_side(request_, STORIES[0])
    assert page.size == (LEFT + 2 * TILE, 3 * TILE)
    for row, name in enumerate(NAMES):
        frame = request_.run(name, STORIES[0]).out / "frames" / "001.png"
        expected = Image.open(frame).convert("RGB").resize((TILE,) * 2, 1)
        left, top = LEFT + TILE, row * TILE
        shown = page.crop((left, top, left + TILE, top + TILE))
        assert np.array_equal(np.asarray(shown), np.asarray(expected))


def test_the_table_says_what_was_not_measured_and_shows_intervals():
    row = {"cost": {"seconds": None, "evaluations": 100.0, "peak_mib": 12.0}, "scores": {}}
    table = {"stories": 1, "preset": "test", "methods": {"general": row}}
    assert "No scores" in results.markdown(table)
    assert "| general | - | 100 | 12 |" in results.markdown(table)
    row["scores"] = {
        "all": {"CLIP-T": [0.3541, 0.351, 0.358]},
        "2 characters": {"CLIP-T": [0.3, None, None]},
    }
    text = results.markdown(table)
    assert "| general | 0.354 [0.351, 0.358] |" in text
    assert "## 2 characters" in text
    assert "| general | 0.300 |" in text


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
        paint(replace(request_, methods=("general", "story-adapter")), workshop.service)
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
    monkeypatch.setattr(bench, "paint", lambda request, *_: asked.append(request))
    monkeypatch.setattr(results, "make_table", lambda _: {})
    monkeypatch.setattr(results, "write", lambda *_: [])
    monkeypatch.setattr(results, "markdown", str)
    assert (
        main(["bench", "--limit", "1", "--out", str(tmp_path), *given], service=lambda: None) == 0
    )
    assert (asked[0].model, asked[0].device, asked[0].preset.name) == (model, "auto", "recommended")
