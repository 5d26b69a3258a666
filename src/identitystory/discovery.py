"""Iterative Identity Discovery: one face out of many portraits (Sec. 3.1, Eqs. 1-2).

Portraits painted from one description show many people. The filter keeps, round by round, the
embeddings that a few shared directions describe best, and averages what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .config import DiscoveryConfig, survivors
from .errors import ConfigError, ModelError
from .types import Identity


def reconstruction_error(E: Tensor, k: int) -> Tensor:
    """The error of each row of E in the span of its k leading right singular vectors (Eqs. 1-2).

    eps_j = ||E_j - E_j W||_2 / d with W = V_k V_k^T, which is never built. The paper's sum over
    columns is one number; its eps in R^m needs the rows. The mean square ranks rows alike.

    Args:
        E: (n, d) embeddings.
        k: directions kept.

    Returns:
        (n,) float32 on the CPU.

    Raises:
        ConfigError: k is not in 1..min(n, d)-1. At full rank all errors are zero.
    """
    n, d = E.shape
    if not 1 <= k < min(n, d):
        raise ConfigError(
            f"rank is {k}; {n} embeddings of dimension {d} need one in 1..{min(n, d) - 1}, "
            "for at full rank every error is zero. Lower rank, or give more portraits."
        )
    E = E.detach().cpu().double()  # singular vectors of close values turn in float32
    V_k = torch.linalg.svd(E, full_matrices=False).Vh[:k].mT  # (d, k)
    return ((E - E @ V_k @ V_k.mT).norm(dim=1) / d).float()


def discover(E: Tensor, config: DiscoveryConfig, *, seed: int = 0) -> Identity:
    """The identity e_j that the rows of E agree on.

    Deterministic; the order of the rows and a rotation of the space do not matter. A row of zeros is a
    portrait without a face, and takes no part.

    Args:
        E: (m, d) float32, one embedding a portrait.
        config: rounds, share and rank; ``selection`` picks the filter or one of the controls.
        seed: which rows the control ``random`` draws; nothing else uses it.

    Returns:
        The mean of the surviving raw rows, or their medoid as ``config.average`` says, which rows
        those are, and each round's errors.

    Raises:
        ConfigError: the rank is too high for the rows of some round.
        ModelError: E holds a number that is not finite, or no portrait has a face.
    """
    E = E.detach().cpu().float()
    check_finite(E)
    kept = faced(E)
    errors: list[Tensor] = []
    rounds = 0 if config.selection == "mean" else config.iterations
    rng = torch.Generator().manual_seed(seed)
    for _ in range(rounds):
        if config.selection == "random":
            eps = torch.rand(len(kept), generator=rng)
        elif config.selection == "trim":
            eps = distance_to_mean(_features(E[kept], config))
        else:
            if config.center and config.rank > len(kept) - 2:
                raise ConfigError(
                    f"rank is {config.rank}; {len(kept)} centred embeddings need one in "
                    f"1..{len(kept) - 2}. Lower rank, or give more portraits."
                )
            eps = reconstruction_error(_features(E[kept], config), config.rank)
        errors.append(eps)
        n = survivors(len(kept), config.keep_ratio, config.rounding)
        kept = kept[eps.argsort(stable=True)[:n]].sort().values
    return Identity(averaging(config)(E[kept]), kept, tuple(errors))


def faced(E: Tensor) -> Tensor:
    """Which rows of E (n, d) are of portraits with a face, (m,) int64: those that are not all zeros.

    Raises:
        ModelError: there is none.
    """
    rows = E.any(dim=1).nonzero().flatten()
    if len(E) and not len(rows):
        raise ModelError(
            f"no face was found in any of {len(E)} pictures; in portraits a face should be large and "
            "seen from the front"
        )
    return rows


def check_finite(E: Tensor) -> None:
    """Nothing, if all numbers of E (n, d) are finite.

    Raises:
        ModelError: names the rows that are not.
    """
    bad = (~E.isfinite()).any(dim=1).nonzero().flatten().tolist()
    if bad:
        raise ModelError(
            f"the embeddings of portraits {bad} are not finite; the identity encoder overflowed, or "
            "its weights are broken. Run it in float32, or get them again."
        )


def settled(E: Tensor, before: int, config: DiscoveryConfig, *, seed: int = 0) -> bool:
    """Whether the last portraits hardly moved the identity, so that more are not needed.

    The identity of all rows is compared with that of the first ``before``: their cosine distance
    must be below ``config.settle``. Never with too few faces for the filter, or with ``settle`` 0.

    Args:
        E: (n, d), the portraits so far.
        before: how many of them there were at the last look.
        config: as for `discover`.
        seed: of `discover`.
    """
    if config.settle == 0 or before >= len(E) or not E[:before].any():
        return False
    try:
        for n in (before, len(E)):
            # Refuses a rank that so few portraits with a face do not allow.
            replace(config, num_portraits=len(faced(E[:n])))
    except ConfigError:
        return False
    a, b = (discover(E[:n], config, seed=seed).embedding.double() for n in (before, len(E)))
    return float(1 - torch.nn.functional.cosine_similarity(a, b, dim=0)) < config.settle


def distance_to_mean(E: Tensor) -> Tensor:
    """How far each row of E (n, d) lies from their mean, over d: what ``trim`` filters by. (n,)"""
    E = E.double()
    return ((E - E.mean(dim=0)).norm(dim=1) / E.shape[1]).float()


def mean(E: Tensor) -> Tensor:
    """The average of the rows of E (n, d), summed in float64 so that their order is no matter."""
    return E.double().mean(dim=0).float()


def averaging(config: DiscoveryConfig) -> Callable[[Tensor], Tensor]:
    """What makes one row of several: `mean` or `medoid`."""
    return medoid if config.average == "medoid" else mean


def medoid(E: Tensor) -> Tensor:
    """The row of E (n, d) nearest to their mean: where rows are pictures, a mean of them is nobody."""
    return E[int(distance_to_mean(E).argmin())]


def cohesion(E: Tensor) -> float:
    """The mean cosine over all pairs of different rows of E (n, d), in [-1, 1]; 1 for one row."""
    n = len(E)
    if n < 2:
        return 1.0
    rows = torch.nn.functional.normalize(E.double(), dim=1)
    return float((rows.sum(dim=0).square().sum() - rows.square().sum()) / (n * (n - 1)))


def _features(E: Tensor, config: DiscoveryConfig) -> Tensor:
    """What the filter looks at: the raw rows unless the configuration asks for more."""
    E = E.double()
    if config.normalize:
        E = torch.nn.functional.normalize(E, dim=1)
    return E - E.mean(dim=0) if config.center else E
