"""A character as the page shows it: words, face, and the other faces that were found for these words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runs.characters import consent
from ..runs.folder import RunFolder
from ..runs.reasons import why
from ..types import Character
from . import auditions, pictures

if TYPE_CHECKING:
    from .board import Board

Told = dict[str, Any]


def told(board: Board, character: Character) -> Told:
    """PERSON of the contract."""
    name, run = character.name, board.entry.run
    place = RunFolder(run).contact_sheet(name)
    part = board.made.identities.get(name) if board.made else None
    sheet = board.index.get((part.key, ".portraits")) if part else None
    sheet = sheet or pictures.picture(place, run)
    state, said = "current", ""
    if over := consent.why_not_now(character.consent):
        sheet, state, said = None, "empty", f"the consent for this face {over}"
    elif character.words_only:
        said = "painted from words alone"
    elif f"cast/{place.stem}" in _painted(board):
        state = "painting"
    elif sheet is None:
        state, said = "empty", "no face was looked for yet"
    elif part and sheet.key != part.key:
        state, said = "stale", why(sheet.facts, part.facts())
    fields = ("name", "description", "noun", "wears", "words_only", "seed")
    entry = board.entries.get(name, {})
    return {
        **{field: getattr(character, field) for field in fields},
        "state": state,
        "why": said,
        "cast": str(entry.get("cast", "")),
        "look": str(entry.get("look", "")),
        **(_face(sheet, run) if sheet else {"portraits": None, "kept": 0, "of": 0}),
        "takes": _takes(board, character, sheet),
        "candidates": auditions.told(board, character),
        "candidate": _candidate(board, name),
    }


def _candidate(board: Board, name: str) -> int:
    """The number of the candidate who was taken for a character; 0 is none."""
    story = board.request.story if board.request else None
    return next((c.candidate for c in story.characters if c.name == name), 0) if story else 0


def _painted(board: Board) -> list[str]:
    """The parts that are being painted for the story, and by no search beside it."""
    jobs = [j for j in board.jobs if j.state == "running" and j.kind in ("paint", "reroll")]
    return [board.live.get(job.id, {}).get("part", "") for job in jobs]


def _face(sheet: pictures.Picture, run: Path) -> Told:
    """A contact sheet, how many of its portraits agree, and of how many."""
    kept, of = pictures.portraits(sheet.path.with_suffix(".safetensors"), run)
    return {"portraits": sheet.key, "kept": kept, "of": of}


def _takes(board: Board, character: Character, shown: pictures.Picture | None) -> list[Told]:
    """Every face that was searched for with the character's words, the oldest first."""
    run, found = board.entry.run, []
    for (_, suffix), sheet in board.index.items():
        who = dict(sheet.facts.get("character") or {}) if suffix == ".portraits" else {}
        words = ("name", "description", "noun")
        same = all(who.get(key) == getattr(character, key) for key in words)
        same = same and who.get("candidate", 0) == character.candidate
        if same and not who.get("face") and not character.face:
            chosen = shown is not None and sheet.key == shown.key
            seed = int(who.get("seed", 0))
            found.append((sheet.written, sheet.path.name, seed, chosen, _face(sheet, run)))
    some = sorted(found, key=lambda each: each[:2])
    return [{"seed": seed, "chosen": chosen, **face} for *_, seed, chosen, face in some]
