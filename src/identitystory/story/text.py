"""From what a writer types, ``{Mara} reads on a beach``, to the prompt T_i and its cast.

The cast is read off the placeholders, so prompt and cast cannot disagree, and every T_i carries
the same description c_j word for word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TypeVar

from ..errors import StoryError
from ..types import Character
from ..wording import dressed

T = TypeVar("T")
ARTICLES = ("a", "an", "the")
MAX_SPANS = 12  # of scenes that a sentence names
NAME_MARKS = " -_'\u00b7\u200c\u200d"  # in names beside letters and digits, of any script

# Where a noun phrase ends: what follows tells more of its head, or is a phrase of its own.
_BOUNDS = """
with without in on at of from by to near under over behind against for after before between
about like who whose whom that which and or but wearing dressed named called known holding
carrying having aged a an the his her its their
"""
_ENDS = frozenset(_BOUNDS.split())
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")  # no white space

_PLACEHOLDER = re.compile(
    r"(?:\b(?P<article>an?|the)\s+)?\{(?P<name>[^{}]*)\}(?P<own>['\u2019]s\b)?", re.IGNORECASE
)


class UnknownNameError(LookupError):
    """A placeholder names nobody; ``args[0]`` is the name as written."""


def fill(
    text: str, characters: Sequence[Character], wears: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, tuple[str, ...]]:
    """The prompt with every ``{Name}`` put into words, and the cast in order of mention.

    The first mention becomes the description and what they wear, later ones ``the <noun>``. An
    article in front of a placeholder never doubles the description's own: ``the {Mara}`` is ``the
    old woman``. A first mention that owns something (``{Mara}'s dog``) is ``an old woman's``; what
    the description says behind its noun comes with the next mention, or at the end: ``the woman
    with grey hair``. Who is of ``words_only`` is put into words, and is not of the cast.

    Args:
        text: the scene as it is written.
        characters: who may be named.
        wears: clothes by name.

    Raises:
        UnknownNameError: a placeholder names nobody.
        ValueError: a brace without its partner.
    """
    by_name = {c.name: c for c in characters}
    unsaid: dict[str, str] = {}  # of those who were named, what is still to be said of them

    def words(match: re.Match[str]) -> str:
        article, name = match["article"] or "", plain_name(match["name"])
        if name not in by_name:
            raise UnknownNameError(name)
        who = by_name[name]
        if name in unsaid:
            said, rest = f"{'The' if article[:1].isupper() else 'the'} {who.noun}", unsaid[name]
        else:
            noun = _whole(who.noun, who.description)
            end = noun.end() if noun else len(who.description)
            said = _with_article(article, who.description[:end])
            rest = dressed(who.description, wears.get(name, ""))[end:]
        unsaid[name] = rest if match["own"] else ""
        return said + ("'s" if match["own"] else rest)

    prompt = _PLACEHOLDER.sub(words, text)
    if "{" in prompt or "}" in prompt:
        raise ValueError("a brace without its partner")
    late = [f"the {by_name[name].noun}{rest}" for name, rest in unsaid.items() if rest]
    prompt = ", ".join([prompt.rstrip(" .,;"), *late]) if late else prompt
    return prompt, tuple(name for name in unsaid if not by_name[name].words_only)


def names_in(text: str) -> list[str]:
    """The names in braces, in order."""
    return [plain_name(match["name"]) for match in _PLACEHOLDER.finditer(text)]


def with_locations(text: str, locations: Mapping[str, str]) -> str:
    """``text`` with the locations that it names in braces put into words, articles as in `fill`."""

    def words(match: re.Match[str]) -> str:
        place = locations.get(plain_name(match["name"]))
        said = place and _with_article(match["article"] or "", place) + (match["own"] or "")
        return said or match.group()

    return _PLACEHOLDER.sub(words, text)


def _with_article(article: str, phrase: str) -> str:
    """``phrase`` behind an article that may stand there: ``the``, or another if it has none itself."""
    own, bare = split_article(phrase)
    return phrase if not article or (own and article.lower() != "the") else f"{article} {bare}"


def split_article(description: str) -> tuple[str, str]:
    """``("a", "young man")`` of ``a young man``; the article is empty where there is none."""
    first, _, rest = description.partition(" ")
    return (first, rest) if rest and first.lower() in ARTICLES else ("", description)


def clean_description(description: str) -> str:
    """One line, a small leading article, no full stop at the end: fit for mid-sentence."""
    text = tidy(description).rstrip(" .,;")
    article, bare = split_article(text)
    return f"{article.lower()} {bare}" if article else text


def tidy(text: str) -> str:
    """NFC, with every run of white space one blank and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@cache
def nouns() -> tuple[frozenset[str], frozenset[str]]:
    """Words for people, and for animals, machines and other beings: data/nouns.txt, from WordNet."""
    text = (resources.files("identitystory") / "data" / "nouns.txt").read_text(encoding="utf-8")
    people, others = (block for block in text.split("\n\n") if not block.startswith("#"))
    return frozenset(people.split()), frozenset(others.split())


def noun_in(description: str) -> str | None:
    """The word that says who or what is described: the head of its first noun phrase with a known one.

    ``granddaughter`` of "an old fisherman's granddaughter with long hair", ``dog`` of "a police
    dog". None where no phrase has a person, an animal or a machine.
    """
    phrases = ([w for w in phrase if _is(w, 0, 1)] for phrase in _phrases(description))
    return next((known[-1] for known in phrases if known), None)


def is_person(noun: str) -> bool:
    """Whether a noun may have a human face: whatever is no animal, machine or other being."""
    return _is(noun, 0) or not _is(noun, 1)


def _is(word: str, *kinds: int) -> bool:
    """Whether a word is of those `nouns`, whole or behind its last hyphen."""
    return any({word.lower(), last_part(word)} & nouns()[kind] for kind in kinds)


def calls_black(text: str) -> bool:
    """Whether it calls somebody Black: with a capital letter, before a word for a person."""
    found = (phrase[phrase.index("Black") :] for phrase in _phrases(text) if "Black" in phrase)
    return any(_is(word, 0) for phrase in found for word in phrase)


def last_part(word: str) -> str:
    """``driver`` of ``bus-driver``, in small letters."""
    return word.lower().rpartition("-")[2]


def _phrases(description: str) -> Iterator[list[str]]:
    """The words of each noun phrase; a possessive is none that `nouns` has."""
    phrase: list[str] = []
    for word, mark in re.findall(r"([\w-]+(?:['\u2019]\w*)?)|([,;:.()])", description):
        if mark or word.lower() in _ENDS:
            yield phrase
            phrase = []
        else:
            phrase.append(word)
    yield phrase


def line(value: str, place: str) -> str:
    """``value`` tidied; a StoryError that names its ``place`` where it holds a control character."""
    if found := _CONTROL.search(value):
        raise StoryError(f"{place} holds the control character U+{ord(found[0]):04X}; remove it")
    return tidy(value)


def words(value: str, place: str) -> str:
    """A `line` without braces: names stand in scenes alone."""
    said = line(value, place)
    if "{" in said or "}" in said:
        raise StoryError(f"{place} holds a brace; braces belong in scenes")
    return said


def in_word(ch: str) -> bool:
    """Whether a character is a letter, a mark on one or a digit, of any script."""
    return unicodedata.category(ch)[0] in "LMN"


def plain_name(name: str) -> str:
    """A name as it is compared: tidy, with the typewriter's apostrophe."""
    return tidy(name).replace("\u2019", "'")


def by_name(given: Mapping[str, T], place: str) -> dict[str, T]:
    """What is given for each name, by its `plain_name`; a StoryError where two are the same."""
    named: dict[str, T] = {}
    for name, value in given.items():
        if plain_name(name) in named:
            raise StoryError(f"{place}: the name {plain_name(name)!r} is given twice; take one out")
        named[plain_name(name)] = value
    return named


def whole_word(noun: str, description: str) -> str | None:
    """``noun`` as the description spells it, or None where it is not a whole word of it."""
    found = _whole(noun, description)
    return found.group() if found else None


def _whole(noun: str, description: str) -> re.Match[str] | None:
    return re.search(rf"(?<![\w-]){re.escape(noun)}(?![\w-])", description, re.IGNORECASE)


def scenes_said(numbers: Sequence[int]) -> str:
    """Scenes in a sentence, ``scene 3`` or ``scenes 2, 5-9``, as ``--only`` reads them; many are cut short.

    Args:
        numbers: of the scenes from 1 on, ascending, at least one.
    """
    spans: list[list[int]] = []
    for n in numbers:
        if spans and n == spans[-1][-1] + 1:
            spans[-1].append(n)
        else:
            spans.append([n])
    named = [str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans[:MAX_SPANS]]
    more = sum(map(len, spans[MAX_SPANS:]))
    words = ", ".join(named) + (f" and {more} more" if more else "")
    return f"scene{'s' * (len(numbers) > 1)} {words}"
