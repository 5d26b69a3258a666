"""docs/extending.md does what it says: its package is installed and run, its lines of cost are counted."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import identitystory
from identitystory.cli.main import main
from identitystory.testing import check_family
from tests.toy import toy_checkpoint  # noqa: F401

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
FILES = {
    text.partition("\n")[0].removeprefix("# "): text
    for kind, text in BLOCKS
    if kind in ("python", "toml")
}


@pytest.fixture
def storykit(tmp_path, monkeypatch):
    """The page's package, installed: its modules and its entry points."""
    site = tmp_path / "site"
    for name, text in FILES.items():
        if name.startswith("storykit/"):
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_text(text)
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = site / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("".join(lines))
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "storykit"]:
        del sys.modules[name]


def test_the_packages_own_test_passes(storykit, toy, tmp_path):
    """On a toy checkpoint in place of the miniature, which takes longer."""
    file = tmp_path / "test_storykit.py"
    file.write_text(FILES["test_storykit.py"].replace("miniature", str(toy)))
    with torch.random.fork_rng():
        runpy.run_path(str(file))["test_storykit"]()


@pytest.mark.journey
def test_the_commands_of_the_page_run(storykit, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    Path("make_dots.py").write_text(FILES["make_dots.py"])
    (commands,) = [text for kind, text in BLOCKS if not kind and "--model dots" in text]
    for command in commands.splitlines():
        program, *options = shlex.split(command)
        if program.endswith("python"):
            subprocess.run([sys.executable, *options], check=True)
            from storykit.dots import DOTS

            check_family(DOTS, Path("dots"))
        else:
            assert main(options) == 0
    frames = [sorted(Path("runs", run, "frames").glob("???.png")) for run in ("dots", "one-noise")]
    assert len(frames[0]) == len(frames[1]) > 1
    assert "brightness" in capsys.readouterr().out


# --- What it costs inside this package ----------------------------------------------------------


def diffs():
    """(kind of part, file, removed and context lines, what stands there then) of every diff."""
    for kind, text in BLOCKS:
        if kind == "diff":
            what, file, *lines = text.splitlines()
            yield what.removeprefix("# "), file.removeprefix("+++ "), lines


def applied(text, lines):
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"the page changes lines that are not there:\n{before}"
    return text.replace(before, after)


def test_the_table_of_cost_is_what_the_diffs_of_the_page_say():
    counted = {}
    for what, file, lines in diffs():
        files, total = counted.setdefault(what, (set(), 0))
        counted[what] = files | {file}, total + sum(line.startswith("+") for line in lines)
    rows = re.findall(r"^\| ([a-z ]+) \| (\d+) / (\d+) \|", PAGE, flags=re.MULTILINE)
    assert {what: (int(files), int(lines)) for what, files, lines in rows} == {
        what: (len(files), total) for what, (files, total) in counted.items()
    }
    allowed = {
        "method": (1, 1),
        "measure": (2, 8),
        "identity generator": (2, 15),
        "family": (2, 20),
        "control net": (6, 50),
    }
    for what, (files, total) in counted.items():
        assert (len(files), total) <= allowed[what]
        assert total <= allowed[what][1]


@pytest.mark.journey
def test_the_diffs_of_the_page_apply_and_the_parts_are_ours_then(tmp_path):
    package = tmp_path / "identitystory"
    source = Path(identitystory.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (package / "weights").symlink_to(source / "weights")
    for _, file, lines in diffs():
        path = tmp_path / file.removeprefix("src/")
        path.write_text(applied(path.read_text(), lines))
    homes = {
        "storykit/one_noise.py": "methods/one_noise.py",
        "storykit/tint.py": "models/tint.py",
        "storykit/dots.py": "models/dots.py",
    }
    for name, home in homes.items():
        (package / home).write_text(FILES[name])
    code = """
from identitystory.methods.registry import method
from identitystory.config import Preset
from identitystory.metrics.measures import measures
from identitystory.models.family import IDENTITY_GENERATORS, family_of
from identitystory.models.files.catalogue import entries_of
assert method("one-noise", Preset("x")).name == "one-noise"
assert measures()["people"].instrument == "pictures"
assert family_of("DotsPipeline").title == "Dots"
assert IDENTITY_GENERATORS.get("tint").title == "Tint"
assert [e.part for e in entries_of("sdxl-tint")][1] == "tint"
assert entries_of("dots")[0].role == "base"
assert [(e.role, e.part) for e in entries_of("sdxl-lines")] == [("control", "lines")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
