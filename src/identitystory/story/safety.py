"""What is never painted, and whose names are warned of (docs/safety.md).

A story is refused that asks for a sexual picture of somebody who may be a child, of somebody who
lives, or of somebody whom no word calls an adult: every doubt counts. The rule reads words, of the
whole story at once: an age in one scene counts in all. It cannot
be switched off; with IDENTITYSTORY_STRICT=1, for schools, it refuses every sexual word and every name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache

from ..errors import StoryError, quoted
from ..types import Character, Story
from .readings import Reading, lists, readings
from .text import names_in

STRICT = "IDENTITYSTORY_STRICT"
_PARTICLES = ("de", "van", "von", "der", "den", "al", "bin", "la", "le", "da", "di")
_N = r"(?:[0-9]|1[0-7])"
_AGES = re.compile(
    rf"\b{_N} ?(?:(?:years?|yrs?|months?)(?: old| of age)|yo\b|y o\b)"
    rf"|\b(?:age|aged|age of|ages|turning|turned|is|was|only|just) {_N}\b(?! [a-z]*(?:hundred|thousand))"
    r"|\bborn in 20(?:09|[1-9]\d)\b|\bteen(?:s|age|aged|ager|agers)?\b"
)


@cache
def _young() -> re.Pattern[str]:
    """``young`` with no word for an adult close behind it."""
    adult = "|".join(lists()["adults"])
    return re.compile(rf"\byoung(?:er|est)?\b(?!(?: [a-z]+){{0,4}} (?:{adult})\b)")


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
    searched: Iterable[str] = (),
    photos: Iterable[str] = (),
) -> None:
    """Nothing, if these words may be painted.

    Args:
        painted: what models read.
        place: where it stands, in the error.
        said: what is told beside the pictures; it may tell of an age.
        negative: what is kept out of the pictures.
        names: of characters.
        searched: what people are searched with; painted too.
        photos: names of those whose faces are of photos: real people.

    Raises:
        StoryError: they ask for what is never painted.
    """
    painted, names = list(painted), list(names)
    read = [*readings(*painted, *names), *readings(*searched)]
    without, painted = readings(*negative), [*painted, *searched]
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
    for text in painted:
        one = readings(text)
        if (sexual := _first(one, "sexual")) and not _first(one, "adults"):
            raise StoryError(
                f"{place} asks for a sexual picture ({sexual!r}) of somebody who is not said to be "
                "an adult; that is never painted"
            )


def check_character(character: Character, place: str) -> None:
    """`check_words` of somebody alone."""
    words = [f"{character.description} {character.wears}"]
    check_words(words, names=[character.name], place=place)


def check_story(story: Story, place: str, *prompts: str) -> None:
    """`check_words` of a whole story, and of ``prompts`` that its people are searched with.

    Raises:
        StoryError: they ask for what is never painted; it names the scene, if one alone asks for it.
    """
    try:
        _check_whole(story, place, *prompts)
    except StoryError:
        for number, scene in enumerate(story.scenes, 1):
            names = names_in(scene.text)
            check_words([scene.prompt], names=names, place=f"{place}: scene {number}")
        raise


def _painted(story: Story) -> list[str]:
    people = story.characters
    return [
        *(s.prompt for s in story.scenes),  # with style, clothes and places
        *(f"{c.description} {c.wears}" for c in people),
        *(c.searched.description for c in people if c.sought),
    ]


def _check_whole(story: Story, place: str, *prompts: str) -> None:
    people, scenes = story.characters, story.scenes
    check_words(
        _painted(story),
        said=[s.caption for s in scenes] + [says for s in scenes for _, says in s.dialogue],
        negative=[story.negative, *(s.negative for s in scenes)],
        names=[c.name for c in people],
        searched=prompts,
        photos=[c.name for c in people if c.consent],
        place=place,
    )


def full_names(*texts: str) -> list[str]:
    """Two and more capitalised words in a row that no list takes for a place: ``['Ada Lovelace']``."""
    found: dict[str, None] = {}
    places, openers = set(lists()["places"]), set(lists()["openers"])
    for text in texts:
        if not any(m[0][0].islower() for m in re.finditer(r"[^\W\d_]+", text)):
            continue  # a title, or all in capitals
        bare = re.sub(r"\{[^{}]*\}", "{}", text)
        if not any(map(str.isupper, bare[1:])):
            continue  # no two words with capitals
        for run in _capitalised(bare):
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
    read = readings(*_painted(story), *(c.name for c in story.characters))
    known = _first(read, "known").title()
    found = full_names(*texts)
    found += [known] * (known not in ("", *found))
    if not found:
        return []
    return [
        f"{quoted(found[:5])}: if that is a real person, ask them first; pictures of people "
        "who did not agree can harm them, and be against the law"
    ]
