"""What the pages tell a reader to type or to open is there to be typed and opened."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

import identitystory
from identitystory.cli.main import parser
from identitystory.runs.characters.archive import open_file
from identitystory.runs.characters.casting import character
from identitystory.story.file import make_story
from tests.characters import GOLDEN

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [*sorted(DOCS.rglob("*.md")), *sorted((ROOT / "dev").glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
TEXTS = {name: (ROOT / name).read_text("utf-8").replace("\\\n", " ") for name in NAMES}
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.S | re.M)
BLOCKS = {name: FENCE.findall(text) for name, text in TEXTS.items()}
MADE = ("docs/cli.md", "docs/results.md")  # by commands, which write no path before the program
SHOWN = [name for name in NAMES if name not in (*MADE, "dev/log.md")]  # the log tells of the past
KINDS = ("tutorial", "how-to", "reference", "explanation")


def code(name):
    """The lines of a page's fenced blocks."""
    return [line.strip() for _, block in BLOCKS[name] for line in block.splitlines()]


def commands(name):
    """The arguments of every fenced ``identitystory`` command of a page."""
    found = [re.match(r"(?:\.venv/bin/)?identitystory (.+)", line) for line in code(name)]
    return [m[1] for m in found if m]


def anchors(name):
    """The anchors that a page's headings have: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)", FENCE.sub("", TEXTS[name]), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links(name):
    """(file, anchor) of every relative link of a page, the file from the root."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", TEXTS[name]))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    targets += re.findall(r"^\[[^\]]+\]: (\S+)", text, re.M)
    for target in targets:
        if not re.match(r"\w+:", target):
            file, _, anchor = target.partition("#")
            yield ((ROOT / name).parent / file).resolve() if file else ROOT / name, anchor


def test_the_pages_show_commands():
    assert len(commands("README.md")) >= 5
    assert sum(len(commands(name)) for name in NAMES if "/how-to/" in name) >= 25
    assert len(commands("docs/tutorial/first-story.md")) >= 4


@pytest.mark.parametrize("name", [n for n in NAMES if n != "docs/cli.md" and commands(n)])
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
    typed = re.findall(r"`(?:python3?|pip) (?!-m venv)[^`]*`", TEXTS[name])
    typed += [
        line for line in code(name) if re.match(r"(?:identitystory|python3?|pip) (?!-m venv)", line)
    ]
    assert typed == []


@pytest.mark.parametrize("name", [*SHOWN, "docs/results.md"])
def test_every_script_and_target_that_a_page_names_exists(name):
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = TEXTS[name]
    scripts = re.findall(r"(?<![\w/])(?:benchmarks|examples|miniature)/[\w/]+\.(?:py|toml)\b", text)
    modules = re.findall(r"python -m ((?:miniature|benchmarks)[\w.]*)", text)
    scripts += [f"{module.replace('.', '/')}.py" for module in modules]
    assert [s for s in scripts if not (ROOT / s).is_file()] == []
    targets = re.findall(r"`make (\w+)", text)
    targets += [m[1] for line in code(name) if (m := re.match(r"make (\w+)", line))]
    assert set(targets) <= made


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name):
    lost = []
    for file, anchor in links(name):
        target = file.relative_to(ROOT).as_posix()
        if not file.exists() or (anchor and anchor not in anchors(target)):
            lost.append(f"{target}#{anchor}")
    assert lost == []


def test_every_page_is_of_one_kind_and_stands_in_the_index():
    pages = {page for page in DOCS.rglob("*.md") if page != DOCS / "README.md"}
    assert pages <= {file for file, _ in links("docs/README.md")}
    inside = {page.relative_to(DOCS).parts[0] for page in pages if page.parent != DOCS}
    assert inside == set(KINDS)


def test_the_readme_is_short_and_names_the_two_commands():
    assert len(TEXTS["README.md"].splitlines()) <= 100
    assert {"make story", "make test"} <= {
        line.partition("#")[0].strip() for line in code("README.md")
    }


def golden(reference, look, place):
    """Whoever is named of a library or a file."""
    return character(open_file(GOLDEN), look)


def test_every_story_that_a_page_shows_is_one():
    shown = [(n, b) for n in NAMES for kind, b in BLOCKS[n] if kind == "toml" and "[[scene]]" in b]
    assert len(shown) >= 3
    for name, text in shown:
        assert make_story(tomllib.loads(text), source=name, cast=golden).scenes


def test_the_page_on_python_names_all_that_is_public():
    page = TEXTS["docs/reference/python.md"]
    assert [name for name in identitystory.__all__ if f"`{name}`" not in page] == []
