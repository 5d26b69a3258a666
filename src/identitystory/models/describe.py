"""What a checkpoint is, told without opening it: no network library is imported."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from ..protocols import ModelFacts
from .device import resolve_device, resolve_dtype
from .family import check_faces
from .files.card import read_card
from .files.checkpoint import find_checkpoint, fingerprint
from .files.controls import control_weights, find_controls
from .files.store import content_hash


def describe_model(model: str, device: str, dtype: str) -> ModelFacts:
    """What a model is, without loading it; see `protocols.ModelFacts`."""
    where = resolve_device(device)
    precision = str(resolve_dtype(dtype, where)).removeprefix("torch.")
    checkpoint = find_checkpoint(model)
    family, segmenter = checkpoint.family, checkpoint.segmenter
    size, multiple = family.size(checkpoint.base)
    return ModelFacts(
        fingerprint(checkpoint),
        str(where),
        precision,
        checkpoint.base,
        few_steps=content_hash(checkpoint.few_steps) if checkpoint.few_steps else "",
        max_steps=family.max_steps(checkpoint.base),
        size=size,
        multiple=multiple,
        adapter=checkpoint.adapter,
        encoder=_encoder(checkpoint.identity.files),
        sizes=read_card(checkpoint.base).sizes,
        words={lora.file.name: lora.words for lora in checkpoint.loras},
        check_prompts=partial(family.check_prompts, checkpoint.base),
        check_phrases=partial(segmenter.part.check_phrases, segmenter.files),
        check_faces=partial(check_faces, checkpoint.identity.part),
        control_weights=partial(control_weights, find_controls(model, checkpoint)),
    )


def _encoder(files: tuple[Path, ...]) -> str:
    """sha256, in hex, over an identity generator's files; empty if it has none of its own."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for place in files:
        for file in sorted(place.iterdir()) if place.is_dir() else [place]:
            digest.update(f"{content_hash(file)}\n".encode() if file.is_file() else b"")
    return digest.hexdigest()
