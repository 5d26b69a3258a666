"""Story files: TOML, or JSON with the same keys, checked and turned into a ``Story``.

Every mistake is a ``StoryError`` of one line that names the file and the place in it.
The JSON Schema of the format is docs/story.schema.json (``python -m identitystory.cli.reference``).
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import types
from ..errors import StoryError, did_you_mean, quoted
from ..types import Character, Scene, Story
from . import text
from .consistory_json import is_human_json, read_human_json
from .schema import MAX_TITLE, CharacterEntry, StoryFile, first_mistake
from .text import tidy

MAX_BYTES = 1 << 20
MAX_NAME_BYTES = 150  # of a character as a file name, so that every file system takes it


def load_story(path: str | Path) -> Story:
    """The story in a TOML or JSON file (also the public ConsiStory-Human JSON).

    Raises:
        StoryError: the file cannot be read, or something in it is wrong; one line, with the place.
    """
    source = str(path)
    content = _read_text(Path(path), source)
    data = _parse(content, source, is_json=_looks_like_json(Path(path), content))
    if is_human_json(data):
        return read_human_json(data, source=source, title=Path(path).stem)
    story = make_story(data, source=source)
    return story if story.title else _retitled(story, Path(path).stem)


def inline_story(
    characters: Sequence[str], scenes: Sequence[str], *, style: str = "", title: str = ""
) -> Story:
    """A story from the command line: ``"Mara: a young woman with red hair"``, ``"{Mara} reads"``.

    Raises:
        StoryError: as ``load_story``; a character without a colon.
    """
    entries = []
    for given in characters:
        name, colon, description = given.partition(":")
        if not colon or not name.strip() or not description.strip():
            raise StoryError(
                f"--character {given!r} needs a name and a description: "
                '"Mara: a young woman with red hair"'
            )
        entries.append({"name": name.strip(), "description": description.strip()})
    data: dict[str, Any] = {"title": title, "style": style, "character": entries}
    story = make_story(data | {"scene": [{"prompt": s} for s in scenes]}, source="the command line")
    return story if story.title else _retitled(story, re.sub(r"[{}]", "", story.scenes[0].text))


def make_story(data: Any, *, source: str) -> Story:
    """The story in a parsed TOML or JSON document; ``source`` names it in errors.

    Raises:
        StoryError: a key, type, length, name or placeholder is wrong.
    """
    if not isinstance(data, dict):
        raise StoryError(f"{source}: a story is a table with [[character]] and [[scene]]")
    for key, example in (("character", 'name = "Mara"'), ("scene", 'prompt = "{Mara} reads"')):
        if data.get(key, []) == []:
            raise StoryError(f"{source}: there are no {key}s. Add one: [[{key}]] with {example}")
    try:
        entry = StoryFile.model_validate(data)
    except ValidationError as error:
        raise StoryError(f"{source}: {first_mistake(error)}") from None
    characters = tuple(
        _character(c, f"{source}: character {i}") for i, c in enumerate(entry.character, 1)
    )
    _check_distinct(characters, source)
    style = _line(entry.style, f"{source}: 'style'")
    if "{" in style or "}" in style:
        raise StoryError(f"{source}: 'style' holds a brace; braces belong in scenes")
    title = _line(entry.title, f"{source}: 'title'")
    made = [
        make_scene(s.prompt, characters, style=style, source=source, number=i)
        for i, s in enumerate(entry.scene, 1)
    ]
    return Story(title=title, characters=characters, scenes=tuple(made), style=style)


def make_scene(
    prompt: str, characters: Sequence[Character], *, style: str, source: str, number: int
) -> Scene:
    """One scene with its placeholders filled; ``source`` and ``number`` (from 1) name it in errors.

    Raises:
        StoryError: an empty scene, an unknown name, a stray brace.
    """
    place = f"{source}: scene {number}"
    written = _line(prompt, f"{place}: 'prompt'")
    if not written:
        raise StoryError(f"{place}: 'prompt' is empty. Say what happens, e.g. \"{{Mara}} reads\"")
    try:
        filled, cast = text.fill(written, characters)
    except text.UnknownNameError as error:
        names = [c.name for c in characters]
        hint = did_you_mean(error.args[0], names, otherwise=f" There are: {quoted(names)}.")
        raise StoryError(
            f"{place} names {error.args[0]!r}, who is not a character.{hint}"
        ) from None
    except ValueError:
        raise StoryError(
            f"{place} has a brace without its partner. Names stand in braces: {{Mara}}"
        ) from None
    return Scene(prompt=types.styled(style, filled), cast=cast, text=written)


def advice(story: Story) -> list[str]:
    """What is allowed but probably not meant: one line each."""
    lines = []
    for number, scene in enumerate(story.scenes, 1):
        for c in story.characters:
            if c.name not in scene.cast and re.search(
                rf"(?<!\w){re.escape(c.name)}(?!\w)", scene.text
            ):
                lines.append(
                    f"scene {number} says {c.name!r} without braces; "
                    f"write {{{c.name}}} to put the character there"
                )
        if not scene.cast:
            lines.append(f"scene {number} names no character in braces; nobody's face is kept")
    cast = {name for scene in story.scenes for name in scene.cast}
    lines += [f"{c.name!r} is in no scene" for c in story.characters if c.name not in cast]
    described: dict[str, str] = {}
    for c in story.characters:
        other = described.setdefault(c.description.casefold(), c.name)
        if other != c.name:
            lines.append(
                f"{other!r} and {c.name!r} have the same description and will look nearly the "
                "same; add what tells them apart, such as hair or age"
            )
    return lines


def file_stem(name: str) -> str:
    """A character's name as a file name: letters, digits, - and _ only, so never a path."""
    kept = "".join(ch if _in_word(ch) or ch in "-_" else "_" for ch in tidy(name))
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)", kept, re.IGNORECASE)
    return f"{kept}_" if reserved or not kept else kept


