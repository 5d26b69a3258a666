"""The two text encoders: ``python -m miniature.stages.text``.

Text alone teaches them. From the pooled output, and from the mean of the states that the U-Net
attends to, linear heads predict every fact of the picture that a caption was written for: what is
said exactly, what is left out as the world's own odds. So the encoders stay frozen afterwards, as
SDXL's do, and the U-Net trains on stored states.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..paths import BUILD
from ..pictures.dataset import PLACES_V0, POSES_V0, PictureSet
from ..training.loop import Run, load_trained, mixed, moved
from ..world import people, places
from ..world.captions import caption, grammar_words
from .tokenizer import write_clip_tokenizer

WIDTHS = (128, 192)
VOCABULARY, MAX_LENGTH, BATCH = 1024, 77, 192
LONGEST = 52  # tokens of a caption; the rest of a row is padding, which is looked at now and then
TOKENIZERS = (BUILD / "tokenizer", BUILD / "tokenizer_2")
FACTS = {
    "sex": people.SEXES, "age": people.AGES, "ancestry": people.ANCESTRIES, "skin": people.SKINS,
    "hair": people.HAIRS, "hair_colour": tuple(people.HAIR_COLOURS), "beard": people.BEARDS,
    "glasses": people.GLASSES, "freckles": (False, True), "eyes": tuple(people.EYE_COLOURS),
    "expression": tuple(people.EXPRESSIONS), "pose": people.POSES, "outfit": people.OUTFITS,
    "colour": tuple(people.CLOTH_COLOURS), "place": places.PLACES, "hour": places.HOURS,
    "framing": places.FRAMINGS,
}  # fmt: skip
PERSON = (
    "sex",
    "age",
    "ancestry",
    "skin",
    "hair",
    "hair_colour",
    "beard",
    "glasses",
    "freckles",
    "eyes",
)


def make_tokenizers() -> list[CLIPTokenizer]:
    """Both tokenizers, trained on captions when they are not there; the second pads with "!"."""
    if not (TOKENIZERS[1] / "vocab.json").exists():
        texts = [f"{w} {w} {w}" for w in grammar_words()]
        rng = np.random.default_rng(0)
        texts += [caption(random_facts(rng), k) for k in range(4000)]
        for folder, pad in zip(TOKENIZERS, ("<|endoftext|>", "!"), strict=True):
            write_clip_tokenizer(folder, texts, vocab_size=VOCABULARY, pad_token=pad)
    return [CLIPTokenizer.from_pretrained(folder) for folder in TOKENIZERS]


def random_facts(rng: np.random.Generator) -> dict:
    """Facts of a picture that need not exist: each one drawn by itself, women without beards."""
    facts = {key: values[int(rng.integers(len(values)))] for key, values in FACTS.items()}
    facts["place"] = (
        PLACES_V0[int(rng.integers(len(PLACES_V0)))] if rng.random() < 0.8 else facts["place"]
    )
    facts["pose"] = (
        POSES_V0[int(rng.integers(len(POSES_V0)))] if rng.random() < 0.8 else facts["pose"]
    )
    if facts["sex"] == "woman" or facts["age"] == "child" or rng.random() < 0.4:
        facts["beard"] = "none"
    for key, odds in (("glasses", 0.7), ("freckles", 0.7)):
        if rng.random() < odds:
            facts[key] = FACTS[key][0]
    if facts["framing"] == "full-body" and rng.random() < 0.8:
        facts["framing"] = "portrait"
    if facts["place"] in places.INDOORS:
        facts["hour"] = "day"
    return facts


class TextEncoders(nn.Module):
    """SDXL's pair: the states that the U-Net attends to, and the pooled vector."""

    def __init__(self, vocabulary: int):
        super().__init__()
        common = dict(
            vocab_size=vocabulary, max_position_embeddings=MAX_LENGTH, num_hidden_layers=3,
            bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, attn_implementation="eager",
        )  # fmt: skip
        a, b = WIDTHS
        self.first = CLIPTextModel(CLIPTextConfig(
            hidden_size=a, intermediate_size=2 * a, num_attention_heads=2, hidden_act="quick_gelu",
            projection_dim=a, pad_token_id=vocabulary - 1, **common,
        ))  # fmt: skip
        self.second = CLIPTextModelWithProjection(CLIPTextConfig(
            hidden_size=b, intermediate_size=2 * b, num_attention_heads=3, hidden_act="gelu",
            projection_dim=b, pad_token_id=0, **common,
        ))  # fmt: skip

    def forward(self, ids_1: Tensor, ids_2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, L, 320), pooled (B, 192), and the first encoder's pooled (B, 128)."""
        one = self.first(input_ids=ids_1, output_hidden_states=True)
        two = self.second(input_ids=ids_2, output_hidden_states=True)
        states = torch.cat([one.hidden_states[-2], two.hidden_states[-2]], -1)
        return states, two.text_embeds, one.pooler_output


