"""Which words of a prompt a small model has never seen, and what it knows instead.

A checkpoint trained on few words carries ``vocabulary.json``, ``{"words": [...]}``; one without
it (SDXL) is taken to know everything.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .advice import in_another_script

FILE = "vocabulary.json"
CARD = "card.toml"
LIMIT = ("data", "people_in_a_picture")
MAX_NAMED = 12


def load_vocabulary(checkpoint: Path) -> frozenset[str] | None:
    """The words a checkpoint knows, small letters; None if it does not say.

    Raises:
        ModelError: the file is there but broken.
    """
    words = stated(checkpoint / FILE, json.loads, list, "words")
    return None if words is None else frozenset(str(word).lower() for word in words)


def stated(
    path: Path, parse: Callable[[str], Any], kind: type, *keys: str, needed: bool = True
) -> Any:
    """What a checkpoint's file says under ``keys``, a ``kind``; None if it has no such file.

    Unless it is ``needed`` there, None also if the file says nothing of it.
    """
    if not path.is_file():
        return None
    try:
        value = parse(path.read_text(encoding="utf-8"))
        for key in keys:
            if not needed and key not in value:
                return None
            value = value[key]
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        return value
    except (ValueError, KeyError, TypeError) as error:
        name = ".".join(keys)
        raise ModelError(f"{path} is broken: {name} cannot be read ({error})") from None


def words_of(prompt: str) -> list[str]:
    """The words of a prompt in order, small letters; numbers and signs left out."""
    return [w.strip("'") for w in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", prompt.lower())]


def unknown_words(
    prompts: Iterable[str], known: frozenset[str], told: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Each word the model has not seen, in order of appearance, with the nearest ones it has.

    The nearest are looked for, which is slow, for the first ``MAX_NAMED`` alone: no others are told.
    The parts of a known word with a hyphen (``half-body``) count as seen. Words in another script
    are left out, and those that were ``told`` already.
    """
    unknown: dict[str, tuple[str, ...]] = {}
    seen = known.union(told) | {part for word in known for part in word.split("-")}
    for each in dict.fromkeys(word for prompt in prompts for word in words_of(prompt)):
        word = each.removesuffix("'s")
        if word and word not in seen and word not in unknown and not in_another_script(word):
            unknown[word] = nearest(word, known) if len(unknown) < MAX_NAMED else ()
    return unknown


def nearest(word: str, known: frozenset[str], *, count: int = 2) -> tuple[str, ...]:
    """Known words with the same stem first, then those spelt most alike; at most ``count``."""
    stems = stems_of(word)
    same = sorted(k for k in known if stems & stems_of(k))
    alike = difflib.get_close_matches(word, sorted(known - set(same)), n=count, cutoff=0.75)
    return tuple((same + alike)[:count])


def stems_of(word: str) -> set[str]:
    """The word and what is left without a plural -s, -es, -ing or -ed: ``smiling`` has ``smil``."""
    stems = {word}
    for ending in ("'s", "s", "es", "ing", "ed", "e"):
        bare = word.removesuffix(ending)
        if bare != word and len(bare) >= 3:
            stems |= {bare, bare.removesuffix("e")}
            if bare[-1] == bare[-2]:  # running -> run
                stems.add(bare[:-1])
    return stems


def vocabulary_warning(unknown: dict[str, tuple[str, ...]]) -> str | None:
    """One line that names the unknown words and what to write instead; None if there are none."""
    if not unknown:
        return None
    named = [
        f"'{word}' (it knows {' and '.join(map(repr, near))})" if near else f"'{word}'"
        for word, near in list(unknown.items())[:MAX_NAMED]
    ]
    if len(unknown) > MAX_NAMED:
        named.append(f"and {len(unknown) - MAX_NAMED} more")
    return "the model has never seen " + ", ".join(named) + "; it will guess"


def crowd_warning(checkpoint: Path, casts: Sequence[int]) -> str | None:
    """A sentence if a scene has more people than the checkpoint's card says it has learned to paint.

    Args:
        checkpoint: the folder; its card may hold ``data.people_in_a_picture``.
        casts: how many characters each scene has.

    Raises:
        ModelError: the card is there but broken.
    """
    limit = stated(checkpoint / CARD, tomllib.loads, int, *LIMIT, needed=False)
    if limit is None or max(casts, default=0) <= limit:
        return None
    return (
        f"a scene has {max(casts)} people, but this model has learned {limit} in a picture: "
        "they will probably merge into one. Give each a scene of their own"
    )
