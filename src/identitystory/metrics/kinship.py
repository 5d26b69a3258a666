"""What relatives have in common, in words: ages that fit, and the looks that run in a family.

Where a checkpoint reads attributes off pictures (`attributes`), so that there are words for them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError, quoted
from .attributes import AttributeReader, Phrases, said
from .traits import completed

INHERITED = ("skin", "hair colour", "freckles", "eyes")
OF_AGE = ("gray", "white", "hidden")  # colours of hair that nobody inherits
AGES = {"child": (0, 12), "teenager": (13, 19), "young": (20, 39), "middle-aged": (40, 59), "old": (60, 99)}  # fmt: skip
RELATIONS = {"sibling": (-15, 15), "parent": (20, 50), "child": (-50, -20)}
SIGNS = {"older": 1, "younger": -1}  # one person at another age
MOST = 90  # years

Toss = Callable[[str], int]  # 0 or 1 for an attribute


@dataclass(frozen=True)
class Relation:
    """What somebody is to others.

    Attributes:
        name: one of `RELATIONS`, or ``older`` or ``younger``, who is the same person.
        years: how many they are older than these, least and most; below 0 they are younger.
    """

    name: str
    years: tuple[int, int]

    @property
    def text(self) -> str:
        """As `relation` reads it."""
        return self.name if self.name in RELATIONS else f"{self.name}={abs(self.years[0])}"


def relation(text: str) -> Relation:
    """The relation that ``sibling``, ``parent``, ``child``, ``older=20`` or ``younger=10`` names.

    Raises:
        ConfigError: it is none of these, or the years are not from 1 to 90.
    """
    name, _, years = text.strip().replace(" ", "=", 1).partition("=")
    if name in RELATIONS and not years:
        return Relation(name, RELATIONS[name])
    if name not in SIGNS:
        raise ConfigError(
            f"--as {text!r} is no relation; there are {quoted(RELATIONS)}, 'older=20' and 'younger=10'"
        )
    if not years:
        raise ConfigError(f"--as {text} does not say by how many years; write {name}=20")
    if not (years.isascii() and years.isdigit() and 1 <= int(years[:9]) <= MOST):
        raise ConfigError(f"--as {text!r}: the years must be a number from 1 to {MOST}")
    return Relation(name, (SIGNS[name] * int(years),) * 2)


def traits(
    description: str, shown: Sequence[Mapping[str, str]], phrases: Phrases
) -> dict[str, str]:
    """What somebody is like: what the description says, else, but for the sex, what most of their pictures show.

    Args:
        description: of one person.
        shown: attribute -> value of each picture, as `attributes.AttributeReader.read` gives it.
        phrases: as of `attributes.AttributeReader`.
    """
    told, found = said(description, phrases), {}
    for name in ("sex", "age", *INHERITED):
        values = told.get(name, frozenset())
        if len(values) == 1:
            (found[name],) = values
        elif name != "sex" and (seen := [each[name] for each in shown if name in each]):
            found[name] = Counter(seen).most_common(1)[0][0]
    return found


def inherited(
    description: str,
    noun: str,
    to: Relation,
    others: Sequence[Mapping[str, str]],
    reader: AttributeReader,
    toss: Toss,
) -> str:
    """The description of a relative, with the age and the looks that it leaves open.

    ``a woman``, 20 years older than a young woman with red hair, is ``a middle-aged woman with red hair``.
    Skin, hair, freckles and eyes are those of the others; where these differ a toss decides, but for
    skin, which is between theirs. Grey and white hair is nobody's to inherit. What the description says stays.

    Args:
        description: of the relative, as the story has it.
        noun: the class word in it.
        to: what they are to the others.
        others: `traits` of each.
        reader: whose phrases, and order of skins, these are.
        toss: see above.

    Raises:
        ConfigError: a relative of that kind has another age or, being the same person, another sex.
    """
    phrases = reader.phrases
    told = said(description, phrases)
    same = [o["sex"] for o in others if "sex" in o and to.name in SIGNS]
    if "sex" in told and not told["sex"].issuperset(same):
        raise ConfigError(f"{description!r} is to be the same person {to.name}, a {same[0]}")
    known = [o["age"] for o in others if o.get("age") in AGES]
    ages = fitting(to, known)
    may = told.get("age") or _ages(noun, phrases)
    right = [age for age in ages if age in may]
    if known and not right:
        raise ConfigError(
            f"{description!r} is of no age that fits: {_told(to)}, {quoted(known)}, may be "
            f"{quoted(sorted(ages, key=[*AGES].index)) or 'nobody'}; describe them so in the story"
        )
    if known and "age" not in told:
        description = _aged(description, noun, right[0], phrases)
    found = {}
    for name in INHERITED:
        values = sorted({o[name] for o in others if name in o and o[name] not in OF_AGE})
        if values and not (name == "hair colour" and right[:1] == ["old"]):
            found[name] = values[toss(name) * (len(values) - 1)]
    order = [*reader.values.get("skin", ())]
    if among := [order.index(o["skin"]) for o in others if o.get("skin") in order]:
        found["skin"] = order[(min(among) + max(among) + toss("skin")) // 2]
    return completed(description, [found], phrases)


def fitting(to: Relation, ages: Sequence[str]) -> list[str]:
    """The `AGES` that a relative of people of these ages may have, the likeliest first."""
    low, high = to.years
    fits = lambda a, b: AGES[a][0] <= AGES[b][1] + high and AGES[a][1] >= AGES[b][0] + low
    middles = [sum(AGES[age]) / 2 + (low + high) / 2 for age in ages] or [40]
    some = [age for age in AGES if all(fits(age, other) for other in ages)]
    return sorted(some, key=lambda age: abs(sum(AGES[age]) / 2 - sum(middles) / len(middles)))


def _ages(noun: str, phrases: Phrases) -> frozenset[str]:
    """The ages that somebody called so may have: a woman is no child."""
    table = phrases.get("age", {})
    return frozenset(
        v for p, some in table.items() if noun in p.split() for v in some
    ) or frozenset(AGES)


def _aged(description: str, noun: str, age: str, phrases: Phrases) -> str:
    """``a woman`` as ``an old woman``; as it was, where there are no such words."""
    table = phrases.get("age", {})
    ways = [p for p, values in table.items() if [*values] == [age] and noun in p.split()]
    if not ways:
        return description
    phrase = min(ways, key=lambda p: (len(p), p))
    made = re.sub(rf"\b{re.escape(noun)}\b", phrase, description, count=1)
    return re.sub(
        rf"\ban? (?={re.escape(phrase)}\b)", "an " if phrase[0] in "aeiou" else "a ", made
    )


def _told(to: Relation) -> str:
    if to.name in SIGNS:
        return f"somebody {abs(to.years[0])} years {to.name} than this one"
    return f"the {to.name} of somebody"
