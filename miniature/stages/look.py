"""The look: a small network whose features say how alike two pictures look.

``python -m miniature.stages.look``. It learns to name every pixel's part and every picture's
attributes, in whole pictures of half size and in windows of full size, with noise. The autoencoder
is then held to its features. It is not shipped.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.labels import CATEGORY_SIZES, labels_of
from ..pictures.sets import PictureSet, open_set, part_of
from ..pictures.views import half, to_tensor, windows
from ..training.loop import Run, load_trained, mixed, moved
from ..training.losses import unlikeness
from ..training.muon import muon_and_adam
from ..training.options import stage_options

NAME, SIZE, BATCH = "look", 128, 48
WIDTHS = (3, 24, 48, 96, 128, 160)


class Look(nn.Module):
    """Five halvings; parts are read at a quarter of the size, attributes at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4 if k < 3 else 3, 2, 1), nn.GroupNorm(8, b), nn.SiLU())
            for k, (a, b) in enumerate(pairwise(WIDTHS))
        )
        self.parts = nn.Conv2d(WIDTHS[2] + WIDTHS[3] + WIDTHS[4], 32, 1)
        self.told = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], 64, 1), nn.Flatten(), nn.SiLU(),
            nn.Linear(64 * (SIZE // 32) ** 2, 256), nn.SiLU(), nn.Linear(256, sum(CATEGORY_SIZES)),
        )  # fmt: skip

    def features(self, x: Tensor, count: int = 3) -> list[Tensor]:
        """The first maps, each half as large as the one before."""
        maps = []
        for layer in self.near[:count]:
            x = layer(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of parts (B, 32, s / 4, s / 4) and of all attributes (B, n)."""
        maps = self.features(x, 5)
        size = maps[1].shape[-2:]
        seen = [maps[1], *(F.interpolate(m, size) for m in maps[2:4])]
        return self.parts(torch.cat(seen, 1)), self.told(maps[-1])

    def unlike(self, y: Tensor, x: Tensor) -> Tensor:
        """How unlike two batches of pictures look, at full and at half size."""
        total = y.new_zeros(())
        for _ in range(2):
            with mixed():
                seen, wanted = self.features(y), self.features(x)
            total = total + unlikeness(seen, wanted) / 2
            y, x = half(y), half(x)
        return total


def attribute_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy summed over attributes, each divided by that of guessing evenly."""
    parts = logits.float().split(CATEGORY_SIZES, 1)
    return sum(F.cross_entropy(p, truth[:, k]) / np.log(p.shape[1]) for k, p in enumerate(parts))


def batch_of(
    data: PictureSet, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Pictures, parts at a quarter of their size, and labels: two steps of three whole pictures,
    the third one windows, which have none."""
    truth = None
    if rng.random() < 0.33:
        w = windows([data], [1], count, SIZE, rng)
        x, marks, stride = w.x, w.marks, 4
    else:
        numbers = np.sort(rng.choice(data.numbers, count))
        x, marks, stride = half(to_tensor(data.rgb[numbers])), data.marks[numbers], 8
        truth = labels_of(data, numbers)
    parts = torch.from_numpy(part_of(marks)[:, stride // 2 :: stride, stride // 2 :: stride])
    x = x * (1 + 0.1 * torch.randn(count, 1, 1, 1)) + 0.05 * torch.randn(count, 3, 1, 1)
    return x + 0.1 * torch.rand(count, 1, 1, 1) * torch.randn_like(x), parts.long(), truth


def train(minutes: float, data: PictureSet, *, batch: int = BATCH, steps: int | None = None):
    """Parts and attributes at once."""
    model = Look()
    outer = {id(model.near[0][0].weight), id(model.told[-1].weight)}
    matrices = [p for p in model.parameters() if p.ndim > 1 and id(p) not in outer]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.01, adam=1.5e-3)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.4)
    rng = np.random.default_rng([run.step, 1])
    for _ in run:
        if (run.step - run.first) % 100 == 0:
            data = data.refreshed()
        x, parts, truth = batch_of(data, batch, rng)
        x, parts = moved(x, parts)
        with mixed():
            drawn, told = model(x)
        drawing = F.cross_entropy(drawn.float(), parts)
        loss, shown = 4 * drawing, {"parts": drawing}
        if truth is not None:
            telling = attribute_loss(told, *moved(truth))
            loss, shown = loss + telling, shown | {"told": telling}
        run.update(loss, **shown)


def load_look() -> Look:
    """The trained network, frozen."""
    return load_trained(NAME, Look())


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=6, batch=BATCH)
    train(options.minutes, open_set("singles"), batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
