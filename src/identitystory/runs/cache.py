"""What several runs have in common, kept once: portraits with their embeddings, and templates.

Neither depends on the filter of Sec. 3.1, nor on how an identity is injected, so the runs of an
ablation or of a bench need them only once. The files lie in a folder beside the runs, each named
after the key of what it was made from. Without the folder the same bytes are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..methods.method import Templates
from ..types import Template
from . import files

PORTRAITS, TEMPLATES = "portraits", "templates"


@dataclass(frozen=True)
class Cache:
    """A folder of pieces, which are named ``portraits/KEY`` or ``templates/KEY``.

    Attributes:
        folder: where they lie; it may be deleted.
        kinds: which are kept. Portraits are small; a template holds all its latents, about 1 MiB
            of the miniature and 10 to 16 MiB of SDXL.
    """

    folder: Path
    kinds: tuple[str, ...] = (PORTRAITS, TEMPLATES)

    def file(self, piece: str) -> Path | None:
        """Where a piece lies, or will; None if its kind is not kept."""
        kept = piece.partition("/")[0] in self.kinds
        return self.folder / f"{piece}.safetensors" if kept else None


def shared_files(cache: Cache | None, pieces: Iterable[Mapping[str, int]]) -> dict[Path, int]:
    """The files that pieces lie in, and the network calls that each stands for."""
    if cache is None:
        return {}
    named = {piece: calls for some in pieces for piece, calls in some.items()}
    return {file: calls for piece, calls in named.items() if (file := cache.file(piece))}


def is_there(file: Path) -> bool:
    """Whether ``file`` of a `Cache` is whole, and what its name says."""
    return (files.read_tensor_facts(file, _root(file)) or {}).get("key") == file.stem


def _root(file: Path) -> Path:
    return file.parent.parent  # see `Cache.file`


@dataclass(frozen=True)
class CachedTemplates(Templates):
    """The templates of a run's frames, kept for other runs.

    Attributes:
        places: the file of a frame's template, by the frame's number; others are not kept.
        casts: who is in each frame.
        steps: that templates are painted in.
        spoilt: hears of a file that is not what was written, see `files.stored`.
    """

    places: Mapping[int, Path]
    casts: Sequence[Sequence[str]]
    steps: int
    spoilt: files.Spoilt = files.silent

    def read(self, index: int) -> Template | None:
        """As `methods.method.Templates`."""
        if index not in self.places:
            return None
        return read_template(self.places[index], self.casts[index], self.steps, self.spoilt)

    def write(self, index: int, template: Template) -> None:
        """As `methods.method.Templates`."""
        if index in self.places:
            write_template(self.places[index], template)


def write_template(file: Path, template: Template) -> None:
    """The picture, all t+1 latents (most of the space), the masks, who is missing or bare."""
    image = torch.from_numpy(np.array(template.image.convert("RGB")))
    tensors = {"image": image, "latents": template.latents, "masks": template.masks}
    facts = {"key": file.stem, "missing": list(template.missing), "seed": template.seed}
    facts |= {} if template.people is None else {"people": template.people}
    facts |= {"bare": list(template.bare)} if template.bare else {}
    files.write_tensors(file, tensors, facts, _root(file))


def read_template(
    file: Path, cast: Sequence[str], steps: int, spoilt: files.Spoilt = files.silent
) -> Template | None:
    """The template in a file of ``write_template``; None if it is not there, torn, or spoilt.

    Args:
        file: of a `Cache`.
        cast: who is in the frame.
        steps: that it was painted in.
        spoilt: see `files.stored`.
    """

    def fits(t: dict[str, Tensor]) -> bool:
        image, masks = t["image"], t["masks"]
        return (
            image.dtype == torch.uint8
            and image.ndim == 3
            and image.shape[2] == 3
            and masks.dtype == torch.bool
            and masks.shape == (len(cast), *image.shape[:2])
            and t["latents"].dtype == torch.float32
            and t["latents"].ndim == 4
            and len(t["latents"]) == steps + 1
        )

    t = files.stored(file, file.stem, fits, _root(file), spoilt)
    if t is None:
        return None
    facts = files.read_tensor_facts(file, _root(file)) or {}
    missing, seed, people = (facts.get(name) for name in ("missing", "seed", "people"))
    bare = facts.get("bare", [])
    if (
        not isinstance(missing, list)
        or not isinstance(bare, list)
        or not {*cast} >= {*map(str, missing + bare)}
        or type(seed) is not int
        or not (people is None or type(people) is int)
    ):
        spoilt(file)
        return None
    image = Image.fromarray(t["image"].numpy())
    return Template(image, t["latents"], t["masks"], tuple(missing), seed, people, tuple(bare))
