"""Pictures to the normalised pixel tensors that CLIP-like towers take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

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
