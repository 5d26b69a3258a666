"""Seeds follow scenes, not their order: of each scene the place that it first had in its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from ..types import Story
from .request import RunRequest


def places_of(story: Story, record: Mapping[str, Any]) -> tuple[int, ...]:
    """Of each scene its place in the run: the recorded one, known by its words, or a free one.

    A scene that is new takes the place where it stands, if no other scene has it.
    """
    recorded = record.get("story", {}).get("scenes", [])
    old = record.get("places", range(len(recorded)))
    known = dict(zip(_told(s["text"] or s["prompt"] for s in recorded), old, strict=True))
    found = [known.get(name) for name in _told(s.text or s.prompt for s in story.scenes)]
    taken = {place for place in found if place is not None}
    free = (place for place in count() if place not in taken)
    for n, place in enumerate(found):
        if place is None:
            found[n] = n if n not in taken else next(p for p in free if p >= len(found))
            taken.add(found[n])
    return tuple(place for place in found if place is not None)


def _told(texts: Iterable[str]) -> list[tuple[str, int]]:
    """Each text with how often it came before, so that a scene told twice is two scenes."""
    seen: Counter[str] = Counter()
    names = []
    for text in texts:
        names.append((text, seen[text]))
        seen[text] += 1
    return names


def seeds_of(
    request: RunRequest, record: Mapping[str, Any], places: tuple[int, ...]
) -> tuple[int, dict[int, int], dict[int, str]]:
    """The run's seed, those of single frames and the chosen takes, both by place."""
    seed = int(record.get("seed", 0))
    frame_seeds = {int(k): int(v) for k, v in record.get("frame_seeds", {}).items()}
    chosen = {int(k): str(v) for k, v in record.get("chosen", {}).items()}
    if request.seed is not None:
        if rerolled := {places[n] for n in set(request.only) - set(request.frame_seeds)}:
            frame_seeds |= dict.fromkeys(rerolled, request.seed)
            chosen = {k: v for k, v in chosen.items() if k not in rerolled}
        elif request.seed != seed:
            seed, frame_seeds, chosen = request.seed, {}, {}
    frame_seeds |= {places[n]: own for n, own in request.frame_seeds.items()}
    return seed, dict(sorted(frame_seeds.items())), chosen
