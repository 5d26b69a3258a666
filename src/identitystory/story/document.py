"""The TOML, JSON or YAML document in a file, as plain values; what is in it is others' to check."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from ..errors import StoryError
from .plain import MAX_NUMBER

MAX_BYTES = 1 << 19  # so that the slowest file of this size is read within 2 s
MAX_DEPTH = 20  # of YAML
Kind = Literal["TOML", "JSON", "YAML"]
MAX_DOTS = 4  # in a key
_TEXTS = re.compile(  # each alternative ends at the end of the line or file if it is never closed
    r'''(?s)"""(?:\\.|(?!""").)*+(?:"{3,5}|\Z)|'{3}(?:(?!'{3}).)*+(?:'{3,5}|\Z)'''
    r"""|"(?:\\.|[^"\\\n])*+"?|'[^'\n]*+'?|\#[^\n]*+"""
)
_DEEP = re.compile(rf"(?:\.[\w\- \t]*+){{{MAX_DOTS + 1}}}")  # texts left out


def read_text(path: Path, source: str) -> str:
    """The text of the file at ``path``; ``source`` names it in errors.

    Raises:
        StoryError: it cannot be read, is larger than ``MAX_BYTES``, or is not UTF-8.
    """
    try:
        if path.is_dir():
            raise StoryError(f"{source} is a folder; give the story file in it")
        if not path.exists():
            raise StoryError(f"{source}: there is no such file")
        if not path.is_file():
            raise StoryError(f"{source} is not a file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryError(f"{source} cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise StoryError(f"{source} is larger than {MAX_BYTES >> 10} KiB; that is no story file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StoryError(f"{source}: line {line} is not UTF-8; save the file as UTF-8") from None


def kind_of(path: Path, content: str) -> Kind:
    """How a file is written, by its suffix, or else by its first sign."""
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return "YAML"
    is_json = suffix == ".json" or (suffix != ".toml" and content.lstrip().startswith("{"))
    return "JSON" if is_json else "TOML"


def parse(content: str, source: str, kind: Kind = "TOML") -> Any:
    """The values of a document; all of YAML's are text, lists and tables.

    Raises:
        StoryError: it is not of its ``kind``, or is nested too deeply; says where.
    """
    try:
        if kind == "YAML":
            return _yaml(content, source)
        if kind == "JSON":
            return _bounded(json.loads(content, object_pairs_hook=_distinct))
        _check_depth(content, source)
        return _bounded(tomllib.loads(content))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise StoryError(f"{source}: {place}: not valid JSON: {error.msg}") from None
    except tomllib.TOMLDecodeError as error:
        raise StoryError(f"{source}: {_toml_place(str(error), content)}") from None
    except _TwiceError as error:
        raise StoryError(
            f"{source}: the key {error.args[0]!r} is given twice in one table"
        ) from None
    except (RecursionError, ValueError):
        raise StoryError(f"{source}: not a story: {kind} nested or numbers too large") from None


def _yaml(content: str, source: str) -> Any:
    """YAML by a loader that makes nothing but text, lists and tables.

    An alias could stand for a text of any length, so there must be none.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    try:
        for event in yaml.parse(content, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
                what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else "an alias (*)"
                raise StoryError(f"{source}: line {event.start_mark.line + 1}: {what} in YAML")
        return yaml.load(content, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is broken"
        raise StoryError(f"{source}: {place}not valid YAML: {reason}") from None


def _check_depth(content: str, source: str) -> None:
    """Nothing, if no key is deep: reading ``a.a.a...`` takes time with its square and more."""
    bare = _TEXTS.sub(lambda found: "\n" * found[0].count("\n"), content)
    if found := _DEEP.search(bare):
        number = bare.count("\n", 0, found.end()) + 1
        raise StoryError(
            f"{source}: line {number} has a key with more than {MAX_DOTS} dots; "
            "the deepest of a story has three"
        )


def _bounded(value: Any) -> Any:
    """``value``; ValueError where a whole number in it is not below 2^64, as in `plain.plain_json`."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict | list):
            left += part.values() if isinstance(part, dict) else part
        elif isinstance(part, int) and abs(part) >= MAX_NUMBER:
            raise ValueError("a number in it is too large")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a key stands twice, as TOML refuses it too."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _TwiceError(key)
        made[key] = value
    return made


class _TwiceError(ValueError):
    """A key stands twice in a JSON object; ``args[0]`` is the key."""


def _toml_place(message: str, content: str) -> str:
    """``line 3, column 9: not valid TOML: Invalid value``."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if found:
        what, line, column = found[1], int(found[2]), int(found[3])
    else:
        lines = content.splitlines() or [""]
        what = message.removesuffix(" (at end of document)")
        line, column = len(lines), len(lines[-1]) + 1
    return f"line {line}, column {column}: not valid TOML: {' '.join(what.split())}"
