"""What a writer expects of a picture, ``expect = ["Mara has red hair", "two people"]``: a closed grammar.

NAME is absent, NAME is present; NAME has, wears or is WORDS, NAME has no WORDS; nobody, one person,
two people; in, on or at a place or an hour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import StoryError, did_you_mean, quoted, shown
from ..types import Character, Scene, Story
from . import text

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCEPTED = (
    'it must be "NAME has WORDS" (or wears, is, has no), "NAME is absent" or "present", "nobody", '
    '"two people", or "in", "on" or "at" a place or an hour'
)


@dataclass(frozen=True)
class Expectation:
    """One line, understood.

    Attributes:
        line: as it was written.
        kind: what it is about.
        who: a character; empty where it is about the whole picture.
        words: what is to be read off the picture.
        count: of people.
        holds: False where it must not be so: ``is absent``, ``has no``.
    """

    line: str
    kind: Literal["looks", "presence", "people", "place"]
    who: str = ""
    words: str = ""
    count: int = 0
    holds: bool = True


def understood(line: str, story: Story, scene: Scene, place: str) -> Expectation:
    """What ``line`` expects of the picture of ``scene``; ``place`` names it in errors.

    Raises:
        StoryError: it is no sentence of the grammar, or names somebody who cannot be looked for.
    """
    said = " ".join(line.split()).rstrip(".")
    small = said.lower()
    if small == "nobody":
        return Expectation(line, "people", count=0)
    if many := re.fullmatch(rf"(\d|{'|'.join(NUMBERS)}) (?:person|people)", small):
        number = int(many[1]) if many[1].isdigit() else NUMBERS.index(many[1]) + 1
        return Expectation(line, "people", count=number)
    if re.fullmatch(r"(in|on|at) .+", small):
        return Expectation(line, "place", words=small)
    known = "|".join(re.escape(c.name) for c in sorted(story.characters, key=_length))
    sentence = r"\}? (is|has|wears)( no)? (.+)"
    told = re.fullmatch(rf"\{{?({known}){sentence}", said.replace("\u2019", "'"))
    told = told or re.fullmatch(rf"\{{?(.+?){sentence}", said)
    if told is None or (told[3] and told[2] != "has"):
        raise StoryError(f"{place}: 'expect' has {shown(line)}; {ACCEPTED}")
    who, words = text.plain_name(told[1]), told[4].lower()
    _check_who(who, story, place)
    if told[2] == "is" and words in ("absent", "present"):
        return Expectation(line, "presence", who, holds=words == "present")
    if who not in scene.cast:
        raise StoryError(
            f"{place}: 'expect' has {shown(line)}, but {who} is not in it; write {{{who}}} in its "
            f'prompt, or expect "{who} is absent"'
        )
    return Expectation(line, "looks", who, words, holds=not told[3])


def expectations(story: Story, scene: Scene, place: str) -> tuple[Expectation, ...]:
    """All of ``scene``; as `understood`."""
    return tuple(understood(line, story, scene, place) for line in scene.expect)


def _length(character: Character) -> int:
    return -len(character.name)


def _check_who(who: str, story: Story, place: str) -> None:
    names: Sequence[str] = [c.name for c in story.characters]
    if who not in names:
        hint = did_you_mean(who, names, otherwise=f" There are: {quoted(names)}.")
        raise StoryError(f"{place}: 'expect' names {shown(who)}, who is not a character.{hint}")
    if who not in [c.name for c in story.faced]:
        raise StoryError(
            f"{place}: 'expect' names {shown(who)}, who is painted from words alone and cannot be "
            "looked for"
        )
