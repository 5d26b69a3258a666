"""docs/reference/paper.md names tests, files and functions that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reference" / "paper.md").read_text("utf-8")
TESTS = {
    name
    for file in (ROOT / "tests").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", file.read_text("utf-8"), re.M)
}


def rows(section):
    """The cells of each line of the tables of a section, without their heads."""
    text = re.split(r"^## ", PAGE, flags=re.M)
    (found,) = [part for part in text if part.startswith(section)]
    lines = [line for line in found.splitlines() if line.startswith("| ")]
    return [[c.strip() for c in line.split("|")[1:-1]] for line in lines[2:]]


def test_every_test_that_the_page_names_exists():
    """In italics, with ``…`` for what is left out."""
    named = [n for n in re.findall(r"(?<!\*)\*([\w…]+)\*(?!\*)", PAGE) if "_" in n]
    assert len(named) > 60
    patterns = {n: ".*".join(map(re.escape, n.split("…"))) for n in named}
    assert [n for n in named if not any(re.search(patterns[n], t) for t in TESTS)] == []


def test_every_test_file_that_the_page_names_exists():
    files = set(re.findall(r"`(?:tests/)?(test_\w+?)(?:\.py)?`", PAGE))
    assert len(files) > 10
    assert [f for f in files if not (ROOT / "tests" / f"{f}.py").is_file()] == []


def test_every_function_that_the_page_names_exists():
    """Written ``file.name``, with the rooms in front or not; a class of ours with its attribute too."""
    code = {f: f.read_text("utf-8") for f in (ROOT / "src" / "identitystory").rglob("*.py")}
    stems = {f.stem for f in code}
    named = re.findall(r"`((?:\w+\.)*\w+)\.(\w+)", PAGE)
    named = [(path, name) for path, name in named if path.split(".")[-1] in stems and name != "py"]
    assert len(named) > 20

    def there(path, name):
        ending = "/" + path.replace(".", "/") + ".py"
        files = [t for f, t in code.items() if f.as_posix().endswith(ending)]
        return any(re.search(rf"^(?:def|class) {name}\b|^{name}\b", t, re.M) for t in files)

    assert [f"{path}.{name}" for path, name in named if not there(path, name)] == []


def test_every_symbol_has_a_test():
    symbols = rows("Symbols")
    assert len(symbols) > 20
    assert [r[0] for r in symbols if len(r) != 4 or not ("*" in r[3] or r[3] == "the same")] == []


def test_every_reading_has_a_test_but_the_misprints():
    readings = rows("What the paper leaves open")
    assert [r[0] for r in readings] == [str(n) for n in range(1, 29)]
    assert [r[0] for r in readings if len(r) != 5 or "*" not in r[4]] == ["27"]
