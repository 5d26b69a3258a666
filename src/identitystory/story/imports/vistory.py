"""The stories of ViStoryBench, ``story.json``: ``Characters`` by name and a list of ``Shots``.

Every text is a table of languages; English is taken, and the first there is where it is missing.
"""

from __future__ import annotations

from typing import Any

from .draft import Draft, Shot, drafted, plain


def fits(data: Any) -> bool:
    """Whether a parsed document has the benchmark's shape."""
    return isinstance(data, dict) and "Characters" in data and "Shots" in data


def draft(data: dict[str, Any], source: str) -> Draft:
    """The draft: the static description is what a picture shows, the plot its caption.

    Raises:
        StoryError: there are no shots.
    """
    people: dict[str, str] = {}
    called: dict[str, str] = {}
    for key, entry in _table(data["Characters"]).items():
        said = _table(entry)
        name = plain(said.get("name_en")) or plain(key)
        called |= {key: name, plain(said.get("name_ch")): name}
        people[name] = plain(said.get("prompt_en")) or plain(said.get("prompt_ch"))
    shots = [
        Shot(
            text=_said(shot, "Static Shot Description"),
            cast=[called.get(who, who) for who in _cast(shot)],
            place=_said(shot, "Setting Description").rstrip("."),
            camera=_said(shot, "Shot Perspective Design").rstrip("."),
            caption=_said(shot, "Plot Correspondence"),
        )
        for shot in map(_table, data["Shots"] if isinstance(data["Shots"], list) else ())
    ]
    return drafted(people, shots, source=source)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _language(value: Any) -> Any:
    """English of a table of languages, or the first of it; anything else as it is."""
    return value.get("en") or next(iter(value.values()), "") if isinstance(value, dict) else value


def _said(shot: dict[str, Any], key: str) -> str:
    return plain(_language(shot.get(key)))


def _cast(shot: dict[str, Any]) -> list[str]:
    cast = _language(shot.get("Characters Appearing"))
    return [who for who in cast if isinstance(who, str)] if isinstance(cast, list) else []
