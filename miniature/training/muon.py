"""Muon: momentum whose matrix update is made orthogonal by a Newton-Schulz iteration (K. Jordan, 2024).

torch.optim.Muon takes matrices only; this one folds a convolution's kernel into (out, in*h*w).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

from ..package import resolve_dtype


def orthogonalized(g: Tensor, iterations: int = 5) -> Tensor:
    """(m, n) with about the singular vectors of ``g`` and all singular values near one.

    In bfloat16 where the device multiplies it.
    """
    x = g if resolve_dtype("auto", g.device) == torch.float32 else g.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(iterations):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Muon over weights of two or more dimensions."""

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        """One update. Processes that train together share the work: each makes every n-th matrix
        orthogonal, and the sum of what they made is everybody's update."""
        together = dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        for group in self.param_groups:
            chosen = [p for p in group["params"] if p.grad is not None]
            updates = [torch.zeros_like(p) for p in chosen]
            for k, (p, made) in enumerate(zip(chosen, updates, strict=True)):
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                if k % world == rank:
                    u = p.grad.lerp(m, group["momentum"]).reshape(p.shape[0], -1)
                    o = orthogonalized(u) * max(1, u.shape[0] / u.shape[1]) ** 0.5
                    made.copy_(o.view_as(p))
            if together:
                updates = all_summed(updates)
            for p, made in zip(chosen, updates, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(made, alpha=-group["lr"])


def muon_and_adam(
    matrices: list[Tensor], parameters: Iterable[Tensor], *, muon: float, adam: float,
    decay: float = 0.02,
) -> list[torch.optim.Optimizer]:  # fmt: skip
    """Muon for ``matrices``, AdamW for the rest of ``parameters`` that learns."""
    chosen = set(map(id, matrices))
    rest = [p for p in parameters if id(p) not in chosen and p.requires_grad]
    return [
        Muon(matrices, muon, weight_decay=decay),
        torch.optim.AdamW(rest, adam, weight_decay=decay, fused=True),
    ]


def all_summed(tensors: list[Tensor]) -> list[Tensor]:
    """The sums over the processes that train together."""
    flat = torch.cat([x.flatten() for x in tensors])
    dist.all_reduce(flat)
    parts = flat.split([x.numel() for x in tensors])
    return [part.view_as(x) for part, x in zip(parts, tensors, strict=True)]
