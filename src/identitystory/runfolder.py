"""The run folder: where every file lies, and how it gets there whole or not at all.

Each file carries the key of the part it belongs to in its own metadata, so that what is found on
disk always tells what it was made from, wherever a run was cut off.
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .errors import RunError
from .story import file_stem
from .types import Identity

FORMAT = 1
TEXT_CHUNK = "identitystory"
_TEMPORARY = ".part~"
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


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

    def identity(self, name: str) -> Path:
        """cast/NAME.safetensors."""
        return self.root / "cast" / f"{file_stem(name)}.safetensors"

    def contact_sheet(self, name: str) -> Path:
        """cast/NAME.png."""
        return self.root / "cast" / f"{file_stem(name)}.png"

    def chunk(self, name: str, number: int) -> Path:
        """cast/NAME.partial/00.safetensors: portraits finished before the identity is."""
        return self.root / "cast" / f"{file_stem(name)}.partial" / f"{number:02d}.safetensors"

    @property
    def notes(self) -> Path:
        """frames.partial/: what a compared method keeps on the way to its frames."""
        return self.root / "frames.partial"

    def frame(self, index: int) -> Path:
        """frames/000.png."""
        return self.root / "frames" / f"{index:03d}.png"

    def template(self, index: int) -> Path:
        """frames/000.template.png."""
        return self.root / "frames" / f"{index:03d}.template.png"

    def masks(self, index: int) -> Path:
        """frames/000.masks.png."""
        return self.root / "frames" / f"{index:03d}.masks.png"

    def drop_chunks(self, name: str) -> None:
        """Removes cast/NAME.partial, if it is there."""
        shutil.rmtree(self.chunk(name, 0).parent, ignore_errors=True)


@contextmanager
def opened(root: Path) -> Iterator[RunFolder]:
    """The folder at ``root``, made if need be, locked against a second writer, swept of leftovers.

    Raises:
        RunError: it is a file, it or its ``cast`` or ``frames`` cannot be written, it holds something
            else, is of another format, or somebody else is writing to it.
    """
    folder = RunFolder(root)
    with _mendable(root):
        if root.exists() and not root.is_dir():
            raise RunError(f"{root} is a file; --out takes a folder")
        root.mkdir(parents=True, exist_ok=True)
        names = (p.name for p in root.iterdir())
        foreign = sorted(n for n in names if n[0] != "." and not n.endswith(_TEMPORARY))
        if foreign and not folder.record.exists():
            raise RunError(
                f"{root} holds other files ({foreign[0]}) and no run; choose another folder"
            )
        read_record(folder)
        lock = (root / ".lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{root} is being written by another run; wait for it, or choose another --out"
            ) from None
        with _mendable(root):
            for leftover in [*root.glob(f"*{_TEMPORARY}"), *root.glob(f"*/*{_TEMPORARY}")]:
                leftover.unlink()
        for part in (root, folder.identity("_").parent, folder.frame(0).parent):
            check_writable(part)
        yield folder


@contextmanager
def _mendable(path: Path, done: str = "written") -> Iterator[None]:
    """Where ``path`` cannot be written, or ``done`` else, for a reason that the user can mend, a
    RunError says so."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno in _MACHINE:
            raise
        raise RunError(
            f"{path} cannot be {done}: {error.strerror}. Choose another folder"
        ) from None


def check_writable(folder: Path) -> None:
    """Nothing, if files can be put into ``folder``, or it can be made. Leaves nothing behind.

    Raises:
        RunError: it, or what it would be made in, is a file or cannot be written.
    """
    with _mendable(folder):
        whole = folder.absolute()
        there = next(place for place in (whole, *whole.parents) if place.exists())
        probe = there / f"probe.{os.getpid()}{_TEMPORARY}"
        probe.open("wb").close()
        probe.unlink()


def read_record(folder: RunFolder) -> dict[str, Any] | None:
    """run.json, or None where there is none yet.

    Raises:
        RunError: it is broken, cannot be read, or is of another format.
    """
    with _mendable(folder.record, "read"):
        try:
            text = folder.record.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        record = json.loads(text.decode("utf-8"))
    except ValueError:
        raise RunError(f"{folder.record} is broken; choose another folder") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise RunError(
            f"{folder.record} is of format {found!r}; this version writes format {FORMAT}. "
            "Choose another folder"
        )
    return record


def write_whole(path: Path, content: bytes) -> None:
    """Puts ``content`` at ``path`` whole or not at all, and lasting: beside, fsync, rename.

    Two processes may write the same file; the later one stays.

    Raises:
        RunError: it cannot be written for a reason that the user can mend.
    """
    with _mendable(path):
        _write_whole(path, content)


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def append_line(path: Path, line: str) -> None:
    """Adds one line to a log; a line that a crash cut short is closed first.

    Raises:
        RunError: as ``write_whole``.
    """
    with _mendable(path), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def part_key(inputs: Any) -> str:
    """sha256 over everything a part is made from."""
    return sha256(canonical(inputs).encode()).hexdigest()


def write_png(path: Path, image: Image.Image, facts: dict[str, Any]) -> None:
    """A PNG whose text chunk ``identitystory`` holds ``facts`` as JSON. The same bytes each time."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(TEXT_CHUNK, canonical(facts))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info, compress_level=6)
    write_whole(path, buffer.getvalue())


def read_png_facts(path: Path) -> dict[str, Any] | None:
    """What a picture's text chunk says; None if it is no whole picture of ours."""
    try:
        with Image.open(path) as image:
            text = image.info.get(TEXT_CHUNK)  # .text would read on, and leave nothing to verify
            image.verify()
        facts = json.loads(text) if text else None
    except (OSError, ValueError, SyntaxError):
        return None
    return facts if isinstance(facts, dict) else None


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """A safetensors file with ``facts`` as JSON in its metadata."""
    kept = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_whole(path, save(kept, metadata={TEXT_CHUNK: canonical(facts)}))


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
            raise RunError(f"{path} holds no run (no run.json); {hint}")
        for folder in here:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def read_tensor_facts(path: Path) -> dict[str, Any] | None:
    """What a tensor file's metadata says; None if it is no whole file of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(TEXT_CHUNK, "null"))
    except (OSError, ValueError, SafetensorError):
        return None
    return facts if isinstance(facts, dict) else None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU.

    Copies, which lie in memory as tensors that were computed do: in the file they may start at any
    8th byte, and matrix products of such tensors can differ in their last bits.
    """
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def write_identity(path: Path, identity: Identity, E: Tensor, facts: dict[str, Any]) -> None:
    """e_j with its rows kept, the errors of every round, and E of all portraits."""
    tensors = {"embedding": identity.embedding, "kept": identity.kept, "E": E}
    tensors |= {f"errors.{i}": errors for i, errors in enumerate(identity.errors)}
    write_tensors(path, tensors, facts)


def read_identity(path: Path) -> Identity:
    """The identity in a file of ``write_identity``."""
    t = read_tensors(path)
    rounds = sum(name.startswith("errors.") for name in t)
    errors = tuple(t[f"errors.{i}"] for i in range(rounds))
    return Identity(t["embedding"].to(torch.float32), t["kept"], errors)
