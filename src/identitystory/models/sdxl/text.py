"""SDXL's two text encoders as one function of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..device import Room
from .conditioning import Encoding
from .tokens import chunk_starts, token_ids


@dataclass(frozen=True)
class TextEncoders:
    """SDXL's pair of CLIP text encoders, called as ``(prompts, negatives) -> (without, with)``.

    Attributes:
        tokenizers: one an encoder.
        models: ``CLIPTextModel`` and ``CLIPTextModelWithProjection``.
        zeros_for_none: whether no negative prompt at all is zeros rather than the empty prompt.
        room: brings the encoders to the device.
    """

    tokenizers: tuple[Any, Any]
    models: tuple[Any, Any]
    zeros_for_none: bool = True
    room: Room = field(default_factory=lambda: Room(torch.device("cpu")))

    @property
    def widths(self) -> tuple[int, int]:
        """(d1, d2): what each encoder gives of a token."""
        first, second = (model.config.hidden_size for model in self.models)
        return first, second

    @property
    def limits(self) -> tuple[int, int]:
        """The most tokens each encoder reads, start and end included."""
        first, second = (
            min(tokenizer.model_max_length, model.config.max_position_embeddings)
            for tokenizer, model in zip(self.tokenizers, self.models, strict=True)
        )
        return first, second

    def __call__(
        self, prompts: Sequence[str], negatives: Sequence[str | None]
    ) -> tuple[Encoding, Encoding]:
        """Encodings of ``negatives`` and of ``prompts``, one each: (B, L, d1 + d2) and (B, P).

        L is the same for all: 77, or as many times 77 as the longest of them needs; ``lengths`` says
        what each pair needs.
        """
        pairs = zip(prompts, negatives, strict=True)
        chunks = [max(self.chunks(p), self.chunks(n or "")) for p, n in pairs]
        given = self.encode_prompts(prompts, chunks=max(chunks))
        lengths = tuple(given.hidden.shape[1] * n // max(chunks) for n in chunks)
        given = replace(given, lengths=lengths)
        nothing = [n is None and self.zeros_for_none for n in negatives]
        if all(nothing):
            return Encoding(given.hidden * 0, given.pooled * 0, lengths), given
        without = self.encode_prompts([n or "" for n in negatives], chunks=max(chunks))
        kept = torch.tensor([not n for n in nothing]).to(without.pooled)[:, None]
        return Encoding(without.hidden * kept[:, None], without.pooled * kept, lengths), given

    def chunks(self, prompt: str) -> int:
        """How many times an encoder has to read to see all of ``prompt``; 1 up to 77 tokens.

        Raises:
            PromptError: more than ``MAX_CHUNKS``.
        """
        pairs = zip(self.tokenizers, self.limits, strict=True)
        return max(len(chunk_starts(tokenizer, prompt, limit)) for tokenizer, limit in pairs)

    @torch.inference_mode()
    def encode_prompts(self, prompts: Sequence[str], *, chunks: int = 1) -> Encoding:
        """Last hidden layer but one of both encoders side by side, and the second's pooled vector.

        A long prompt is read in chunks, whose hidden states stand one after the other; shorter
        prompts are filled with empty chunks. The pooled vector is the first chunk's. Equal prompts
        are encoded once.

        Args:
            prompts: B of them.
            chunks: at least so many chunks.

        Raises:
            PromptError: a prompt is longer than ``MAX_CHUNKS`` chunks.
        """
        unique = list(dict.fromkeys(prompts))
        chunks = max([chunks, *map(self.chunks, unique)])
        hidden, pooled = [], torch.empty(0)
        pairs = zip(self.tokenizers, self.models, self.limits, strict=True)
        for tokenizer, model, limit in pairs:
            ids = torch.stack([token_ids(tokenizer, p, limit, chunks) for p in unique])
            with self.room.holding(model):
                out = model(ids.flatten(0, 1).to(self.room.device), output_hidden_states=True)
            rows = out.hidden_states[-2].unflatten(0, (len(unique), chunks))  # (U, k, 77, d)
            hidden.append(rows.flatten(1, 2))
            pooled = out[0][::chunks]
        order = [unique.index(prompt) for prompt in prompts]
        whole = torch.cat(hidden, dim=-1)[order]
        return Encoding(whole, pooled[order], (whole.shape[1],) * len(order))
