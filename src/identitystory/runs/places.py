"""Seeds follow scenes, not their order: of each scene the place that it first had in its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, TypeVar

from ..errors import RunError
from ..types import Story, plain
from .files import canonical
from .request import RunRequest

Place = int | str  # where a scene stood when the run first had it, from 0; or its id
FACE = ("face", "seed", "candidate", "like")  # which of the people that words may mean it is
_T = TypeVar("_T", int, str)


def places_of(story: Story, record: Mapping[str, Any]) -> tuple[Place, ...]:
    """Of each scene its place in the run: the recorded one, known by its id or its words, or a new one.

    A scene that is new takes its id, or the number of where it stands, if no other scene has it. One
    that was there before it got an id is known by its words, and keeps its place.
    """
    recorded = record.get("story", {}).get("scenes", [])
    old = record.get("places", range(len(recorded)))
    by_id = {s["id"]: place for s, place in zip(recorded, old, strict=True) if s.get("id")}
    words = _told(s.get("text") or s["prompt"] for s in recorded)
    by_words = {name: (s, place) for name, s, place in zip(words, recorded, old, strict=True)}
    found: list[Place | None] = [by_id.get(scene.id) for scene in story.scenes]
    taken = {place for place in found if place is not None}
    names = _told(scene.text or scene.prompt for scene in story.scenes)
    for n, (scene, name) in enumerate(zip(story.scenes, names, strict=True)):
        there, place = by_words.get(name, ({}, None))
        renamed = scene.id and there.get("id")
        if found[n] is None and place is not None and place not in taken and not renamed:
            found[n] = place
            taken.add(place)
    free = (place for place in count(len(found)) if place not in taken)
    for n, scene in enumerate(story.scenes):
        if found[n] is None:
            own: Place = scene.id or n
            found[n] = own = next(free) if own in taken else own
            taken.add(own)
    return tuple(place for place in found if place is not None)


def _told(texts: Iterable[str]) -> list[tuple[str, int]]:
    """Each text with how often it came before, so that a scene told twice is two scenes."""
    seen: Counter[str] = Counter()
    names = []
    for text in texts:
        names.append((text, seen[text]))
        seen[text] += 1
    return names


def recorded_places(record: Mapping[str, Any] | None) -> dict[Place, int]:
    """Where the scene at each place stood in the run that ``record`` tells of, from 0."""
    if record is None:
        return {}
    places = record.get("places", range(len(record["story"]["scenes"])))
    return {place: n for n, place in enumerate(places)}


def by_place(recorded: Mapping[str, Any], kind: Callable[[Any], _T]) -> dict[Place, _T]:
    """What run.json holds by place, whose keys are all text there; an id never is a number."""
    return {int(k) if k.isdigit() else k: kind(v) for k, v in recorded.items()}


def _numbers_first(pair: tuple[Place, int]) -> tuple[bool, Place]:
    return isinstance(pair[0], str), pair[0]


def seeds_of(
    request: RunRequest, record: Mapping[str, Any], places: tuple[Place, ...]
) -> tuple[int, dict[Place, int], dict[Place, str]]:
    """The run's seed, those of single frames and the chosen takes, both by place.

    A take is no longer chosen once its scene is painted from other words, or its people have other faces.

    Raises:
        RunError: another seed is asked for a scene whose picture is locked.
    """
    asked = set(request.frame_seeds) | (set(request.only) if request.seed is not None else set())
    if shut := [n + 1 for n in sorted(asked) if n < len(places) and places[n] in request.locked]:
        raise RunError(
            f"scene {shut[0]} is locked; identitystory lock {request.out} {shut[0]} --off"
        )
    seed = int(record.get("seed", 0))
    frame_seeds = by_place(record.get("frame_seeds", {}), int)
    chosen = by_place(record.get("chosen", {}), str)
    if chosen:
        were = _shown(record["story"])
        before = dict(zip(record.get("places", range(len(were))), were, strict=True))
        now = dict(zip(places, _shown(plain(request.story)), strict=True))
        chosen = {k: v for k, v in chosen.items() if k not in now or now[k] == before.get(k)}
    if request.seed is not None:
        if rerolled := {places[n] for n in set(request.only) - set(request.frame_seeds)}:
            frame_seeds |= dict.fromkeys(rerolled, request.seed)
            chosen = {k: v for k, v in chosen.items() if k not in rerolled}
        elif request.seed != seed:
            seed, frame_seeds, chosen = request.seed, {}, {}
    frame_seeds |= {places[n]: own for n, own in request.frame_seeds.items()}
    return seed, dict(sorted(frame_seeds.items(), key=_numbers_first)), chosen


def _shown(story: Mapping[str, Any]) -> list[str]:
    """Of each scene of a story in plain values what it shows: its words, and whose faces."""
    faces = {c["name"]: [c.get(key) or None for key in FACE] for c in story["characters"]}
    return [
        canonical([s.get("text"), s["prompt"], [faces.get(name) for name in s["cast"]]])
        for s in story["scenes"]
    ]
