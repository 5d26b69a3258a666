"""Confidence intervals: the bootstrap over stories.

Pictures of one story are not independent of each other, so whole stories are drawn, with
replacement. A drawing is how often each story came, and a statistic is a function of that.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SAMPLES = 1000
LEVEL = 0.95

Statistic = Callable[[Tensor], float]  # (stories,) float64, how often each counts -> its value


def bootstrap(
    statistic: Statistic, stories: int, *, samples: int = SAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile interval of ``statistic`` over ``stories``; None for fewer than two.

    Drawings on which the statistic is nan (only one character drawn, say) do not count.
    """
    if stories < 2:
        return None
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randint(stories, (samples, stories), generator=rng)
    values = torch.tensor(
        [statistic(row.bincount(minlength=stories).double()) for row in drawn], dtype=torch.float64
    )
    values = values[~values.isnan()]
    if not len(values):
        return None
    tail = (1 - LEVEL) / 2
    low, high = values.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def mean_of(values: Tensor) -> Statistic:
    """The weighted mean of (stories,) values; stories whose value is nan have none to give."""
    there = ~values.isnan()
    known = values.double().where(there, 0)

    def statistic(weights: Tensor) -> float:
        total = float((weights * there).sum())
        return float((weights * known).sum()) / total if total else float("nan")

    return statistic
