"""The regressor of identity numbers: ``python -m miniature.stages.numbers``. An instrument.

It reads the numbers that make a person (``world.records.IDENTITY``) off a head, of portraits,
half-bodies and pairs, sharp and soft. ``checks.kept`` uses it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.faces import numbers_of
from ..pictures.sets import open_set
from ..training.loop import Run, load_trained, mixed, moved
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from ..world.records import IDENTITY
from .little_people import SET, heads_of, look_at

NAME, BATCH = "numbers", 48
WIDTHS = (3, 32, 64, 128, 192, 192)


class Numbers(nn.Module):
    """Heads (B, 3, 96, 96) in [-1, 1] to identity numbers (B, n)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU(),
                nn.Conv2d(b, b, 3, 1, 1), nn.GroupNorm(8, b), nn.SiLU(),
            )
            for a, b in pairwise(WIDTHS)
        ))  # fmt: skip
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(WIDTHS[-1] * 9, 384), nn.SiLU(), nn.Linear(384, len(IDENTITY))
        )

    def forward(self, x: Tensor) -> Tensor:
        """The numbers, float32."""
        return self.head(self.body(x)).float()


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Squared error of all numbers."""
    data = open_set(SET)
    rows, _ = heads_of(data)
    known = numbers_of(data)
    model = Numbers()
    outer = {id(model.body[0][0].weight), id(model.head[-1].weight)}
    matrices = [p for p in model.parameters() if p.ndim > 1 and id(p) not in outer]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.01, adam=1e-3)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.4)
    rng = np.random.default_rng([run.step, 13])
    for _ in run:
        chosen = [rows[int(i)] for i in rng.integers(0, len(rows), batch)]
        truth = torch.from_numpy(np.stack([known[row[2]] for row in chosen]))
        x, truth = moved(look_at(data, chosen, rng, turned=False), truth)
        with mixed():
            guess = model(x)
        run.update(F.mse_loss(guess.float(), truth))


def load_numbers() -> Numbers:
    """The trained network, frozen."""
    return load_trained(NAME, Numbers())


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=15, batch=BATCH)
    train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
