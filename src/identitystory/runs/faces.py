"""Faces that were found for a run's characters and are not theirs now: kept, and found again.

The face of a character lies in cast/Mara.safetensors, its contact sheet in cast/Mara.png. Every other
one that was searched for, with another seed, other words or settings, lies in cast/takes under the key
of what it was found from. A face of a character file does not: its file is kept elsewhere, or is to be
forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import part_key, read_facts
from .folder import RunFolder
from .inside import move, remove
from .plan import Plan

SOUGHT = ("noun", "seed", "sought", "like")  # of a character: whom a search is for


def settle(folder: RunFolder, made: Plan) -> None:
    """Puts each found face where it belongs: in its place if the plan asks for it, else to the takes.

    Every move is one rename, so that a run that is cut off here loses nothing: the next one goes on.

    Args:
        folder: opened.
        made: asks for the faces.
    """
    for name, part in made.identities.items():
        for file in (folder.identity(name), folder.contact_sheet(name)):
            facts = read_facts(file, folder.root)
            if facts.get("key") == part.key:
                continue
            if "key" in facts and search(facts):
                move(file, take(folder, name, str(facts["key"]), file.suffix), folder.root)
            kept = take(folder, name, part.key, file.suffix)
            if kept.is_file() and read_facts(kept, folder.root).get("key") == part.key:
                move(kept, file, folder.root)


def aside(folder: RunFolder, made: Plan) -> set[str]:
    """Names of the parts of a plan that `settle` would bring back from the takes."""
    found = set()
    for name, part in made.identities.items():
        kept = [take(folder, name, part.key, suffix) for suffix in (".safetensors", ".png")]
        if all(f.is_file() and read_facts(f, folder.root).get("key") == part.key for f in kept):
            found.add(part.name)
    return found


def bring(folder: RunFolder, other: RunFolder, name: str) -> None:
    """Moves the face of ``name`` in the run ``other``, which lies beside, to the takes of ``folder``."""
    for file in (other.identity(name), other.contact_sheet(name)):
        key = str(read_facts(file, other.root).get("key", ""))
        move(file, take(folder, name, key, file.suffix), folder.root.parent)


def take(folder: RunFolder, name: str, key: str, suffix: str) -> Path:
    """cast/takes/Mara.0123456789abcdef.png, or with another ``suffix``."""
    place = folder.contact_sheet(name)
    return folder.face_takes / f"{place.stem}.{key[:16]}{suffix}"


def prune(folder: RunFolder, keep: int) -> int:
    """Deletes all but the ``keep`` newest kept faces of each character; returns how many went."""
    by_name: dict[str, list[Path]] = {}
    for sheet in folder.face_takes.glob("*.png"):
        by_name.setdefault(Path(sheet.stem).stem, []).append(sheet)
    gone = []
    for sheets in by_name.values():
        sheets.sort(key=lambda sheet: sheet.stat().st_mtime_ns)
        gone += sheets[: max(0, len(sheets) - keep)]
    for sheet in gone:
        remove(sheet.with_suffix(".safetensors"), folder.root)
        remove(sheet, folder.root)
    return len(gone)


def search(facts: Mapping[str, Any]) -> str:
    """Tells the search that found the face of a file from others, as it says itself; empty if none did.

    A hash of whom it was for; without metadata the file says nothing else of them, see `strip`.
    """
    who = facts.get("character")
    if not isinstance(who, Mapping):
        return str(facts.get("search", ""))
    return "" if who.get("face") else part_key([who.get(key) for key in SOUGHT])
