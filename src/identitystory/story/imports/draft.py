"""What every importer makes: the people and pictures of somebody else's file, in our terms.

A reader only says what stands in its file, as people and `Shot`s. `drafted` does what is the same
for all: it takes out what a story file may not hold, puts names into braces and heeds the limits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...errors import StoryError, quoted
from .. import text
from ..schema import (
    MAX_CHARACTERS,
    MAX_DESCRIPTION,
    MAX_PROMPT,
    MAX_SCENES,
    MAX_STYLE,
    MAX_TITLE,
)

MAX_NAME = 36  # letters: as many fit into a file name in every script
MAX_HINT = 200
# Control characters, halves of characters, and marks that turn the direction of writing.
_HARMFUL = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True)
class Shot:
    """One picture, as the file tells it.

    Attributes:
        text: what it shows. A reader gives it as written; in a `Draft` names stand in braces.
        cast: who is in it, whether or not the text names them.
        place: where and when, in words that a prompt can end with.
        camera: how it is seen: ``close-up``.
        caption: to be read under the picture.
        dialogue: who says what; what somebody says who is no character is a comment.
        notes: what else a writer wants to know, such as the scene's number; no part of the picture.
    """

    text: str = ""
    cast: Sequence[str] = ()
    place: str = ""
    camera: str = ""
    caption: str = ""
    dialogue: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Draft:
    """A story that may lack something; `toml.story_text` writes it down.

    Attributes:
        title: empty if the file has none.
        style: of all pictures; empty if the file has none.
        people: description of each character by name, empty where the file has none.
        hints: what the file first says of a character without a description.
        shots: at least one.
        told: what the importer could not take over, one sentence each.
    """

    title: str
    style: str
    people: Mapping[str, str]
    hints: Mapping[str, str]
    shots: Sequence[Shot]
    told: Sequence[str] = ()


def plain(value: object) -> str:
    """A text on one line and without harmful characters; empty for what is no text."""
    return " ".join(_HARMFUL.sub("", value).split()) if isinstance(value, str) else ""


def drafted(
    people: Mapping[str, str],
    shots: Sequence[Shot],
    *,
    source: str,
    title: str = "",
    style: str = "",
    told: Iterable[str] = (),
) -> Draft:
    """The draft of what a reader found; ``source`` names the file in errors.

    Args:
        people: descriptions by name, of those whom the file describes; casts may name others.

    Raises:
        StoryError: there are no pictures, or more than a story may have.
    """
    if not shots:
        raise StoryError(f"{source}: no scene or shot was found in it")
    if len(shots) > MAX_SCENES:
        raise StoryError(
            f"{source}: {len(shots):,} pictures; at most {MAX_SCENES:,} are taken. Split the file"
        )
    told = [*told]

    def fitted(words: str, limit: int, what: str) -> str:
        kept, rest = _cut(words, limit)
        if rest:
            told.append(f"{what}: more than {limit} letters, left out: {rest}")
        return kept

    names = _names([*people, *(who for shot in shots for who in shot.cast)])
    seen = Counter(dict.fromkeys(names.values(), 0))
    seen.update(name for shot in shots for name in {names.get(who) for who in shot.cast} if name)
    if len(seen) > MAX_CHARACTERS:
        kept = {name for name, _ in seen.most_common(MAX_CHARACTERS)}
        left = [name for name in seen if name not in kept]
        told.append(
            f"{len(seen)} characters, a story takes {MAX_CHARACTERS}: {_first(left)} stay words"
        )
        names = {who: name for who, name in names.items() if name in kept}
    said = dict.fromkeys(names.values(), "")
    for who, description in people.items():
        if who in names:
            name, whole = names[who], text.clean_description(_bare(description))
            said[name] = said[name] or fitted(whole, MAX_DESCRIPTION, f"description of {name!r}")
    mention = _mention(said)
    hints: dict[str, str] = {}
    for shot in shots:
        for sentence in re.split(r"(?<=[.!?])\s", shot.text) if len(hints) < len(said) else ():
            for name in mention(sentence)[1]:
                hints.setdefault(name, plain(sentence)[:MAX_HINT])
    made = [_named(shot, names, mention) for shot in shots]
    return Draft(
        fitted(_bare(title), MAX_TITLE, "title"),
        fitted(_bare(style), MAX_STYLE, "style"),
        said,
        {name: hint for name, hint in hints.items() if not said[name]},
        made,
        tuple(told),
    )


class _Mention:
    """Puts the names of a text into braces."""

    def __init__(self, names: Iterable[str]) -> None:
        spelt = {form: name for name in names for form in (name.upper(), name)}
        forms = sorted(spelt, key=len, reverse=True)
        self._spelt = spelt
        self._any = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, forms)) or '(?!)'})(?!\w)")

    def __call__(self, said: str) -> tuple[str, list[str]]:
        """The text with names in braces, and whom it names, in order."""
        found: list[str] = []

        def braces(match: re.Match[str]) -> str:
            found.append(self._spelt[match[0]])
            return f"{{{found[-1]}}}"

        return self._any.sub(braces, said), list(dict.fromkeys(found))


_mention = _Mention


def _named(shot: Shot, names: Mapping[str, str], mention: _Mention) -> Shot:
    """The shot with its whole cast in its text, and everything within the limits."""
    cast = list(dict.fromkeys(names[who] for who in shot.cast if who in names))
    written, named = mention(_bare(shot.text).rstrip(" ."))
    absent = " and ".join(f"{{{name}}}" for name in cast if name not in named)
    written = f"{written}, with {absent}" if written and absent else written or absent
    written = ", ".join(filter(None, (written, _bare(shot.place), _bare(shot.camera))))
    written, rest = _cut(written, MAX_PROMPT)
    notes = [*map(plain, shot.notes), *([f"too long for a picture, left out: {rest}"] * bool(rest))]
    return replace(
        shot,
        text=written,
        cast=cast,
        caption=plain(shot.caption),
        dialogue=[(names.get(who, plain(who)), plain(says)) for who, says in shot.dialogue],
        notes=[note for note in notes if note],
    )


def _names(given: Iterable[str]) -> dict[str, str]:
    """The name in a story of each who is ``given``; those of the same letters are one person."""
    known: dict[str, str] = {}
    names: dict[str, str] = {}
    for who in dict.fromkeys(given):
        name = text.plain_name(_bare(who)[:200]).replace("#", " ")
        name = "".join(ch for ch in name if text.in_word(ch) or ch in text.NAME_MARKS + ".")
        name = text.tidy(re.sub(r"(?<!\w)\.|\.(?! |$)", " ", name)[:MAX_NAME])
        if any(ch.isalnum() for ch in name):
            key = "".join(ch if text.in_word(ch) else "_" for ch in name).casefold()
            names[who] = known.setdefault(key, name)
    return names


def _bare(said: str) -> str:
    """``said`` without braces, which have a meaning of their own in a story."""
    return plain(said).translate({ord("{"): None, ord("}"): None})


def _cut(said: str, limit: int) -> tuple[str, str]:
    """What fits into ``limit`` letters, to the end of a sentence or else a word, and the rest."""
    if len(said) <= limit:
        return said, ""
    whole = said[:limit]
    end = max(whole.rfind(". ") + 1, 0)
    end = end if end > limit // 2 else max(whole.rfind(" "), 0) or limit
    if whole[:end].count("{") != whole[:end].count("}"):
        end = whole[:end].rfind("{")
    return said[:end].strip(), said[end:].strip()


def _first(names: Sequence[str], count: int = 5) -> str:
    more = len(names) - count
    return quoted(names[:count]) + (f" and {more} more" if more > 0 else "")
