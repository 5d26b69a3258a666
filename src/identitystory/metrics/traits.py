"""What portraits show and a description leaves open, in words that the checkpoint was taught."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .attributes import Phrases, said

TRAITS = ("skin", "hair colour", "hair", "beard", "glasses", "freckles", "eyes")
_ABSENT = ("none", "no", "hidden")
_NO_ARTICLE = re.compile(r"(hair|skin|stubble|\w+s)( .*)?$")


def completed(description: str, shown: Sequence[Mapping[str, str]], phrases: Phrases) -> str:
    """The description with the traits that all of several pictures show and it does not tell.

    ``a young woman`` becomes ``a young woman with dark skin and a black bun``; what it tells stays.

    Args:
        description: of one person.
        shown: attribute -> value of each picture, as `attributes.AttributeReader.read` gives it.
        phrases: as of `attributes.AttributeReader`.
    """
    common = {k: v for k, v in shown[0].items() if all(each[k] == v for each in shown)}
    told, added = said(description, phrases), list[str]()
    for trait in TRAITS:
        value = common.get(trait)
        if value is None or value in _ABSENT or trait in told:
            continue
        if trait == "hair" and "hair colour" in told:  # the colour was said with or without a cut
            continue
        for phrase in _ways(trait, value, common, phrases):
            new = said(", ".join([description, *added, phrase]), phrases)
            kept = all(new.get(k) == v for k, v in told.items())
            right = all(common.get(k) in v for k, v in new.items() if k not in told)
            if kept and right and new.get(trait) == frozenset({value}):
                told = new
                added.append(_with_article(phrase))
                break
    return _joined(description, added)


def _ways(trait: str, value: str, common: Mapping[str, str], phrases: Phrases) -> list[str]:
    """Phrases that may say so; of hair those first that say the cut as well."""
    table, cuts = phrases.get(trait, {}), phrases.get("hair", {})
    who = {key: phrases.get(key, {}) for key in ("sex", "age")}  # nobody is named a second time
    ways = [p for p, values in table.items() if [*values] == [value] and "*" not in p]
    ways = [p for p in ways if not said(p, who)]
    if trait != "hair colour":
        return sorted(ways, key=lambda p: (len(p), p))
    ways += [p.replace("*", value) for p in cuts if "*" in p]
    cut = frozenset({common.get("hair", "")})
    says_cut = lambda phrase: said(phrase, {"hair": cuts}).get("hair") == cut
    return sorted(ways, key=lambda p: (not says_cut(p), len(p), p))


def _with_article(phrase: str) -> str:
    if _NO_ARTICLE.search(phrase.partition(" with ")[0].partition(" over ")[0]):
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _joined(description: str, added: Sequence[str]) -> str:
    """``a girl with x`` and y, z: ``a girl with x, y and z``."""
    if not added:
        return description
    last = f" and {added[-1]}" if len(added) > 1 else added[-1]
    listed = ", ".join(added[:-1]) + last
    return f"{description}{', ' if ' with ' in description else ' with '}{listed}"
