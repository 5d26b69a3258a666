"""Files that appear whole or not at all, and that tell what they were made from."""

from __future__ import annotations

import io
import json
import platform
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..errors import RunError
from ..marks.mark import mark
from ..marks.packet import Claim
from ..methods.method import Notes
from ..models.files.catalogue import licence_of
from ..story.plain import plain_json
from .inside import append_line, check_writable, mendable, read, write_whole
from .record import picture_told

__all__ = [
    "append_line",
    "check_writable",
    "read",
    "write_whole",
]  # of `inside`, beside what is here


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


Spoilt = Callable[[Path], None]
TEXT_CHUNK = "identitystory"
_META = "__metadata__"
CHECKSUM = "sha256"
MAX_PICTURE = 1 << 28  # bytes of a picture's file
MAX_PIXELS = 1 << 27  # the page of a thousand frames has as many
# What Pillow and the tensors' library raise for broken files, and reading what one says of itself.
BROKEN = (
    OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError,
    EOFError, RuntimeError, struct.error, zlib.error, SafetensorError, Image.DecompressionBombError,
)  # fmt: skip


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def part_key(inputs: Any) -> str:
    """sha256 over everything a part is made from."""
    return sha256(canonical(inputs).encode()).hexdigest()


def write_png(
    path: Path, image: Image.Image, facts: dict[str, Any], root: Path | None = None
) -> None:
    """A PNG whose text chunk ``identitystory`` holds ``facts`` as JSON. The same bytes each time.

    It is marked (`marks.mark.mark`) unless its facts say ``marks: false``.
    """
    info = PngImagePlugin.PngInfo()
    info.add_itxt(TEXT_CHUNK, canonical(facts))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info, compress_level=6)
    claim = None if facts.get("marks") is False else claim_in(facts)
    write_whole(path, mark(buffer.getvalue(), "png", claim), root)


def claim_in(facts: Mapping[str, Any]) -> Claim:
    """What the mark of a picture says, of what its facts tell."""
    model = facts.get("model") or {}
    name = str(model.get("name", ""))
    return Claim(name, model.get("fingerprint", ""), facts.get("title", ""), licence_of(name))


def read_png_facts(path: Path, root: Path | None = None) -> dict[str, Any] | None:
    """What a picture's text chunk says; None if it is no whole picture of ours.

    Raises:
        RunError: it is a link, a pipe or a device.
    """
    try:
        with Image.open(io.BytesIO(read(path, root, most=MAX_PICTURE)), formats=("PNG",)) as image:
            text = image.info.get(TEXT_CHUNK)  # .text would read on, and leave nothing to verify
            image.verify()
            small = image.width * image.height <= MAX_PIXELS
        return picture_told(text) if text and small else None
    except BROKEN:
        return None


def read_picture(path: Path, root: Path | None = None) -> Image.Image:
    """The pixels of a picture of ours.

    Raises:
        RunError: it is a link, a pipe or a device, cannot be read, or is broken or too large.
    """
    with mendable(path, "read"):
        content = read(path, root, most=MAX_PICTURE)
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG",))
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("it has too many pixels")
        image.load()
    except BROKEN as error:
        raise RunError(
            f"{path} is no whole picture ({error}); delete it, and paint it again"
        ) from None
    return image


def write_tensors(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], root: Path | None = None
) -> None:
    """A safetensors file with ``facts`` as JSON in its metadata, and a checksum over all."""
    kept = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    told = canonical({**facts, CHECKSUM: _checksum(facts, kept)})
    write_whole(
        path, save(kept, metadata={TEXT_CHUNK: told}), root
    )  # of two entries the order varies


def _checksum(facts: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """sha256, in hex, over the facts of a file (its key among them) and the numbers that it holds."""
    digest = sha256(canonical(facts).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_tensor_facts(path: Path, root: Path | None = None) -> dict[str, Any] | None:
    """What a tensor file's metadata says; None if it is no whole file of ours.

    Raises:
        RunError: it is a link, a pipe or a device.
    """
    try:
        return _told(read(path, root))[0]
    except BROKEN:
        return None


def read_facts(path: Path, root: Path | None = None) -> dict[str, Any]:
    """What a picture or a tensor file says of itself; nothing if it is no whole file of ours.

    Raises:
        RunError: it is a link, a pipe or a device.
    """
    told = read_png_facts if path.suffix == ".png" else read_tensor_facts
    return told(path, root) or {}


def _told(content: bytes) -> tuple[dict[str, Any], str | None]:
    """The facts of a tensor file, and the checksum if it has one."""
    ends = 8 + int.from_bytes(content[:8], "little")
    header = plain_json(content[8:ends])
    whole = max((entry["data_offsets"][1] for n, entry in header.items() if n != _META), default=0)
    if len(content) != ends + whole:
        raise ValueError("it is cut short")
    facts = plain_json(header[_META][TEXT_CHUNK])
    if not isinstance(facts, dict):
        raise ValueError("it says nothing of itself")
    checksum = facts.pop(CHECKSUM, None)
    return facts, checksum


def read_tensors(path: Path, root: Path | None = None) -> dict[str, Tensor]:
    """Every tensor of a file, on the CPU.

    Copies, which lie in memory as tensors that were computed do: in the file they may start at any
    8th byte, and matrix products of such tensors can differ in their last bits.

    Raises:
        RunError: it is a link, a pipe or a device, or cannot be read, or does not hold what it says.
    """
    with mendable(path, "read"):
        content = read(path, root)
    try:
        facts, checksum = _told(content)
        tensors = {name: tensor.clone() for name, tensor in load(content).items()}
        if any(t.is_floating_point() and not t.isfinite().all() for t in tensors.values()):
            raise ValueError("a number in it is not finite")
        if checksum not in (None, _checksum(facts, tensors)):  # older files have none
            raise ValueError("its checksum is another")
    except BROKEN as error:
        raise RunError(
            f"{path} does not hold what it says ({error}); delete it, and go on"
        ) from None
    return tensors


def stored(
    path: Path,
    key: str,
    check: Callable[[dict[str, Tensor]], bool],
    root: Path | None,
    spoilt: Spoilt,
) -> dict[str, Tensor] | None:
    """The tensors of the file that is made from ``key``; None if there is none, or a bad one.

    Args:
        path: below ``root``.
        key: what the file must say that it was made from.
        check: whether the tensors have the names, shapes and kinds that they should.
        root: see `inside.parent`.
        spoilt: hears of a file with that key whose content is not what was written.
    """
    if (read_tensor_facts(path, root) or {}).get("key") != key:
        return None
    with suppress(RunError, *BROKEN):
        if check(tensors := read_tensors(path, root)):
            return tensors
    spoilt(path)
    return None


def silent(path: Path) -> None:
    """Hears of a spoilt file, and says nothing."""


@dataclass(frozen=True)
class FolderNotes(Notes):
    """A method's notes as small files.

    Attributes:
        folder: of one file each.
        key: what they were made from; a note of another key is none.
        spoilt: hears of a note that is not what was written.
    """

    folder: Path
    key: str
    spoilt: Spoilt = silent

    def read(self, name: str) -> Tensor | None:
        """As `methods.method.Notes`."""
        found = stored(self._file(name), self.key, lambda t: name in t, self._root, self.spoilt)
        return None if found is None else found[name]

    def write(self, name: str, tensor: Tensor) -> None:
        """As `methods.method.Notes`."""
        write_tensors(self._file(name), {name: tensor}, {"key": self.key}, self._root)

    @property
    def _root(self) -> Path:
        return self.folder.parent

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"
