"""What steers the pictures of a batch, and how it is split where they cannot be one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...types import Prompt


@dataclass(frozen=True)
class Encoding:
    """Prompts as the U-Net reads them: hidden (B, L, D) and pooled (B, P).

    ``lengths`` are the rows of ``hidden`` that each prompt fills; the others are padding.
    """

    hidden: Tensor
    pooled: Tensor
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Conditioning:
    """What steers a step of B pictures. Rows are [without prompt..., with prompt...], B of each.

    Attributes:
        hidden: (2B, L, D) token embeddings, for the cross-attention.
        pooled: (2B, P) embedding of the whole prompt.
        time_ids: (2B, 6) height and width of the original, crop corner, height and width wanted.
        prompts: one a picture; guidance, its interval and the seed are read from these.
        lengths: rows of ``hidden`` that each picture's prompts fill.
    """

    hidden: Tensor
    pooled: Tensor
    time_ids: Tensor
    prompts: tuple[Prompt, ...]
    lengths: tuple[int, ...]

    @property
    def batch(self) -> int:
        """B, the number of pictures that are steered."""
        return len(self.prompts)

    def parts(self, i: int, t: int, *, whole: bool) -> list[Part]:
        """The pictures in as few parts as can be one batch: equally long, guided or not.

        At guidance 1 the rows without prompt cancel out, and are left out. ``whole`` keeps all
        pictures together, as long as the longest and guided if one is.
        """
        w = [prompt.guidance_at(i, t) for prompt in self.prompts]
        kinds = list(zip(self.lengths, (w_b != 1 for w_b in w), strict=True))
        if whole:
            kinds = [(max(self.lengths), any(w_b != 1 for w_b in w))] * len(kinds)
        found = []
        for kind in dict.fromkeys(kinds):
            at = [b for b, other in enumerate(kinds) if other == kind]
            found.append(self._part(at, [w[b] for b in at], *kind))
        return found

    def _part(self, at: list[int], w: list[float], length: int, guided: bool) -> Part:
        first = 0 if guided else 1
        hidden, pooled, time_ids = (
            x.unflatten(0, (2, self.batch))[first:]
            for x in (self.hidden, self.pooled, self.time_ids)
        )
        if len(at) < self.batch:
            hidden, pooled, time_ids = hidden[:, at], pooled[:, at], time_ids[:, at]
        if len(set(self.lengths)) > 1:
            hidden = hidden[:, :, :length]
        scale = torch.tensor(w).view(-1, 1, 1, 1) if guided else None
        return Part(at, hidden, pooled, time_ids, scale)


@dataclass(frozen=True)
class Part:
    """Pictures that go through the U-Net as one batch: rows (2, n, ...), or (1, n, ...) unguided.

    Attributes:
        at: their places in the whole batch.
        hidden: see `Conditioning`, and so the next two.
        pooled: (2 or 1, n, P).
        time_ids: (2 or 1, n, 6).
        guidance: w of each, (n, 1, 1, 1) float32; None is unguided.
    """

    at: list[int]
    hidden: Tensor
    pooled: Tensor
    time_ids: Tensor
    guidance: Tensor | None

    def split(self, most: int) -> list[Part]:
        """The same pictures, at most ``most`` at once."""
        some = [slice(n, n + most) for n in range(0, len(self.at), most)]
        w = self.guidance
        return [
            Part(
                self.at[s],
                self.hidden[:, s],
                self.pooled[:, s],
                self.time_ids[:, s],
                None if w is None else w[s],
            )
            for s in some
        ]
