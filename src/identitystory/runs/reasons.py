"""Why a picture would be painted anew: what differs between what it was made from and the plan."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .files import canonical

Facts = Mapping[str, Any]  # what a picture tells of itself, see `plan.Part`
Kind = Literal[
    "words", "cast", "style", "seed", "setting", "method", "checkpoint", "beside", "file"
]

_SCENE: dict[str, tuple[Kind, str]] = {
    "text": ("words", "its words were changed"),
    "shape": ("setting", "its size was changed"),
    "negative": ("words", "what is not to be seen was changed"),
    "pose": ("words", "its pose was changed"),
}
_PERSON = {
    "description": "{} is described otherwise",
    "noun": "another word says who {} is",
    "face": "{}'s face is another",
    "identity": "{} has another face",
}
# Settings that no frame's bytes, or no face's, depend on except through what else is told.
_NO_FRAMES = ("name", "discovery", "precision", "seed_per_frame")
_NO_FACES = ("name", "injection", "attempts", "batch", "precision", "seed_per_frame", "control")


class Reason(NamedTuple):
    """One difference: its kind, for programs, and a clause for people."""

    kind: Kind
    words: str


NEW = Reason("file", "it was not painted yet")
NO_FACE = Reason("file", "no face was looked for yet")
LOST = Reason("file", "its files are not whole any more")


def reasons(old: Facts, new: Facts) -> list[Reason]:
    """What differs between what a picture was made from and what it would be made from now.

    Never empty. ``old`` may be a picture's that tells a fingerprint alone, which explains little.
    """
    if old.get("key") == new.get("key"):
        return [LOST]
    found = list(_found(old, json.loads(canonical(new))))  # as a picture would tell it
    return found or [Reason("words", "what it is painted from was changed")]


def why(old: Facts, new: Facts) -> str:
    """`reasons` as one sentence."""
    return "; ".join(reason.words for reason in reasons(old, new))


def _found(old: Facts, new: Facts) -> Iterator[Reason]:
    was, now = old.get("scene") or {}, new.get("scene") or {}
    if was and now:
        for key, (kind, words) in _SCENE.items():
            if (was.get(key) or "") != (now.get(key) or ""):
                yield Reason(kind, words)
    yield from _people(old, new)
    if was and old.get("style") != new.get("style"):
        yield Reason("style", "the style was changed")
    if _model(old) != _model(new):
        yield Reason("checkpoint", "it was painted by another model")
    if _method(old) != _method(new):
        yield Reason("method", "it was painted by another method")
    unused = {*(_NO_FACES if "character" in new else _NO_FRAMES)}
    unused |= set() if now.get("pose") else {"control"}
    if names := _differ(old.get("preset", {}), new.get("preset", {}), unused):
        yield Reason("setting", f"settings were changed ({', '.join(names[:3])})")
    if old.get("frame_seed", old.get("seed")) != new.get("frame_seed", new.get("seed")):
        yield Reason("seed", "its seed is another")
    if "story" in new and (_story(old), old.get("frame_seeds")) != (
        _story(new),
        new.get("frame_seeds"),
    ):
        yield Reason("beside", "scenes that it is painted beside were changed")


def _people(old: Facts, new: Facts) -> Iterator[Reason]:
    """What differs of those who are in both; who came or went is told by the words."""
    before = {c.get("name"): c for c in [*old.get("characters", ()), old.get("character") or {}]}
    dressed, dresses = (dict((f.get("scene") or {}).get("wears", ())) for f in (old, new))
    for c in [*new.get("characters", ()), *([new["character"]] if "character" in new else [])]:
        was = before.get(c["name"])
        if was is None:
            continue
        for key, words in _PERSON.items():
            if was.get(key) != c.get(key):
                yield Reason("cast", words.format(c["name"]))
                break
        if dressed.get(c["name"]) != dresses.get(c["name"]):
            yield Reason("cast", f"{c['name']} wears something else")


def _story(facts: Facts) -> list[Any]:
    """The scenes that a picture of a method that looks at others tells of."""
    scenes = (facts.get("story") or {}).get("scenes", ())
    return [[s.get(key) for key in ("prompt", "shape", "negative")] for s in scenes]


def _model(facts: Facts) -> Any:
    told = facts.get("model") or {}
    return told.get("fingerprint"), told.get("dtype")


def _method(facts: Facts) -> Any:
    return (facts.get("method") or {}).get("name")


def _differ(old: Any, new: Any, unused: Collection[str] = ()) -> list[str]:
    """Names of settings that differ."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return []
    found = []
    for name in (name for name in {**old, **new} if name not in unused):
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += _differ(a, b)
        elif a != b:
            found.append(name)
    return found
