"""What the U-Net is shown in a step of training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..pictures.training_set import WORDINGS, Ready, companions, portraits_of
from ..training.loop import DEVICE, moved
from ..training.noise import noised
from .painter import scheduler
from .perception import corners, eyes_of

BARE = 0.4  # share of identity samples whose caption is the class word alone


TWO = 0.3  # share of pictures of two people in either half


DEAF = 0.2  # share of identity samples without the pooled vector, so that the rows must be heard


@dataclass(frozen=True)
class Batch:
    """Noised latents with what is said of them; ``e`` is empty for the plain generator.

    Attributes:
        x, target: (B, C, h, w) noised latents and the velocity; clean: what they were.
        t: (B,); weight: (B, h, w) of each cell, of mean one.
        states, pooled, where: of the captions; where is 0 without a class word.
        e: (B, D) the person's embedding from other pictures, or None.
        corner: (B, 2) of the window around the face; one: (B,) whether one person is spoken of.
        about, cells: what the tokens speak of, and where that is (``looking``).
    """

    x: Tensor
    target: Tensor
    clean: Tensor
    t: Tensor
    weight: Tensor
    states: Tensor
    pooled: Tensor
    where: Tensor
    e: Tensor | None
    corner: Tensor
    one: Tensor
    about: Tensor
    cells: Tensor


class Draw:
    """Draws batches, with captions of ``bare_captions`` now and then.

    On an accelerator everything that is drawn from lies there.
    """

    def __init__(self, ready: Ready, bare: tuple[Tensor, ...]):
        eyes, alpha_bar = eyes_of(ready), scheduler().alphas_cumprod
        others = companions(ready.people, ready.whom, portraits_of(ready))
        most, singles = max(map(len, others)), len(ready.people)
        seen = torch.tensor([len(o) > 0 for o in others])
        table = torch.tensor([[*o, *[-1] * (most - len(o))] for o in map(list, others)])
        tensors = {k: v for k, v in vars(ready).items() if isinstance(v, Tensor)}
        on_device = dict(zip(tensors, moved(*tensors.values()), strict=True))
        self.ready = replace(ready, **on_device)
        self.bare = moved(*bare)
        self.others, self.eyes, self.alpha_bar = moved(table, eyes, alpha_bar)
        # Pictures of one, and sides, of people of whom there is a portrait to paint them from.
        self.known, self.beside = moved(*(s.nonzero()[:, 0] for s in seen.tensor_split([singles])))

    def __call__(self, count: int, *, identity: bool) -> Batch:
        """``count`` pictures for one of the two generators."""
        ready = self.ready
        singles, sides, empty = len(ready.people), len(ready.whom), len(ready.states) - 1
        pairs = singles + sides // 2  # the first side's row
        i = any_of(self.known, count) if identity else below(singles, count)
        if sides:
            two = (
                any_of(self.beside, count) + pairs
                if identity
                else below(sides // 2, count) + singles
            )
            i = torch.where(chance(TWO, count), two, i)
        # Pairs as they are: who is named first stands on the left.
        mirrored = below(2, count) * (i < singles)
        picture = torch.where(i < pairs, i, singles + (i - pairs) // 2)
        z, w = ready.latents[mirrored, picture].float(), ready.weight[i]
        w = torch.where(mirrored.bool()[:, None, None], w.flip(2), w)
        cells = ready.cells[i]
        cells = torch.where(mirrored.bool()[:, None, None, None], cells.flip(3), cells)
        corner = corners(self.eyes[i], mirrored)
        one = (i < singles) | (i >= pairs)
        u = (torch.arange(count, device=DEVICE) + torch.rand(count, device=DEVICE)) / count
        u = u[torch.randperm(count, device=DEVICE)]
        # Faces take shape in the middle (SD3's logit-normal), a little nearer to the noise, which
        # decides what a picture is of and what a person's skin and head are like.
        t = (1000 * torch.sigmoid(0.4 + torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)))).long()
        x, target = noised(z, torch.randn_like(z), t, self.alpha_bar)

        which = below(WORDINGS, count)
        if identity:
            which = torch.where(chance(0.2, count), WORDINGS - 1, which)
        dropped = chance(0.1, count)
        text = torch.where(dropped, empty, i * WORDINGS + which)
        states, pooled = ready.states[text].float(), ready.pooled[text]
        where, about, e = ready.where[text], ready.about[text], None
        if identity:
            bare = ~dropped & chance(BARE, count)
            bare_states, bare_pooled, bare_where, bare_about, fitting = self.bare
            said = fitting[i] + below(3, count)
            states = torch.where(bare[:, None, None], bare_states[said], states)
            pooled = torch.where(bare[:, None], bare_pooled[said], pooled)
            where = torch.where(bare, bare_where[said], where)
            about = torch.where(bare[:, None], bare_about[said], about)
            e = self.embeddings(torch.where(i < singles, i, i - sides // 2))
            pooled = torch.where(chance(DEAF, count)[:, None], ready.pooled[-1], pooled)
        return Batch(
            x, target, z, t, w / w.mean((1, 2), keepdim=True), states, pooled, where,
            e, corner, one, about, cells,
        )  # fmt: skip

    def embeddings(self, i: Tensor) -> Tensor:
        """(B, D): of one to three other portraits of the person, with a little noise.

        Args:
            i: (B,) numbers of pictures of one person, then of sides.
        """
        there = self.others[i] >= 0
        wanted = 1 + below(3, len(i))
        order = (
            torch.where(there, torch.rand(there.shape, device=DEVICE), 2.0).argsort(1).argsort(1)
        )
        chosen = (there & (order < wanted[:, None])).float()
        rows = self.ready.embeddings[self.others[i].clamp(min=0)]
        e = (rows * chosen[..., None]).sum(1) / chosen.sum(1, keepdim=True)
        return e + 0.1 * e.std() * torch.randn_like(e)


def below(high: int, count: int) -> Tensor:
    """(count,) whole numbers from 0 up to ``high``, on the device that trains."""
    return torch.randint(0, high, (count,), device=DEVICE)


def any_of(x: Tensor, count: int) -> Tensor:
    """(count,) entries of ``x`` (n,)."""
    return x[below(len(x), count)]


def chance(odds: float, count: int) -> Tensor:
    """(count,) bool, each true with these odds."""
    return torch.rand(count, device=DEVICE) < odds
