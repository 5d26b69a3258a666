"""CLIP as a ``PictureEncoder``: any CLIPModel of transformers, from a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .files.checkpoint import read_json, short_digest
from .libraries import CLIPModel, CLIPSegForImageSegmentation, CLIPTokenizer
from .parts import load_part
from .pixels import CLIP_MEAN, CLIP_STD, normalised, square

logger = logging.getLogger(__name__)

BATCH = 32


class ClipEncoder:
    """Pictures and texts as CLIP's projected vectors.

    Attributes:
        name: for the results.
        size: (height, width) in pixels that pictures are stretched to, or one number: their
            shorter side, with the middle square cut out (as OpenAI's CLIP does).
        limit: tokens of a text that it reads, with those of start and end.
    """

    def __init__(
        self,
        model: CLIPModel,
        tokenizer: Any,
        *,
        name: str,
        size: tuple[int, int] | int,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        resample: int = Image.Resampling.BICUBIC,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.size = name, size
        self.mean, self.std = tuple(mean), tuple(std)
        self.resample = Image.Resampling(resample)
        text: Any = model.config.text_config
        self.limit = int(text.max_position_embeddings)

    @torch.inference_mode()
    def pictures(self, images: Sequence[Image.Image]) -> Tensor:
        """(n, d) float32 on the CPU."""
        made = []
        for k in range(0, len(images), BATCH):
            ready = [self._resized(image) for image in images[k : k + BATCH]]
            pixels = normalised(ready, self.mean, self.std).to(self.model.device, self.model.dtype)
            made.append(_vectors(self.model.get_image_features(pixels)))
        return torch.cat(made) if made else torch.zeros(0, self.model.config.projection_dim)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """(n, d) float32 on the CPU; a warning is logged for a text beyond ``limit`` tokens."""
        made = []
        for k in range(0, len(texts), BATCH):
            part = list(texts[k : k + BATCH])
            for text in part:
                if len(self.tokenizer(text, verbose=False).input_ids) > self.limit:
                    logger.warning("CLIP reads %d tokens of %r", self.limit, text)
            tokens = self.tokenizer(
                part, padding=True, truncation=True, max_length=self.limit, return_tensors="pt"
            ).to(self.model.device)
            features = self.model.get_text_features(
                tokens.input_ids, attention_mask=tokens.attention_mask
            )
            made.append(_vectors(features))
        return torch.cat(made) if made else torch.zeros(0, self.model.config.projection_dim)

    def _resized(self, image: Image.Image) -> Image.Image:
        if isinstance(self.size, int):
            return square(image, self.size)
        height, width = self.size
        return image.convert("RGB").resize((width, height), self.resample)


def _vectors(features: Any) -> Tensor:
    vectors = features if isinstance(features, Tensor) else features.pooler_output
    return vectors.float().cpu()


def load_clip(folder: Path, *, name: str, device: torch.device) -> ClipEncoder:
    """The CLIP in ``folder``: weights (safetensors), tokenizer, ``preprocessor_config.json``.

    A CLIPSeg's folder has one inside, and that is taken.

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
    tokenizer = load_part(CLIPTokenizer, folder)
    file = folder / "preprocessor_config.json"
    config = read_json(file) if file.is_file() else {}
    return ClipEncoder(
        model.clip if inside else model,
        tokenizer,
        name=f"{name} (sha256 {short_digest(folder)})",
        size=_size(config.get("size", model.config.vision_config.image_size)),
        mean=config.get("image_mean", CLIP_MEAN),
        std=config.get("image_std", CLIP_STD),
        resample=config.get("resample", Image.Resampling.BICUBIC),
    )


def is_clipseg(folder: Path) -> bool:
    """Whether ``folder`` holds a CLIPSeg, by its ``config.json``."""
    file = folder / "config.json"
    return file.is_file() and read_json(file).get("model_type") == "clipseg"


def _size(size: Any) -> tuple[int, int] | int:
    if isinstance(size, dict):
        if "shortest_edge" in size:
            return int(size["shortest_edge"])
        return int(size["height"]), int(size["width"])
    return int(size)
