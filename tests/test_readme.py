"""What the pages tell a reader to type is there to be typed."""

import re
import shlex
from pathlib import Path

import pytest

from identitystory.cli.main import parser

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text("utf-8").replace("\\\n", " ") for page in PAGES}
BLOCKS = {
    name: re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M) for name, text in TEXTS.items()
}
SHOWN = ["README.md", "methods.md", "models.md", "performance.md"]  # log.md tells of the past


def commands(name):
    """The arguments of every fenced ``identitystory`` command of a page."""
    lines = [line for block in BLOCKS[name] for line in block.splitlines()]
    found = [re.match(r"(?:\.venv/bin/)?identitystory (.+)", line) for line in lines]
    return [m[1] for m in found if m]


def test_the_pages_show_commands():
    assert len(commands("README.md")) >= 9
    assert len(commands("methods.md")) >= 6
    assert len(commands("models.md")) >= 6


@pytest.mark.parametrize("name", [n for n in TEXTS if n != "cli.md" and commands(n)])
def test_every_command_of_a_page_is_understood(name):
    for command in commands(name):
        try:
            arguments = parser().parse_args(shlex.split(command, comments=True))
        except SystemExit:
            pytest.fail(f"{name} shows: identitystory {command}")
        assert callable(arguments.command)


@pytest.mark.parametrize("name", SHOWN)
def test_commands_take_the_python_of_the_virtual_environment(name):
    """A fresh Debian refuses ``pip install`` into its own Python, and has none of the packages."""
    shown = "\n".join(BLOCKS[name])
    typed = re.findall(r"`(?:python3?|pip) [^`]*`", TEXTS[name])
    typed += re.findall(r"^(?:identitystory|python3?|pip) .*", shown, re.M)
    assert typed == []


def test_every_script_and_target_that_a_page_names_exists():
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for name in [*SHOWN, "paper.md", "results.md"]:
        text = TEXTS[name]
        scripts = re.findall(
            r"(?<![\w/])(?:benchmarks|examples|miniature)/[\w/]+\.(?:py|toml)\b", text
        )
        modules = re.findall(r"python -m (miniature[\w.]*)", text)
        scripts += [f"{module.replace('.', '/')}.py" for module in modules]
        assert [s for s in scripts if not (ROOT / s).is_file()] == []
        targets = re.findall(r"`make (\w+)", text)
        targets += re.findall(r"^make (\w+)", "\n".join(BLOCKS[name]), re.M)
        assert set(targets) <= made
