"""From what a writer types, ``{Mara} reads on a beach``, to the prompt T_i and its cast.

The cast is read off the placeholders, so prompt and cast cannot disagree, and every T_i carries
the same description c_j word for word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from ..types import Character

ARTICLES = ("a", "an", "the")
NAME_MARKS = " -_'\u00b7\u200c\u200d"  # in names beside letters and digits, of any script

# Where the first noun phrase of a description ends: what follows tells more of its head.
_ENDS = frozenset(
    [
        "with",
        "without",
        "in",
        "on",
        "at",
        "of",
        "from",
        "by",
        "to",
        "near",
        "under",
        "over",
        "behind",
        "against",
        "for",
        "after",
        "before",
        "between",
        "about",
        "like",
        "who",
        "whose",
        "whom",
        "that",
        "which",
        "and",
        "or",
        "but",
        "wearing",
        "dressed",
        "named",
        "called",
        "known",
        "holding",
        "carrying",
        "having",
        "aged",
    ]
)

_PLACEHOLDER = re.compile(r"(?:\b(?P<article>an?|the)\s+)?\{(?P<name>[^{}]*)\}", re.IGNORECASE)


class UnknownNameError(LookupError):
    """A placeholder names nobody; ``args[0]`` is the name as written."""


def fill(text: str, characters: Sequence[Character]) -> tuple[str, tuple[str, ...]]:
    """The prompt with every ``{Name}`` put into words, and the cast in order of mention.

    The first mention becomes the description, later ones ``the <noun>``. An article in front of a
    placeholder never doubles the description's own: ``the {Mara}`` is ``the old woman``.

    Raises:
        UnknownNameError: a placeholder names nobody.
        ValueError: a brace without its partner.
    """
    by_name = {c.name: c for c in characters}
    cast: list[str] = []

    def words(match: re.Match[str]) -> str:
        article, name = match["article"] or "", plain_name(match["name"])
        if name not in by_name:
            raise UnknownNameError(name)
        who = by_name[name]
        if name in cast:
            return f"{'The' if article[:1].isupper() else 'the'} {who.noun}"
        cast.append(name)
        own, bare = split_article(who.description)
        if not article:
            return who.description
        return f"{article} {bare}" if article.lower() == "the" or not own else who.description

    prompt = _PLACEHOLDER.sub(words, text)
    if "{" in prompt or "}" in prompt:
        raise ValueError("a brace without its partner")
    return prompt, tuple(cast)


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
    """Words for people, and words for animals and other beings: data/nouns.txt, from WordNet."""
    text = (resources.files("identitystory") / "data" / "nouns.txt").read_text(encoding="utf-8")
    people, others = (block for block in text.split("\n\n") if not block.startswith("#"))
    return frozenset(people.split()), frozenset(others.split())


def noun_in(description: str) -> str | None:
    """The word that says who a description is of: the head of its first noun phrase that is a person.

    ``granddaughter`` of "an old fisherman's granddaughter with long hair". None where no phrase has
    a person, and where the head is an animal or another being.
    """
    people, others = nouns()
    for phrase in _phrases(description):
        known = [w for w in phrase if {w.lower(), last_part(w)} & (people | others)]
        if known:
            head = known[-1]
            return head if {head.lower(), last_part(head)} & people else None
    return None


def last_part(word: str) -> str:
    """``driver`` of ``bus-driver``, in small letters."""
    return word.lower().rpartition("-")[2]


def _phrases(description: str) -> Iterator[list[str]]:
    """The words of each noun phrase, possessives left out."""
    phrase: list[str] = []
    for word, mark in re.findall(r"([\w-]+(?:['\u2019]\w*)?)|([,;:.()])", description):
        if mark or word.lower() in _ENDS:
            yield phrase
            phrase = []
        elif not re.search(r"['\u2019]", word):
            phrase.append(word)
    yield phrase


def plain_name(name: str) -> str:
    """A name as it is compared: tidy, with the typewriter's apostrophe."""
    return tidy(name).replace("\u2019", "'")


def whole_word(noun: str, description: str) -> str | None:
    """``noun`` as the description spells it, or None where it is not a whole word of it."""
    found = re.search(rf"(?<![\w-]){re.escape(noun)}(?![\w-])", description, re.IGNORECASE)
    return found.group() if found else None
