"""What a story may say but probably does not mean, and what of its words no model reads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from ..errors import quoted
from ..types import Story
from .safety import name_advice
from .text import names_in, scenes_said

# Little words, of other languages than English those that English has not; they tell a text's language.
_LITTLE = {
    "English": "the a an with of in on at and is by to his her from",
    "German": "der das und ein eine einen einem einer mit auf ist sind dem den vom zum im",
    "French": "le la les une des avec dans est sont sur du et aux chez",
    "Spanish": "el la los las una con por en es y del un",
    "Italian": "il lo la gli una con nel nella della sulla di un che",
    "Portuguese": "uma com um na da dos das em o e ao",
    "Dutch": "het een van op met de en zijn naar",
    "Polish": "z na w i si\u0119 jest oraz przy nad",
}
_LISTED = {language: frozenset(words.split()) for language, words in _LITTLE.items()}
# What means something to other programs, and why it does not here.
_MARKS = {
    r"\([^()]*:\s*\d*\.?\d+\s*\)": " as a weight: leave the marks out",
    r"<\w+:[^<>]*>": ": no file is loaded by a prompt",
    r"\bBREAK\b": ": a prompt has no parts",
    r"\[[^\[\]]*\]": ": names stand in braces, {Mara}",
}
ABSENT = re.compile(
    r"\b(?:no|without(?:\s+(?:an?|any|the))?)\s+(?!(?:one|longer|more|doubt)\b)([a-z][\w-]*)",
    re.IGNORECASE,
)
MAX_NAMED = 3


def advice(story: Story) -> list[str]:
    """What is allowed but probably not meant, and what is not read: one line each."""
    lines = []
    named = [set(names_in(scene.text)) | set(scene.cast) for scene in story.scenes]
    scenes = list(enumerate(zip(story.scenes, named, strict=True), 1))
    for c in story.characters:
        word = re.compile(rf"(?<!\w){re.escape(c.name)}(?!\w)")
        if bare := [n for n, (s, there) in scenes if c.name not in there and word.search(s.text)]:
            lines.append(
                f"{scenes_said(bare)} say{'s' * (len(bare) == 1)} {c.name!r} without braces; "
                f"write {{{c.name}}} to put the character there"
            )
    if empty := [n for n, (_, there) in scenes if not there]:
        lines.append(
            f"{scenes_said(empty)} name{'s' * (len(empty) == 1)} no character in braces; "
            "nobody's face is kept"
        )
    lines += [
        f"{c.name!r} is in no scene" for c in story.characters if c.name not in set().union(*named)
    ]
    described: dict[str, str] = {}
    for c in story.faced:
        other = described.setdefault(c.description.casefold(), c.name)
        if other != c.name and not c.candidate:
            lines.append(
                f"{other!r} and {c.name!r} have the same description and will look nearly the "
                "same; add what tells them apart, such as hair or age, or choose each among several "
                "people: identitystory discover --candidates 6"
            )
    return [
        *lines,
        *name_advice(story),
        *_unread([s.prompt for s in story.scenes] + [c.description for c in story.characters]),
    ]


def _unread(texts: list[str]) -> Iterator[str]:
    """A line for each kind of words or marks that stands in ``texts`` and no model reads."""
    distinct = dict.fromkeys(word for text in texts for word in text.split())
    if words := [word for word in distinct if in_another_script(word)]:
        yield f"{_some(words)} not read: models read English, and Latin letters"
    for language in dict.fromkeys(filter(None, map(language_of, texts))):
        words = [w for t in texts if language_of(t) == language for w in _little(t, language)]
        yield f"{_some(words)} not read as {language}: models read English"
    for mark, why in _MARKS.items():
        if found := [shown for text in texts for shown in re.findall(mark, text)]:
            yield f"{_some(found)} not read{why}"
    if absent := [match for text in texts for match in ABSENT.finditer(text)]:
        things = ", ".join(dict.fromkeys(match[1] for match in absent))
        told = quoted(dict.fromkeys(match[0] for match in absent))
        yield (
            f"{told}: what a prompt names is likely to be painted; leave it out, or write "
            f'negative = "{things}"'
        )


def _some(shown: Iterable[str]) -> str:
    """``'a', 'b', 'c' and 2 more are``."""
    each = list(dict.fromkeys(shown))
    more = f" and {len(each) - MAX_NAMED} more" if len(each) > MAX_NAMED else ""
    return f"{quoted(each[:MAX_NAMED])}{more} {'is' if len(each) == 1 else 'are'}"


def in_another_script(word: str) -> bool:
    """Whether a letter of it is not a Latin one."""
    return not word.isascii() and any(
        ch.isalpha() and not unicodedata.name(ch, "LATIN").startswith("LATIN") for ch in word
    )


def language_of(text: str) -> str:
    """The language of other than English that it seems to be in, by its little words; empty if none."""
    words = frozenset(text.lower().split())
    found = {language: len(words & little) for language, little in _LISTED.items()}
    best = max(found, key=lambda language: found[language])  # English, if it has as many
    return best if found[best] > 1 and best != "English" else ""


def _little(text: str, language: str) -> list[str]:
    """The words of ``text`` that are little ones of a language, each once."""
    return [w for w in dict.fromkeys(text.lower().split()) if w in _LISTED[language]]
