"""What each part of a picture should look at: cross attention taught by the world's masks.

Left to itself, the cross attention of a network as small and as little trained as ours stays
uniform: words come through the mean of all rows, in which one person's identity is one of 77. The
world knows where hair, clothes and faces are, and the grammar which words speak of them. So the
cells of a part are asked to give the words about it a fair share of their attention.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor
from transformers import CLIPTokenizer

from ..pictures.latents import GROUPS
from ..stages.text import CLASS_WORDS

PARTS = ("head 1", "head 2", "head 3", "face", "hair", "clothes", "place")
SHARE = 0.3  # of a cell's attention that the words about its part should have
ABOUT = {
    "face": "skin beard moustache goatee stubble stubbly chin glasses freckles eyes face smile "
    "smiling laugh laughing surprised astonished angry frowning cross sad unhappy happy calm",
    "hair": "hair bob bobbed ponytail pigtails afro puffs curls curly cut head quiff fringe locs "
    "dreadlocks braid braids bun headscarf hijab",
    "clothes": "shirt tee top dress suit overalls sweater pullover jumper jacket coat blouse vest "
    "clothes turtleneck hoodie cardigan scarf tie dots",
    "place": "studio wall beach sea forest woods trees kitchen street city town library shelves "
    "mountains snow meadow field park grass desert dunes room home window harbour lighthouse pier "
    "garden hedge cafe cafe coffee shop restaurant office bedroom paintings sunset sunrise evening "
    "dusk dawn morning night stars sky day daytime",
}
# These speak of what the next of the words above speaks of, or of the face of the person they name.
WITH_THE_NEXT = (
    "black white red green blue yellow orange purple pink gray grey brown blond blonde ginger dark "
    "light fair pale tan olive deep hazel teal long short straight wavy curly very length bald "
    "shaved no buzz pixie bowl full thick round square big small gentle sports striped work sleeved "
    "sleeveless t plain snowy book photo art living rose young old elderly older middle aged "
    "little teenage hooded two"
)
_ADJECTIVES = frozenset(WITH_THE_NEXT.split())
_PART_OF = {w: PARTS.index(part) for part, words in ABOUT.items() for w in words.split()}
_CELLS = [GROUPS.index(p) for p in PARTS]


def parts_of_words(words: list[str]) -> list[int]:
    """The place in ``PARTS`` that each word of a caption speaks of, -1 for none."""
    parts, person, following = [-1] * len(words), 0, -1
    for k, word in enumerate(words):
        if word in CLASS_WORDS:
            parts[k], person = min(person, 2), person + 1
    for k in reversed(range(len(words))):
        if words[k] in CLASS_WORDS:
            following = PARTS.index("face")
        elif words[k] in _PART_OF:
            parts[k] = following = _PART_OF[words[k]]
        elif words[k] in _ADJECTIVES:
            parts[k] = following
        else:
            following = -1 if words[k] in ("and", "with", "in", "on", "at") else following
    return parts


class Tokens:
    """What tokens speak of; the tokenizer has one token for every word."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.words = [tokenizer.decode([i]).strip() for i in range(len(tokenizer))]

    def about(self, ids: Tensor) -> Tensor:
        """(B, L) int8 of ids (B, L): places in ``PARTS``, -1 for none."""
        rows = [parts_of_words([self.words[i] for i in row]) for row in ids.tolist()]
        return torch.tensor(rows, dtype=torch.int8)


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
        about: (B, L) of ``Tokens``; cells: (B, groups, h, w) in 0..1 of ``latents``.
    """
    speaks = F.one_hot(about.long() + 1, len(PARTS) + 1)[..., 1:].float()  # (B, L, parts)
    cells = cells[:, _CELLS].float() * speaks.any(1)[:, :, None, None]
    total = speaks.new_zeros(())
    for layer in layers:
        heads = len(layer.weights) // len(about)
        weights = layer.weights.unflatten(0, (len(about), heads)).float().mean(1)  # (B, n, L)
        share = weights @ speaks
        smaller = math.isqrt(cells.shape[2] * cells.shape[3] // share.shape[1])
        here = F.avg_pool2d(cells, smaller).flatten(2).mT
        short = F.relu(math.log(SHARE) - share.clamp(min=1e-4).log())
        amount = here.sum((0, 1))
        missing = (short * here).sum((0, 1)) / amount.clamp(min=1)
        total = total + missing.sum() / (amount > 0).sum().clamp(min=1)
    return total / len(layers)
