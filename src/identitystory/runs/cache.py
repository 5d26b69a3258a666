"""What several runs have in common, kept once: portraits with their embeddings, and templates.

Neither depends on the filter of Sec. 3.1, nor on how an identity is injected, so the runs of an
ablation or of a bench need them only once. The files lie in a folder beside the runs, each named
after the key of what it was made from. Without the folder the same bytes are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

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
    """Whether ``file`` is whole, and what its name says."""
    return (files.read_tensor_facts(file) or {}).get("key") == file.stem


@dataclass(frozen=True)
class CachedTemplates(Templates):
    """The templates of a run's frames, kept for other runs.

    Attributes:
        places: the file of a frame's template, by the frame's number; others are not kept.
    """

    places: Mapping[int, Path]

    def read(self, index: int) -> Template | None:
        """As `methods.method.Templates`."""
        return read_template(self.places[index]) if index in self.places else None

    def write(self, index: int, template: Template) -> None:
        """As `methods.method.Templates`."""
        if index in self.places:
            write_template(self.places[index], template)


def write_template(file: Path, template: Template) -> None:
    """The picture, all t+1 latents (most of the space), the masks, who is missing."""
    image = torch.from_numpy(np.array(template.image.convert("RGB")))
    tensors = {"image": image, "latents": template.latents, "masks": template.masks}
    facts = {"key": file.stem, "missing": list(template.missing), "seed": template.seed}
    files.write_tensors(file, tensors, facts)


def read_template(file: Path) -> Template | None:
    """The template in a file of ``write_template``; None if it is not there, or torn."""
    facts = files.read_tensor_facts(file)
    if facts is None or facts.get("key") != file.stem:
        return None
    t = files.read_tensors(file)
    image = Image.fromarray(t["image"].numpy())
    return Template(image, t["latents"], t["masks"], tuple(facts["missing"]), facts["seed"])
