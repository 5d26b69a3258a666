"""Captions of records as the U-Net hears them, worded anew every time they are needed.

The frozen text encoders take a twentieth of a step; stored states of so many wordings would fill the
disk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..stages.text import MAX_LENGTH, load_encoders, place_of_class_word, tokens
from ..world import words
from ..world.captions import caption, describe
from ..world.records import Record
from .looking import Tokens
from .loop import DEVICE, mixed, moved

ONLY_WHO = 0.12  # share of captions that say who is there and nothing else


@dataclass(frozen=True)
class Said:
    """What B captions say.

    Attributes:
        states: (B, 77, D); pooled: (B, P).
        where: (B,) place of the class word of the person spoken of, 0 without one.
        about: (B, 77) what each token speaks of.
    """

    states: Tensor
    pooled: Tensor
    where: Tensor
    about: Tensor


class Speaker:
    """Words captions and encodes them."""

    def __init__(self) -> None:
        self.tokenizers, encoders = load_encoders()
        self.encoders = encoders.to(DEVICE)
        self.tokens = Tokens(self.tokenizers[0])

    @torch.no_grad()
    def encode(self, texts: list[str], which: int = 0) -> Said:
        """What these texts say; ``which`` person the class word is looked up of."""
        ids = [tokens(t, texts, MAX_LENGTH) for t in self.tokenizers]
        with mixed():
            states, pooled, _ = self.encoders(*moved(*ids))
        where = place_of_class_word(ids[0], self.tokenizers[0], which)
        about = self.tokens.about(ids[0])
        return Said(states.float(), pooled.float(), *moved(where, about))


def worded(record: Record, rng: np.random.Generator, dropped: float = 0.1) -> str:
    """A caption, now and then only who is there, or nothing."""
    chance = rng.random()
    if chance < dropped:
        return ""
    if chance < dropped + ONLY_WHO and record.people:
        fronts = words.FRAMING[record.framing]
        front = fronts[int(rng.integers(len(fronts)))]
        people = [describe(p, rng) for p in record.people]
        joined = " and ".join(people[-2:])
        return f"{front} {', '.join([*people[:-2], joined])}".strip()
    return caption(record, rng)
