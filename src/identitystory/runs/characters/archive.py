"""A character file: a zip of ``character.json``, portraits (PNG) and embeddings (safetensors).

A character has one spelling, so that the same one has the same bytes and the same hash everywhere:
entries are stored as they are, in one order, with one date and nothing beside them. What is read is
packed again and compared, so that whatever is damaged, hidden or unpacks to more than it is, is
refused. Nothing is ever unpacked to a disk.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load, save
from torch import Tensor

from ...discovery import check_finite, faced, mean
from ...errors import RunError, one_line
from ...marks.packet import MAX_PACKET, Claim
from ...types import Identity, png
from .. import inside
from ..files import BROKEN, part_key
from ..record import first
from .form import MAX_PORTRAITS, Told, read_told, write_told

SUFFIX = ".character"
MAX_BYTES = 1 << 28  # of a file
MAX_TOLD = 1 << 18  # of its JSON
MAX_SIDE = 2048  # pixels of a portrait
MAX_PIXELS = 1 << 27  # of all
MAX_WIDTH = 1 << 19  # numbers of an embedding
TOLD = "character.json"
_NAME = re.compile(r"character\.json|portraits/[0-9]{3}\.png|embeddings/[0-9a-f]{64}\.safetensors")
_HEADER = struct.Struct("<4s5H3I2H")
_DATE = (1980, 1, 1, 0, 0, 0)
_MARK = b"XML:com.adobe.xmp\0\0"  # not compressed
_BATCH = 16  # portraits that are embedded at a time


@dataclass(frozen=True)
class CharacterFile:
    """What a character file holds.

    Attributes:
        told: its ``character.json``.
        parts: the other entries by name.
    """

    told: Told
    parts: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        """The file's bytes."""
        return _pack({TOLD: write_told(self.told), **self.parts})

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, in hex."""
        return sha256(self.content).hexdigest()

    @property
    def face(self) -> str:
        """sha256 over portraits and embeddings alone, whatever words stand beside them."""
        return part_key({"portraits": self.told.portraits, "embeddings": self.told.embeddings})

    @property
    def portraits(self) -> list[Image.Image]:
        """The kept portraits, RGB."""
        return [_picture(self.parts[name]) for name in sorted(self.parts) if name[0] == "p"]

    def vectors(self, encoder: str) -> tuple[Tensor, Tensor] | None:
        """E (n, d) of the portraits and the embedding (d,) by this encoder; None if it has none."""
        content = self.parts.get(_embedding(encoder))
        return None if content is None else _vectors(content, len(self.told.portraits))

    def identity(
        self,
        encoder: str,
        embed: Callable[[Sequence[Image.Image]], Tensor],
        average: Callable[[Tensor], Tensor] = mean,
    ) -> tuple[Identity, Tensor]:
        """The face as an encoder sees it, and E (n, d): those of the file, or its portraits embedded.

        Args:
            encoder: the hash of the encoder that ``embed`` asks, see `protocols.ModelFacts`.
            embed: as `protocols.IdentityGenerator`.
            average: what becomes of rows that are embedded now, see `discovery.averaging`.

        Raises:
            ModelError: the encoder gives numbers that are not finite, or finds no face in any portrait.
        """
        found = self.vectors(encoder)
        if found is None:
            pictures = self.portraits
            some = [pictures[a : a + _BATCH] for a in range(0, len(pictures), _BATCH)]
            E = torch.cat([embed(each).detach().float().cpu() for each in some])
            check_finite(E)
            found = E, average(E[faced(E)])
        E, embedding = found
        return Identity(embedding, torch.arange(len(E))), E


def made(
    told: Mapping[str, Any],
    portraits: Sequence[Image.Image],
    vectors: Mapping[str, tuple[Tensor, Tensor]],
) -> CharacterFile:
    """A character's file.

    Args:
        told: what it says (`form.Told`) beside ``portraits`` and ``embeddings``.
        portraits: of one size.
        vectors: by the encoder's hash, E (n, d) and its mean or medoid.

    Raises:
        RunError: what it would hold cannot be; there are more than 256 portraits, say.
    """
    plain = [Image.frombytes("RGB", p.size, p.convert("RGB").tobytes()) for p in portraits]
    claim = None  # photos were made by no algorithm
    if told.get("consent") is None:
        by, licence = told["made"], told["licence"]
        claim = Claim(model=by.model, fingerprint=by.fingerprint, licence=licence.name)
    pictures = {f"portraits/{n:03d}.png": png(picture, claim) for n, picture in enumerate(plain)}
    tensors = {
        _embedding(encoder): save({"E": E.contiguous(), "embedding": e.clone().contiguous()})
        for encoder, (E, e) in vectors.items()
    }
    hashes = [sha256(tensors[_embedding(encoder)]).hexdigest() for encoder in vectors]
    named: dict[str, Any] = {
        "portraits": [sha256(content).hexdigest() for content in pictures.values()],
        "embeddings": dict(zip(vectors, hashes, strict=True)),
    }
    try:
        whole = Told(**told, **named)
    except ValidationError as error:
        raise RunError(f"{told['name']!r} cannot be a file: {first(error)}") from None
    return read(CharacterFile(whole, {**pictures, **tensors}).content, repr(whole.name))


def read(content: bytes, source: str, *, whole: bool = True) -> CharacterFile:
    """The character in the bytes of a file, which ``source`` names in errors.

    Without ``whole`` pictures and numbers are not looked into; their hashes are.

    Raises:
        RunError: it is damaged, of another format, or no character file.
    """
    try:
        parts = _unpack(content)
        told_bytes = parts.pop(TOLD, b"")
        if not 0 < len(told_bytes) <= MAX_TOLD:
            raise ValueError(f"it has no {TOLD}, or one of more than {MAX_TOLD:,} bytes")
        found = CharacterFile(read_told(told_bytes), parts)
        _check(found, whole=whole)
        if found.content != content:
            raise ValueError("it is damaged, or was packed by another program")
    except BROKEN as error:
        raise RunError(
            f"{source} is no character file that can be used ({one_line(str(error))[:200]}); export "
            "it again where it came from"
        ) from None
    return found


def open_file(path: Path, root: Path | None = None, *, whole: bool = True) -> CharacterFile:
    """The character in the file at ``path``, see `read` and `inside.parent`.

    Raises:
        RunError: it is not there, is a link, a pipe or a device, is too large, or as `read`.
    """
    with inside.mendable(path, "read"):
        content = inside.read(path, root, most=MAX_BYTES)
    return read(content, str(path), whole=whole)


def _embedding(encoder: str) -> str:
    return f"embeddings/{encoder}.safetensors"


def _pack(parts: Mapping[str, bytes]) -> bytes:
    """The zip of these entries, in the order of their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as made:
        for name, content in sorted(parts.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            made.writestr(entry, content)
    return buffer.getvalue()


def _unpack(content: bytes) -> dict[str, bytes]:
    """The entries that a zip begins with; whether it is one, and nothing else, `read` looks at."""
    parts: dict[str, bytes] = {}
    at = 0
    while content[at : at + 4] == b"PK\x03\x04":
        _, _, _, method, *_, size, _, named, more = _HEADER.unpack(content[at : at + 30])
        start = at + 30 + named
        name = content[at + 30 : start].decode("ascii")
        if method or more or size > len(content) - start:
            raise ValueError("an entry is compressed, or cut short; entries are stored as they are")
        if not _NAME.fullmatch(name) or name in parts:
            raise ValueError(f"it has an entry {name!r:.80}, or has it twice")
        at = start + size
        parts[name] = content[start:at]
    return parts


def _check(made: CharacterFile, *, whole: bool) -> None:
    """Nothing, if the entries are those that ``told`` names; a ValueError otherwise."""
    told, parts = made.told, made.parts
    named = {f"portraits/{n:03d}.png": each for n, each in enumerate(told.portraits)}
    named |= {_embedding(encoder): each for encoder, each in told.embeddings.items()}
    if named.keys() != parts.keys() or len(told.portraits) > MAX_PORTRAITS:
        raise ValueError("its entries are not those that it names")
    for name, expected in named.items():
        if sha256(parts[name]).hexdigest() != expected:
            raise ValueError(f"{name} is not what was written")
    if not whole:
        return
    sizes = {_size(parts[name], marked=told.consent is None) for name in named if name[0] == "p"}
    if len(sizes) > 1 or any(w * h * len(told.portraits) > MAX_PIXELS for w, h in sizes):
        raise ValueError("its portraits differ in size, or have too many pixels together")
    for name, content in parts.items():
        if name[0] == "p":
            _picture(content)
        else:
            _vectors(content, len(told.portraits))


def _size(content: bytes, *, marked: bool) -> tuple[int, int]:
    """Width and height of a PNG that holds pixels, where ``marked`` a mark, and nothing else."""
    kinds, at = [], 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        mark = kind == b"iTXt" and content[at + 8 : at + 8 + len(_MARK)] == _MARK
        kinds += [] if marked and mark and length <= MAX_PACKET else [kind]
        at += 12 + length
    if content[:8] != b"\x89PNG\r\n\x1a\n" or {*kinds} != {b"IHDR", b"IDAT", b"IEND"}:
        raise ValueError("a portrait is no PNG of pixels and a mark alone")
    width, height, kind = struct.unpack(">IIH", content[16:26])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or kind != 0x0802:
        raise ValueError(f"a portrait is {width} x {height}; RGB of at most {MAX_SIDE} is taken")
    return width, height


def _picture(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("PNG",))
    image.load()
    return image.convert("RGB")


def _vectors(content: bytes, portraits: int) -> tuple[Tensor, Tensor]:
    """E and the embedding of a file; a ValueError where they are not somebody's."""
    t = {name: tensor.clone() for name, tensor in load(content).items()}
    if t.keys() != {"E", "embedding"} or any(v.dtype != torch.float32 for v in t.values()):
        raise ValueError("an embedding's file holds E and embedding in float32")
    E, e = t["E"], t["embedding"]
    if E.ndim != 2 or len(E) != portraits or not 0 < E.shape[1] <= MAX_WIDTH:
        raise ValueError(f"E is {tuple(E.shape)}; it needs a row for each of {portraits} portraits")
    if not E.isfinite().all() or not e.any() or e.shape != E.shape[1:]:
        raise ValueError("a number of an embedding is not finite, or all are zero")
    if not torch.allclose(mean(E), e, rtol=1e-3, atol=1e-5) and not (e == E).all(dim=1).any():
        raise ValueError("an embedding is neither the mean of its portraits' nor one of them")
    return E, e
