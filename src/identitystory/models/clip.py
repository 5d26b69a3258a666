"""CLIP as a ``PictureEncoder``: any CLIPModel of transformers, from a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .files.configs import read_json
from .files.store import short_digest
from .libraries import CLIPModel, CLIPSegForImageSegmentation, CLIPTokenizer
from .parts import load_part
from .pixels import Preprocessing, preprocessing

logger = logging.getLogger(__name__)

BATCH = 32


class ClipEncoder:
    """Pictures and texts as CLIP's projected vectors; a warning is logged for a text too long.

    Attributes:
        name: for the results.
        read: what is done to pictures before.
        limit: tokens of a text that it reads, with those of start and end.
    """

    def __init__(self, model: CLIPModel, tokenizer: Any, *, name: str, read: Preprocessing) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.read = name, read
        text: Any = model.config.text_config
        self.limit = int(text.max_position_embeddings)

    @torch.inference_mode()
    def pictures(self, images: Sequence[Image.Image]) -> Tensor:
        made = [torch.zeros(0, self.model.config.projection_dim)]
        for k in range(0, len(images), BATCH):
            pixels = self.read(images[k : k + BATCH]).to(self.model.device, self.model.dtype)
            made.append(_vectors(self.model.get_image_features(pixels)).float().cpu())
        return torch.cat(made)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        made = [torch.zeros(0, self.model.config.projection_dim)]
        for k in range(0, len(texts), BATCH):
            part = texts[k : k + BATCH]
            made.append(text_vectors(self.model, self.tokenizer, part, who="CLIP").float().cpu())
        return torch.cat(made)


def text_vectors(model: Any, tokenizer: Any, texts: Sequence[str], *, who: str) -> Tensor:
    """(n, d) projected vectors of texts; a warning is logged for one longer than CLIP reads.

    Args:
        model: a CLIPModel, or the one inside a CLIPSeg.
        tokenizer: its own.
        texts: n of them.
        who: reads the texts, in the warning.
    """
    limit = int(model.config.text_config.max_position_embeddings)
    for text in texts:
        if len(tokenizer(text, verbose=False).input_ids) > limit:
            logger.warning("%s reads %d tokens of %r", who, limit, text)
    tokens = tokenizer(
        list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
    ).to(model.device)
    return _vectors(model.get_text_features(tokens.input_ids, attention_mask=tokens.attention_mask))


def _vectors(features: Any) -> Tensor:
    return features if isinstance(features, Tensor) else features.pooler_output


def load_clip(folder: Path, *, name: str, device: torch.device) -> ClipEncoder:
    """The CLIP in ``folder``: weights (safetensors), tokenizer, ``preprocessor_config.json``.

    A CLIPSeg's folder has one inside, and that is taken. Where the segmenter reads larger pictures
    than its CLIP was trained on, pictures are prepared as for CLIP and not as for the segmenter.

    Args:
        folder: the checkpoint.
        name: as the user knows it; a piece of the weights' sha256 is put behind it.
        device: where it runs, in float32.

    Raises:
        ModelError: something is missing or broken.
    """
    inside = is_clipseg(folder)
    model = load_part(
        CLIPSegForImageSegmentation if inside else CLIPModel, folder, dtype=torch.float32
    ).to(device)
    own = Preprocessing(model.config.vision_config.image_size)
    read = preprocessing(folder, own)
    side = read.size if isinstance(read.size, int) else max(read.size)
    return ClipEncoder(
        model.clip if inside else model,
        load_part(CLIPTokenizer, folder),
        name=f"{name} (sha256 {short_digest(folder)})",
        read=own if inside and side != own.size else read,
    )


def is_clipseg(folder: Path) -> bool:
    """Whether ``folder`` holds a CLIPSeg, by its ``config.json``."""
    file = folder / "config.json"
    return file.is_file() and read_json(file).get("model_type") == "clipseg"
