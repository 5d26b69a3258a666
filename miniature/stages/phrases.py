"""What phrases of a prompt say: the captions' grammar, turned round, for the attribute reader."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..world import words

_FRONT = r"(?:in front of|with|looking|holding|in|on|by|at|among|near|under) "  # says nothing


def bare(phrase: str) -> str:
    """``"in front of a plain wall"`` -> ``"plain wall"``: what of a phrase tells something."""
    return re.sub(r"^(?:an?|the) ", "", re.sub(f"^{_FRONT}", "", phrase))


def phrases(values: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, list[str]]]:
    """Attribute -> phrase -> the values that captions say with it; ``*`` stands for a few words."""
    made: dict[str, dict[str, set[str]]] = {k: {} for k in values}

    def add(attribute: str, phrase: str, value: str) -> None:
        if phrase and value in values[attribute]:
            made[attribute].setdefault(phrase, set()).add(value)

    for (sex, age), nouns in words.NOUNS.items():
        for noun in nouns:
            add("sex", noun, sex)
            add("age", noun, age)
    tables = {
        "skin": words.SKIN, "beard": words.BEARD, "glasses": words.GLASSES,
        "expression": words.EXPRESSION, "gesture": words.GESTURE, "place": words.PLACE,
        "hour": words.HOUR, "framing": words.FRAMING,
    }  # fmt: skip
    for attribute, table in tables.items():
        for value, options in table.items():
            for option in options:
                add(attribute, bare(option), value)
    for noun in ("man", "woman"):
        add("skin", f"black {noun}", "dark")
    add("freckles", "freckles", "yes")
    for value in values["eyes"]:
        add("eyes", f"{value} eyes", value)
    _hair(add)
    for colour in values["colour"]:
        for outfit, options in words.OUTFIT.items():
            for option in options:
                add("outfit", bare(re.sub(r" ?\{[cd]\} ?", " ", option).strip()), outfit)
                # The first colour is the garment's own; "red and blue" would leave nothing of it.
                own = re.sub(r" (?:over|and|with) .*", "", option.format(c=colour, d="*"))
                if own != colour:
                    add("colour", own, colour)
    # Where one phrase may mean all values it says nothing; "a man" says no age.
    made["age"] = {k: v for k, v in made["age"].items() if len(v) == 1}
    told = {k: {p: v for p, v in t.items() if len(v) < len(values[k])} for k, t in made.items()}
    return {k: {p: sorted(v) for p, v in sorted(t.items())} for k, t in told.items()}


def _hair(add) -> None:
    """Styles, with the colour as ``*``, and colours before what hair ends with."""
    endings = set()
    for value, options in words.HAIR.items():
        for option in options:
            _, gap, after = option.partition("{}")
            endings |= {after.strip()} if gap and after.strip() else set()
            add("hair", bare(option.replace("{} ", "* ")).removeprefix("* "), value)
    for value, options in words.HAIR_COLOUR.items():
        for option in options:
            for ending in endings:
                add("hair colour", f"{option} {ending}", value)
