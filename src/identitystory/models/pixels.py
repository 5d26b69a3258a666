"""Pictures to the normalised pixel tensors that networks take, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ModelError
from .files.configs import read_json

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def square(image: Image.Image, size: int, shorter: int | None = None) -> Image.Image:
    """The middle of ``image``, ``size`` pixels a side, in RGB.

    Its shorter side is resized to ``shorter`` pixels before (bicubic), to ``size`` without it.
    """
    image, shorter = image.convert("RGB"), shorter or size
    short = min(image.size)
    width, height = (
        shorter if side == short else int(shorter * side / short) for side in image.size
    )
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def normalised(
    images: Sequence[Image.Image], mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """(n, 3, H, W) float32, ``(x / 255 - mean) / std`` a channel, of RGB pictures of one size."""
    stacked = np.stack([np.asarray(image.convert("RGB")) for image in images])  # (n, H, W, 3)
    pixels = torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def pictures(pixels: Tensor) -> list[Image.Image]:
    """What a VAE decoded, (n, 3, H, W) in [-1, 1], as RGB pictures.

    Raises:
        ModelError: a number is not finite.
    """
    pixels = pixels.float()
    if not pixels.isfinite().all():
        raise ModelError(
            "the model gives numbers that are not finite: its weights are broken, or overflow; "
            "get them again, or give --dtype float32"
        )
    pixels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(p) for p in pixels.permute(0, 2, 3, 1).cpu().numpy()]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to pictures before a tower reads them; called with them, (n, 3, H, W) float32.

    Attributes:
        size: (height, width) in pixels that pictures are stretched to, or one number: the side of
            the middle square that is cut out (as OpenAI's CLIP does).
        mean: of each channel, values in [0, 1].
        std: likewise.
        resample: how they are stretched, one of Pillow's.
        shorter: to which the shorter side is resized before a square is cut out; 0 is its side.
    """

    size: tuple[int, int] | int
    mean: Sequence[float] = CLIP_MEAN
    std: Sequence[float] = CLIP_STD
    resample: int = Image.Resampling.BICUBIC
    shorter: int = 0

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        if isinstance(self.size, int):
            ready = [square(image, self.size, self.shorter) for image in images]
        else:
            size, how = self.size[::-1], Image.Resampling(self.resample)
            ready = [image.convert("RGB").resize(size, how) for image in images]
        return normalised(ready, self.mean, self.std)


def preprocessing(folder: Path, otherwise: Preprocessing) -> Preprocessing:
    """As ``preprocessor_config.json`` in ``folder`` says, and as ``otherwise`` where it is silent.

    A single number is what it is there: a square to stretch to, or to cut out.

    Raises:
        ModelError: the file is broken.
    """
    file = folder / "preprocessor_config.json"
    config = read_json(file) if file.is_file() else {}
    size = config.get("size", otherwise.size)
    try:
        if isinstance(size, dict):
            size = size.get("shortest_edge") or (size["height"], size["width"])
        elif isinstance(size, int) and not isinstance(otherwise.size, int):
            size = (size, size)
        read = Preprocessing(
            size,
            config.get("image_mean", otherwise.mean),
            config.get("image_std", otherwise.std),
            config.get("resample", otherwise.resample),
        )
        read([Image.new("RGB", (2, 2))])
    except (KeyError, ValueError, TypeError, OverflowError, RuntimeError, MemoryError):
        raise ModelError(
            f"{file} asks for pictures that cannot be; it is broken or another model's, get it again"
        ) from None
    return read
