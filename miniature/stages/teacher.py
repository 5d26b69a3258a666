"""Who it is, seen by a convolutional network: ``python -m miniature.stages.teacher``.

A transformer of the tower's size learns to see from these few pictures very slowly; convolutions learn it
in minutes. So a convolutional network is trained first, and the tower (``identity``) learns to say what it
says. It is not shipped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..pictures.face_shapes import numbers_of
from ..pictures.portraits import PARTS, Pairs
from ..training.loop import Run, load_trained, mixed, moved, spawn
from ..training.muon import muon_and_adam
from .text import WIDTHS

GRID, WIDTH = 8, 160  # of the teacher's map; a cell is a patch of the tower
PEOPLE_IN_BATCH, TEMPERATURE = 64, 0.08  # in each process
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

    def __init__(self, numbers: int):
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), Block(32), nn.Conv2d(32, 64, 4, 2, 1), Block(64)
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(64, WIDTH, 5, 3, 1), Block(WIDTH), Block(WIDTH), Block(WIDTH)
        )
        self.read = nn.Sequential(nn.GroupNorm(8, WIDTH), nn.SiLU())
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH * GRID**2, sum(WIDTHS)))
        self.parts, self.numbers = nn.Conv2d(64, PARTS, 1), nn.Linear(sum(WIDTHS), numbers)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """E (B, d), the map (B, WIDTH, 8, 8), and logits of parts (B, PARTS, S / 4, S / 4)."""
        fine = self.fine(pixels)
        coarse = self.read(self.coarse(fine))
        return self.embed(coarse), coarse, self.parts(fine)


def contrast(e: Tensor, groups: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) over cosine similarities."""
    e = F.normalize(e.float(), dim=1)
    logits = e @ e.T / TEMPERATURE
    logits.fill_diagonal_(-1e9)
    same = groups[:, None] == groups[None]
    same.fill_diagonal_(False)
    return -(logits.log_softmax(1)[same]).mean()


def train(minutes: float, data: PictureSet) -> None:
    """Two portraits each of many people a step."""
    (numbers,) = moved(torch.from_numpy(numbers_of(data)))
    teacher = Teacher(numbers.shape[1])
    first = teacher.fine[0].weight
    matrices = [p for p in teacher.parameters() if p.ndim > 1 and p is not first]
    optimizers = muon_and_adam(matrices, teacher.parameters(), muon=0.02, adam=2e-3)
    run = Run("teacher", teacher, optimizers, minutes=minutes, ema=0.99, decay_from=0.3, clip=10.0)
    rng, pairs = np.random.default_rng([run.step, run.rank, 1]), Pairs(data)
    for _ in run:
        x, parts, who = moved(*pairs.draw(PEOPLE_IN_BATCH, rng))
        with mixed():
            e, _, logits = teacher(x)
            guess = teacher.numbers(e)
        told = F.smooth_l1_loss(guess.float(), numbers[who])
        drawn = F.cross_entropy(logits.float(), parts)
        size = (e.float().square().mean(1) - 1).square().mean()  # rows of a size that fusing likes
        apart = contrast(e, who)
        run.update(
            apart + TOLD * told + DRAWN * drawn + SIZED * size,
            apart=float(apart.detach()),
            told=float(told.detach()),
            drawn=float(drawn.detach()),
        )


def load_teacher(data: PictureSet) -> Teacher:
    """The trained network, frozen."""
    return load_trained("teacher", Teacher(numbers_of(data).shape[1]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    data = PictureSet(options.data)
    numbers_of(data)
    spawn(options.threads)
    train(options.minutes, data)


if __name__ == "__main__":
    main()
