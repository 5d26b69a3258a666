"""The text of a story as the studio keeps it: read, checked, brought from other files."""

from __future__ import annotations

import re
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomlkit

from ..errors import StoryError, one_line
from ..runs.characters.casting import StoryCast
from ..story.document import MAX_BYTES, parse
from ..story.file import make_story
from ..story.imports.draft import plain
from ..story.imports.registry import read as read_story
from ..story.imports.toml import missing, story_text
from ..types import Story

SOURCE = "story.toml"  # what mistakes call a story that is written here
NEW = """title = "A new story"

[[character]]
name = "Mara"
description = "a young woman with long red hair"

[[scene]]
prompt = "a portrait of {Mara} in a library"
"""


def checked_text(text: str) -> bytes:
    """``text`` as a story file holds it.

    Raises:
        StoryError: it is larger than a story file may be, or holds half a character.
    """
    try:
        content = text.encode()
    except UnicodeEncodeError:
        raise StoryError(
            f"{SOURCE}: the text holds half a character (a lone surrogate); remove it"
        ) from None
    if len(content) > MAX_BYTES:
        raise StoryError(f"{SOURCE} is larger than {MAX_BYTES >> 10} KiB; that is no story file")
    return content


def story_of(text: str, cast: StoryCast | None = None) -> Story:
    """The story in a text as the studio keeps it, TOML; ``cast`` takes the character files it names.

    Raises:
        StoryError: something in it is wrong, or it names files; one line, with the place.
    """
    checked_text(text)
    story = make_story(parse(text, SOURCE), source=SOURCE, cast=cast or StoryCast())
    if story.loras:  # a page names no file of this machine
        raise StoryError(
            f"{SOURCE}: 'lora' names files, which the studio does not open; leave it out"
        )
    return story if story.title else replace(story, title="Untitled")


def problem_of(said: str, text: str) -> dict[str, Any]:
    """A mistake in a text: the sentence, and where it is as far as that is known, from 1."""
    message = one_line(said)
    if place := re.search(r"line (\d+)(?:, column (\d+))?", message):
        column = int(place[2]) if place[2] else None
        return {"message": message, "line": int(place[1]), "column": column}
    line = None
    if entry := re.search(r"\b(scene|character) (\d+)\b", message):
        tables = re.finditer(rf"^[ \t]*\[\[[ \t]*{entry[1]}[ \t]*\]\]", text, re.M)
        starts = [found.start() for found in tables]
        number = int(entry[2]) - 1
        line = text[: starts[number]].count("\n") + 1 if 0 <= number < len(starts) else None
    return {"message": message, "line": line, "column": None}


def entries_of(text: str) -> dict[str, dict[str, Any]]:
    """The [[character]] tables of a text by name, as they are written; none where it is no TOML."""
    try:
        tables = tomllib.loads(text).get("character", [])
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return {}
    some = [each for each in tables if isinstance(each, dict)] if isinstance(tables, list) else []
    return {plain(each.get("name")): each for each in some}


def title_of(text: str) -> str:
    """The title that a text gives, right or wrong."""
    try:
        title = tomllib.loads(text[:4096].partition("\n[")[0]).get("title", "")
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        title = ""
    return plain(title)[:200] or "Untitled"


def imported(name: str, content: bytes) -> tuple[str, list[str], list[str]]:
    """A file that was handed in, as a text; what was left out of it, and what is to be filled in.

    Args:
        name: of the file; its ending tells what it may be, and nothing is ever called by it.
        content: of the file.

    Raises:
        StoryError: it is of no kind that is known, or wrong.
    """
    called = plain(name)[-100:] or "the file"
    suffix = re.sub(r"[^a-z]", "", Path(called).suffix.lower())[:10]
    with tempfile.TemporaryDirectory(prefix="identitystory-") as folder:
        file = Path(folder) / f"upload.{suffix or 'txt'}"
        file.write_bytes(content)
        other, data = read_story(file, called)
        if other is not None:
            draft = other.draft(data, called)
            return story_text(draft, called), list(draft.told), missing(draft)
        text = content.decode("utf-8-sig")
    make_story(data, source=called, cast=StoryCast())
    return (tomlkit.dumps(data) if suffix == "json" else text), [], []
