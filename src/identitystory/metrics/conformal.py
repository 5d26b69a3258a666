"""Split conformal calibration: thresholds with a promise, from scores whose truth is known.

Of n scores and a new one that are exchangeable, each is as likely as any other to be the k-th
smallest. So the new one is below the k-th smallest of the n with a probability of k / (n + 1), or
less where some are equal, whatever they are distributed like (Vovk et al. 2005, Algorithmic
Learning in a Random World, ch. 2; Papadopoulos et al. 2002). The promise is of scores like those
that were counted, and of all of them together, not of each kind.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

FILE = "marks.toml"  # of identitystory/data


def lower(scores: Sequence[float], alpha: float) -> float:
    """The largest of ``scores`` that a new one is below with a probability of at most ``alpha``.

    The k-th smallest, k = floor(alpha (n + 1)); -inf where there are too few scores for any promise.
    """
    k = math.floor(alpha * (len(scores) + 1) + 1e-9)
    return sorted(scores)[k - 1] if k >= 1 else -math.inf


def upper(scores: Sequence[float], alpha: float) -> float:
    """The smallest of ``scores`` that a new one is above with a probability of at most ``alpha``."""
    return -lower([-s for s in scores], alpha)


def bound(scores: Sequence[float], threshold: float) -> float:
    """The probability that a new score reaches ``threshold``, at most: (1 + those that do) / (n + 1)."""
    return (1 + sum(s >= threshold for s in scores)) / (len(scores) + 1)


@dataclass(frozen=True)
class Marks:
    """From which likeness on somebody is marked as who they should be, by one recogniser and checkpoint.

    Attributes:
        recogniser: its name, as ``--faces`` has it.
        weights: the start of the fingerprint of the checkpoint whose pictures are looked at.
        own: the likeness from which on a face is marked as a character's.
        unlike: the likeness that other people's faces do not exceed, but for ``alpha`` of them.
        found: of a character's faces, the share that reaches ``own``, as promised.
        wrong: of other people's faces, the share that reaches it, at most.
        alpha: what may go wrong, in (0, 1).
        faces: of drawn people, that all this was taken from.
    """

    recogniser: str
    weights: str
    own: float
    unlike: float
    found: float = 0.95
    wrong: float = 0.05
    alpha: float = 0.05
    faces: int = 0

    @property
    def right(self) -> float:
        """Of the faces that are marked as a character's, the share that is hers, if half of those looked at are."""
        return self.found / (self.found + self.wrong)


def calibrated(
    recogniser: str,
    weights: str,
    own: Sequence[float],
    others: Sequence[float],
    alpha: float = 0.05,
) -> Marks:
    """Thresholds by which no more than ``alpha`` of a character's faces is not marked.

    Where that would mark more than ``alpha`` of other people's faces, fewer of her own are marked.

    Args:
        recogniser, weights: see `Marks`.
        own: likenesses of people to their own identity.
        others: of people to the identity of somebody else.
        alpha: in (0, 1).
    """
    threshold, stranger = lower(own, alpha), upper(others, alpha)
    if bound(others, threshold) > alpha:
        threshold = math.nextafter(stranger, math.inf)
    lost = sum(s < threshold for s in own) + 1
    return Marks(
        recogniser,
        weights,
        own=threshold,
        unlike=min(stranger, threshold),
        found=max(0.0, 1 - lost / (len(own) + 1)),
        wrong=bound(others, threshold),
        alpha=alpha,
        faces=len(own),
    )


def marks_of(recogniser: str, weights: str) -> Marks | None:
    """What was calibrated for it; None if nothing was."""
    text = (resources.files("identitystory") / "data" / FILE).read_text(encoding="utf-8")
    for told in tomllib.loads(text).get("marks", []):
        if told["recogniser"] == recogniser and weights.startswith(told["weights"]):
            return Marks(**told)
    return None
