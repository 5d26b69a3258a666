"""Story files: TOML, or JSON with the same keys, checked and turned into a ``Story``.

Every mistake is a ``StoryError`` of one line that names the file and the place in it.
The JSON Schema of the format is docs/story.schema.json (``python -m identitystory.cli.reference``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import StoryError, shown
from ..types import Character, Story
from . import safety, text
from .imports.registry import read
from .poses import taken_over
from .scenes import check_ids, check_sizes, scene_of, written_shape
from .schema import (
    MAX_TITLE,
    CharacterEntry,
    StoryFile,
    first_mistake,
)
from .text import line, tidy, words

NOTHING = Story("", (), ())
# Who a character file tells of: what a story says of it (``mara.character`` or a name), the look that
# is wanted or None, and the place in the story for errors. The library and files are others' to read.
Cast = Callable[[str, str | None, str], Character]
MAX_NAME_BYTES = 150  # of a character as a file name, so that every file system takes it


def nobody(reference: str, look: str | None, place: str) -> Character:
    """The `Cast` where none is read: a StoryError."""
    raise StoryError(
        f"{place}: 'cast' is {shown(reference)}; a set of stories takes no character files, for it "
        "compares ways to find a face. Use generate, discover or extend"
    )


def load_story(path: str | Path, cast: Cast = nobody) -> Story:
    """The story in a TOML or JSON file (also the public ConsiStory-Human JSON).

    ``cast`` tells of those whose faces are in character files.

    Raises:
        StoryError: the file cannot be read, or something in it is wrong; one line, with the place.
    """
    source = str(path)
    other, data = read(Path(path), source)
    if other and other.story:
        return other.story(data, source, Path(path).stem)
    if other:
        raise StoryError(f"{source} is {other.name}; first run: identitystory import {source}")
    folder = Path(path).parent
    story = beside(make_story(data, source=source, cast=cast, folder=folder), Path(path))
    return story if story.title else _retitled(story, Path(path).stem)


def beside(story: Story, file: Path) -> Story:
    """``story``, its LoRAs looked for beside its ``file``."""
    return replace(story, loras=tuple(str(file.parent / lora) for lora in story.loras))


def inline_story(
    characters: Sequence[str], scenes: Sequence[str], *, style: str = "", title: str = ""
) -> Story:
    """A story from the command line: ``"Mara: a young woman with red hair"``, ``"{Mara} reads"``.

    ``"Nell (widow): an old widow"`` also says the noun.

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
    return _made(data | {"negative": known.negative}, "the command line", known)


def _inline(characters: Sequence[str], scenes: Sequence[str], style: str) -> dict[str, Any]:
    entries = []
    for given in characters:
        name, colon, description = given.partition(":")
        if not colon or not name.strip() or not description.strip():
            raise StoryError(
                f"--character {given!r} needs a name and a description: "
                '"Mara: a young woman with red hair"'
            )
        entry = {"name": name.strip(), "description": description.strip()}
        if with_noun := re.fullmatch(r"(.*\S)\s*\(([^()]*)\)", entry["name"]):
            entry |= {"name": with_noun[1], "noun": with_noun[2]}
        entries.append(entry)
    return {"style": style, "character": entries, "scene": [{"prompt": s} for s in scenes]}


def make_story(data: Any, *, source: str, cast: Cast = nobody, folder: Path | None = None) -> Story:
    """The story in a parsed TOML or JSON document; ``source`` names it in errors, ``cast`` as above.

    Pictures that it names lie in ``folder``; without one it can name none.

    Raises:
        StoryError: a key, type, length, name or placeholder is wrong.
    """
    if not isinstance(data, dict):
        raise StoryError(f"{source}: a story is a table with [[character]] and [[scene]]")
    for key, example in (("character", 'name = "Mara"'), ("scene", 'prompt = "{Mara} reads"')):
        if data.get(key, []) == []:
            raise StoryError(f"{source}: there are no {key}s. Add one: [[{key}]] with {example}")
    return _made(data, source, cast=cast, folder=folder)


