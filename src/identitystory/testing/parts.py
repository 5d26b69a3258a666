"""The rules of segmenters and families, see `protocols.Segmenter` and `models.family`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError
from ..models.device import Room
from ..models.family import Family
from ..models.files.checkpoint import INDEX
from ..models.files.configs import read_json
from ..protocols import FindsHeads, Segmenter
from ..types import Segmentation
from .generators import TEXTS, check_generator
from .rules import drawn, refuses, rule

PHRASES = ("a woman with long red hair", "a man")


def check_segmenter(
    segmenter: Segmenter, *, images: Sequence[Image.Image] = (), phrases: Sequence[str] = PHRASES
) -> None:
    """Raises ContractError unless a segmenter keeps its contract.

    Args:
        segmenter: it need not find anybody.
        images: RGB; drawn ones of several forms if empty.
        phrases: two.
    """
    for image in images or [drawn(64, 64, 1), drawn(72, 48, 2), drawn(40, 64, 3)]:
        before = image.tobytes()
        found = segmenter.segment(image, phrases)
        _segmentation(found, image, phrases)
        again = segmenter.segment(image, phrases)
        rule("same again", torch.equal(again.masks, found.masks), "other masks of the same picture")
        rule("pure", image.tobytes() == before, "it changes the picture")
        _segmentation(segmenter.segment(image, []), image, [])
        twice = [phrases[0], phrases[0]]
        _segmentation(segmenter.segment(image, twice), image, twice)
        if isinstance(segmenter, FindsHeads):
            _heads(segmenter.heads(image, phrases), image)
            _heads(segmenter.heads(image, []), image)
        if getattr(segmenter, "uses_nouns", False):
            nouns: Any = segmenter
            _segmentation(nouns.segment(image, phrases, fallbacks=["a", "a"]), image, phrases)


def _heads(heads: Tensor, image: Image.Image) -> None:
    told = f"{tuple(heads.shape)} {heads.dtype} for {image.size[::-1]} pixels"
    rule("heads: shape", heads.shape[1:] == (image.height, image.width), told)
    rule("heads: dtype", heads.dtype == torch.bool, told)
    rule("heads: exclusive", bool((heads.sum(dim=0) <= 1).all()), "a pixel is of two heads")
    rule("heads: there", bool(heads.flatten(1).any(dim=1).all()), "a head has no pixel")


def _segmentation(found: Segmentation, image: Image.Image, phrases: Sequence[str]) -> None:
    masks, count = found.masks.cpu(), len(phrases)
    told = f"{tuple(masks.shape)} {masks.dtype} for {count} phrases, {image.size[::-1]} pixels"
    rule("masks: shape", masks.shape == (count, image.height, image.width), told)
    rule("masks: dtype", masks.dtype == torch.bool, told)
    rule("masks: exclusive", bool((masks.sum(dim=0) <= 1).all()), "a pixel is two people's")
    for name in ("scores", "found", "outcomes"):
        length = len(getattr(found, name))
        rule(name, length in (0, count), f"{length} for {count} phrases")
    rule("scores", all(0 <= score <= 1 for score in found.scores), f"{found.scores}")
    if found.found:
        there = tuple(bool(mask.any()) for mask in masks)
        rule("found", tuple(found.found) == there, f"{found.found}, and masks are {there}")


def check_family(family: Family, folder: Path, *, texts: Sequence[str] = TEXTS) -> None:
    """Raises ContractError unless a family keeps its contract on the small base in ``folder``."""
    pipeline = str(read_json(folder / INDEX).get("_class_name", ""))
    known = bool(family.pipeline) and family.paints(pipeline)
    rule("pipeline", known, f"{INDEX} says {pipeline!r}, the family {family.pipeline!r}")
    for part, weights in family.parts.items():
        rule("parts", (folder / part).is_dir(), f"the folder has no {part}/")
        files = any((folder / part).glob("*.safetensors"))
        rule("parts", files or not weights, f"{part}/ holds no safetensors")
    most, (size, multiple) = family.max_steps(folder), family.size(folder)
    rule("max_steps", most is None or most >= 1, f"{most!r} steps at most")
    family.check_prompts(folder, list(texts))
    device = torch.device("cpu")

    def opened(**other: Any) -> Any:
        how = {"sampler": "ddim", "num_steps": 3, "device": device, "dtype": torch.float32}
        how |= {"room": Room(device), "reuse": 1, "compiled": False}
        return family.open(folder, **{**how, **other})

    G = opened()
    rule("open: steps", G.num_steps == 3, f"asked for 3 steps, it has {G.num_steps}")
    told = f"the family says {size} and {multiple}, it opens with {G.size} and {G.multiple}"
    rule("size", (size or G.size, multiple) == (G.size, G.multiple), told)
    check_generator(G, texts=texts)
    z = G.decode(G.noise(1)[None])[0].tobytes()
    again = opened()
    same = again.decode(again.noise(1)[None])[0].tobytes() == z
    rule("open: same again", same, "the same files open as another generator")
    refuses("open: sampler", ConfigError, lambda: opened(sampler="none"), "the sampler 'none'")
