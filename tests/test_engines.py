"""Engines: units done here, by processes or elsewhere; lost units; the same bytes."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, RunError
from identitystory.experiments.batch import identities, paint, stages
from identitystory.experiments.table1 import experiment
from identitystory.experiments.workers import Local, Processes, engine
from identitystory.protocols import ModelFacts
from identitystory.runs.opening import Kept, open_model
from identitystory.runs.service import Service
from identitystory.story import sets
from identitystory.story.file import inline_story
from tests.test_bench import (  # noqa: F401
    NAMES,
    PRESET,
    STORIES,
    Workshop,
    request_,
    run_of,
    with_methods,
)
from tests.toy import toy_checkpoint  # noqa: F401

ROOT = Path(__file__).parents[1]


class Two:
    """An engine of several workers, as far as the order of units goes."""

    map = staticmethod(Local().map)


def words(text):
    return "" if text.islower() else f"{text} is loud"


def test_the_local_engine_does_units_in_order_and_tells_what_went_wrong():
    told = list(Local().map(words, ["a", "B", "c"]))
    assert told == [("a", ""), ("B", "B is loud"), ("c", "")]


def spoken(text):
    if text == "Dies":
        os._exit(3)
    return f"{words(text)} {torch.get_num_threads()}".strip()


@pytest.mark.journey
def test_processes_do_all_units_and_share_the_threads():
    assert isinstance(engine("local", 2), Processes)
    each = str(max(1, torch.get_num_threads() // 2))
    told = dict(engine("local", 2).map(spoken, ["a", "B", "c", "d"]))
    assert told == {"a": each, "B": f"B is loud {each}", "c": each, "d": each}


@pytest.mark.journey
def test_when_a_process_dies_what_is_left_says_so():
    told = dict(engine("local", 2).map(spoken, ["Dies"]))
    assert told == {"Dies": "its process died (out of memory?)"}


@pytest.mark.journey
def test_processes_end_when_the_one_that_began_them_is_killed(tmp_path):
    source = (
        "import sys, time; from identitystory.experiments.workers import engine\n"
        "from tests.test_engines import linger\n"
        "if __name__ == '__main__': list(engine('local', 2).map(linger, [sys.argv[1]]))\n"
    )
    script, note = tmp_path / "run.py", tmp_path / "pid"
    script.write_text(source)
    began = subprocess.Popen(
        [sys.executable, str(script), str(note)], cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    until(note.exists)
    began.kill()
    began.wait()
    until(lambda: not Path(f"/proc/{note.read_text()}").exists())


def linger(note):
    Path(note + ".part").write_text(str(os.getpid()))
    os.rename(note + ".part", note)
    time.sleep(600)
    return ""


def until(happened):
    """Waits for it, at most five minutes: a busy machine imports slowly."""
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_the_number_of_processes_is_checked():
    with pytest.raises(ConfigError, match="--workers is 0; it must be at least 1"):
        engine("local", 0)
    with pytest.raises(ConfigError, match="a Ray cluster has its own workers"):
        engine("ray", 2)


def test_engines_have_names():
    assert isinstance(engine("local"), Local)
    with pytest.raises(ConfigError, match="no engine is called 'spark'; there are: local, ray"):
        engine("spark")


def test_without_ray_the_line_names_the_extra(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)  # import says: not there
    command = ["bench", "--limit", "1", "--out", str(tmp_path / "out"), "--engine", "ray"]
    assert main(command) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].endswith(
        "--engine ray needs Ray: pip install 'identitystory[ray]', or use --engine local"
    )
    assert not (tmp_path / "out").exists()


def test_a_unit_that_fails_is_named_and_the_others_are_finished(backend, request_):  # noqa: F811
    workshop = Workshop(backend)
    step = backend.general.step

    def full(z, i, cond):
        if full.steps == 25:  # in the middle of the first template for ours
            full.steps += 1
            raise OSError(28, "No space left on device")
        full.steps += 1
        return step(z, i, cond)

    full.steps, backend.general.step = 0, full
    said = []
    with pytest.raises(RunError) as raised:
        paint(request_, workshop.service, said.append)
    line = str(raised.value)
    assert line.startswith("1 of 8 runs failed; the others are finished")
    assert "identitystory: One: [Errno 28] No space left on device" in line
    assert "\n" not in line
    assert "3 of 6, identitystory: One failed: [Errno 28] No space left on device" in said
    unfinished = [
        (name, story.title)
        for name in NAMES
        for story in STORIES
        if not all(
            (run_of(request_, name, story).out / f"frames/00{n + 1}.png").exists() for n in (0, 1)
        )
    ]
    assert unfinished == [("identitystory", "One")]
    paint(request_, workshop.service)
    assert (run_of(request_, "identitystory", STORIES[0]).out / "frames/002.png").exists()


def test_a_bug_is_not_taken_for_a_failure_of_the_machine(backend, request_):  # noqa: F811
    workshop = Workshop(backend)
    backend.general.step = lambda z, i, cond: 1 / 0
    with pytest.raises(ZeroDivisionError):
        paint(request_, workshop.service)


def test_a_worker_that_writes_to_another_disk_is_found_out(backend, request_):  # noqa: F811
    class Elsewhere:
        def map(self, work, units):
            return ((unit, "") for unit in units)

    with pytest.raises(RunError, match="must be a folder that every worker sees under this name"):
        paint(request_, Workshop(backend).service, engine=Elsewhere())


def test_several_workers_get_the_longest_units_first(backend, request_):  # noqa: F811
    said = {Two: [], Local: []}
    for kind, lines in said.items():
        request = replace(request_, out=request_.out / kind.__name__)
        paint(request, Workshop(backend).service, lines.append, kind())
        lines[:] = [line for line in lines if re.match(r"\d+ of \d+, ", line)]  # no warnings
        assert len(lines) == 2 + 6
    lines = [line.split(", ")[1].split(":")[0] for line in said[Two][-6:]]
    assert lines == ["identitystory"] * 2 + ["general", "direct-identity"] * 2  # of equal cost
    assert sorted(line.split(", ")[1] for line in said[Two]) == sorted(
        line.split(", ")[1] for line in said[Local]
    )


def test_several_workers_going_on_tell_first_what_is_finished(backend, request_):  # noqa: F811
    said = []
    paint(with_methods(request_, "general"), Workshop(backend).service)
    paint(request_, Workshop(backend).service, said.append, Two())
    assert [line.split(":")[0] for line in said[-6:]] == [
        "1 of 6, general",
        "2 of 6, general",
        "3 of 6, identitystory",
        "4 of 6, identitystory",
        "5 of 6, direct-identity",
        "6 of 6, direct-identity",
    ]


def test_identities_are_units_of_their_own_and_asked_for_once(backend, request_):  # noqa: F811
    assert [str(unit) for unit in identities(request_)] == [
        "direct-identity: One (identities)",
        "direct-identity: Two (identities)",
    ]
    assert (
        identities(with_methods(experiment(STORIES, request_.out, PRESET), "general", "consistory"))
        == []
    )
    paint(request_, Workshop(backend).service)
    assert identities(request_) == []


def test_one_model_serves_all_runs_until_other_options_are_asked_for():
    opened = []
    kept = Kept(lambda model, **options: opened.append((model, options)) or object())
    one = kept("m", num_steps=4)
    assert kept("m", num_steps=4) is one
    assert kept("m", num_steps=5) is not one
    assert [options["num_steps"] for _, options in opened] == [4, 5]


def test_a_kept_model_is_opened_again_when_its_files_have_changed(backend):
    on_disk, opened = ["w1"], []

    def load(model, **options):
        opened.append(on_disk[0])
        return replace(backend, fingerprint=on_disk[0])

    kept = Kept(load)
    for now in ("w1", "w1", "w2", "w2"):
        on_disk[0] = now
        facts = ModelFacts(now, "cpu", "float32")
        assert open_model(kept, "m", PRESET, facts).fingerprint == now
    assert opened == ["w1", "w2"]


def test_few_stories_still_have_every_split(tmp_path):
    story = '[[story]]\ntitle = "{t}"\n{people}[[story.scene]]\nprompt = "{who}"\n'
    story += '[[story.scene]]\nprompt = "{{A}} sleeps"\n'
    person = '[[story.character]]\nname = "{0}"\ndescription = "a woman"\n'
    texts = [
        story.format(
            t=f"{number}-{size}",
            people="".join(person.format(c) for c in "ABC"[:size]),
            who=" and ".join(f"{{{c}}}" for c in "ABC"[:size]),
        )
        for size in (1, 2, 3)
        for number in range(3)
    ]
    (tmp_path / "all.toml").write_text("".join(texts))
    titles = lambda *more: [s.title for s in sets.load_stories(tmp_path / "all.toml", *more)]
    assert titles(1) == ["0-1"]
    assert titles(4) == ["0-1", "1-1", "0-2", "0-3"]
    assert len(titles()) == 9
    short = sets.load_stories(tmp_path / "all.toml", 3, 1)
    assert [len(s.scenes) for s in short] == [1, 1, 1]
    with pytest.raises(ConfigError, match="--limit and --scenes must be at least 1"):
        titles(0)


TOY = Preset(
    "test",
    num_steps=4,
    discovery=DiscoveryConfig(num_portraits=6, rank=1, iterations=1),
    injection=InjectionConfig(start=3),
)
TALES = tuple(
    inline_story(
        ["Mara: a woman with dark curly hair"], [f"{{Mara}} reads {n}", "{Mara} by the sea"],
        title=f"Tale {n}",
    )
    for n in "ab"
)  # fmt: skip


def painted(out, toy, by):
    """All that a bench leaves, but what it cost: file -> bytes."""
    names = ("storydiffusion", "identitystory")
    request = experiment(TALES, out, TOY, names, model=str(toy), device="cpu")
    paint(request, Service(), engine=by)
    files = (f for f in out.rglob("*") if f.is_file() and "costs" not in f.parts)
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in files
        if file.name not in ("events.jsonl", ".lock")
    }


@pytest.mark.journey
def test_processes_give_the_bytes_of_one(toy, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = painted(tmp_path / "one", toy, engine("local"))
        assert painted(tmp_path / "two", toy, engine("local", 2)) == alone
    finally:
        torch.set_num_threads(threads)
    assert len(alone) > 2 * 2 * 4


def test_a_unit_is_the_ordinary_run_of_its_method(request_):  # noqa: F811
    searches, whole = stages(request_)
    named = {str(unit): unit.run for unit in whole}
    assert named["general: One"] == run_of(request_, "general", STORIES[0])
    assert len(named) == len(NAMES) * len(STORIES)
    first = run_of(request_, "direct-identity", STORIES[0])
    assert searches[0].run == replace(first, paint=False)
