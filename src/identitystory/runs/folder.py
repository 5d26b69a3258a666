"""The run folder: where every file lies, and how it gets there whole or not at all.

Each file carries the key of the part it belongs to in its own metadata, so that what is found on
disk always tells what it was made from, wherever a run was cut off.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..discovery import mean
from ..errors import BusyError, RunError
from ..story.file import file_stem
from ..story.plain import plain_json
from ..types import Identity
from . import inside
from .files import BROKEN, Spoilt, read_tensors, stored, write_tensors
from .inside import TEMPORARY, check_writable, mendable
from .record import record_told

FORMAT = 1
MAX_RECORD = 1 << 26  # bytes of run.json
AUDITION = "casting"  # the run of candidates in a run's folder, see `audition`


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run; ``opened`` makes and locks it."""

    root: Path

    @property
    def record(self) -> Path:
        """run.json: request, story, resolved configuration, versions, seeds, state."""
        return self.root / "run.json"

    @property
    def events(self) -> Path:
        """events.jsonl: what happened, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def sheet(self) -> Path:
        """sheet.png: all frames on one page."""
        return self.root / "sheet.png"

    @property
    def checked(self) -> Path:
        """checked.json: what a check found, see `looked`."""
        return self.root / "checked.json"

    def identity(self, name: str) -> Path:
        """cast/NAME.safetensors."""
        return self.root / "cast" / f"{file_stem(name)}.safetensors"

    def contact_sheet(self, name: str) -> Path:
        """cast/NAME.png."""
        return self.root / "cast" / f"{file_stem(name)}.png"

    def chunks(self, name: str) -> Path:
        """cast/NAME.partial: portraits finished before the identity is."""
        return self.root / "cast" / f"{file_stem(name)}.partial"

    def chunk(self, name: str, number: int) -> Path:
        """cast/NAME.partial/00.safetensors: the first of them."""
        return self.chunks(name) / f"{number:02d}.safetensors"

    @property
    def notes(self) -> Path:
        """frames.partial/: what a method keeps on the way to its frames."""
        return self.root / "frames.partial"

    def frame(self, index: int, kind: str = "") -> Path:
        """frames/001.png of the first scene, ``index`` 0; or of ``kind`` ``.template``, ``.masks``."""
        return self.root / f"{frame_part(index)}{kind}.png"

    def template(self, index: int) -> Path:
        """frames/001.template.png."""
        return self.frame(index, ".template")

    def masks(self, index: int) -> Path:
        """frames/001.masks.png."""
        return self.frame(index, ".masks")

    @property
    def takes(self) -> Path:
        """frames/takes: finished frames that are not the story's pictures now, see `takes`."""
        return self.root / "frames" / "takes"

    @property
    def face_takes(self) -> Path:
        """cast/takes: found faces that are not the story's characters' now, see `faces`."""
        return self.root / "cast" / "takes"

    def drop_chunks(self, name: str) -> None:
        """Removes cast/NAME.partial, if it is there."""
        inside.remove(self.chunks(name), self.root)


def scene_number(index: int) -> str:
    """Scene ``index`` (from 0, as in Python) as files and pages count: ``001`` is the first."""
    return f"{index + 1:03d}"


def frame_part(index: int) -> str:
    """The part of a run that is the frame of scene ``index``: ``frames/001`` of the first."""
    return f"frames/{scene_number(index)}"


@contextmanager
def opened(root: Path) -> Iterator[RunFolder]:
    """The folder at ``root``, made if need be, locked against a second writer, swept of leftovers.

    Raises:
        RunError: it is a file, it or its ``cast`` or ``frames`` cannot be written, it holds something
            else, is of another format, or somebody else is writing to it.
    """
    folder = RunFolder(root)
    with mendable(root):
        if root.exists() and not root.is_dir():
            raise RunError(f"{root} is a file; --out takes a folder")
        root.mkdir(parents=True, exist_ok=True)
        names = (p.name for p in root.iterdir())
        found = RunFolder(root / AUDITION).record.exists()  # before the run itself began
        ours = {AUDITION, "shared", "cast"} if found else set()
        foreign = sorted(
            n for n in names if n[0] != "." and n not in ours and not n.endswith(TEMPORARY)
        )
        if foreign and not folder.record.exists():
            raise RunError(
                f"{root} holds other files ({foreign[0]}) and no run; choose another folder"
            )
        read_record(folder)
        lock = os.fdopen(inside.lock_file(root / ".lock", root))
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{root} is being written by another run; wait for it, or choose another --out"
            ) from None
        for leftover in [*root.glob(f"*{TEMPORARY}"), *root.glob(f"*/*{TEMPORARY}")]:
            inside.remove(leftover, root)
        for part in (root, root / "cast", root / "frames"):
            check_writable(part)
        yield folder


