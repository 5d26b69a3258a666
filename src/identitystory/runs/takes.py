"""Finished frames that are not the story's pictures now: kept, found again, chosen, thrown away.

The picture of scene n lies in frames/NNN.png. Every other finished one, of another seed, setting,
wording or scene, lies in frames/takes under the key of what it was made from. Nothing finished is
ever overwritten, and what is asked for again is not painted again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunError
from .files import read_png_facts, write_whole
from .folder import RunFolder, no_run, opened, read_record
from .inside import move, remove

KINDS = ("", ".template", ".masks")  # a frame's files, by what stands before .png
MANY = 2**30  # bytes of takes from which on a run speaks of them


@dataclass(frozen=True)
class Take:
    """A finished picture of a scene.

    Attributes:
        path: of the picture.
        key: sha256 over what it was made from.
        seed: its frame's.
        text: the scene as its writer wrote it.
        chosen: whether it is the story's picture now.
    """

    path: Path
    key: str
    seed: int
    text: str
    chosen: bool


def settle(folder: RunFolder, keys: Sequence[str]) -> None:
    """Puts each finished file where it belongs: of frame n in its place if its key is ``keys[n]``.

    All others move to the takes, and takes that are asked for move to their places. Every move is
    one rename, so that a run that is cut off here loses nothing: the next one goes on.
    """
    for place, number, kind in _places(folder):
        facts = read_png_facts(place, folder.root)
        key = str((facts or {}).get("key", ""))
        if key and (number >= len(keys) or key != keys[number]):
            move(place, _take(folder, key, kind), folder.root)
    if not folder.takes.is_dir():
        return
    for number, key in enumerate(keys):
        for kind in KINDS:
            take, place = _take(folder, key, kind), _place(folder, number, kind)
            if take.is_file() and not place.is_file():
                move(take, place, folder.root)


def chosen_keys(folder: RunFolder, record: Mapping[str, Any] | None) -> dict[int, str]:
    """The takes that were chosen and are there, by the place of their scene (`plan.places`)."""
    stored = {int(place): str(key) for place, key in (record or {}).get("chosen", {}).items()}
    there = {take.key for take in takes(folder)} if stored else set()
    return {place: key for place, key in stored.items() if key in there}


def takes(folder: RunFolder) -> list[Take]:
    """Every finished picture of the run, the oldest first."""
    found = []
    frames = [path for path, _, kind in _places(folder) if not kind]
    others = [p for p in folder.takes.glob("*.png") if "." not in p.stem]
    for path in frames + others:
        facts = read_png_facts(path, folder.root)
        if facts is None or not {"frame_seed", "key"} <= facts.keys():
            continue
        text = str(facts.get("scene", {}).get("text", ""))
        found.append(
            (
                path.stat().st_mtime_ns,
                Take(path, str(facts["key"]), int(facts["frame_seed"]), text, path in frames),
            )
        )
    return [take for _, take in sorted(found, key=lambda pair: (pair[0], pair[1].path.name))]


def takes_of(folder: RunFolder, text: str) -> list[Take]:
    """The pictures of the scene with these words, the oldest first; numbered from 1 by this order."""
    return [take for take in takes(folder) if take.text == text]


def choose(root: Path, frame: int, number: int) -> None:
    """Makes take ``number`` (from 1, see `takes_of`) of frame ``frame`` its picture from now on.

    Raises:
        RunError: there is no run, no such frame or no such take, or the run is being written.
    """
    with _run(root) as (folder, record):
        scenes = record["story"]["scenes"]
        if not 0 <= frame < len(scenes):
            raise RunError(f"there is no frame {frame}; this run has frames 0 to {len(scenes) - 1}")
        found = takes_of(folder, scenes[frame]["text"])
        if not 1 <= number <= len(found):
            there = f"takes 1 to {len(found)}" if found else "none"
            raise RunError(f"there is no take {number} of frame {frame}; there is {there}")
        place = record.get("places", range(len(scenes)))[frame]
        chosen = record.get("chosen", {}) | {str(place): found[number - 1].key}
        text = json.dumps(record | {"chosen": chosen}, indent=2, ensure_ascii=False) + "\n"
        write_whole(folder.record, text.encode(), folder.root)


def prune(root: Path, keep: int = 0) -> tuple[int, int]:
    """Deletes all but the ``keep`` newest takes of each scene; never the pictures in frames/.

    Returns:
        How many pictures went, and the bytes that are free again.

    Raises:
        RunError: there is no run, or it is being written; or ``keep`` is below 0.
    """
    if keep < 0:
        raise RunError(f"{keep} takes cannot be kept; give 0 or more")
    with _run(root) as (folder, _):
        by_text: dict[str, list[Take]] = {}
        for take in takes(folder):
            if not take.chosen:
                by_text.setdefault(take.text, []).append(take)
        gone = [take for some in by_text.values() for take in some[: max(0, len(some) - keep)]]
        before = size(folder)
        for take in gone:
            for kind in reversed(
                KINDS
            ):  # the picture itself last: without it nobody knows the rest
                remove(_take(folder, take.key, kind), folder.root)
        return len(gone), before - size(folder)


@contextmanager
def _run(root: Path) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """The run at ``root``, locked, with its record."""
    record = read_record(RunFolder(root))
    if record is None:
        raise no_run(root)
    with opened(root) as folder:
        yield folder, record


def size(folder: RunFolder) -> int:
    """Bytes of all takes."""
    return sum(p.stat().st_size for p in folder.takes.glob("*.png"))


def _places(folder: RunFolder) -> list[tuple[Path, int, str]]:
    """The files of frames/ with the number of their frame and their kind."""
    files = sorted(folder.frame(0).parent.glob("*.png"))
    named = [(file, _NAME.fullmatch(file.name)) for file in files]
    return [(file, int(name[1]), name[2]) for file, name in named if name and file.is_file()]


_NAME = re.compile(r"(\d{3,})((?:\.template|\.masks)?)\.png")


def _place(folder: RunFolder, number: int, kind: str) -> Path:
    return folder.frame(number).with_name(f"{number:03d}{kind}.png")


def _take(folder: RunFolder, key: str, kind: str) -> Path:
    return folder.takes / f"{key[:16]}{kind}.png"
