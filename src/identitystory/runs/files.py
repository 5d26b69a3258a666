"""Files that appear whole or not at all, and that tell what they were made from."""

from __future__ import annotations

import errno
import io
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import RunError
from ..methods.method import Notes


def versions() -> dict[str, str]:
    """Versions of whatever takes part in making a picture."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("identitystory", "torch", "diffusers", "transformers", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


TEXT_CHUNK = "identitystory"
_TEMPORARY = ".part~"
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


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


@dataclass(frozen=True)
class FolderNotes(Notes):
    """A method's notes as small files.

    Attributes:
        folder: of one file each.
        key: what they were made from; a note of another key is none.
    """

    folder: Path
    key: str

    def read(self, name: str) -> Tensor | None:
        """As `methods.method.Notes`."""
        facts = read_tensor_facts(self._file(name))
        if facts is None or facts.get("key") != self.key:
            return None
        return read_tensors(self._file(name))[name]

    def write(self, name: str, tensor: Tensor) -> None:
        """As `methods.method.Notes`."""
        write_tensors(self._file(name), {name: tensor}, {"key": self.key})

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"
