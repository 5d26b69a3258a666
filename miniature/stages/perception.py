"""A look at latents that knows people: ``python -m miniature.stages.perception``.

The squared error of a latent hardly notices whose face it shows. This small network reads latents of
one person: who it is, in the words of the identity tower, which saw the pixels, the identity numbers,
and the expression. It is trained on latents with noise, and then frozen; the clean picture that the
U-Net believes in must show it the person that it is. It is not shipped.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.faces import numbers_of
from ..pictures.latents import Latents
from ..pictures.people import embedded
from ..pictures.sets import open_set
from ..training.loop import Run, load_trained, mixed, moved
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from ..world.records import EXPRESSIONS, IDENTITY
from .teacher import Block
from .text import WIDTHS
from .vae import CHANNELS

NAME, BATCH = "perception", 96
NOISE = 0.6


class Perception(nn.Module):
    """From latents (B, C, 16, 16): the tower's embedding, the identity numbers, the expression."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(CHANNELS, 96, 3, padding=1), Block(96), Block(96))
        self.coarse = nn.Sequential(
            nn.Conv2d(96, 160, 4, 2, 1), Block(160), nn.Conv2d(160, 160, 4, 2, 1), Block(160),
            nn.GroupNorm(8, 160), nn.SiLU(), nn.Flatten(), nn.Linear(160 * 16, 256), nn.SiLU(),
        )  # fmt: skip
        self.said = nn.Linear(256, sum(WIDTHS))
        self.numbers = nn.Linear(256, len(IDENTITY))
        self.expression = nn.Linear(256, len(EXPRESSIONS))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """E (B, d) in units of its spread, identity numbers (B, n), expression logits."""
        who = self.coarse(self.fine(z))
        return self.said(who), self.numbers(who), self.expression(who)

    def other(self, z: Tensor, clean: Tensor) -> Tensor:
        """(B,) in how far latents show somebody else than the clean ones do."""
        said, numbers, _ = self(z)
        with torch.no_grad():
            wanted, known, _ = self(clean)
        apart = 1 - F.cosine_similarity(said.float(), wanted.float())
        return apart + (numbers.float() - known.float()).abs().mean(1)


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Pictures of one person, portraits and half-bodies."""
    data = open_set("singles")
    known, numbers, latents = embedded(data), numbers_of(data), Latents(data)
    z, shots = latents.arrays(CHANNELS)[0], data.shots
    mean, std = known.e.mean(0), known.e.std(0)
    wanted = {w: (known.e[torch.from_numpy(r)].mean(0) - mean) / std for w, r in known.of.items()}
    pool = [int(n) for n in latents.numbers if len(shots[int(n)].people) == 1]
    pool = np.array([n for n in pool if shots[n].people[0] in wanted])
    model = Perception()
    first = model.fine[0].weight
    matrices = [p for p in model.parameters() if p.ndim > 1 and p is not first]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.02, adam=2e-3)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng([run.step, 4])
    for _ in run:
        chosen = np.sort(rng.choice(pool, batch))
        who = [shots[int(n)].people[0] for n in chosen]
        face = [EXPRESSIONS.index(shots[int(n)].record.moments[0].expression) for n in chosen]
        x, said, told, face = moved(
            torch.from_numpy(z[chosen]).float(), torch.stack([wanted[w] for w in who]),
            torch.from_numpy(np.stack([numbers[w] for w in who])), torch.tensor(face),
        )  # fmt: skip
        x = x + NOISE * torch.rand(len(x), 1, 1, 1, device=x.device) * torch.randn_like(x)
        with mixed():
            e, guess, expression = model(x)
        right = F.smooth_l1_loss(e.float(), said), F.smooth_l1_loss(guess.float(), told)
        faces = F.cross_entropy(expression.float(), face)
        run.update(10 * right[0] + 20 * right[1] + 0.5 * faces, said=right[0], told=right[1])


def load_perception() -> Perception:
    """The trained network, frozen."""
    return load_trained(NAME, Perception())


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=10, batch=BATCH)
    train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
