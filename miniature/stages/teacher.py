"""Who it is, seen by a convolutional network: ``python -m miniature.stages.teacher``.

A transformer of the tower's size learns to see from these few pictures very slowly; convolutions learn
it in minutes. So a convolutional network is trained first, and the tower (``tower``) learns to say what
it says. It is not shipped.
"""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.faces import Pairs
from ..pictures.sets import open_set
from ..training.loop import Run, load_trained, mixed, moved
from ..training.losses import contrast
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from ..world.records import IDENTITY
from .text import WIDTHS

NAME = "teacher"
GRID, WIDTH = 8, 160  # of the teacher's map; a cell is a patch of the tower
BATCH = 48  # people
TOLD, DRAWN, SIZED = 10.0, 1.0, 0.02  # weights: the person's numbers, the parts, the size of E


class Block(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, width: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same."""
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            y = convolution(F.silu(norm(y)))
        return x + y


class Teacher(nn.Module):
    """Pixels to a map of features and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), Block(32), nn.Conv2d(32, 64, 4, 2, 1), Block(64)
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(64, WIDTH, 5, 3, 1), Block(WIDTH), Block(WIDTH), Block(WIDTH)
        )
        self.read = nn.Sequential(nn.GroupNorm(8, WIDTH), nn.SiLU())
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH * GRID**2, sum(WIDTHS)))
        self.parts, self.numbers = nn.Conv2d(64, 32, 1), nn.Linear(sum(WIDTHS), len(IDENTITY))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """E (B, d), the map (B, WIDTH, 8, 8), and logits of parts (B, 32, S / 4, S / 4)."""
        fine = self.fine(pixels)
        coarse = self.read(self.coarse(fine))
        return self.embed(coarse), coarse, self.parts(fine)


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Two portraits each of many people a step."""
    teacher = Teacher()
    first = teacher.fine[0].weight
    matrices = [p for p in teacher.parameters() if p.ndim > 1 and p is not first]
    optimizers = muon_and_adam(matrices, teacher.parameters(), muon=0.02, adam=2e-3)
    run = Run(
        NAME, teacher, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.3, clip=10.0
    )  # fmt: skip
    rng, pairs = np.random.default_rng([run.step, run.rank, 1]), Pairs(open_set("singles"))
    for _ in run:
        x, parts, who, numbers = moved(*pairs.draw(batch, rng))
        with mixed():
            e, _, logits = teacher(x)
            guess = teacher.numbers(e)
        told = F.smooth_l1_loss(guess.float(), numbers)
        drawn = F.cross_entropy(logits.float(), parts)
        size = (e.float().square().mean(1) - 1).square().mean()  # rows of a size that fusing likes
        apart = contrast(e, who)
        run.update(
            apart + TOLD * told + DRAWN * drawn + SIZED * size, apart=apart, told=told, drawn=drawn
        )


def load_teacher() -> Teacher:
    """The trained network, frozen."""
    return load_trained(NAME, Teacher())


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=25, batch=BATCH)
    train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
