"""What is never painted, and whose names are warned of (docs/safety.md).

A story is refused that asks for a sexual picture of somebody who may be a child, of somebody who
lives, or of somebody whom no word calls an adult: every doubt counts. The rule reads words, of the
whole story at once: an age in one scene counts in all. It cannot
be switched off; with IDENTITYSTORY_STRICT=1, for schools, it refuses every sexual word and every name.
"""

from __future__ import annotations

import os
import re
import tomllib
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib import resources

from ..errors import StoryError, quoted
from ..types import Character, Story

STRICT = "IDENTITYSTORY_STRICT"
# Letters of other alphabets, and signs, that look like Latin ones.
_LOOKS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0501\u04bb\u0458"
    "\u03bf\u03b1\u03b5\u03b9\u03c5@$",
    "aeopcyxisdhjoaeiuas",
)
_DIGITS = str.maketrans("0134578", "oieastb")
_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
)  # fmt: skip
_NUMBERS = {word: str(number) for number, word in enumerate(_WORDS)}
_MARKS = "[-_.*'\u2019/+]"
_IN_WORDS = re.compile(rf"{_MARKS}(?<=\w.){_MARKS}*(?=\w)")
_PARTICLES = ("de", "van", "von", "der", "den", "al", "bin", "la", "le", "da", "di")
_TWICE = re.compile(r"(.)\1+")
_N = r"(?:[0-9]|1[0-7])"
_AGES = re.compile(
    rf"\b{_N} ?(?:(?:years?|yrs?|months?)(?: old| of age)|yo\b|y o\b)"
    rf"|\b(?:age|aged|age of|ages|turning|turned|is|was|only|just) {_N}\b(?! [a-z]*(?:hundred|thousand))"
    r"|\bborn in 20(?:09|[1-9]\d)\b|\bteen(?:s|age|aged|ager|agers)?\b"
)


@cache
def _lists() -> dict[str, list[str]]:
    file = resources.files("identitystory") / "data" / "safety.toml"
    lists: dict[str, list[str]] = tomllib.loads(file.read_text(encoding="utf-8"))
    as_read = lambda entry: " ".join(_NUMBERS.get(word, word) for word in entry.split())
    return {name: [as_read(entry) for entry in entries] for name, entries in lists.items()}


@cache
def _entries(name: str) -> list[tuple[str, frozenset[str], tuple[str, ...]]]:
    """Each entry of a list, its words that stand as they are, and the beginnings of the others."""
    return [
        (
            re.escape(entry).replace(r"\*", "[a-z]*").replace(r"\ ", " "),
            frozenset(word for word in entry.split() if word[-1] != "*"),
            tuple(word[:-1] for word in entry.split() if word[-1] == "*"),
        )
        for entry in _lists()[name]
    ]


@cache
def _listed() -> frozenset[str]:
    """What makes a request sexual or somebody a child, without the stars."""
    return frozenset(e.removesuffix("*") for name in ("sexual", "minor") for e in _lists()[name])


@cache
def _young() -> re.Pattern[str]:
    """``young`` with no word for an adult close behind it."""
    adult = "|".join(_lists()["adults"])
    return re.compile(rf"\byoung(?:er|est)?\b(?!(?: [a-z]+){{0,4}} (?:{adult})\b)")


class Reading:
    """One way to read a text: small Latin letters and single blanks."""

    def __init__(self, text: str) -> None:
        """Without the innocent phrases, once and for all."""
        words = set(text.split())
        self.text, self.words = text, sorted(words)
        self.stems = words | {w[:-k] for w in words for k in (1, 2) if w.endswith("es"[-k:])}
        if innocent := self._pattern("innocent"):
            self.text = innocent.sub(" ", text)

    def find(self, name: str) -> str:
        """The first entry of a list that stands in the text, as it stands there; empty if none does."""
        pattern = self._pattern(name)
        return match[0] if pattern and (match := pattern.search(self.text)) else ""

    def _pattern(self, name: str) -> re.Pattern[str] | None:
        """Those entries of a list whose words all occur, as whole words; a star is any ending."""
        entries = [
            pattern
            for pattern, words, beginnings in _entries(name)
            if self.stems >= words and all(map(self._begins, beginnings))
        ]
        return re.compile(rf"\b(?:{'|'.join(entries)})(?:s|es)?\b") if entries else None

    def _begins(self, beginning: str) -> bool:
        """Whether a word begins so."""
        at = bisect_left(self.words, beginning)
        return at < len(self.words) and self.words[at].startswith(beginning)


def readings(*texts: str) -> list[Reading]:
    """The texts as they are written, and as they may be meant.

    Read as well: without signs inside words, with digits as letters, and with letters that stand apart
    drawn together.
    """
    flat = unicodedata.normalize("NFKD", "\n".join(texts)).casefold()
    if not flat.isascii():
        flat = "".join(ch for ch in flat if unicodedata.category(ch) not in ("Mn", "Cf"))
    flat = re.sub(r"[!|](?<=\w.)(?=\w)", "i", flat.translate(_LOOKS))
    found: dict[str, None] = {}
    for joined in (flat, _IN_WORDS.sub("", flat)):
        words = [_NUMBERS.get(word, word) for word in re.findall(r"[a-z0-9]+", joined)]
        mixed = {w: w.translate(_DIGITS) for w in set(words) if not (w.isalpha() or w.isdigit())}
        mixed |= {w: once for w in set(words) if (once := _TWICE.sub(r"\1", w)) in _listed()}
        for meant in (words, [mixed.get(w, w) for w in words] if mixed else words):
            apart = f" {' '.join(meant)} "
            drawn = re.sub(r" (?:[a-z0-9] ){3,}", _drawn, apart)
            found |= {apart: None, drawn: None}
    return [Reading(each) for each in found]


