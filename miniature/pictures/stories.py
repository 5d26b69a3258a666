"""Stories in the miniature's words: ``python -m miniature.pictures.stories``.

Writes the package's ``little_people``, 40 sets of 10 scenes for ``identitystory evaluate`` and
``bench``: 30 with one character, 10 with two, people of both sexes, every age and every skin; and
``benchmarks/held_out_stories.json``, 20 stories of four scenes, one of them a place and an expression
that no training saw together. Drawn from seeds and the captions' grammar; none of these people was
ever drawn for training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count, product

import numpy as np

from identitystory.story.sets import set_text

from ..paths import ROOT
from ..world.captions import company, describe, scene
from ..world.records import (
    CATEGORIES,
    EXPRESSIONS,
    PLACES,
    Person,
    Place,
    Record,
    age_group,
    skin_group,
)
from ..world.sampling import draw_moment, draw_person, draw_record
from ..world.words import FRAMING, PLACE, SKIN
from .recipe import HELD_OUT, HELD_OUT_SCENES

SETS = ROOT / "src" / "identitystory" / "data" / "little_people.toml"
HELD_OUT_STORIES = ROOT / "benchmarks" / "held_out_stories.json"
HEAD = """\
# 40 sets of 10 prompts in the words that the miniature knows: 30 with one character, 10 with two.
# Written by `python -m miniature.pictures.stories` from the grammar of the captions.
"""
ONE, TWO, SCENES = 30, 10, 10
WIDE = "384x256"  # of a picture of two
FIRST = HELD_OUT + 500_000  # numbers of people whom no set has
NAMES = {
    "woman": "Ada Bea Cleo Dina Elin Fay Gwen Hope Ines Jana Kira Lena Mona Nell Orla Pia Rosa Sara "
    "Tess Uma Vera Wanda Yara Zoe Anna Beth Carla Dora Ella Greta",
    "man": "Abel Bram Cem Dan Eli Finn Gil Hans Ivo Jon Kai Leo Max Ned Omar Paul Quinn Raj Sam Tom "
    "Udo Vic Will Yan Zeno Adam Ben Carl Emil Fritz Glen",
}  # fmt: skip
HAIR = re.compile(
    r"\b(hair|bob|quiff|cut|curls|locs|dreadlocks|braids?|ponytail|pigtails|bun|afro|puffs|head"
    r"|headscarf|hijab)\b"
)
VAGUE = re.compile(r"\b(teenager|without|no)\b")
Cast = list[tuple[str, str]]


def kind(person: Person) -> tuple[str, str, str]:
    """Age, skin and sex as words."""
    sex = "man" if person.masc > 0.5 else "woman"
    return age_group(person.age), skin_group(person.tone), sex


def somebody(wanted: tuple[str, str, str], numbers: Iterator[int]) -> Person:
    """The next person of that age, skin and sex."""
    return next(p for p in map(draw_person, numbers) if kind(p) == wanted)


def described(person: Person, rng: np.random.Generator, *, with_skin: bool) -> str:
    """A wording that tells sex, hair and more, and nothing that is absent; if asked, the skin."""
    skins = (*SKIN[skin_group(person.tone)], "Black")
    while True:
        said = describe(person, rng)
        told = " and " in said and HAIR.search(said)
        if with_skin:
            told = told and any(words in said for words in skins)
        if told and not VAGUE.search(said):
            return said


def prompt_of(record: Record, names: list[str], rng: np.random.Generator) -> str:
    """A prompt for ``record`` that says where it is."""
    framing = FRAMING[record.framing][0]
    who = [f"{{{name}}}" for name in names]
    while True:
        told = company(record, rng, who) if len(who) > 1 else f"{who[0]} {scene(record, 0, rng)}"
        if any(words in told for words in PLACE[record.place.name]):
            return f"{framing} {told}"


def scenes_of(people: list[Person], names: list[str], rng: np.random.Generator) -> list[str]:
    """Ten scenes in ten places; alone, a portrait and a half-body in turn."""
    made = []
    expressions = rng.permutation(list(EXPRESSIONS) * 2)
    for k, place in enumerate(rng.permutation(PLACES)[:SCENES]):
        framing = ("portrait", "half-body")[k % 2] if len(people) == 1 else "pair"
        drawn = draw_record(rng, people, framing)
        if len(people) == 1:
            shown = draw_moment(rng, people[0], framing, expression=str(expressions[k]))
            moments: tuple = (shown,)
        else:
            moments = drawn.moments
        where = Place(str(place), drawn.place.hour, drawn.place.seed)
        made.append(prompt_of(Record(tuple(people), moments, where, framing), names, rng))
    return made


def groups() -> list[list[Person]]:
    """The people of each set: every kind of age, skin and sex in turn."""
    kinds = list(product(*(CATEGORIES[k] for k in ("age", "skin", "sex"))))  # 40
    turns: list[tuple[int, ...]] = [(k,) for k in range(ONE)]
    swapped = [k if k // 2 % 2 else k ^ 1 for k in range(TWO)]  # four pairs are of one sex
    turns += [(ONE + k, ONE + TWO + other) for k, other in enumerate(swapped)]
    numbers = count(FIRST)
    return [[somebody(kinds[7 * k % len(kinds)], numbers) for k in some] for some in turns]


def sets() -> list[tuple[Cast, list[str]]]:
    """Who is in each set, name and description, and its scenes."""
    names = {sex: iter(text.split()) for sex, text in NAMES.items()}
    made, seen = [], set()
    for number, people in enumerate(groups()):
        rng, cast = np.random.default_rng([40, number]), []
        for person in people:
            said = ""
            while not said or said in seen:
                said = described(person, rng, with_skin=number % 2 == 0)
            seen.add(said)
            cast.append((next(names[kind(person)[2]]), said))
        made.append((cast, scenes_of(people, [name for name, _ in cast], rng)))
    return made


def toml() -> str:
    """The text of ``little_people``."""
    texts = [
        set_text(" and ".join(n for n, _ in cast), cast, scenes, size=WIDE if len(cast) > 1 else "")
        for cast, scenes in sets()
    ]
    return "\n".join([HEAD, *texts])


def held_out(stories: int = 20) -> list[dict[str, object]]:
    """Person, description and scenes of each story; the last scene is a held-out one."""
    apart, made = sorted(HELD_OUT_SCENES), []
    for number in range(stories):
        rng, person = np.random.default_rng([41, number]), draw_person(HELD_OUT + number)
        said, scenes = described(person, rng, with_skin=False), []
        for k in range(4):
            framing = ("portrait", "half-body")[k % 2]
            record = draw_record(rng, [person], framing)
            if k == 3:
                place, expression = apart[number % len(apart)]
                moment = draw_moment(rng, person, framing, expression=expression)
                where = Place(place, record.place.hour, record.place.seed)
                record = Record((person,), (moment,), where, framing)
            scenes.append(prompt_of(record, ["Person"], rng))
        made.append(dict(person=HELD_OUT + number, description=said, scenes=scenes))
    return made


def held_out_json() -> str:
    """The text of ``held_out_stories.json``."""
    return json.dumps(held_out(), indent=1) + "\n"


if __name__ == "__main__":
    SETS.write_text(toml(), encoding="utf-8")
    HELD_OUT_STORIES.write_text(held_out_json(), encoding="utf-8")
