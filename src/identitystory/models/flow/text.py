"""What FLUX.2 klein and Z-Image read: states of layers of Qwen3, of the prompt as a user's message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import PromptError
from ..device import Room
from ..parts import load_part

LIMIT = 512  # tokens, the message's frame among them; the network was trained on so many, padded
SHORT = LIMIT - 32  # bytes; a token is one at least, and the frame has fewer than 32
# Qwen3's form of a message whose answer is not thought about first. It is written out here, for a
# checkpoint's own template is a program.
FRAME = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
THINKING = FRAME.partition("<think>")[0]  # of a message whose answer may be thought about


def token_ids(tokenizer: Any, text: str, frame: str = FRAME) -> tuple[Tensor, Tensor]:
    """Ids and mask of a prompt in its frame, (LIMIT,) each, padded on the right.

    Raises:
        PromptError: it has too many tokens.
    """
    framed = frame.format(text.replace("<|", "< |"))  # a prompt cannot end its own message
    ids = tokenizer(framed, add_special_tokens=False, verbose=False).input_ids
    if len(ids) > LIMIT:
        raise PromptError(
            f"the prompt {text[:60]!r}... has {len(ids)} tokens; {LIMIT} are read at most. Shorten it"
        )
    pad = LIMIT - len(ids)
    return torch.tensor(ids + [tokenizer.pad_token_id] * pad), torch.tensor(
        [1] * len(ids) + [0] * pad
    )


class Qwen3Texts:
    """Prompts to states of some layers side by side, padded to LIMIT tokens or not.

    Args:
        tokenizer: Qwen's.
        encoder: a ``Qwen3Model``.
        room: brings it to the device.
        layers: after which of them; None is a quarter, a half and three quarters.
        frame: of a message.
        padded: whether a text is filled up to LIMIT tokens, which are read too.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoder: Any,
        room: Room,
        *,
        layers: Sequence[int] | None = None,
        frame: str = FRAME,
        padded: bool = True,
    ) -> None:
        self.tokenizer, self.room, self.frame, self.padded = tokenizer, room, frame, padded
        self.encoder = room.place(encoder).eval().requires_grad_(False)
        every = encoder.config.num_hidden_layers
        self.layers = list(layers or [every * n // 4 for n in (1, 2, 3)])
        self.width: int = len(self.layers) * encoder.config.hidden_size

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[Tensor]:
        """(n, width) of each text; each is read once and by itself.

        Raises:
            PromptError: one has too many tokens.
        """
        unique = dict.fromkeys(texts)
        known = {text: token_ids(self.tokenizer, text, self.frame) for text in unique}
        states: dict[str, Tensor] = {}
        with self.room.holding(self.encoder):
            for text, (ids, mask) in known.items():
                if not self.padded:  # nothing looks ahead, so that what is left is the same
                    ids, mask = ids[mask > 0], mask[mask > 0]
                read = self.encoder(
                    input_ids=ids[None].to(self.room.device),
                    attention_mask=mask[None].to(self.room.device),
                    output_hidden_states=True,
                    use_cache=False,
                ).hidden_states
                states[text] = torch.cat([read[n] for n in self.layers], dim=-1)[0]
        return [states[text] for text in texts]


def check_lengths(folder: Path, prompts: Iterable[str]) -> list[str]:
    """Nothing in the list, for no prompt is read in pieces. No file is opened where all are short.

    Raises:
        PromptError: one has too many tokens.
        ModelError: the tokenizer is missing or broken.
    """
    long = [prompt for prompt in dict.fromkeys(prompts) if len(prompt.encode()) > SHORT]
    if long:
        from transformers import Qwen2Tokenizer

        tokenizer = load_part(Qwen2Tokenizer, folder / "tokenizer")
        for prompt in long:
            token_ids(tokenizer, prompt)
    return []
