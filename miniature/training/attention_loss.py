"""What each part of a picture should look at: cross attention taught by the renderer's masks.

Left to itself, the cross attention of a network as small and as little trained as ours stays
uniform: words come through the mean of all rows, in which one person's identity is one of 77. The
renderer knows where hair, clothes and faces are, and the grammar which words speak of them. So the
cells of a part are asked to give the words about it a fair share of their attention.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor
from transformers import CLIPTokenizer

CLASS_WORDS = ("man", "woman", "boy", "girl")
PARTS = ("first person", "second person", "face", "hair", "clothes", "place")
SHARE = 0.3  # of a cell's attention that the words about its part should have
ABOUT = {
    "face": "skin beard moustache goatee stubble stubbly glasses freckles eyes face smile smiling "
    "laugh laughing surprised astonished angry frowning sad unhappy happy calm",
    "hair": "hair bob bobbed ponytail afro curls cut head",
    "clothes": "shirt tee vest top dress suit overalls sweater pullover jumper jacket coat blouse "
    "clothes",
    "place": "studio wall beach sea forest woods trees kitchen street city town library shelves "
    "mountains snow meadow field park grass desert dunes room home window harbour lighthouse pier "
    "garden hedge cafe shop restaurant office sunset evening dusk dawn night stars sky day daytime",
}
# These speak of what the next of the words above speaks of, or of the face of the person they name.
WITH_THE_NEXT = (
    "black white red green blue yellow orange purple pink gray grey brown blond blonde ginger dark "
    "light fair pale tan olive deep hazel long short straight curly very chin length bald shaved no "
    "buzz full thick small round rectangular big gentle sports striped work sleeved sleeveless t "
    "plain snowy book coffee living rose young old elderly older middle aged little african asian "
    "european"
)
_ADJECTIVES = frozenset(WITH_THE_NEXT.split())
_PART_OF = {w: PARTS.index(part) for part, words in ABOUT.items() for w in words.split()}


def parts_of_words(words: list[str]) -> list[int]:
    """The place in ``PARTS`` that each word of a caption speaks of, -1 for none."""
    parts, person, following = [-1] * len(words), 0, -1
    for k, word in enumerate(words):
        if word in CLASS_WORDS:
            parts[k], person = min(person, 1), person + 1
    for k in reversed(range(len(words))):
        if words[k] in CLASS_WORDS:
            following = PARTS.index("face")
        elif words[k] in _PART_OF:
            parts[k] = following = _PART_OF[words[k]]
        elif words[k] in _ADJECTIVES:
            parts[k] = following
    return parts


def parts_of_tokens(ids: Tensor, tokenizer: CLIPTokenizer) -> Tensor:
    """(B, L) int8: what each token speaks of; the tokenizer has one token for every word."""
    words = [tokenizer.decode([i]).strip() for i in range(len(tokenizer))]
    rows = [parts_of_words([words[i] for i in row]) for row in ids.tolist()]
    return torch.tensor(rows, dtype=torch.int8)


def cells_of_parts(masks: np.ndarray) -> Tensor:
    """(B, 6, 16, 16) half: how much of each cell of 8 x 8 pixels a part fills.

    Args:
        masks: (B, 128, 128) part numbers as ``PictureSet.masks`` has them.
    """
    kind, second = masks & 7, masks >= 8
    face = np.isin(kind, (1, 2, 3, 5))
    head = face | (kind == 6)
    parts = (head & ~second, head & second, face, kind == 6, kind == 4, masks == 0)
    share = [p.reshape(len(p), 16, 8, 16, 8).mean((2, 4), dtype=np.float32) for p in parts]
    return torch.from_numpy(np.stack(share, 1)).half()


class Looking:
    """Attention as diffusers' plain processor computes it, which keeps its weights."""

    def __init__(self) -> None:
        self.weights = torch.empty(0)

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None, temb: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """(B, n, C) -> the same; ``weights`` is (B * heads, n, L) afterwards."""
        split = attn.head_to_batch_dim
        key, value = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        query = split(attn.to_q(hidden_states))
        self.weights = attn.get_attention_scores(query, split(key), attention_mask)
        y = attn.batch_to_head_dim(torch.bmm(self.weights, split(value)))
        return attn.to_out[1](attn.to_out[0](y))


def inattention(layers: list[Looking], about: Tensor, cells: Tensor) -> Tensor:
    """How far the words about a part fall short of their share of its cells' attention.

    Zero where the share, averaged over heads, is ``SHARE`` or more; else the logarithm of how many
    times too small it is. The mean over cells of a part, parts that are spoken of, and layers.

    Args:
        layers: of the last forward pass.
        about: (B, L) of ``parts_of_tokens``; cells: (B, 6, h, w) of ``cells_of_parts``.
    """
    speaks = F.one_hot(about.long() + 1, len(PARTS) + 1)[..., 1:].float()  # (B, L, 6)
    cells = cells.float() * speaks.any(1)[:, :, None, None]
    total = speaks.new_zeros(())
    for layer in layers:
        heads = len(layer.weights) // len(about)
        weights = layer.weights.unflatten(0, (len(about), heads)).float().mean(1)  # (B, n, L)
        share = weights @ speaks
        here = F.adaptive_avg_pool2d(cells, math.isqrt(share.shape[1])).flatten(2).mT
        short = F.relu(math.log(SHARE) - share.clamp(min=1e-4).log())
        amount = here.sum((0, 1))
        missing = (short * here).sum((0, 1)) / amount.clamp(min=1)
        total = total + missing.sum() / (amount > 0).sum().clamp(min=1)
    return total / len(layers)
