"""Why a picture would be painted anew: what differs between what it was made from and the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SCENE = {
    "prompt": "its words were changed",
    "shape": "its size was changed",
    "negative": "what is not to be seen was changed",
}


def why(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between what a picture was made from and what it would be made from now."""
    was, now = old.get("scene") or {}, new.get("scene") or {}
    people = {c.get("name"): c for c in old.get("characters", ())}
    said = []
    if was and now:
        text = was.get("text") != now.get("text")
        for key, words in _SCENE.items():
            if was.get(key, "") != now.get(key, "") and (key != "prompt" or text):
                said.append(words)
    for c in [*new.get("characters", ()), *([new["character"]] if "character" in new else [])]:
        before = people.get(c["name"]) or old.get("character") or {}
        if before and before.get("description") != c.get("description"):
            said.append(f"{c['name']} is described otherwise")
        elif before and before.get("identity") != c.get("identity"):
            said.append(f"{c['name']}'s face will be looked for again")
        elif before and before.get("wears") != c.get("wears"):
            said.append(f"{c['name']} wears something else")
    if old.get("style") != new.get("style") and was:
        said.append("the style was changed")
    if _model(old) != _model(new):
        said.append("it was painted by another model")
    if names := _differ(old.get("preset", {}), new.get("preset", {})):
        said.append(f"settings were changed ({', '.join(names[:3])})")
    if old.get("frame_seed", old.get("seed")) != new.get("frame_seed", new.get("seed")):
        said.append("its seed is another")
    return "; ".join(said) or "something that it was made from was changed"


def _model(facts: Mapping[str, Any]) -> Any:
    told = facts.get("model") or {}
    return told.get("fingerprint"), told.get("dtype")


def _differ(old: Any, new: Any) -> list[str]:
    """Names of settings that differ."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return []
    found = []
    for name in {**old, **new}:
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += _differ(a, b)
        elif (
            a != b
            and name != "name"
            and not (isinstance(a, list | tuple) and list(a) == list(b or ()))
        ):
            found.append(name)
    return found
