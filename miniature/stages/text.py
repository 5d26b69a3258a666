"""The two text encoders and their tokenizers: ``python -m miniature.stages.text``.

Text alone teaches them. From the pooled outputs, and from the mean of the states that the U-Net
attends to, linear heads predict every attribute of the record that a caption was written for, of each
of its first two people: what is said exactly, what is left out as the world's own odds. So the
encoders stay frozen afterwards, as SDXL's do, and the U-Net trains on stored states.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from .. import paths
from ..pictures.labels import CATEGORY_SIZES, NOBODY, labels
from ..pictures.recipe import KINDS, record_of
from ..training.loop import Run, load_trained, mixed, moved
from ..training.options import stage_options
from ..world.captions import VOCABULARY, caption, describe
from .tokenizer import write_clip_tokenizer

NAME = "text"
WIDTHS = (128, 192)
TOKENS, MAX_LENGTH, BATCH = 1400, 77, 160
LONGEST = (
    60  # tokens of most captions; the rest of a row is padding, which is looked at now and then
)
CLASS_WORDS = ("man", "woman", "boy", "girl", "teenager")
POOL = 4000  # records that are drawn at a time
PEOPLE = 2  # that the heads are asked about
MIX = (("singles", 0.7), ("pairs", 0.25), ("threes", 0.05))
FIRST_RECORD = 50_000_000  # numbers of pictures that no set has


def tokenizer_folders() -> tuple:
    """Where the two tokenizers lie."""
    return paths.state() / "tokenizer", paths.state() / "tokenizer_2"


def make_tokenizers() -> list[CLIPTokenizer]:
    """Both tokenizers, trained on captions when they are not there; the second pads with "!"."""
    folders = tokenizer_folders()
    if not (folders[1] / "vocab.json").exists():
        texts = [" ".join(10 * [w]) for w in VOCABULARY]  # so that each word is one token
        rng = np.random.default_rng(0)
        texts += [caption(record_of("singles", FIRST_RECORD + k), rng) for k in range(3000)]
        for folder, pad in zip(folders, ("<|endoftext|>", "!"), strict=True):
            write_clip_tokenizer(folder, texts, vocab_size=TOKENS, pad_token=pad)
    return [CLIPTokenizer.from_pretrained(folder) for folder in folders]


def tokens(tokenizer: CLIPTokenizer, texts: list[str], length: int = MAX_LENGTH) -> Tensor:
    """(B, length) ids, cut and padded."""
    return tokenizer(
        texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids


def place_of_class_word(ids: Tensor, tokenizer: CLIPTokenizer, which: int = 0) -> Tensor:
    """(B,) where class word number ``which`` stands in ids (B, L); 0 where there is none."""
    nouns = torch.tensor([tokenizer.convert_tokens_to_ids(w + "</w>") for w in CLASS_WORDS])
    here = torch.isin(ids, nouns)
    chosen = here & (here.cumsum(1) == which + 1)
    return chosen.float().argmax(1)


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


class Teaching(nn.Module):
    """The encoders with the linear heads that teach them."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.encoders = TextEncoders(vocabulary)
        classes = PEOPLE * sum(CATEGORY_SIZES)
        a, b = WIDTHS
        self.heads = nn.ModuleList(
            [nn.Linear(a + b, classes), nn.Linear(b, classes), nn.Linear(a, classes)]
        )

    def forward(self, ids_1: Tensor, ids_2: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits of all attributes, from states, pooled, and first pooled; and the penalty of
        ``state_sizes``."""
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


def attributes_loss(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross entropy over the attributes of all people who are there, and the accuracy."""
    parts = logits.float().split(CATEGORY_SIZES * PEOPLE, 1)
    losses = [
        F.cross_entropy(p, truth[:, k], reduction="sum", ignore_index=NOBODY)
        for k, p in enumerate(parts)
    ]
    guess = torch.stack([p.argmax(1) for p in parts], 1)
    there = truth != NOBODY
    return sum(losses) / there.sum(), (guess == truth)[there].float().mean()


def draw_pool(start: int, count: int) -> list[tuple]:
    """Records of pictures that need not be drawn, with the labels of their first two people."""
    rng = np.random.default_rng([start, 5])
    kinds = rng.choice([k for k, _ in MIX], count, p=[s for _, s in MIX])
    pool = []
    for n, kind in enumerate(kinds.tolist()):
        record = record_of(kind, FIRST_RECORD // KINDS[kind].people + start + n)
        truth = [labels(record, who) for who in range(PEOPLE)]
        if record.framing != "nobody" and len(record.people) == 1:
            truth[1] = [NOBODY] * len(truth[1])
        pool.append((record, [*truth[0], *truth[1]]))
    return pool


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Captions of records without end; now and then somebody's description alone."""
    tokenizers = make_tokenizers()
    model = Teaching(len(tokenizers[0]))
    optimizer = torch.optim.AdamW(model.parameters(), 1.5e-3, weight_decay=0.01, fused=True)
    run = Run(NAME, model, [optimizer], minutes=minutes, steps=steps, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng([run.step, 6])
    pool = []
    for _ in run:
        if (run.step - run.first) % 50 == 0:
            drawn = draw_pool(run.step * 100, POOL if not pool else POOL // 4)
            pool = [*drawn, *pool][: 4 * POOL]
        chosen = [pool[int(k)] for k in rng.integers(0, len(pool), batch)]
        texts, truth = [], []
        for record, known in chosen:
            alone = len(record.people) == 1 and rng.random() < 0.08
            texts.append(describe(record.people[0], rng) if alone else caption(record, rng))
            truth.append(known)
        length = MAX_LENGTH if run.step % 4 == 0 else LONGEST
        ids = [tokens(t, texts, length) for t in tokenizers]
        *ids, wanted = moved(*ids, torch.tensor(truth))
        with mixed():
            logits, sizes = model(*ids)
        losses, right = zip(*(attributes_loss(x, wanted) for x in logits), strict=True)
        run.update(sum(losses) + sizes, states=right[0], pooled=right[1], sizes=sizes)


def load_encoders() -> tuple[list[CLIPTokenizer], TextEncoders]:
    """The tokenizers and the trained pair."""
    tokenizers = make_tokenizers()
    return tokenizers, load_trained(NAME, Teaching(len(tokenizers[0]))).encoders


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=12, batch=BATCH)
    train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
