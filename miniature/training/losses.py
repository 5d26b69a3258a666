"""How unlike two pictures are, and how unlike people are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FACTOR = 16  # pixels a side of a cell of latents


def opponent(x: Tensor) -> Tensor:
    """RGB to luminance, red-green, yellow-blue; the two differences enlarged.

    An L1 loss on RGB learns colours last: plum and rose stay brown for a third of the training.
    """
    r, g, b = x.unbind(1)
    return torch.stack([0.3 * r + 0.6 * g + 0.1 * b, 1.8 * (r - g), 1.2 * (b - 0.5 * (r + g))], 1)


def reconstruction(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """L1 in opponent colours, gradients at three scales, and the colours of whole cells.

    The last as a squared error: an L1 loss is content with brown where red and green are as many.

    Args:
        y, x: (B, 3, H, W) in [-1, 1].
        weight: (B, 1, H, W) of each pixel, of mean one.
    """
    d = opponent(y) - opponent(x)
    loss = (d.abs() * weight).mean() + 2 * F.avg_pool2d(d, FACTOR).square().mean()
    d = (y - x) * weight.sqrt()
    for _ in range(3):
        loss = loss + 0.35 * (d.diff(dim=-1).abs().mean() + d.diff(dim=-2).abs().mean())
        d = F.avg_pool2d(d, 2)
    return loss


def unlikeness(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Mean squared distance of unit channels over maps of features (LPIPS without weights)."""
    parts = [
        (F.normalize(p.float(), dim=1) - F.normalize(q.float(), dim=1)).square().sum(1).mean()
        for p, q in zip(a, b, strict=True)
    ]
    return torch.stack(parts).mean()


def contrast(e: Tensor, groups: Tensor, temperature: float = 0.08) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) over cosine similarities."""
    e = F.normalize(e.float(), dim=1)
    logits = e @ e.T / temperature
    logits.fill_diagonal_(-1e9)
    same = groups[:, None] == groups[None]
    same.fill_diagonal_(False)
    return -(logits.log_softmax(1)[same]).mean()


def matching(similarity: Tensor) -> Tensor:
    """CLIP's loss over (n, n) logits, whose diagonal belongs together."""
    target = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
