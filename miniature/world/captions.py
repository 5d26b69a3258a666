"""Plain English for a record: a description of everybody, then what the scene shows.

A caption says between two and all of the attributes, at random, and every word of it is true: "a portrait of a young
woman with long red hair and freckles smiling on a beach at sunset, in a green shirt". People are named from the left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from . import words
from .colour import COLOURS
from .records import (
    CATEGORIES,
    INDOORS,
    Moment,
    Person,
    Place,
    Record,
    age_group,
    eye_colour,
    hair_colour,
    skin_group,
)
from .things import things_of

# Rooms where only a lit lamp tells the hour.
WITHOUT_WINDOW = frozenset({"library", "cafe", "studio", "plain wall"})


def _one(rng: np.random.Generator, options) -> str:
    return options[int(rng.integers(len(options)))]


def _article(phrase: str) -> str:
    if re.search(r"overalls|work clothes", phrase):
        return phrase
    return f"{'an' if phrase[0].lower() in 'aeiou' else 'a'} {phrase}"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _hair(person: Person, rng: np.random.Generator) -> str:
    if person.hair == "headscarf":
        scarf = _one(rng, words.HAIR["headscarf"]).format(person.accent)
        return scarf.replace("a orange", "an orange")
    if person.hair == "bald":
        rim = person.age > 40 and person.masc > 0.5
        return "a bald head" if rim else _one(rng, words.HAIR["bald"])
    colour = _one(rng, words.HAIR_COLOUR[hair_colour(person)])
    chance = rng.random()
    if chance < 0.10:
        return f"{colour} hair"
    phrase = _one(rng, words.HAIR[person.hair])
    if chance < 0.18:  # the cut alone
        return phrase.replace("{} ", "").replace("a afro", "an afro")
    return phrase.format(colour)


def _beard(person: Person, rng: np.random.Generator) -> str:
    phrase = _one(rng, words.BEARD[person.beard])
    if person.grey > 0.88 and person.beard != "stubble" and rng.random() < 0.6:
        return phrase.replace("a ", "a white ", 1)
    return phrase


def describe(person: Person, rng: np.random.Generator) -> str:
    """Who it is, by two to all of the traits: "an old man with a white beard and glasses"."""
    group, skin = age_group(person.age), skin_group(person.tone)
    sex = "man" if person.masc > 0.5 else "woman"
    noun = _one(rng, words.NOUNS[sex, group])
    much = rng.uniform(0.25, 1.0)  # how talkative this caption is
    say = lambda share: rng.random() < share * (0.4 + 0.6 * much)
    traits = []
    if say(0.95):
        traits.append(_hair(person, rng))
    if person.beard != "none" and say(0.95):
        traits.append(_beard(person, rng))
    if person.glasses != "none" and say(0.95):
        traits.append(_one(rng, words.GLASSES[person.glasses]))
    said_black = skin == "dark" and group != "teenager" and say(0.25)
    if said_black:
        noun = re.sub(r"\b(man|woman|boy|girl)$", r"Black \1", noun)
    elif say(0.5):
        traits.append(_one(rng, words.SKIN[skin]))
    if person.freckles > 0.35 and say(0.6):
        traits.append("freckles")
    if say(0.22):
        traits.append(f"{eye_colour(person)} eyes")
    absent = []
    if person.glasses == "none" and rng.random() < 0.05:
        absent.append(_one(rng, ("without glasses", "no glasses")))
    grown = group not in ("child", "teenager")
    if person.beard == "none" and sex == "man" and grown and rng.random() < 0.07:
        absent.append(_one(rng, ("without a beard", "no beard")))
    if not traits:
        traits.append(_hair(person, rng))
    rng.shuffle(traits)
    traits += [a for a in absent if a.startswith("no ")]
    without = "".join(f" {a}" for a in absent if a.startswith("without"))
    return f"{_article(noun)} with {_listed(traits)}{without}"


def clothes(moment: Moment, rng: np.random.Generator) -> str:
    """What somebody wears: "a red jacket over a white shirt"."""
    phrase = _one(rng, words.OUTFIT[moment.outfit])
    phrase = phrase.format(c=moment.colour, d=moment.second)
    phrase = re.sub(r"\ba orange\b", "an orange", phrase)
    return _article(phrase)


def _where(place: Place, rng: np.random.Generator, chance: float = 0.95) -> str:
    where = _one(rng, words.PLACE[place.name]) if rng.random() < chance else ""
    hours = list(words.HOUR[place.hour])
    if place.name in WITHOUT_WINDOW and place.hour in ("dawn", "day"):
        hours = [""]
    elif place.name in INDOORS:
        hours = ["", *hours]
    if place.name not in INDOORS:
        hours += words.OUTDOOR_HOUR.get(place.hour, ())
    hour = _one(rng, hours) if rng.random() < 0.85 else ""
    return " ".join(x for x in (where, hour) if x)


def scene(record: Record, who: int, rng: np.random.Generator, dressed: str = "") -> str:
    """What person ``who`` does, where, and in what: "smiling on a beach, in a red coat"."""
    moment = record.moments[who]
    doing = [_one(rng, words.EXPRESSION[moment.expression])]
    if record.framing == "half-body":
        doing.append(_one(rng, words.GESTURE[moment.gesture]))
    action = " and ".join(x for x in doing if x and rng.random() < 0.92)
    if not dressed and rng.random() < 0.72:
        how = _one(rng, ("in", "wearing", "dressed in"))
        dressed = f"{how} {clothes(moment, rng)}"
    parts = [" ".join(x for x in (action, _where(record.place, rng)) if x), dressed]
    if rng.random() < 0.35:
        parts.reverse()
    return ", ".join(x for x in parts if x)


def company(record: Record, rng: np.random.Generator, names: Sequence[str] = ()) -> str:
    """Two or three people, each called by name or described, then what they share or what each does."""
    moments = record.moments
    alike = len({m.expression for m in moments}) == 1
    same = len({(m.outfit, m.colour, m.second) for m in moments}) == 1
    people = []
    each = not alike and rng.random() < 0.6
    dress = not same and rng.random() < 0.45
    for k, (person, moment) in enumerate(zip(record.people, moments, strict=True)):
        text = names[k] if names else describe(person, rng)
        if each:
            text += f" {_one(rng, words.EXPRESSION[moment.expression])}".rstrip()
        if dress:
            text += f" {_one(rng, ('in', 'wearing'))} {clothes(moment, rng)}"
        people.append(text)
    joined = (
        " and ".join(people) if len(people) == 2 else f"{people[0]}, {people[1]} and {people[2]}"
    )
    action = _one(rng, words.EXPRESSION[moments[0].expression]) if alike else ""
    parts = [" ".join(x for x in (action, _where(record.place, rng)) if x)]
    if same and rng.random() < 0.7:
        parts.append(f"{_one(rng, ('in', 'wearing', 'dressed in'))} {clothes(moments[0], rng)}")
        if rng.random() < 0.35:
            parts.reverse()
    shared = ", ".join(x for x in parts if x)
    return f"{joined} {shared}".strip()


def _empty(record: Record, rng: np.random.Generator) -> str:
    """A place with nobody: "a kitchen at night with a cat, nobody in it"."""
    place = record.place
    text = _one(rng, words.VIEW[place.name])
    hour = _one(rng, words.HOUR[place.hour])
    if place.name in WITHOUT_WINDOW and place.hour in ("dawn", "day"):
        hour = ""
    things = [words.THING[t] for t in things_of(place)]
    if place.hour in ("sunset", "night") and place.name in words.LIT and rng.random() < 0.5:
        things.append(words.LIT[place.name])
    elif words.FEATURE[place.name] and rng.random() < 0.45:
        things.append(_one(rng, words.FEATURE[place.name]))
    rng.shuffle(things)
    text = " ".join(x for x in (text, hour) if x)
    if things and rng.random() < 0.85:
        text += f" with {_listed(things)}"
    if rng.random() < 0.6:
        text += f", {_one(rng, words.NOBODY)}"
    return text


def caption(record: Record, rng: np.random.Generator) -> str:
    """One wording for a record, drawn from ``rng``."""
    frame = _one(rng, words.FRAMING[record.framing])
    if record.framing == "nobody":
        body = _empty(record, rng)
    elif len(record.people) > 1:
        body = company(record, rng)
    else:
        who, what = describe(record.people[0], rng), scene(record, 0, rng)
        comma = "," if rng.random() < 0.2 and what else ""
        body = f"{who}{comma} {what}".strip()
    return f"{frame} {body}".strip()


def _vocabulary() -> tuple[str, ...]:
    found: set[str] = set()

    def take(value) -> None:
        if isinstance(value, str):
            found.update(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", value.lower()))
        elif isinstance(value, dict):
            for v in value.values():
                take(v)
        elif isinstance(value, tuple | list | frozenset):
            for v in value:
                take(v)

    tables = ("NOUNS", "SKIN", "HAIR_COLOUR", "HAIR", "BEARD", "GLASSES", "EXPRESSION", "GESTURE",
              "PLACE", "HOUR", "OUTDOOR_HOUR", "FRAMING", "NOBODY", "VIEW", "THING", "FEATURE", "LIT", "JOINING")  # fmt: skip
    for name in tables:
        take(getattr(words, name))
    for phrases in words.OUTFIT.values():
        take([p.format(c="red", d="red") for p in phrases])
    take([CATEGORIES["eyes"], COLOURS])
    return tuple(sorted(found))


# Every word that a caption can contain, in lower case, sorted.
VOCABULARY: tuple[str, ...] = _vocabulary()
