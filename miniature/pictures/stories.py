"""Stories in the miniature's words: ``python -m miniature.pictures.stories``.

40 sets of 10 scenes for ``identitystory evaluate``, 30 with one character and 10 with two: ordinary
people of both sexes, every age and every skin that the world has (its words have none for build),
each in all ten places, a portrait and a half-body in turn. Drawn from a seed and the captions' grammar.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from identitystory.story.sets import set_text

from ..paths import ROOT
from ..world.captions import FRAMING, INDOOR_PLACES, PLACE, SKIN, description, scene
from ..world.people import AGES, CLOTH_COLOURS, EXPRESSIONS, OUTFITS, SEXES, SKINS
from .dataset import PLACES_V0, POSES_V0

TARGET = ROOT / "src" / "identitystory" / "data" / "little_people.toml"
HEAD = """\
# 40 sets of 10 prompts in the words that the miniature knows: 30 with one character, 10 with two.
# Written by `python -m miniature.pictures.stories` from the grammar of the captions.
"""
ONE, TWO = 30, 10
NAMES = {
    "woman": "Ada Bea Cleo Dina Elin Fay Gwen Hope Ines Jana Kira Lena Mona Nell Orla Pia Rosa Sara "
    "Tess Uma Vera Wanda Yara Zoe Anna Beth Carla Dora Ella Greta",
    "man": "Abel Bram Cem Dan Eli Finn Gil Hans Ivo Jon Kai Leo Max Ned Omar Paul Quinn Raj Sam Tom "
    "Udo Vic Will Yan Zeno Adam Ben Carl Emil Fritz Glen",
}  # fmt: skip


def draw_person(rng: np.random.Generator, sex: str, age: str, skin: str) -> dict:
    """Facts of somebody ordinary of that sex, age and skin."""
    one = lambda options: options[int(rng.integers(len(options)))]
    hairs = {
        "woman": ["long", "short", "bob", "ponytail", "curly"],
        "man": ["short", "buzzed", "curly"],
    }
    hair = one(hairs[sex] + (["afro"] if skin == "dark" else []) + (["bald"] if (sex, age) in
               {("man", "middle-aged"), ("man", "old")} else []))  # fmt: skip
    colours = {
        "light": ["blond", "brown", "dark brown", "red", "black"],
        "brown": ["black", "dark brown", "brown"],
        "dark": ["black", "dark brown"],
    }
    colour = one(["gray", "white"]) if age == "old" else one(colours[skin])
    grown = sex == "man" and age != "child"
    return dict(
        sex=sex, age=age, skin=skin, hair=hair, hair_colour=colour, ancestry="mixed",
        beard=one(["none", "none", "full", "moustache", "goatee"]) if grown else "none",
        glasses="round" if rng.random() < 0.25 else "none", freckles=False, eyes="brown",
        framing="half-body",
    )  # fmt: skip


def describe(rng: np.random.Generator, facts: dict, *, with_skin: bool) -> str:
    """A wording with two traits or more; if asked, one that tells the skin."""
    while True:
        said = description(facts, rng)
        told = any(words in said for words in SKIN[facts["skin"]])
        if " with " in said and (" and " in said or "," in said) and (told or not with_skin):
            return said


def draw_scenes(rng: np.random.Generator, who: str, sexes: list[str]) -> list[str]:
    """Ten scenes for ``who`` ("{Ada}" or "{Ada} and {Tom}"), one in each place."""
    made = []
    outfits = [o for o in OUTFITS if "man" not in sexes or o not in ("dress", "blouse")]
    expressions = [*EXPRESSIONS] * 2
    rng.shuffle(expressions)
    for k, place in enumerate(rng.permutation(PLACES_V0)):
        framing = "portrait" if k % 2 == 0 and len(sexes) == 1 else "half-body"
        facts = dict(
            place=str(place), framing=framing, expression=expressions[k],
            hour=("day", "sunset", "night")[int(rng.integers(3))],
            pose="stand" if len(sexes) > 1 else POSES_V0[int(rng.integers(len(POSES_V0)))],
            outfit=outfits[int(rng.integers(len(outfits)))],
            colour=list(CLOTH_COLOURS)[int(rng.integers(len(CLOTH_COLOURS)))],
        )  # fmt: skip
        if place in INDOOR_PLACES:
            facts["hour"] = "day"
        said = ""
        while not any(words in said for words in PLACE[str(place)]):
            said = scene(facts, rng)
        made.append(f"{FRAMING[framing][0]} {who} {said}")
    return made


def sets() -> list[tuple[list[tuple[str, str]], list[str]]]:
    """((name, description) of each person, scenes) of all sets."""
    names = {sex: iter(text.split()) for sex, text in NAMES.items()}
    kinds = list(product(AGES, SKINS, SEXES))  # 24
    singles = (kinds * 2)[:ONE]
    pairs = [(kinds[(5 * k) % 24], kinds[(5 * k + 12 + k % 2) % 24]) for k in range(TWO)]
    made, seen = [], set()
    for number, group in enumerate([*((kind,) for kind in singles), *pairs]):
        rng = np.random.default_rng([40, number])
        cast = []
        for age, skin, sex in group:
            said = ""
            while not said or said in seen:
                facts = draw_person(rng, sex, age, skin)
                said = describe(rng, facts, with_skin=number < len(kinds))
            seen.add(said)
            cast.append((next(names[sex]), said))
        who = " and ".join(f"{{{name}}}" for name, _ in cast)
        made.append((cast, draw_scenes(rng, who, [sex for _, _, sex in group])))
    return made


def toml() -> str:
    """The file's text."""
    titled = ((" and ".join(name for name, _ in cast), cast, scenes) for cast, scenes in sets())
    return "\n".join([HEAD, *(set_text(*entry) for entry in titled)])


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(toml(), encoding="utf-8")
