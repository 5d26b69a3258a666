"""What steers the pictures of a batch, and how it is split where they cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ...sizes import Size
from ...types import Prompt

Kind = tuple[int, bool, Size | None]  # rows of the prompt that are read, guided, size of the window


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
        beside: of a single picture, what speaks beside the U-Net at every step, given what the U-Net
            sees, its timestep and its ``added_cond_kwargs``; see `control.added`.
    """

    hidden: Tensor
    pooled: Tensor
    time_ids: Tensor
    prompts: tuple[Prompt, ...]
    lengths: tuple[int, ...]
    beside: Callable[[Tensor, Tensor, Any], list[Tensor]] | None = field(default=None, kw_only=True)

    @property
    def batch(self) -> int:
        """B, the number of pictures that are steered."""
        return len(self.prompts)

    def kinds(self, i: int, t: int, *, whole: bool) -> dict[Kind, list[int]]:
        """The pictures that can be one batch: by length, whether guided and window's size, their places.

        At guidance 1 the rows without prompt cancel out, and are left out. ``whole`` keeps all
        pictures together, as long as the longest and guided if one is.

        Raises:
            ValueError: ``whole``, and windows of several sizes.
        """
        guided = [prompt.guidance_at(i, t) != 1 for prompt in self.prompts]
        sizes = [prompt.window and prompt.window.size for prompt in self.prompts]
        if whole:
            if len(set(sizes)) > 1:
                raise ValueError("pictures that look at one another must have windows of one size")
            return {(max(self.lengths), any(guided), sizes[0]): list(range(self.batch))}
        found: dict[Kind, list[int]] = {}
        for b, kind in enumerate(zip(self.lengths, guided, sizes, strict=True)):
            found.setdefault(kind, []).append(b)
        return found

    def rows(self, at: list[int], length: int, *, guided: bool) -> tuple[Tensor, Tensor, Tensor]:
        """``hidden``, ``pooled`` and ``time_ids`` of some pictures: 2n rows, or n if not guided.

        Args:
            at: their places.
            length: rows of ``hidden`` that are read.
            guided: whether the rows without prompt come along.
        """
        first = 0 if guided else 1
        hidden, pooled, time_ids = (
            x.unflatten(0, (2, self.batch))[first:, at].flatten(0, 1)
            for x in (self.hidden, self.pooled, self.time_ids)
        )
        if len(set(self.lengths)) > 1:  # a method may have put more behind prompts of one length
            hidden = hidden[:, :length]
        return hidden, pooled, time_ids
