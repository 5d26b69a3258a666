"""The search for one identity: portraits batch by batch, each stored when finished (Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..casting import find
from ..config import DiscoveryConfig
from ..discovery import averaging, check_finite, settled
from ..types import Identity
from . import files, sheets
from .characters.archive import CharacterFile
from .folder import RunFolder, write_identity
from .plan import Part, portrait_batches
from .request import RunRequest


@dataclass(frozen=True)
class Batch:
    """Portraits that are painted and stored together.

    Attributes:
        root: the folder of the run, or of what runs share.
        file: where they lie below it.
        key: what ``file`` says that it is.
        seeds: one a portrait.
        calls: network calls that they take.
    """

    number: int
    root: Path
    file: Path
    key: str
    seeds: list[int]
    calls: int

    @property
    def there(self) -> bool:
        """Whether they are stored, whole."""
        return (files.read_tensor_facts(self.file, self.root) or {}).get("key") == self.key

    def read(self, spoilt: files.Spoilt) -> dict[str, Tensor] | None:
        """Thumbnails and embeddings; None if they are not there, or spoilt: `files.stored`."""
        return files.stored(self.file, self.key, self._fits, self.root, spoilt)

    def write(self, images: Sequence[Image.Image], E: Tensor) -> dict[str, Tensor]:
        """Stores thumbnails and embeddings, and gives them as `read` does."""
        check_finite(E)
        tensors = {"E": E, "thumbnails": sheets.thumbnails(images)}
        facts = {"key": self.key, "chunk": self.number}
        files.write_tensors(self.file, tensors, facts, self.root)
        return files.read_tensors(self.file, self.root)

    def _fits(self, t: dict[str, Tensor]) -> bool:
        E, small, m = t["E"], t["thumbnails"], len(self.seeds)
        pictures = small.dtype == torch.uint8 and small.ndim == 4 and small.shape[::3] == (m, 3)
        return pictures and E.ndim == 2 and len(E) == m and bool(E.any(dim=1).all())


def batches(request: RunRequest, folder: RunFolder, name: str, part: Part) -> list[Batch]:
    """The batches of a character's portraits, in order."""
    if not part.pieces:  # a character file has the face
        return []
    seeds = portrait_batches(request.story.character(name), part.seed, request.preset)
    made = []
    for number, (some, (piece, calls)) in enumerate(zip(seeds, part.pieces.items(), strict=True)):
        root, file, key = folder.root, folder.chunk(name, number), part.key
        if request.cache is not None and (shared := request.cache.file(piece)) is not None:
            root, file, key = request.cache.folder, shared, shared.stem
        made.append(Batch(number, root, file, key, some, calls))
    return made


def search(
    made: Sequence[Batch],
    config: DiscoveryConfig,
    *,
    seed: int,
    paint: Callable[[list[int]], tuple[Sequence[Image.Image], Tensor]],
    ready: Callable[[int], None],
    spoilt: files.Spoilt,
) -> tuple[Tensor, Tensor]:
    """E and the thumbnails of all portraits; of fewer where the identity settled before.

    Args:
        made: the batches, which are stored as they get ready.
        config: when the identity is settled.
        seed: of `discover`.
        paint: the portraits with these seeds, and their rows of E.
        ready: hears how many portraits are there.
        spoilt: hears of a file whose portraits are painted again, see `files.stored`.
    """
    stored: list[dict[str, Tensor]] = []
    before = done = 0
    for batch in made:
        before, done = done, done + len(batch.seeds)
        stored.append(batch.read(spoilt) or batch.write(*paint(batch.seeds)))
        ready(done)
        if settled(torch.cat([s["E"] for s in stored]), before, config, seed=seed):
            break
    return torch.cat([s["E"] for s in stored]), torch.cat([s["thumbnails"] for s in stored])


def write_cast(
    folder: RunFolder,
    name: str,
    part: Part,
    E: Tensor,
    thumbnails: Tensor,
    config: DiscoveryConfig,
    candidate: int = 0,
    like: Tensor | None = None,
) -> Identity:
    """The identity of the rows of E, stored with its contact sheet; the run's batches are removed.

    ``candidate`` and ``like`` as in `casting.find`.
    """
    identity = find(E, config, seed=part.seed, candidate=candidate, like=like)
    _write(folder, name, part, identity, E, thumbnails)
    folder.drop_chunks(name)
    return identity


def known(
    folder: RunFolder,
    name: str,
    part: Part,
    person: CharacterFile,
    encoder: str,
    embed: Callable[[Sequence[Image.Image]], Tensor],
    config: DiscoveryConfig,
) -> Identity:
    """The identity of a character file, stored as `write_cast` stores one; see `CharacterFile.identity`."""
    identity, E = person.identity(encoder, embed, averaging(config))
    small, photos = sheets.thumbnails(person.portraits), person.told.consent is not None
    _write(folder, name, part, identity, E, small, marked=not photos)
    return identity


def _write(
    folder: RunFolder,
    name: str,
    part: Part,
    identity: Identity,
    E: Tensor,
    thumbnails: Tensor,
    *,
    marked: bool = True,
) -> None:
    kept = identity.kept.tolist()
    facts = part.facts() | {"kept": kept}
    sheet = sheets.contact_sheet(thumbnails, kept)
    told = facts if marked else facts | {"marks": False}
    files.write_png(folder.contact_sheet(name), sheet, told, folder.root)
    write_identity(folder.identity(name), identity, E, facts, folder.root)
