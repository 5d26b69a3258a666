"""Measures of all stories together: faces of different characters, held against one another.

A story's own mean would not do, for most have few characters: their pairs are pooled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import scores
from .evidence import Evidence, Instruments
from .intervals import Statistic

Pool = Callable[[Sequence[Evidence], Instruments], Statistic]


def similarity(faces: Tensor, instruments: Instruments) -> Tensor:
    """(n, n) of (n, d) faces by the recogniser; zeros without one."""
    if instruments.recogniser is None or not len(faces):
        return torch.zeros(len(faces), len(faces), dtype=torch.float64)
    return instruments.recogniser.similarity(faces, faces)


def with_faces(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The stories in whose pictures a face was found."""
    return [e for e in evidence if len(e.faces)]


def with_doubles(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The stories with a face of somebody whose description another character has, too, in any of them."""
    people: dict[str, set[str]] = defaultdict(set)
    for e in evidence:
        for who, words in zip(e.face_who, _words([e]), strict=True):
            people[words].add(who)
    return [e for e in evidence if any(len(people[words]) > 1 for words in _words([e]))]


def _words(evidence: Sequence[Evidence]) -> list[str]:
    return [words.casefold() for e in evidence for words in e.face_words]


def different(evidence: Sequence[Evidence], instruments: Instruments) -> Statistic:
    """The mean similarity of different characters, see `pooled`."""
    return pooled(_all(evidence, instruments), evidence)[0]


def auc(evidence: Sequence[Evidence], instruments: Instruments) -> Statistic:
    """How well faces tell characters apart, see `pooled`."""
    return pooled(_all(evidence, instruments), evidence)[1]


def different_alike(evidence: Sequence[Evidence], instruments: Instruments) -> Statistic:
    """`different`, among those of one description."""
    return pooled(_all(evidence, instruments), evidence, _words(evidence))[0]


def auc_alike(evidence: Sequence[Evidence], instruments: Instruments) -> Statistic:
    """`auc`, among those of one description."""
    return pooled(_all(evidence, instruments), evidence, _words(evidence))[1]


def _all(evidence: Sequence[Evidence], instruments: Instruments) -> Tensor:
    return similarity(torch.cat([e.faces for e in evidence]), instruments)


def origins(evidence: Sequence[Evidence]) -> list[str]:
    """What each story was told from: those of one origin are painted from one story."""
    return [e.story.origin or e.story.name for e in evidence]


def pooled(
    similarity: Tensor, evidence: Sequence[Evidence], words: Sequence[str] | None = None
) -> tuple[Statistic, Statistic]:
    """The mean similarity of different characters, and ``auc``, as functions of the stories' weights.

    A pair within a story, or within two of one origin, counts as often as the story; one across two
    stories as often as both together, and never between a story and itself drawn again. With
    ``words``, the description of each face, only different characters of one description are
    compared, with their own pairs.
    """
    who = [w for e in evidence for w in e.face_who]
    story = torch.tensor([k for k, e in enumerate(evidence) for _ in e.face_who])
    other, i, j = scores.different(similarity, who, words)
    order = other.argsort()  # once, for all drawings
    other, left, right = other[order], story[i[order]], story[j[order]]
    same, owner = scores.same(similarity, who, story)
    if words is not None:
        compared = {who[k] for k in torch.cat([i, j]).unique().tolist()}
        chosen = torch.tensor([who[k] in compared for k in owner.tolist()], dtype=torch.bool)
        same, owner = same[chosen], owner[chosen]
    home = story[owner]
    numbers = {origin: n for n, origin in enumerate(dict.fromkeys(origins(evidence)))}
    origin = torch.tensor([numbers[o] for o in origins(evidence)])
    within = origin[left] == origin[right]

    def counted(w: Tensor) -> Tensor:
        return torch.where(within, w[left], w[left] * w[right])

    def mean(w: Tensor) -> float:
        weights = counted(w)
        total = float(weights.sum())
        return float((weights * other).sum()) / total if total else float("nan")

    def area(w: Tensor) -> float:
        return scores.auc(same, other, w[home], counted(w))

    return mean, area
