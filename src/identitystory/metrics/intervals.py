"""Confidence intervals: the bootstrap over stories.

Pictures of one story are not independent of each other, so whole stories are drawn, with
replacement. A drawing is how often each story came, and a statistic is a function of that.

Drawn means scatter by less than the mean itself, the more so the fewer stories there are: of 10
normal stories the plain 95 % percentiles cover the truth 91 % of the time. So the percentiles are
Hesterberg's expanded ones (What Teachers Should Know About the Bootstrap, 2015, Sec. 5.3), which
cover 95 % from about 10 stories on and 92 % at five. Below `FEWEST` not even the whole range of the
stories would do, and there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from math import sqrt

import torch
from scipy.special import ndtr, stdtrit
from torch import Tensor

SAMPLES = 1000
LEVEL = 0.95
FEWEST = 4  # stories; of three the whole range covers 3 of 4 truths
HOW = f"{LEVEL:.0%} bootstrap over stories, expanded percentiles"

Statistic = Callable[[Tensor], float]  # (stories,) float64, how often each counts -> its value


def bootstrap(
    statistic: Statistic,
    stories: int | Sequence[Hashable],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The 95 % interval of ``statistic`` over stories; None for fewer than `FEWEST`.

    Drawings on which the statistic is nan (only one character drawn, say) do not count.

    Args:
        statistic: see above.
        stories: how many; or the origin of each, and stories of one origin are drawn together, as
            one story painted from two seeds is no second story.
        samples: drawings.
        seed: of the drawings.
    """
    origins = range(stories) if isinstance(stories, int) else stories
    numbers = {origin: n for n, origin in enumerate(dict.fromkeys(origins))}
    count = len(numbers)
    if count < FEWEST:
        return None
    member = torch.tensor([numbers[origin] for origin in origins])
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (samples, count), generator=rng)
    values = torch.tensor(
        [statistic(row.bincount(minlength=count).double()[member]) for row in drawn],
        dtype=torch.float64,
    )
    values = values[~values.isnan()]
    if not len(values):
        return None
    tail = expanded_tail(count)
    low, high = values.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def expanded_tail(stories: int) -> float:
    """The share of drawings to leave out at each end: Phi(-sqrt(n / (n - 1)) t_{n-1, 0.975}).

    For many stories it goes to 0.025.
    """
    t = stdtrit(stories - 1, 1 - (1 - LEVEL) / 2)
    return float(ndtr(-sqrt(stories / (stories - 1)) * t))


def difference(
    values: Sequence[float], reference: Sequence[float]
) -> tuple[float | None, float | None, float | None, int]:
    """What ``values`` have more than ``reference``, story by story: (mean, low, high, stories).

    Only stories that have both count; (None, None, None, 0) without any.
    """
    pairs = torch.tensor(values, dtype=torch.float64) - torch.tensor(reference, dtype=torch.float64)
    known = pairs[~pairs.isnan()]
    if not len(known):
        return None, None, None, 0
    low, high = bootstrap(mean_of(known), len(known)) or (None, None)
    return float(known.mean()), low, high, len(known)


def mean_of(values: Tensor) -> Statistic:
    """The weighted mean of (stories,) values; stories whose value is nan have none to give."""
    there = ~values.isnan()
    known = values.double().where(there, 0)

    def statistic(weights: Tensor) -> float:
        total = float((weights * there).sum())
        return float((weights * known).sum()) / total if total else float("nan")

    return statistic