def read_record(folder: RunFolder) -> dict[str, Any] | None:
    """run.json, or None where there is none yet.

    Raises:
        RunError: it is broken, cannot be read, or is of another format; or below the folder there is a
            link, a pipe or a device.
    """
    with mendable(folder.record, "read"):
        try:
            inside.check_plain(folder.root)
            content = inside.read(folder.record, folder.root, most=MAX_RECORD)
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        record = plain_json(content)
    except ValueError as error:
        raise RunError(f"{folder.record} is broken ({error}); choose another folder") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise RunError(
            f"{folder.record} is of format {found!r}; this version writes format {FORMAT}. "
            "Choose another folder"
        )
    try:
        return record_told(record)
    except ValueError as error:
        raise RunError(f"{folder.record} is broken ({error}); choose another folder") from None


def told_frames(folder: RunFolder) -> dict[Path, str]:
    """The frame of each scene, there or not, with the key that run.json has for it.

    Raises:
        RunError: as `read_record`.
    """
    parts = (read_record(folder) or {}).get("parts", {}).items()
    frames = {name: part["key"] for name, part in parts if re.fullmatch(r"frames/\d{3,}", name)}
    return {folder.root / f"{name}.png": key for name, key in frames.items()}


def no_run(path: Path, hint: str = "make one with identitystory generate") -> RunError:
    """What is said where ``path`` should hold a run and holds none; ``hint`` says what to do."""
    return RunError(f"{path} holds no run (no run.json); {hint}")


def find_runs(
    paths: Sequence[Path], hint: str = "make one with identitystory generate"
) -> list[Path]:
    """The run folders among ``paths`` and inside them, each once, in order; ``hint`` says what to do.

    Raises:
        RunError: a path holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        here = [path] if (path / "run.json").is_file() else []
        here = here or sorted(record.parent for record in path.rglob("run.json"))
        if not here:
            raise no_run(path, hint)
        for folder in here:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def write_identity(
    path: Path, identity: Identity, E: Tensor, facts: dict[str, Any], root: Path | None = None
) -> None:
    """e_j with its rows kept, the errors of every round, and E of all portraits."""
    tensors = {"embedding": identity.embedding, "kept": identity.kept, "E": E}
    tensors |= {f"errors.{i}": errors for i, errors in enumerate(identity.errors)}
    write_tensors(path, tensors, facts, root)


def has_identity(folder: RunFolder, name: str, key: str, spoilt: Spoilt) -> bool:
    """Whether a character's identity is there, made from ``key``; see `files.stored`."""
    return stored(folder.identity(name), key, _is_identity, folder.root, spoilt) is not None


def read_identity(path: Path, root: Path | None = None) -> Identity:
    """The identity in a file of ``write_identity``.

    Raises:
        RunError: as `files.read_tensors`, or what it holds is nobody's.
    """
    t, fits = read_tensors(path, root), False
    with suppress(*BROKEN):
        fits = _is_identity(t)
    if not fits:
        raise RunError(f"{path} holds no identity; delete it, and go on")
    rounds = sum(name.startswith("errors.") for name in t)
    errors = tuple(t[f"errors.{i}"] for i in range(rounds))
    return Identity(t["embedding"].to(torch.float32), t["kept"], errors)


def _is_identity(t: dict[str, Tensor]) -> bool:
    """Whether the embedding is somebody's: the mean of the rows of E that were kept, or one of them."""
    E, kept, e = t["E"], t["kept"], t["embedding"]
    fits = E.ndim == 2 and kept.ndim == 1 and kept.dtype == torch.int64 and e.shape == E.shape[1:]
    if not fits or not len(kept) or not bool(e.any()):
        return False
    rounds = sum(name.startswith("errors.") for name in t)
    if any(t[f"errors.{i}"].ndim != 1 for i in range(rounds)):
        return False
    near = torch.allclose(mean(E[kept]), e.float(), rtol=1e-3, atol=1e-5)
    return near or bool((E[kept] == e).all(dim=1).any())