def slug(title: str) -> str:
    """A title as a folder name: small letters, digits and -, at most 60; never empty."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].rstrip("-") or "story"


def _character(entry: CharacterEntry, place: str) -> Character:
    name = text.plain_name(_line(entry.name, f"{place}: 'name'"))
    if not any(unicodedata.category(ch)[0] in "LN" for ch in name) or not all(
        _in_word(ch) or ch in text.NAME_MARKS for ch in re.sub(r"(?<=\w)\.(?= |$)", "", name)
    ):
        raise StoryError(
            f"{place}: the name {name!r} may hold letters, digits, spaces, . - _ and ' only"
        )
    if (size := len(file_stem(name).encode())) > MAX_NAME_BYTES:
        raise StoryError(
            f"{place}: the name {name!r} takes {size} bytes as a file name; "
            f"at most {MAX_NAME_BYTES} fit"
        )
    place = f"{place} ({name})"
    description = text.clean_description(_line(entry.description, f"{place}: 'description'"))
    if not description:
        raise StoryError(f"{place}: 'description' is empty. Say who it is: \"a young woman\"")
    if "{" in description or "}" in description:
        raise StoryError(f"{place}: 'description' holds a brace; braces belong in scenes")
    if entry.noun is None:
        noun = text.noun_in(description)
        if noun is None:
            raise StoryError(
                f"{place}: no word for a person in {description!r}. "
                'Add a noun that stands in the description, e.g. noun = "woman"'
            )
    else:
        wanted = tidy(entry.noun)
        noun = text.whole_word(wanted, description) if re.fullmatch(r"[\w'-]+", wanted) else None
        if noun is None:
            raise StoryError(
                f"{place}: the noun {wanted!r} is not a word of the description {description!r}"
            )
    return Character(name=name, description=description, noun=noun)


def _check_distinct(characters: Sequence[Character], source: str) -> None:
    seen: dict[str, str] = {}
    for c in characters:
        stem = file_stem(c.name).casefold()
        if stem in seen:
            same = "twice" if seen[stem] == c.name else f"too like {seen[stem]!r}"
            raise StoryError(f"{source}: the name {c.name!r} is given {same}; names must differ")
        seen[stem] = c.name


def _in_word(ch: str) -> bool:
    return unicodedata.category(ch)[0] in "LMN"


def _line(value: str, place: str) -> str:
    for ch in value:
        if unicodedata.category(ch) in ("Cc", "Cs") and not ch.isspace():
            raise StoryError(f"{place} holds the control character U+{ord(ch):04X}; remove it")
    return tidy(value)


def _retitled(story: Story, title: str) -> Story:
    return Story(tidy(title)[:MAX_TITLE], story.characters, story.scenes, story.style)


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
