"""What the tower says of every portrait, and whose portraits there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .faces import portraits
from .sets import PictureSet

SPREAD = 0.1  # noise on an embedding, in units of the spread of all


@dataclass(frozen=True)
class Embedded:
    """Portraits of a set: ``numbers`` of the pictures, ``e`` (n, d) of each, and each person's rows."""

    numbers: np.ndarray
    e: Tensor
    of: dict[int, np.ndarray]

    def of_person(self, who: int, but: int, rng: np.random.Generator) -> Tensor:
        """(d,) mean over one to three portraits of a person, none of them picture ``but``."""
        rows = self.of[who]
        rows = rows[self.numbers[rows] != but]
        chosen = rng.permutation(rows)[: int(rng.integers(1, 4))]
        mean = self.e[torch.from_numpy(chosen)].mean(0)
        return mean + SPREAD * float(self.e.std()) * torch.randn(mean.shape)


def embedded(data: PictureSet) -> Embedded:
    """The embeddings of all portraits of people with two or more; stored beside them, for one tower."""
    from ..stages.tower import embed_all, load_encoder

    of = portraits(data)
    numbers = np.concatenate([of[w] for w in of])
    encoder, path = load_encoder(), data.folder / "embeddings.pt"
    mark = float(sum(p.double().abs().sum() for p in encoder.vision_model.parameters()))
    stored = torch.load(path, weights_only=True) if path.exists() else {}
    if stored.get("mark") != mark or stored["numbers"].tolist() != numbers.tolist():
        stored = dict(
            mark=mark, numbers=torch.from_numpy(numbers), e=embed_all(data, numbers, encoder)
        )
        torch.save(stored, path)
    row = {int(n): k for k, n in enumerate(numbers)}
    rows = {who: np.array([row[int(n)] for n in its]) for who, its in of.items()}
    return Embedded(numbers, stored["e"], rows)
