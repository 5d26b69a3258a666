"""Story files: TOML, or JSON with the same keys, checked and turned into a ``Story``.

Every mistake is a ``StoryError`` of one line that names the file and the place in it.
The JSON Schema of the format is docs/story.schema.json (``python -m identitystory.cli.reference``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import types
from ..errors import ConfigError, StoryError, did_you_mean, quoted
from ..sizes import shape_of
from ..types import Character, Scene, Story
from . import text
from .consistory_json import is_human_json, read_human_json
from .document import read_document
from .schema import MAX_TITLE, CharacterEntry, SceneEntry, StoryFile, first_mistake
from .text import tidy

MAX_NAME_BYTES = 150  # of a character as a file name, so that every file system takes it


def load_story(path: str | Path) -> Story:
    """The story in a TOML or JSON file (also the public ConsiStory-Human JSON).

    Raises:
        StoryError: the file cannot be read, or something in it is wrong; one line, with the place.
    """
    source = str(path)
    data = read_document(Path(path), source)
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
    data = _inline(characters, scenes, style) | {"title": title}
    story = make_story(data, source="the command line")
    return story if story.title else _retitled(story, re.sub(r"[{}]", "", story.scenes[0].text))


def more_scenes(
    known: Story, characters: Sequence[str], scenes: Sequence[str], *, style: str | None = None
) -> Story:
    """More scenes of a story from the command line, with its characters as they are, and new ones.

    Args:
        known: whose characters the scenes may name.
        characters: new ones, as `inline_story` has them; one of ``known`` may be given again.
        scenes: the new ones alone.
        style: of the new scenes; None is that of ``known``.

    Raises:
        StoryError: as ``inline_story``; a new character is called like another.
    """
    data = _inline(characters, scenes, known.style if style is None else style)
    return _made(data, "the command line", known.characters)


def _inline(characters: Sequence[str], scenes: Sequence[str], style: str) -> dict[str, Any]:
    entries = []
    for given in characters:
        name, colon, description = given.partition(":")
        if not colon or not name.strip() or not description.strip():
            raise StoryError(
                f"--character {given!r} needs a name and a description: "
                '"Mara: a young woman with red hair"'
            )
        entries.append({"name": name.strip(), "description": description.strip()})
    return {"style": style, "character": entries, "scene": [{"prompt": s} for s in scenes]}


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
    return _made(data, source)


def _made(data: Any, source: str, known: tuple[Character, ...] = ()) -> Story:
    """The story in ``data``, whose scenes may also name those who are ``known``."""
    try:
        entry = StoryFile.model_validate(data)
    except ValidationError as error:
        raise StoryError(f"{source}: {first_mistake(error)}") from None
    new = [_character(c, f"{source}: character {i}") for i, c in enumerate(entry.character, 1)]
    there = {(c.name, c.description) for c in known}
    characters = known + tuple(c for c in new if (c.name, c.description) not in there)
    _check_distinct(characters, source)
    style = _line(entry.style, f"{source}: 'style'")
    if "{" in style or "}" in style:
        raise StoryError(f"{source}: 'style' holds a brace; braces belong in scenes")
    title = _line(entry.title, f"{source}: 'title'")
    made = [
        replace(
            make_scene(s.prompt, characters, style=style, source=source, number=i),
            shape=_shape(s, f"{source}: scene {i}"),
        )
        for i, s in enumerate(entry.scene, 1)
    ]
    return Story(title, characters, tuple(made), style, _shape(entry, source))


def _shape(entry: StoryFile | SceneEntry, place: str) -> str:
    size = entry.size
    try:
        return shape_of("{}x{}".format(*size) if isinstance(size, list) else size, entry.aspect)
    except ConfigError as error:
        raise StoryError(f"{place}: {error}") from None


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
    """A title as a folder name: small letters of any script, digits and -; never empty.

    Latin letters lose their accents. At most 60 characters and 150 bytes.
    """
    kept = "".join(_plain_letter(ch) for ch in tidy(title))
    name = re.sub(r"-+", "-", kept).strip("-")[:60]
    return name.encode()[:150].decode("utf-8", "ignore").strip("-") or "story"


def _plain_letter(ch: str) -> str:
    base = unicodedata.normalize("NFKD", ch).encode("ascii", "ignore").decode().lower()
    if base:
        return re.sub(r"[^a-z0-9]+", "-", base)
    return ch.casefold() if _in_word(ch) else "-"


def make_character(name: str, description: str, noun: str | None, *, place: str) -> Character:
    """Somebody of a story; ``place`` names them in errors, ``noun`` is found if it is None.

    Raises:
        StoryError: a name that is none, an empty description, or no word for a person in it.
    """
    try:
        entry = CharacterEntry(name=name, description=description, noun=noun)
    except ValidationError as error:
        raise StoryError(f"{place}: {first_mistake(error)}") from None
    return _character(entry, place)


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
    return replace(story, title=tidy(title)[:MAX_TITLE])
