"""benchmarks/presets.py on a toy: what it costs is told before, and no change measures as none."""

import json
import sys

import pytest

from benchmarks import presets
from tests.test_cost import few_steps_file
from tests.toy import toy_checkpoint  # noqa: F401


@pytest.fixture
def lines(toy, tmp_path, monkeypatch, capsys):
    """What the script prints with some options, as objects."""
    folder = few_steps_file(toy, tmp_path / "toy")

    def run(*options):
        small = ["--steps", "2", "--portraits", "4", "--full", "1", "--quick", "1", "--frames", "1"]
        command = ["presets.py", "--model", str(folder), *small, *options]
        monkeypatch.setattr(sys, "argv", command)
        presets.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_the_cost_is_the_formula_of_the_paper_at_its_settings(lines):
    options = ["--count", "--portraits", "64", "--steps", "50", "--full", "2", "--only", "8 guided"]
    (told,) = lines(*options, "--quick", "3", "--frames", "4", "--reuse", "2", "3")
    assert told["evaluations ahead"] == {
        "full searches": 2 * 2 * 6400,
        "40 portraits of 8 guided steps": 2 * 3 * 640,
        "64 portraits of 8 guided steps": 2 * 3 * 1024,
        "frames": 2 * 4 * (2 * 180 + 126 + 2 * 180),  # two seeds, fast, two values of --reuse
        "all": 25_600 + 3840 + 6144 + 6768,
    }


@pytest.mark.slow
def test_every_way_is_measured_and_reusing_nothing_changes_nothing(lines):
    ahead, *told = lines("--only", "distilled", "reuse", "--reuse", "1", "2")
    for name in ("Mara", "Tom"):
        own = [line for line in told if line.get("who") == name]
        tried = {line["variant"]: line for line in own if "variant" in line}
        assert list(tried) == [
            "64 portraits of 8 distilled steps",
            "a full search with --reuse 1",
            "a full search with --reuse 2",
        ]
        few = tried["64 portraits of 8 distilled steps"]
        assert few["evaluations"] == 8 * few["portraits"] <= 512
        frames = {line["frames of"]: line for line in own if "frames of" in line}
        assert list(frames) == ["fast", "--reuse 1", "--reuse 2"]
        assert frames["--reuse 1"]["outside"] == 0 < frames["--reuse 2"]["outside"]
        assert frames["fast"]["two seeds apart"] > 0
    spent = sum(line["full"]["evaluations"] for line in told if "full" in line)
    assert spent == ahead["evaluations ahead"]["full searches"]
