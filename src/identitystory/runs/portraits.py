"""The search for one identity: portraits batch by batch, each stored when finished (Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..config import DiscoveryConfig
from ..discovery import discover, settled
from ..types import Identity
from . import files, sheets
from .folder import RunFolder, write_identity
from .plan import Part, portrait_batches
from .request import RunRequest


@dataclass(frozen=True)
class Batch:
    """Portraits that are painted and stored together.

    Attributes:
        file: where they lie: in the run, or in what runs share.
        key: what ``file`` says that it is.
        seeds: one a portrait.
        calls: network calls that they take.
    """

    number: int
    file: Path
    key: str
    seeds: list[int]
    calls: int

    @property
    def there(self) -> bool:
        """Whether they are stored, whole."""
        return (files.read_tensor_facts(self.file) or {}).get("key") == self.key

    def write(self, images: Sequence[Image.Image], E: Tensor) -> None:
        """Stores thumbnails and embeddings."""
        tensors = {"E": E, "thumbnails": sheets.thumbnails(images)}
        files.write_tensors(self.file, tensors, {"key": self.key, "chunk": self.number})


def batches(request: RunRequest, folder: RunFolder, name: str, part: Part) -> list[Batch]:
    """The batches of a character's portraits, in order."""
    seeds = portrait_batches(request.story.character(name), part.seed, request.preset)
    made = []
    for number, (some, (piece, calls)) in enumerate(zip(seeds, part.pieces.items(), strict=True)):
        file, key = folder.chunk(name, number), part.key
        if request.cache is not None and (shared := request.cache.file(piece)) is not None:
            file, key = shared, shared.stem
        made.append(Batch(number, file, key, some, calls))
    return made


def search(
    made: Sequence[Batch],
    config: DiscoveryConfig,
    *,
    seed: int,
    paint: Callable[[list[int]], tuple[Sequence[Image.Image], Tensor]],
    ready: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """E and the thumbnails of all portraits; of fewer where the identity settled before.

    Args:
        made: the batches, which are stored as they get ready.
        config: when the identity is settled.
        seed: of `discover`.
        paint: the portraits with these seeds, and their rows of E.
        ready: hears how many portraits are there.
    """
    stored: list[dict[str, Tensor]] = []
    before = done = 0
    for batch in made:
        if not batch.there:
            batch.write(*paint(batch.seeds))
        before, done = done, done + len(batch.seeds)
        stored.append(files.read_tensors(batch.file))
        ready(done)
        if settled(torch.cat([s["E"] for s in stored]), before, config, seed=seed):
            break
    return torch.cat([s["E"] for s in stored]), torch.cat([s["thumbnails"] for s in stored])


def write_cast(
    folder: RunFolder, name: str, part: Part, E: Tensor, thumbnails: Tensor, config: DiscoveryConfig
) -> Identity:
    """The identity of the rows of E, stored with its contact sheet; the run's batches are removed."""
    identity = discover(E, config, seed=part.seed)
    kept = identity.kept.tolist()
    facts = part.facts | {"kept": kept}
    sheet = sheets.contact_sheet(thumbnails, kept)
    files.write_png(folder.contact_sheet(name), sheet, facts)
    write_identity(folder.identity(name), identity, E, facts)
    folder.drop_chunks(name)
    return identity
