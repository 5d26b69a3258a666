"""Finished frames that are not the story's pictures now: kept, found again, chosen, thrown away.

The picture of the first scene lies in frames/001.png. Every other finished one, of another seed,
setting, wording or scene, lies in frames/takes under the key of what it was made from. Nothing
finished is ever overwritten, and what is asked for again is not painted again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RunError
from ..types import Scene
from . import faces
from .files import read_png_facts, write_whole
from .folder import RunFolder, no_run, opened, read_record
from .inside import move, remove

KINDS = ("", ".template", ".masks", ".x2", ".x4")  # a frame's files, by what stands before .png
_P = TypeVar("_P", bound=int | str)
Found = Mapping[Path, str]  # files of frames/, each with the key of what it was made from
MANY = 2**30  # bytes of takes from which on a run speaks of them


@dataclass(frozen=True)
class Take:
    """A finished picture of a scene.

    Attributes:
        path: of the picture.
        key: sha256 over what it was made from.
        seed: its frame's.
        id: the scene's; empty if it had none.
        text: the scene as its writer wrote it.
        chosen: whether it is the story's picture now.
    """

    path: Path
    key: str
    seed: int
    id: str
    text: str
    chosen: bool


def scan(folder: RunFolder) -> dict[Path, str]:
    """The whole files of frames/, each with the key of what it was made from; each is read once."""
    return {file: key for file in _files(folder) if (key := _key(folder, file))}


def settle(folder: RunFolder, found: Found, keys: Sequence[str], most: int) -> dict[Path, str]:
    """Puts each finished file where it belongs: of frame n in its place if its key is ``keys[n]``.

    All others move to the takes, and takes that are asked for move to their places. Every move is
    one rename, so that a run that is cut off here loses nothing: the next one goes on.

    Args:
        folder: opened.
        found: `scan` of it.
        keys: of the story's frames.
        most: pictures that may be takes.

    Returns:
        What a `scan` would find now.

    Raises:
        RunError: there would be more takes than before, and more than ``most``. Nothing was moved.
    """
    leaving, back, now = settled(folder, found, keys)
    kept = {file.stem for file in folder.takes.glob("*.png") if not _kind(file)}
    left = {take_file(folder, key).stem for file, key in leaving.items() if not _kind(file)}
    after = len((kept | left) - {take.stem for take in back})
    if after > max(most, len(kept)):
        raise RunError(
            f"{folder.root} would keep {after:,} earlier pictures, and at most {most:,} are kept: "
            f"identitystory prune {folder.root} deletes {len(kept):,} and frees "
            f"{size(folder) / 2**20:.1f} MiB; or give a larger --max-takes"
        )
    for file, key in leaving.items():
        move(file, take_file(folder, key, _kind(file)), folder.root)
    for take, place in back.items():
        move(take, place, folder.root)
    return now


def settled(
    folder: RunFolder, found: Found, keys: Sequence[str]
) -> tuple[dict[Path, str], dict[Path, Path], dict[Path, str]]:
    """What `settle` would do; nothing is moved.

    Returns:
        The files of frames/ that become takes, with their keys; the takes that come back, with their
        places; and the files that lie in frames/ then, with their keys.
    """
    asked = {folder.frame(n, kind): key for n, key in enumerate(keys) for kind in KINDS}
    leaving = {file: key for file, key in found.items() if asked.get(file) != key}
    now = {file: key for file, key in found.items() if file not in leaving}
    there = dict.fromkeys(folder.takes.glob("*.png"), "")
    there |= {take_file(folder, key, _kind(file)): key for file, key in leaving.items()}
    back: dict[Path, Path] = {}
    for place, key in asked.items() if there else ():
        take = take_file(folder, key, _kind(place))
        free = place not in now and (place in leaving or not place.is_file())
        if free and take in there:
            told = there.pop(take) or _key(folder, take)
            back[take] = place
            now |= {place: told} if told else {}
    return leaving, back, now


def there(folder: RunFolder, kept: Mapping[_P, str], found: Found) -> dict[_P, str]:
    """Of the pictures that are to be ``kept``, keys by place, those that are there.

    ``found`` is a `scan` of the folder.
    """
    frames = {key for file, key in found.items() if not _kind(file)}
    return {place: key for place, key in kept.items() if key in frames or has(folder, key)}


def takes(folder: RunFolder) -> list[Take]:
    """Every finished picture of the run, the oldest first."""
    found = []
    frames = frame_files(folder)
    others = [file for file in folder.takes.glob("*.png") if not _kind(file)]
    for path in frames + others:
        facts = read_png_facts(path, folder.root)
        if facts is None or not {"frame_seed", "key"} <= facts.keys():
            continue
        scene, seed = facts.get("scene", {}), int(facts["frame_seed"])
        id_, text = str(scene.get("id", "")), str(scene.get("text", ""))
        take = Take(path, str(facts["key"]), seed, id_, text, path in frames)
        found.append((path.stat().st_mtime_ns, take))
    return [take for _, take in sorted(found, key=lambda pair: (pair[0], pair[1].path.name))]


def takes_of(found: Sequence[Take], scene: Scene) -> list[Take]:
    """Those of ``found`` that are of ``scene``, by its id or its words; numbered from 1 in this order."""
    return [
        take
        for take in found
        if (take.id == scene.id if take.id and scene.id else take.text == scene.text)
    ]


def choose(root: Path, index: int, number: int) -> None:
    """Makes take ``number`` (from 1, see `takes_of`) of scene ``index`` (from 0) its picture from now on.

    Raises:
        RunError: there is no run, no such scene or no such take, or the run is being written.
    """
    with _run(root) as (folder, record):
        scenes = record["story"]["scenes"]
        check_scene(root, index, len(scenes))
        scene = Scene(**{**scenes[index], "cast": ()})
        found = takes_of(takes(folder), scene)
        if not 1 <= number <= len(found):
            there = f"takes 1 to {len(found)}" if found else "none"
            raise RunError(f"there is no take {number} of scene {index + 1}; there is {there}")
        place = record.get("places", range(len(scenes)))[index]
        chosen = record.get("chosen", {}) | {str(place): found[number - 1].key}
        _write(folder, record | {"chosen": chosen})


def lock(root: Path, index: int, locked: bool = True, key: str = "") -> None:
    """Keeps the picture of scene ``index`` (from 0) as it is, whatever changes, until it is unlocked.

    ``key`` is that of a take that is to be the picture instead of the one in frames/.

    Raises:
        RunError: there is no run, no such scene or no finished picture of it, or the run is being
            written.
    """
    with _run(root) as (folder, record):
        scenes = record["story"]["scenes"]
        check_scene(root, index, len(scenes))
        place = str(record.get("places", range(len(scenes)))[index])
        kept = {k: v for k, v in record["request"].get("locked", {}).items() if k != place}
        if locked:
            key = _key(folder, take_file(folder, key) if key else folder.frame(index))
            if not key:
                raise RunError(f"scene {index + 1} has no finished picture to lock; paint it first")
            kept[place] = key
        _write(folder, record | {"request": record["request"] | {"locked": kept}})


def _write(folder: RunFolder, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder.record, text.encode(), folder.root)


def check_scene(root: Path, index: int, count: int) -> None:
    """Nothing, if the run at ``root``, of ``count`` scenes, has scene ``index`` (from 0).

    Raises:
        RunError: it has not.
    """
    if not 0 <= index < count:
        raise RunError(f"there is no scene {index + 1}; {root} has scenes 1 to {count}")


def prune(root: Path, keep: int = 0) -> tuple[int, int]:
    """Deletes all but the ``keep`` newest takes of each scene, and kept faces of each character.

    Never the pictures in frames/ nor those that are to be there, and no face that is a character's
    now. A take that does not say of which scene it is, without metadata, goes only if none is kept.

    Returns:
        How many pictures went, and the bytes that are free again.

    Raises:
        RunError: there is no run, or it is being written; or ``keep`` is below 0.
    """
    if keep < 0:
        raise RunError(f"{keep} takes cannot be kept; give 0 or more")
    with _run(root) as (folder, record):
        stay = {*record.get("chosen", {}).values(), *record["request"].get("locked", {}).values()}
        stay |= {part["key"] for part in record["parts"].values()}
        by_scene: dict[str, list[Take]] = {}
        for take in takes(folder):
            if not take.chosen and take.key not in stay:
                by_scene.setdefault(take.id or take.text or take.key, []).append(take)
        gone = [take for some in by_scene.values() for take in some[: max(0, len(some) - keep)]]
        before = size(folder)
        for take in gone:
            for kind in reversed(
                KINDS
            ):  # the picture itself last: without it nobody knows the rest
                remove(take_file(folder, take.key, kind), folder.root)
        return len(gone) + faces.prune(folder, keep), before - size(folder)


@contextmanager
def _run(root: Path) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """The run at ``root``, locked, with its record as it is then."""
    if read_record(RunFolder(root)) is None:  # no folder is made
        raise no_run(root)
    with opened(root) as folder:
        record = read_record(folder)
        if record is None:
            raise no_run(root)
        yield folder, record


def size(folder: RunFolder) -> int:
    """Bytes of all takes."""
    kept = [*folder.takes.glob("*.png"), *folder.face_takes.glob("*.*")]
    return sum(p.stat().st_size for p in kept)


def frame_files(folder: RunFolder) -> list[Path]:
    """The pictures in frames/, in order."""
    return [file for file in _files(folder) if not _kind(file)]


_NAME = re.compile(rf"\d{{3,}}({'|'.join(map(re.escape, KINDS))})\.png")


def _files(folder: RunFolder) -> list[Path]:
    """The files of frames/ that are a frame's."""
    files = sorted(folder.frame(0).parent.glob("*.png"))
    return [file for file in files if _NAME.fullmatch(file.name) and file.is_file()]


def _kind(file: Path) -> str:
    """Which of `KINDS` a file is."""
    return Path(file.stem).suffix


def _key(folder: RunFolder, file: Path) -> str:
    """The key of what a picture was made from; empty if it is not there, not whole or not ours."""
    return str((read_png_facts(file, folder.root) or {}).get("key", ""))


def has(folder: RunFolder, key: str) -> bool:
    """Whether the take of ``key`` is there, whole."""
    return _key(folder, take_file(folder, key)) == key


def take_file(folder: RunFolder, key: str, kind: str = "") -> Path:
    """Where the take of that key lies, there or not."""
    return folder.takes / f"{key[:16]}{kind}.png"