def _drawn(match: re.Match[str]) -> str:
    """Letters that stand apart as words: all, without the first, and the listed words in them."""
    whole = match[0].replace(" ", "")
    return f" {' '.join([whole, whole[1:], *_inside(whole)])} "


@lru_cache(maxsize=64)
def _inside(letters: str) -> list[str]:
    """The listed words that stand anywhere in ``letters``."""
    return sorted(word for word in _listed() if len(word) > 2 and word in letters)


def _first(read: Iterable[Reading], *names: str) -> str:
    """The first entry of these lists that is read anywhere; empty if there is none."""
    read = list(read)
    return next((found for name in names for r in read if (found := r.find(name))), "")


def _minor(read: Iterable[Reading]) -> str:
    """What tells of somebody who may be a child; empty if nothing does."""
    read = list(read)
    ages = (m[0] for r in read for p in (_AGES, _young()) if (m := p.search(r.text)))
    return next(ages, "") or _first(read, "minor")


def check_words(
    painted: Iterable[str],
    *,
    place: str,
    said: Iterable[str] = (),
    negative: Iterable[str] = (),
    names: Iterable[str] = (),
    photos: Iterable[str] = (),
) -> None:
    """Nothing, if these words may be painted.

    Args:
        painted: what models read.
        place: where it stands, in the error.
        said: what is told beside the pictures; it may tell of an age.
        negative: what is kept out of the pictures.
        names: of characters.
        photos: names of those whose faces are of photos: real people.

    Raises:
        StoryError: they ask for what is never painted.
    """
    painted, names = list(painted), list(names)
    read, without = readings(*painted, *names), readings(*negative)
    sexual = _first(read, "sexual") or _first(without, "dressed")
    if os.environ.get(STRICT, "") not in ("", "0"):
        if sexual:
            raise StoryError(f"{place} asks for a sexual picture ({sexual!r}); {STRICT} refuses it")
        if found := [*full_names(*painted), *filter(None, [_first(read, "known")])]:
            raise StoryError(f"{place} names {quoted(found[:5])}; {STRICT} refuses names of people")
    if not sexual:
        return
    told = [*read, *readings(*said)]
    asks = f"{place} asks for a sexual picture ({sexual!r}) of somebody who may be"
    if minor := _minor(told) or _first(without, "grown"):
        raise StoryError(f"{asks} a child ({minor!r}); that is never painted")
    real = _first(told, "known", "likeness") or next(iter(full_names(*painted, *names)), "")
    real = real or next(iter(photos), "")
    if real:
        raise StoryError(f"{asks} a real person ({real!r}); that is never painted")
    for read in map(readings, painted):
        if (sexual := _first(read, "sexual")) and not _first(read, "adults"):
            raise StoryError(
                f"{place} asks for a sexual picture ({sexual!r}) of somebody who is not said to be "
                "an adult; that is never painted"
            )


def check_character(character: Character, place: str) -> None:
    """`check_words` of somebody alone."""
    words = [f"{character.description} {character.wears}"]
    check_words(words, names=[character.name], place=place)


def check_story(story: Story, place: str, *prompts: str) -> None:
    """`check_words` of a whole story, and of ``prompts`` that its people are searched with."""
    people, scenes = story.characters, story.scenes
    check_words(
        [
            *(s.prompt for s in scenes),  # with style, clothes and places
            *(f"{c.description} {c.wears}" for c in people),
            *(c.searched.description for c in people if c.sought),
            *prompts,
        ],
        said=[s.caption for s in scenes] + [says for s in scenes for _, says in s.dialogue],
        negative=[story.negative, *(s.negative for s in scenes)],
        names=[c.name for c in people],
        photos=[c.name for c in people if c.consent],
        place=place,
    )


def full_names(*texts: str) -> list[str]:
    """Two and more capitalised words in a row that no list takes for a place: ``['Ada Lovelace']``."""
    found: dict[str, None] = {}
    places, openers = set(_lists()["places"]), set(_lists()["openers"])
    for text in texts:
        if not any(word[0].islower() for word in re.findall(r"[^\W\d_]+", text)):
            continue  # a title, or all in capitals
        for run in _capitalised(re.sub(r"\{[^{}]*\}", "{}", text)):
            while run and run[0] in openers:
                run = run[1:]
            while run and run[-1] in _PARTICLES:
                run = run[:-1]
            if len(run) > 1 and not places & set(run):
                found[" ".join(run)] = None
    return list(found)


def _capitalised(text: str) -> Iterator[list[str]]:
    """The runs of capitalised words, small particles of names in them."""
    run: list[str] = []
    for word, mark in re.findall(r"([^\W\d_][\w'\u2019-]*)|([^\w\s])", text):
        if mark == "." and run and len(run[-1]) == 1:
            continue  # of an initial
        if mark:
            yield run
            run = []
        elif word[0].isupper():
            run = [*run, owner := re.sub(r"['\u2019]s$", "", word)]
            if owner != word:
                yield run
                run = []
        elif run and word in _PARTICLES:
            run = [*run, word]
        else:
            yield run
            run = []
    yield run


def name_advice(story: Story) -> list[str]:
    """A line of warning if names in a story read like those of people who live."""
    texts = [s.text for s in story.scenes]
    texts += [f"{c.description} {c.wears}" for c in story.characters]
    known = _first(readings(*texts, *(c.name for c in story.characters)), "known").title()
    found = full_names(*texts)
    found += [known] * (known not in ("", *found))
    if not found:
        return []
    return [
        f"{quoted(found[:5])}: if that is a real person, ask them first; pictures of people "
        "who did not agree can harm them, and be against the law"
    ]
