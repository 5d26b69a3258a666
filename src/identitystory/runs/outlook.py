"""What a run would paint, what it would keep, and why: told before anything is painted or written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, plan, takes
from .cache import is_there, shared_files
from .folder import RunFolder, frame_part
from .places import Place, recorded_places
from .plan import Part, Plan
from .portraits import batches
from .reasons import NEW, NO_FACE, Facts, Reason, reasons
from .request import RunRequest

Before = Callable[[str | int], Facts | None]


@dataclass(frozen=True)
class Fate:
    """What becomes of one part.

    Attributes:
        part: its name, ``cast/Mara`` or ``frames/003``.
        paints: whether it would be made; else it is kept as it is.
        why: what differs from what it was made from; empty where it is kept.
        calls: network calls that it takes by itself; 0 where it is kept.
    """

    part: str
    paints: bool
    why: tuple[Reason, ...] = ()
    calls: int = 0


@dataclass(frozen=True)
class Outlook:
    """What a run would do.

    Attributes:
        parts: all that is asked for, in order.
        calls: network calls of what would be made, together; what is stored is not counted again.
        seconds: about so long; None if no run like it was timed.
        warnings: what the run would warn of.
    """

    parts: tuple[Fate, ...]
    calls: int
    seconds: float | None = None
    warnings: tuple[str, ...] = ()


def outlook(request: RunRequest, made: Plan, done: Collection[str], before: Before) -> Outlook:
    """What painting ``made``, the plan of ``request``, would do.

    Args:
        request: what is asked for.
        made: its plan.
        done: names of the parts that are there.
        before: what the file tells of itself that a character (by name) or a scene (by its index) had
            last; None if it had none.
    """
    fates = []
    asked: list[tuple[str | int, Part]] = [(name, made.identities[name]) for name in made.cast]
    asked += [(n, made.frames[n]) for n in made.wanted]
    for own, part in asked:
        if part.name in done:
            fates.append(Fate(part.name, paints=False))
            continue
        old = before(own)
        face, frame = ([own], []) if isinstance(own, str) else ([], [own])
        why = [NO_FACE if face else NEW] if old is None else reasons(old, part.facts())
        fates.append(Fate(part.name, True, tuple(why), calls_left(request, made, face, frame)))
    left = [own for own, part in asked if part.name not in done]
    faces = [own for own in left if isinstance(own, str)]
    frames = [own for own in left if isinstance(own, int)]
    return Outlook(tuple(fates), calls_left(request, made, faces, frames))


def calls_left(request: RunRequest, made: Plan, faces: Sequence[str], frames: Sequence[int]) -> int:
    """`plan.calls`, without what stored portraits and templates save."""
    templates = [made.frames[n].pieces for n in frames]
    saved = sum(n for file, n in shared_files(request.cache, templates).items() if is_there(file))
    for name in faces:
        portraits = batches(request, RunFolder(request.out), name, made.identities[name])
        saved += sum(batch.calls for batch in portraits if batch.there)
    return plan.calls(request, made, faces, frames) - saved


def last_facts(folder: RunFolder, made: Plan, record: Mapping[str, Any] | None) -> Before:
    """What the files of a run tell of what each part of ``made`` was, by its ``record``."""
    was, parts = recorded_places(record), (record or {}).get("parts", {})

    def before(own: str | int) -> Facts | None:
        if isinstance(own, str):
            return files.read_png_facts(folder.contact_sheet(own), folder.root)
        place: Place = made.places[own]
        told = parts.get(frame_part(was[place]), {}) if place in was else {}
        if not told:
            return None
        here, aside = folder.frame(was[place]), takes.take_file(folder, told["key"])
        found = (files.read_png_facts(file, folder.root) for file in _files(here, aside))
        return next((facts for facts in found if facts and facts["key"] == told["key"]), None)

    return before


def _files(*some: Path) -> list[Path]:
    return [file for file in some if file.is_file()]
