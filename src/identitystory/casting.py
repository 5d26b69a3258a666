"""Several people out of one description's portraits; the paper's filter (`discovery`) finds one.

The mean that the filter ends with is the face that a description always gives, whatever the seed.
Here a person is a portrait, or one with those nearest to it. They are chosen one after the other, each
as far as can be from those before, or they are those most like somebody who is known; a stray, which is
like no other portrait, is nobody.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .config import DiscoveryConfig
from .discovery import check_finite, cohesion, discover, mean
from .errors import ConfigError
from .types import Identity

NEAR = 1  # portraits of a person; see benchmarks/casting.py


def find(
    E: Tensor,
    config: DiscoveryConfig,
    *,
    seed: int = 0,
    candidate: int = 0,
    like: Tensor | None = None,
) -> Identity:
    """The filter's identity, or the ``candidate``-th of `people`, or of `relatives` of ``like``, from 1.

    Raises:
        ConfigError: as `discovery.discover` and `people`.
    """
    if not candidate:
        return discover(E, config, seed=seed)
    found = people(E, candidate, config) if like is None else relatives(E, like, candidate, config)
    return found[-1]


def people(E: Tensor, count: int, config: DiscoveryConfig, *, near: int = NEAR) -> list[Identity]:
    """``count`` identities of the portraits E, the typical one first; more of them begin with these.

    Deterministic, and a rotation of the space does not matter.

    Args:
        E: (m, d) float32, one embedding a portrait.
        count: how many people; at least 1.
        config: of the filter. The first person is the nearest to its identity, and the mean cosine
            of its kept portraits is the least that a portrait may have with its nearest.
        near: portraits of a person, from 1; their identity is the mean of these.

    Returns:
        Each with its portraits as ``kept``. A portrait begins at most one person.

    Raises:
        ConfigError: so many people are not in the portraits, or the filter refuses them.
        ModelError: E holds a number that is not finite.
    """
    E, found, kept = _persons(E, count, config, near)
    means = torch.stack([mean(E[some]) for some in kept])
    directions = normalize(means.double(), dim=1)
    chosen = [int((directions @ normalize(found.embedding.double(), dim=0)).argmax())]
    nearest = torch.full((len(kept),), -torch.inf, dtype=torch.float64)
    while len(chosen) < count:
        nearest = torch.maximum(nearest, directions @ directions[chosen[-1]])
        nearest[chosen[-1]] = torch.inf
        chosen.append(int(nearest.argmin()))
    return [Identity(means[n], kept[n]) for n in chosen]


def relatives(E: Tensor, like: Tensor, count: int, config: DiscoveryConfig) -> list[Identity]:
    """The ``count`` portraits of E that are most like somebody, or several at once; the nearest first.

    Nearness is the cosine to the mean of the directions of ``like``, whose order does not matter, nor
    that of the rows of E. A stray is nobody's relative, as in `people`.

    Args:
        E: (m, d) float32, one embedding a portrait, of the description of who is looked for.
        like: (n, d), the identities of those whom they are to be like.
        count: how many; at least 1.
        config: of the filter.

    Raises:
        ConfigError: so many people are not in the portraits, or the filter refuses them.
        ModelError: E or ``like`` holds a number that is not finite.
    """
    check_finite(like)
    E, _, kept = _persons(E, count, config, 1)
    middle = normalize(like.detach().cpu().double(), dim=1).mean(dim=0)
    nearness = normalize(E[torch.cat(kept)].double(), dim=1) @ middle
    nearest = nearness.argsort(descending=True, stable=True)[:count].tolist()
    return [Identity(mean(E[kept[n]]), kept[n]) for n in nearest]


def _persons(
    E: Tensor, count: int, config: DiscoveryConfig, near: int
) -> tuple[Tensor, Identity, list[Tensor]]:
    """E, what the filter finds in it, and the ``near`` portraits of each person that is in it."""
    E = E.detach().cpu().float()
    check_finite(E)
    found = discover(E, config)
    floor = cohesion(E[found.kept])
    rows = normalize(E.double(), dim=1)
    by_nearness = (rows @ rows.mT).argsort(dim=1, descending=True, stable=True)
    company = by_nearness[:, : max(near, 2)]
    begin = [n for n, some in enumerate(company) if cohesion(E[some]) >= floor]
    if not 1 <= count <= len(begin):
        raise ConfigError(
            f"{count} people were asked for; these {len(E)} portraits show 1 to {len(begin)}. "
            "Ask for fewer, or give more portraits."
        )
    return E, found, [company[n, :near].sort().values for n in begin]