class Reader(nn.Module):
    """The encoders with the linear heads that teach them."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.encoders = TextEncoders(vocabulary)
        classes = sum(len(v) for v in FACTS.values())
        a, b = WIDTHS
        self.heads = nn.ModuleList(
            [nn.Linear(a + b, classes), nn.Linear(b, classes), nn.Linear(a, classes)]
        )

    def forward(self, ids_1: Tensor, ids_2: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits of all facts, (B, classes), from states, pooled, and first pooled; and the penalty
        of ``state_sizes``."""
        states, pooled, first = self.encoders(ids_1, ids_2)
        length = ids_1.argmax(1)  # the first end token
        places = torch.arange(ids_1.shape[1], device=ids_1.device)
        inside = (places[None] <= length[:, None]).to(states.dtype)
        mean = (states * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        logits = [h(x) for h, x in zip(self.heads, (mean, pooled, first), strict=True)]
        words = inside.float().clone()
        words[:, 0] = words[torch.arange(len(length), device=length.device), length] = 0
        return logits, sum(state_sizes(h.float(), words) for h in states.split(WIDTHS, -1))


def state_sizes(states: Tensor, words: Tensor) -> Tensor:
    """A penalty that is zero where words have states of unit size and mean zero, and all else none.

    No layer norm stands behind ``hidden_states[-2]``. Left alone the start token becomes an outlier
    at which every cross attention looks, and words are not heard.

    Args:
        states: (B, L, d) of one encoder.
        words: (B, L) 1 where a word's token stands, 0 at start, end and padding.
    """
    size = states.square().mean(-1)
    count, others = words.sum().clamp(min=1), (1 - words).sum()
    mean = (states * words[..., None]).sum((0, 1)) / count
    return (
        ((size - 1).square() * words).sum() / count
        + 4 * mean.square().mean()
        + 2 * (size * (1 - words)).sum() / others
        + 2 * size[:, 0].mean()
    )


def tokens(tokenizer: CLIPTokenizer, texts: list[str], length: int = MAX_LENGTH) -> Tensor:
    """(B, length) ids, cut and padded."""
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids


def fact_loss(logits: Tensor, facts: list[dict]) -> tuple[Tensor, float]:
    """Mean cross entropy over all facts, and the mean accuracy."""
    loss, right, start = torch.zeros((), device=logits.device), 0.0, 0
    for key, values in FACTS.items():
        target = torch.tensor([values.index(f[key]) for f in facts], device=logits.device)
        part = logits[:, start : start + len(values)].float()
        loss = loss + F.cross_entropy(part, target)
        right += float((part.argmax(1) == target).float().mean())
        start += len(values)
    return loss / len(FACTS), right / len(FACTS)


def train(minutes: float, data: PictureSet) -> None:
    """Half of the captions are of rendered pictures, half of facts drawn by themselves."""
    tokenizers = make_tokenizers()
    reader = Reader(len(tokenizers[0]))
    optimizer = torch.optim.AdamW(reader.parameters(), 1.5e-3, weight_decay=0.01, fused=True)
    run = Run("text", reader, [optimizer], minutes=minutes, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng(run.step)
    rows = data.facts
    for _ in run:
        facts = [
            rows[int(rng.integers(len(rows)))] if rng.random() < 0.5 else random_facts(rng)
            for _ in range(BATCH)
        ]
        texts = [caption(f, int(rng.integers(2**31))) for f in facts]
        length = MAX_LENGTH if run.step % 4 == 0 else LONGEST
        ids = moved(*(tokens(t, texts, length) for t in tokenizers))
        with mixed():
            logits, sizes = reader(*ids)
        losses, accuracy = zip(*(fact_loss(x, facts) for x in logits), strict=True)
        run.update(
            sum(losses) + sizes,
            states=accuracy[0], pooled=accuracy[1], sizes=float(sizes.detach()),
        )  # fmt: skip


def load_encoders() -> tuple[list[CLIPTokenizer], TextEncoders]:
    """The trained pair."""
    tokenizers = make_tokenizers()
    return tokenizers, load_trained("text", Reader(len(tokenizers[0]))).encoders


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.minutes, PictureSet(options.data))


if __name__ == "__main__":
    main()
