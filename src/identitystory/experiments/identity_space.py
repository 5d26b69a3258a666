"""Fig. 2a: where the portraits of several characters lie in the identity space, and what survives.

The paper draws embeddings of three identities with t-SNE; here they are projected on the two
directions in which they differ most (PCA), which keeps distances honest and needs no seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..discovery import cohesion
from ..metrics.intervals import mean_over
from ..runs.files import read_tensors
from ..runs.folder import RunFolder
from .experiment import Experiment
from .tables import Outcome, Row, Table, compared

ALL, KEPT = "all portraits", "kept portraits"


@dataclass(frozen=True)
class Cloud:
    """One character: E (m, d) of its portraits, which rows the filter kept, and e_j (d,)."""

    name: str
    E: Tensor
    kept: Tensor
    identity: Tensor


def clouds(request: Experiment) -> list[Cloud]:
    """The portraits of every character of a finished ``space``."""
    found = []
    for run in request.runs():
        for character in run.story.faced:
            t = read_tensors(RunFolder(run.out).identity(character.name), run.out)
            found.append(Cloud(character.name, t["E"], t["kept"], t["embedding"]))
    return found


def project(E: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """PCA of the rows of E (n, d): their mean (d,), two directions (2, d), and each one's share.

    The share is that of the variance. Of a direction's two signs the one is taken whose largest
    entry is positive.
    """
    E = E.double()
    middle = E.mean(dim=0)
    _, S, Vh = torch.linalg.svd(E - middle, full_matrices=False)
    axes = Vh[:2]
    signs = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)).sign()
    return middle, axes * signs, S[:2].square() / S.square().sum()


def nearest_own(groups: Sequence[Tensor]) -> list[float]:
    """For each group of rows the share that lies nearest to its own mean, itself left out of it.

    Chance is one over the number of groups. nan for a group of a single row.
    """
    means = torch.stack([g.double().mean(dim=0) for g in groups])
    shares = []
    for number, group in enumerate(groups):
        n, distances = len(group), torch.cdist(group.double(), means)
        distances[:, number] *= n / (n - 1) if n > 1 else nan  # the mean without the row itself
        nearest = (distances.argmin(dim=1) == number).double()
        shares.append(float(nearest.mean()) if n > 1 else nan)
    return shares


def to_others(groups: Sequence[Tensor]) -> list[float]:
    """For each group the mean cosine of its rows and those of the others; nan where it is alone."""
    sums = torch.stack([normalize(g.double(), dim=1).sum(dim=0) for g in groups])
    sizes = torch.tensor([len(g) for g in groups], dtype=torch.float64)
    products = (sums * (sums.sum(dim=0) - sums)).sum(dim=1)
    return (products / sizes / (sizes.sum() - sizes)).tolist()


def measure_space(found: Sequence[Cloud]) -> Outcome:
    """How well the characters are told apart, of all portraits and of those that were kept.

    Every measure is one number a character, with its interval over characters.
    """
    rows = []
    for label in (ALL, KEPT):
        groups = [c.E if label == ALL else c.E[c.kept] for c in found]
        measures = {
            "nearest to own mean": nearest_own(groups),
            "cosine to own": [cohesion(g) if len(g) > 1 else nan for g in groups],
            "cosine to others": to_others(groups),
        }
        for name, each in measures.items():
            rows.append(Row(label, None, name, *mean_over(each), each=tuple(each)))
    return Outcome(compared(rows, ALL), ALL)


def points_csv(found: Sequence[Cloud]) -> str:
    """One line for each portrait, and each identity, with its place in the figure."""
    middle, axes, _ = project(torch.cat([c.E for c in found]))
    place = lambda row: ((row.double() - middle) @ axes.mT).tolist()
    rows: list[list[Any]] = []
    for c in found:
        kept = set(c.kept.tolist())
        rows += [[c.name, n, int(n in kept), *place(row)] for n, row in enumerate(c.E)]
        rows.append([c.name, "identity", "", *place(c.identity)])
    return Table(["character", "portrait", "kept", "x", "y"], rows).csv()
