"""The TOML or JSON document in a story file, as plain values; what is in it is `file`'s to check."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from ..errors import StoryError

MAX_BYTES = 1 << 20


def read_document(path: Path, source: str) -> Any:
    """What stands in the file at ``path``; ``source`` names it in errors.

    Raises:
        StoryError: it cannot be read, is too large, or is neither TOML nor JSON; says where.
    """
    content = _read_text(path, source)
    return _parse(content, source, is_json=_looks_like_json(path, content))


def _read_text(path: Path, source: str) -> str:
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
        raise StoryError(f"{source} is larger than 1 MiB; that is no story file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StoryError(f"{source}: line {line} is not UTF-8; save the file as UTF-8") from None


def _looks_like_json(path: Path, content: str) -> bool:
    suffix = path.suffix.lower()
    return suffix == ".json" or (suffix != ".toml" and content.lstrip().startswith("{"))


def _parse(content: str, source: str, *, is_json: bool) -> Any:
    try:
        return (
            json.loads(content, object_pairs_hook=_distinct) if is_json else tomllib.loads(content)
        )
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
        kind = "JSON" if is_json else "TOML"
        raise StoryError(f"{source}: not a story: {kind} nested or numbers too large") from None


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
