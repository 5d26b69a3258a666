"""From what a writer types, ``{Mara} reads on a beach``, to the prompt T_i and its cast.

The cast is read off the placeholders, so prompt and cast cannot disagree, and every T_i carries
the same description c_j word for word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from importlib import resources

from ..types import Character

ARTICLES = ("a", "an", "the")

_NOUNS = resources.files("identitystory") / "story" / "person_nouns.txt"
PERSON_NOUNS = frozenset(_NOUNS.read_text(encoding="utf-8").split())

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
        article, name = match["article"] or "", tidy(match["name"])
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


def noun_in(description: str) -> str | None:
    """The first word of the description that is a person, or None."""
    for word in re.findall(r"[\w-]+", description):
        if word.lower() in PERSON_NOUNS:
            return word
    return None


def whole_word(noun: str, description: str) -> str | None:
    """``noun`` as the description spells it, or None where it is not a whole word of it."""
    found = re.search(rf"(?<![\w-]){re.escape(noun)}(?![\w-])", description, re.IGNORECASE)
    return found.group() if found else None
