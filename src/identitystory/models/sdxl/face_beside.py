"""What identity generators share whose U-Net looks at a face beside the words."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...config import Averaged
from ...types import Prompt
from .attention import Beside, edited
from .conditioning import Conditioning
from .face_painter import FacePainter


@dataclass(frozen=True)
class Seen:
    """What steers a batch: pictures without a face together, each with one by itself.

    Attributes:
        parts: which pictures, what steers them, and the edit that shows them a face.
    """

    parts: tuple[tuple[list[int], Conditioning, Beside | None], ...]


class FaceBeside(FacePainter):
    """G_id with a second attention, to the tokens of a face, added to that to the words.

    Attributes:
        scale: of what is added; 1 is as it was trained, 0 is nothing.
    """

    averaged: Averaged = "tokens"
    scale: float = 1.0

    def set_to(self, *, averaged: Averaged = "tokens", scale: float = 1.0) -> Self:
        """This generator with such embeddings and such a scale, see `family.IdentityPart`."""
        other = copy.copy(self)
        other.averaged, other.scale = averaged, scale
        return other

    @abstractmethod
    def worded(self, prompt: Prompt) -> Conditioning:
        """What the words say of one with a face, which may be in them, too."""

    @abstractmethod
    def shown(self, face: Tensor) -> Beside | None:
        """The edit that shows a face; None shows it in the words alone.

        Raises:
            ModelError: it is of another model.
        """

    def condition(self, prompts: Sequence[Prompt]) -> Seen:
        """As G's; who has a face is steered by itself, with the face to look at.

        Raises:
            PromptError: a noun is not in its prompt, or a prompt has too many chunks.
            ModelError: a face is of another model.
        """
        made: list[tuple[list[int], Conditioning, Beside | None]] = []
        rest = [b for b, prompt in enumerate(prompts) if prompt.face is None]
        if rest:
            made.append((rest, self.general.condition([prompts[b] for b in rest]), None))
        for b, prompt in enumerate(prompts):
            if prompt.face is not None:
                made.append(([b], self.worded(prompt), self.shown(prompt.face)))
        return Seen(tuple(made))

    def calls(self, i: int, cond: Seen) -> int:
        return sum(self.general.calls(i, own) for _, own, _ in cond.parts)

    def step(self, z: Tensor, i: int, cond: Seen) -> Tensor:
        """As G's, with faces to look at."""
        if (count := sum(len(at) for at, _, _ in cond.parts)) != len(z):
            raise ValueError(f"{len(z)} latents for {count} prompts")
        after = torch.empty_like(z, dtype=torch.float32)
        for at, own, shown in cond.parts:
            with nullcontext() if shown is None else edited(self.unet, shown):
                after[at] = super().step(z[at], i, own)
        return after
