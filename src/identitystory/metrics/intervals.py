"""Confidence intervals: the bootstrap over stories; and Wilson, sign flips and Holm for choices.

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
from random import Random

import torch
from scipy.special import ndtr, stdtrit
from torch import Tensor

SAMPLES = 1000
LEVEL = 0.95
DRAWS = 10_000  # of signs
Z = 1.959963984540054  # of a 95 % interval
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
    often = torch.zeros(samples, count, dtype=torch.float64)
    often.scatter_add_(1, drawn, torch.ones_like(often))
    different, which = often.unique(dim=0, return_inverse=True)  # few stories: few drawings
    found = [statistic(weights[member]) for weights in different]
    values = torch.tensor(found, dtype=torch.float64)[which]
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
    gains = [value - other for value, other in zip(values, reference, strict=True)]
    mean, low, high, stories = mean_over(gains)
    return mean if stories else None, low, high, stories


def mean_over(values: Sequence[float]) -> tuple[float, float | None, float | None, int]:
    """(mean, low, high, stories) of those of a value a story that are not nan; nan without any."""
    known = [value for value in values if value == value]
    statistic, count = mean_of(torch.tensor(known, dtype=torch.float64)), len(known)
    low, high = bootstrap(statistic, count) or (None, None)
    return statistic(torch.ones(count, dtype=torch.float64)), low, high, count


def mean_of(values: Tensor) -> Statistic:
    """The weighted mean of (stories,) values; stories whose value is nan have none to give."""
    there = ~values.isnan()
    known = values.double().where(there, 0)

    def statistic(weights: Tensor) -> float:
        total = float((weights * there).sum())
        return float((weights * known).sum()) / total if total else float("nan")

    return statistic


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate; (0, 1) where nobody was asked."""
    if not trials:
        return 0.0, 1.0
    rate, square = successes / trials, Z * Z / trials
    middle = (rate + square / 2) / (1 + square)
    half = Z * sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def sign_flip(differences: Sequence[int], seed: int = 0) -> float:
    """Two-sided p of "the sign of each participant's difference is a coin".

    Exact for up to 14 participants who differ, by 10,000 seeded draws beyond. People are drawn as
    wholes, since the answers of one of them are not independent.
    """
    there = [d for d in differences if d]
    seen = abs(sum(there))
    if len(there) <= 14:
        flips = range(2 ** len(there))
        sums = (sum(d if bits >> n & 1 else -d for n, d in enumerate(there)) for bits in flips)
        return sum(abs(s) >= seen for s in sums) / 2 ** len(there)
    rng = Random(seed)
    hits = sum(
        abs(sum(d if rng.getrandbits(1) else -d for d in there)) >= seen for _ in range(DRAWS)
    )
    return (hits + 1) / (DRAWS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's correction of several p-values, in their order."""
    corrected, worst = [0.0] * len(ps), 0.0
    for rank, n in enumerate(sorted(range(len(ps)), key=lambda n: ps[n])):
        worst = max(worst, min(1.0, ps[n] * (len(ps) - rank)))
        corrected[n] = worst
    return corrected