def _made(
    data: Any,
    source: str,
    known: Story = NOTHING,
    cast: Cast = nobody,
    folder: Path | None = None,
) -> Story:
    """The story in ``data``, whose scenes may also name who and what is in the one that is ``known``."""
    try:
        entry = StoryFile.model_validate(data)
    except ValidationError as error:
        raise StoryError(f"{source}: {first_mistake(error)}") from None
    new = [
        _character(c, f"{source}: character {i}", cast) for i, c in enumerate(entry.character, 1)
    ]
    there = {(c.name, c.description) for c in known.characters}
    characters = known.characters + tuple(c for c in new if (c.name, c.description) not in there)
    _check_distinct(characters, source)
    locations = dict(known.locations)
    for name, said in text.by_name(entry.locations, f"{source}: 'locations'").items():
        locations[name] = words(said, f"{source}: location {name!r}")
        if not locations[name]:
            raise StoryError(
                f'{source}: location {name!r} is empty. Say what is there: "an old harbour by day"'
            )
    for c in characters:
        if c.name in locations:
            raise StoryError(f"{source}: {c.name!r} is a character and a location; rename one")
    story = Story(
        line(entry.title, f"{source}: 'title'"),
        characters,
        (),
        words(entry.style, f"{source}: 'style'"),
        written_shape(entry, source),
        words(entry.negative, f"{source}: 'negative'"),
        tuple(locations.items()),
        tuple(entry.lora),
    )
    made = [scene_of(s, story, source, i, folder) for i, s in enumerate(entry.scene, 1)]
    check_ids(made, source)
    check_sizes(made, source)
    story = replace(story, scenes=tuple(taken_over(made, source)))
    safety.check_story(story, source)
    return story


def file_stem(name: str) -> str:
    """A character's name as a file name: letters, digits, - and _ only, so never a path."""
    kept = "".join(ch if text.in_word(ch) or ch in "-_" else "_" for ch in tidy(name))
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
    return ch.casefold() if text.in_word(ch) else "-"


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


def _character(entry: CharacterEntry, place: str, cast: Cast = nobody) -> Character:
    name = text.plain_name(line(entry.name, f"{place}: 'name'"))
    if not any(unicodedata.category(ch)[0] in "LN" for ch in name) or not all(
        text.in_word(ch) or ch in text.NAME_MARKS for ch in re.sub(r"(?<=\w)\.(?= |$)", "", name)
    ):
        raise StoryError(
            f"{place}: the name {name!r} may hold letters, digits, spaces, - _ and ' only, and '.' "
            "at the end of a word, as in 'J. R. Fox'"
        )
    if (size := len(file_stem(name).encode())) > MAX_NAME_BYTES:
        raise StoryError(
            f"{place}: the name {name!r} takes {size} bytes as a file name; "
            f"at most {MAX_NAME_BYTES} fit"
        )
    place = f"{place} ({name})"
    known = _known(entry, place, cast)
    if known is not None:  # a story's own words come before the file's
        said = {"wears": known.wears} if "wears" not in entry.model_fields_set else {}
        if not entry.description:
            said |= {"description": known.description, "noun": entry.noun or known.noun}
        entry = entry.model_copy(update=said)
    description = text.clean_description(words(entry.description, f"{place}: 'description'"))
    if not description:
        raise StoryError(f"{place}: 'description' is empty. Say who it is: \"a young woman\"")
    noun = text.noun_in(description)
    if entry.noun is not None:
        wanted = tidy(entry.noun)
        noun = text.whole_word(wanted, description) if re.fullmatch(r"[\w'-]+", wanted) else None
        if noun is None:
            raise StoryError(
                f"{place}: the noun {wanted!r} is not a word of the description {description!r}"
            )
    if noun is None:
        raise StoryError(
            f"{place}: no word for a person in {description!r}. "
            'Add a noun that stands in the description, e.g. noun = "woman"'
        )
    if entry.identity and not text.is_person(noun):
        raise StoryError(
            f"{place}: {noun!r} is no person, and has no face to keep; with identity = false in a "
            "story file it is painted from its words alone"
        )
    wears = words(entry.wears, f"{place}: 'wears'")
    seed = entry.seed or 0
    who = Character(name, description, noun, wears, words_only=not entry.identity, seed=seed)
    safety.check_character(who, place)
    if known is None:
        return who
    return replace(who, face=known.face, file=known.file, consent=known.consent)


def _known(entry: CharacterEntry, place: str, cast: Cast) -> Character | None:
    """Who the character file of an entry tells of; None if it names none."""
    if entry.seed is not None and (entry.cast is not None or not entry.identity):
        raise StoryError(
            f"{place}: 'seed' is of the search for a face, and there is none; take 'seed' out"
        )
    if entry.cast is not None and entry.identity:
        return cast(entry.cast, entry.look, place)
    if entry.look is not None or entry.cast is not None:
        key, with_ = ("cast", "identity = true") if entry.cast is not None else ("look", "'cast'")
        raise StoryError(f"{place}: {key!r} goes with {with_}; add it, or take {key!r} out")
    return None


def _check_distinct(characters: Sequence[Character], source: str) -> None:
    seen: dict[str, str] = {}
    for c in characters:
        stem = file_stem(c.name).casefold()
        if stem in seen:
            same = "twice" if seen[stem] == c.name else f"too like {seen[stem]!r}"
            raise StoryError(f"{source}: the name {c.name!r} is given {same}; names must differ")
        seen[stem] = c.name


def _retitled(story: Story, title: str) -> Story:
    return replace(story, title=tidy(title)[:MAX_TITLE])
