"""A small byte-level BPE in CLIP's file format: ``vocab.json``, ``merges.txt``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer


def write_clip_tokenizer(
    folder: Path,
    texts: Sequence[str],
    *,
    vocab_size: int,
    pad_token: str = "<|endoftext|>",
    max_length: int = 77,
) -> int:
    """Write a byte-level BPE trained on ``texts`` in CLIP's file format; returns the vocabulary's size.

    ``vocab.json`` has CLIP's order: 256 bytes, 256 bytes that end a word, a token for each merge,
    start, end. So the end token has the highest id, which CLIP's pooling relies on.
    """
    clip = CLIPTokenizer().backend_tokenizer  # its normaliser and pre-tokeniser
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer, trained.pre_tokenizer = clip.normalizer, clip.pre_tokenizer
    bytes_ = sorted(ByteLevel.alphabet())
    alphabet = [*bytes_, *(c + "</w>" for c in bytes_)]
    # Handed over as special tokens, or their ids, which break ties, follow the order of a hash map.
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2,
        special_tokens=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    joined = ["".join(pair) for pair in merges]
    tokens = list(dict.fromkeys([*alphabet, *joined, "<|startoftext|>", "<|endoftext|>"]))

    folder.mkdir(parents=True, exist_ok=True)
    vocab = {token: n for n, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad_token,
    }
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": max_length, **special}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    return len(vocab)
