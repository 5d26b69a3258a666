"""Prompts of any length as chunks that a CLIP text encoder can read, and where their tokens go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import PromptError
from ..files.configs import told

MAX_CHUNKS = 8
LIMIT = 77  # what CLIP's text encoders read at once
# A token is a byte at least, and two chunks in a row hold more tokens than one could.
SHORT = MAX_CHUNKS // 2 * (LIMIT - 2)


def chunk_starts(tokenizer: Any, prompt: str, limit: int) -> list[int]:
    """Where each chunk of ``prompt`` starts, counted in its tokens without start and end.

    A chunk holds up to ``limit`` - 2 tokens and ends before a word where that is possible, so that
    a short prompt is one chunk that starts at 0.

    Raises:
        PromptError: it has more than ``MAX_CHUNKS`` chunks.
    """
    offsets = tokenizer(prompt, return_offsets_mapping=True, verbose=False).offset_mapping[1:-1]
    starts, room = [0], limit - 2
    while len(offsets) - starts[-1] > room:
        low, high = starts[-1], starts[-1] + room
        words = [n for n in range(low + 1, high + 1) if offsets[n][0] > offsets[n - 1][1]]
        starts.append(words[-1] if words else high)
    if len(starts) > MAX_CHUNKS:
        raise PromptError(
            f"the prompt {prompt[:60]!r}... has {len(offsets)} tokens; "
            f"about {MAX_CHUNKS * room} are read at most. Shorten it"
        )
    return starts


def class_word(prompt: str, noun: str) -> int:
    """Where in ``prompt`` the last letter of ``noun``'s first whole-word occurrence stands.

    Case does not matter.

    Raises:
        PromptError: the noun is not in the prompt.
    """
    words = r"\s+".join(re.escape(word) for word in noun.split())
    found = re.search(rf"(?<!\w){words}(?!\w)", prompt, re.IGNORECASE) if words else None
    if found is None:
        raise PromptError(
            f"the class word {noun!r} is not in the prompt {prompt!r}; "
            "a character's description must contain its noun as a word of its own"
        )
    return found.end() - 1


def token_rows(tokenizer: Any, prompt: str, limit: int) -> list[int]:
    """For each token of ``prompt``, start and end left out, its row in the encoder's output.

    The output is one chunk of ``limit`` rows after the other, each with a start token in front.

    Raises:
        PromptError: as ``chunk_starts``.
    """
    starts = chunk_starts(tokenizer, prompt, limit)
    ends = [*starts[1:], len(tokenizer(prompt, verbose=False).input_ids) - 2]
    return [
        chunk * limit + 1 + n
        for chunk, (start, end) in enumerate(zip(starts, ends, strict=True))
        for n in range(end - start)
    ]


def token_ids(tokenizer: Any, prompt: str, limit: int, chunks: int = 1) -> Tensor:
    """(k, limit) token ids of ``prompt``, each chunk with start and end, padded as the tokenizer pads.

    k is ``chunks``, or more if the prompt needs more; chunks that it does not need are empty.

    Raises:
        PromptError: it has more than ``MAX_CHUNKS`` chunks.
    """
    first, *content, last = tokenizer(prompt, verbose=False).input_ids
    starts = chunk_starts(tokenizer, prompt, limit)
    ends = [*starts[1:], len(content)]
    pieces = [content[a:b] for a, b in zip(starts, ends, strict=True)]
    pieces += [[] for _ in range(chunks - len(pieces))]
    pad = tokenizer.pad_token_id
    rows = [[first, *piece, last] for piece in pieces]
    return torch.tensor([row + [pad] * (limit - len(row)) for row in rows])


def check_lengths(folder: Path, prompts: Iterable[str]) -> list[str]:
    """The prompts that are read in several chunks, if both text encoders can read every prompt.

    Args:
        folder: the checkpoint.
        prompts: what is to be read; those of at most ``SHORT`` bytes are taken to be one chunk.

    Opens no weights, and no file at all where all prompts have at most ``SHORT`` bytes.

    Raises:
        PromptError: one has too many tokens.
        ModelError: a tokenizer or a configuration is missing or broken.
    """
    long = [prompt for prompt in dict.fromkeys(prompts) if len(prompt.lower().encode()) > SHORT]
    if not long:
        return []
    from transformers import CLIPTokenizer

    from ..parts import load_part

    parted: dict[str, None] = {}
    for name, encoder in (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")):
        limit = told(folder / encoder / "config.json", "max_position_embeddings", int, LIMIT)
        tokenizer = load_part(CLIPTokenizer, folder / name)
        for prompt in long:
            if len(chunk_starts(tokenizer, prompt, min(limit, tokenizer.model_max_length))) > 1:
                parted[prompt] = None
    return list(parted)
