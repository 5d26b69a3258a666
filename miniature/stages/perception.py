"""A look at latents: ``python -m miniature.stages.perception``, the loss that the U-Net's faces are held to.

The squared error of a latent hardly notices whose face it shows. This small network reads windows of
latents around a face: who it is, in the words of the identity tower, which saw the pixels, and the expression. It is
trained on the pictures' own latents, with noise, and then frozen; what the U-Net believes the clean face to be
must look to it like the face that it is. It is not shipped.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.dataset import PictureSet, add_set_options, open_sets
from ..pictures.portraits import kinds_of, look_alikes, portraits
from ..pictures.training_set import Ready, prepare
from ..training.loop import Run, load_trained, mixed, moved
from ..training.muon import muon_and_adam
from ..world.people import EXPRESSIONS
from .identity import auc, embed_all, load_encoder
from .teacher import Block, contrast
from .text import WIDTHS
from .vae import LATENT_CHANNELS

CELLS = 8  # a window's side in latents: 64 of 128 pixels, a head in a portrait
GRID = 16
SAID = 10.0  # weight of what the tower says
CHECKED = 150  # people of the training set that the network is not shown, to see what it is worth


class Perception(nn.Module):
    """Features of a window at two scales, and who it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, 96, 3, padding=1), Block(96), Block(96)
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(96, 192, 3, stride=2, padding=1), Block(192), Block(192)
        )
        self.who = nn.Sequential(
            nn.GroupNorm(8, 192), nn.SiLU(), nn.Flatten(), nn.Linear(192 * (CELLS // 2) ** 2, 192)
        )
        self.said, self.expression = nn.Linear(192, sum(WIDTHS)), nn.Linear(192, len(EXPRESSIONS))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, 8, 8) -> features (B, 96, 8, 8), (B, 192, 4, 4), and the person (B, 192)."""
        fine = self.fine(z)
        coarse = self.coarse(fine)
        return fine, coarse, self.who(coarse)


def eyes_of(ready: Ready) -> Tensor:
    """(R, 2) x and y of the point between the eyes, pixels, of each row's first person."""
    return torch.tensor([r["eyes_at"][0] for r in ready.rows])


def corners(eyes: Tensor, mirrored: Tensor) -> Tensor:
    """(B, 2) row and column of the first cell of a window around the face, moved by up to a cell."""
    x = torch.where(mirrored.bool(), 127 - eyes[:, 0], eyes[:, 0])
    centre = torch.stack([eyes[:, 1] + 8, x], 1) / 8
    moved = centre - CELLS / 2 + 2 * torch.rand_like(centre) - 1
    return moved.round().long().clamp(0, GRID - CELLS)


def cut(x: Tensor, corner: Tensor) -> Tensor:
    """(B, ..., 8, 8): the window of each (B, ..., 16, 16)."""
    every = x.unfold(-2, CELLS, 1).unfold(-2, CELLS, 1)  # (B, ..., 9, 9, 8, 8)
    rows = torch.arange(len(x), device=x.device)
    return every.movedim((-4, -3), (1, 2))[rows, corner[:, 0], corner[:, 1]]


def distance(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Tensor:
    """(B,) how unlike two sets of feature maps are: squared distance of unit channels (LPIPS)."""
    parts = [
        (F.normalize(x.float(), dim=1) - F.normalize(y.float(), dim=1)).square().sum(1).mean((1, 2))
        for x, y in zip(a, b, strict=True)
    ]
    return torch.stack(parts).mean(0)


def windows(ready: Ready, eyes: Tensor, i: Tensor, noise: float) -> Tensor:
    """Windows of pictures ``i`` with noise of up to this size; ``eyes`` of ``eyes_of``."""
    mirrored = torch.randint(0, 2, (len(i),))
    z = cut(ready.latents[mirrored, i].float(), corners(eyes[i], mirrored))
    return z + noise * torch.rand(len(z), 1, 1, 1) * torch.randn_like(z)


def train(minutes: float, data: PictureSet, ready: Ready, *, people_in_batch: int = 96) -> None:
    """Two pictures each of many people a step, half of whom look alike."""
    known, wanted = taught(data)
    of = pictures_of(ready)
    known = np.intersect1d(known, sorted(of)[:-CHECKED])
    kinds, (wanted,) = kinds_of(data, known), moved(wanted)
    model = Perception()
    first = model.fine[0].weight
    matrices = [p for p in model.parameters() if p.ndim > 1 and p is not first]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.02, adam=2e-3)
    run = Run("perception", model, optimizers, minutes=minutes, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng(run.step + 3)
    torch.manual_seed(run.step)
    expressions, eyes = list(EXPRESSIONS), eyes_of(ready)
    for _ in run:
        pick = [
            k
            for w in known[look_alikes(kinds, people_in_batch, rng)].tolist()
            for k in rng.choice(of[w], 2, replace=False)
        ]
        i = torch.tensor(pick)
        faces = torch.tensor([expressions.index(ready.rows[k]["expression"]) for k in pick])
        z, people, faces = moved(windows(ready, eyes, i, 0.6), ready.people[i], faces)
        with mixed():
            _, _, who = model(z)
            told, shown = model.said(who), model.expression(who)
        alike = contrast(who, people)
        said = F.smooth_l1_loss(told.float(), wanted[people])
        expression = F.cross_entropy(shown.float(), faces)
        run.update(
            alike + SAID * said + 0.5 * expression,
            who=float(alike.detach()),
            said=float(said.detach()),
            expression=float((shown.argmax(1) == faces).float().mean()),
        )


def pictures_of(ready: Ready) -> dict[int, list[int]]:
    """The pictures of each person, those with two or more."""
    of: dict[int, list[int]] = {}
    for k, who in enumerate(ready.people.tolist()):
        of.setdefault(who, []).append(k)
    return {who: pictures for who, pictures in of.items() if len(pictures) > 1}


@torch.inference_mode()
def taught(data: PictureSet) -> tuple[np.ndarray, Tensor]:
    """The people of whom there are two portraits, and what the tower says of each on average,
    (known people, d) in units of its spread; zero for the others."""
    of = portraits(data)
    e = embed_all(data, np.concatenate(list(of.values())), load_encoder())
    e = (e - e.mean(0)) / e.std(0)
    wanted, first = torch.zeros(data.known_people, e.shape[1]), 0
    for who, its in of.items():
        wanted[who] = e[first : first + len(its)].mean(0)
        first += len(its)
    return np.array(list(of)), wanted


def load_perception() -> Perception:
    """The trained network, frozen."""
    return load_trained("perception", Perception())


@torch.inference_mode()
def report(ready: Ready) -> dict[str, float]:
    """AUC over pairs of pictures of people it was not shown, clean and with noise."""
    model, of, eyes = load_perception(), pictures_of(ready), eyes_of(ready)
    torch.manual_seed(0)
    i = torch.tensor([k for who in sorted(of)[-CHECKED:] for k in of[who]])
    people = ready.people[i].numpy()
    a, b = np.triu_indices(len(i), 1)
    result = {}
    for noise in (0.0, 0.6):
        e = F.normalize(model(windows(ready, eyes, i, noise))[2], dim=1)
        cosine, same = (e @ e.T).numpy()[a, b], (people[a] == people[b])
        result[f"auc at noise {noise}"] = round(auc(cosine[same], cosine[~same]), 4)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_set_options(parser)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data, pairs = open_sets(options)
    ready = prepare(data, pairs)
    train(options.minutes, data, ready)
    print(report(ready))


if __name__ == "__main__":
    main()
