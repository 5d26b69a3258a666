"""Whether a checkpoint in SDXL's layout can read prompts, told by its tokenizers alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..files.checkpoint import read_json
from .tokens import MAX_CHUNKS, chunk_starts

READERS = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))
LIMIT = 77  # what CLIP's text encoders read at once
# A token is a byte at least, and two chunks in a row hold more tokens than one could.
SHORT = MAX_CHUNKS // 2 * (LIMIT - 2)


def check_lengths(folder: Path, prompts: Iterable[str]) -> None:
    """Nothing, if both text encoders of the checkpoint in ``folder`` can read every prompt.

    Opens no weights, and no file at all where all prompts have at most ``SHORT`` bytes.

    Raises:
        PromptError: one has too many tokens.
        ModelError: a tokenizer or a configuration is missing or broken.
    """
    long = [prompt for prompt in dict.fromkeys(prompts) if len(prompt.lower().encode()) > SHORT]
    if not long:
        return
    from transformers import CLIPTokenizer

    from ..parts import load_part

    for name, encoder in READERS:
        config = read_json(folder / encoder / "config.json")
        limit = int(config.get("max_position_embeddings", LIMIT))
        tokenizer = load_part(CLIPTokenizer, folder / name)
        for prompt in long:
            chunk_starts(tokenizer, prompt, min(limit, tokenizer.model_max_length))
