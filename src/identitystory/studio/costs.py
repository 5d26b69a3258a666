"""What painting a story would paint, why, and what it would take; nothing is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..runs import plan
from ..runs.folder import RunFolder
from ..runs.outlook import calls_left, outlook
from ..runs.reasons import Facts
from . import pictures

if TYPE_CHECKING:
    from .board import Board

Told = dict[str, Any]


def cost(board: Board, only: Sequence[int] = ()) -> Told:
    """COST of painting those of ``only`` (all, if empty) that are not there."""
    if board.made is None or board.request is None:
        return told(board, {}, [], 0)
    made = plan.of(board.made, only)
    found = outlook(board.request, made, _done(board), lambda own: _before(board, own))
    why = {fate.part: "; ".join(r.words for r in fate.why) for fate in found.parts if fate.paints}
    frames = {n: why[part.name] for n in made.wanted if (part := made.frames[n]).name in why}
    faces = [name for name in made.cast if made.identities[name].name in why]
    return told(board, frames, faces, found.calls)


def of_seeds(board: Board, frames: Sequence[int], seeds: int) -> Told:
    """COST of painting each of ``frames`` with so many new seeds, and looking for their faces."""
    if board.made is None or board.request is None:
        return told(board, {}, [], 0)
    made, done = plan.of(board.made, frames), _done(board)
    faces = [name for name in made.cast if made.identities[name].name not in done]
    calls = calls_left(board.request, made, faces, [])
    calls += seeds * plan.calls(board.request, made, [], made.wanted)
    return told(board, dict.fromkeys(made.wanted, "its seed is another"), faces, calls)


def told(board: Board, frames: Mapping[int, str], faces: Sequence[str], calls: int) -> Told:
    """COST of the contract: ``frames`` with why each is painted, and so many network calls."""
    rate = board.queue.seconds_a_call()
    return {
        "frames": list(frames),
        "why": list(frames.values()),
        "characters": list(faces),
        "calls": calls,
        "seconds": None if rate is None else round(rate * calls, 1),
    }


def _done(board: Board) -> set[str]:
    """Names of the parts whose files are there."""
    made = board.made
    if made is None:
        return set()
    kinds = ("", ".masks", *[".template"] * made.method.has_templates)
    frames = [p for p in made.frames if all((p.key, kind) in board.index for kind in kinds)]
    faces = [p for p in made.identities.values() if (p.key, ".portraits") in board.index]
    return {part.name for part in [*frames, *faces]}


def _before(board: Board, own: str | int) -> Facts | None:
    """What the picture tells of itself that a character or a scene had last."""
    run = board.entry.run
    if isinstance(own, str):
        sheet = pictures.picture(RunFolder(run).contact_sheet(own), run)
        return sheet.facts if sheet else None
    made = board.made
    key = board.shown(own, made.frames[own], made.places[own]) if made else None
    return board.index[key, ""].facts if key else None
