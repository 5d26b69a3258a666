"""What a run tells of who is in a finished picture, where that is not who was meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..types import Story
from ..wording import crowd
from . import expect, files
from .folder import RunFolder, scene_number
from .plan import Part

# missing: names who were not found; people: how many were seen; bare: names who seem to wear nothing;
# expected: see `expect`
Told = Mapping[str, Any]
KEYS = ("missing", "people", "bare", "expected")


def told(
    missing: Sequence[str], people: int | None, meant: Sequence[int], bare: Sequence[str] = ()
) -> dict[str, Any]:
    """What run.json and the page say of a picture; empty where everybody is in it, dressed, and nobody else.

    Args:
        missing: names of the characters who were not found.
        people: how many were seen; None if nobody counted.
        meant: how many there may be.
        bare: names of the characters who seem to wear nothing.
    """
    wrong = people is not None and people not in meant
    said = {"missing": list(missing)} if missing else {}
    return said | ({"people": people} if wrong else {}) | ({"bare": list(bare)} if bare else {})


def told_before(
    record: Mapping[str, Any] | None,
    folder: RunFolder,
    frames: Sequence[Part],
    done: Collection[str],
) -> dict[str, dict[str, Any]]:
    """The same of the ``frames`` that are ``done``, by name: from run.json, or from a picture that is new to it."""
    parts = (record or {}).get("parts", {}).values()
    known = {part["key"]: part for part in parts if part.get("state") == "done"}
    there = ((n, part) for n, part in enumerate(frames) if part.name in done)
    read = lambda n: files.read_png_facts(folder.frame(n), folder.root)
    return {p.name: told_by(known[p.key] if p.key in known else read(n)) for n, p in there}


def told_by(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same by the ``facts`` of a picture, or of its part in run.json."""
    return {key: facts[key] for key in KEYS if facts and facts.get(key) not in (None, [])}


def note(said: Told, meant: Sequence[int]) -> str:
    """``Mara not found; people: 2 seen, 1 meant; expected 'at night', not hour day``; empty where nothing is said."""
    missing, people, bare = said.get("missing", ()), said.get("people"), said.get("bare", ())
    ends = " to ".join(str(n) for n in dict.fromkeys((meant[0], meant[-1])))
    asked = ends if meant[-1] else "nobody"
    seen = "" if people is None else f"people: {people or 'nobody'} seen, {asked} meant"
    absent = f"{', '.join(missing)} not found" if missing else ""
    return "; ".join(filter(None, [absent, seen, undressed(bare), *expect.failed(said)]))


def undressed(bare: Sequence[str]) -> str:
    """``Mara and Tom seem to wear nothing``; empty for nobody."""
    return (
        " and ".join(bare) + (" seems" if len(bare) == 1 else " seem") + " to wear nothing"
        if bare
        else ""
    )


def warnings(index: int, said: Told, meant: Sequence[int]) -> Iterator[str]:
    """A line each for whoever paints: what is ``said`` of the picture of a scene, and what to do.

    Who is missing keeps a template's face, if there is one; that is said where it is known.
    """
    for key in ("people", "bare"):
        if key in said:
            line = f"scene {index + 1}: {note({key: said[key]}, meant)}"
            yield f"{line}; try --only {index + 1} --seed random"


def caption(story: Story, index: int, said: Told) -> str:
    """What stands below the picture of scene ``index`` on the page; ``said`` of it at the end."""
    scene = story.scenes[index]
    words = f"{scene_number(index)}  {scene.text}".replace("{", "").replace("}", "")
    wrong = note(said, crowd(story, scene))
    return f"{words} [{wrong}]" if wrong else words
