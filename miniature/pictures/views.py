"""How pictures are shown to networks: as tensors, in windows, softened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .sets import FACE, FINE, PictureSet, part_of

NEAR_A_FACE = 0.65  # share of windows


def to_tensor(images: np.ndarray) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) in [-1, 1]."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
    return (x.float() / 127.5 - 1).contiguous()


def to_images(x: Tensor) -> np.ndarray:
    """The way back, clamped."""
    return ((x.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def half(x: Tensor) -> Tensor:
    """Half the size."""
    return F.avg_pool2d(x, 2)


def soften(x: Tensor, rng: np.random.Generator, share: float = 0.5) -> Tensor:
    """``x`` (B, 3, H, W) with a share of it made softer, as painted pictures are."""
    soft = torch.from_numpy(rng.random(len(x)) < share)
    if not soft.any():
        return x
    scale = float(rng.uniform(0.35, 0.8))
    small = F.interpolate(x[soft], scale_factor=scale, mode="bilinear", antialias=True)
    x = x.clone()
    x[soft] = F.interpolate(small, x.shape[-2:], mode="bicubic").clamp(-1, 1)
    return x


@dataclass(frozen=True)
class Windows:
    """A batch of square windows.

    Attributes:
        x: (B, 3, s, s); weight: (B, 1, s, s) of each pixel, of mean one; marks: (B, s, s).
        picks: (set, number, top, left) of each.
    """

    x: Tensor
    weight: Tensor
    marks: np.ndarray
    picks: list[tuple[int, int, int, int]]


def pixel_weights(data: PictureSet) -> np.ndarray:
    """(32,) what the pixels of each part count: eyes and mouth seven times as much as a wall."""
    gain = np.ones(32, np.float32)
    for names, value in (
        (("hair", "ear"), 2),
        (("thing", *FACE), 3),
        (("nose", "glasses", "hand"), 4),
    ):
        gain = np.maximum(gain, data.table(names, value))
    return np.maximum(gain, data.table(FINE, 7))


def windows(
    sets: list[PictureSet], shares: list[float], count: int, size: int,
    rng: np.random.Generator, *, step: int = 1, mirror: bool = True,
) -> Windows:  # fmt: skip
    """Windows of pictures of these sets, most of them around a face.

    Args:
        shares: how often each set is drawn from.
        step: windows begin at multiples of it.
        mirror: turn half of them round; not where they must fit stored latents.
    """
    gains = [pixel_weights(s) for s in sets]
    images, weights, marks, picks = [], [], [], []
    chosen = rng.choice(len(sets), count, p=np.array(shares) / sum(shares))
    for k in chosen.tolist():
        data = sets[k]
        number = int(rng.choice(data.numbers))
        h, w = data.marks.shape[1:]
        top, left = rng.integers(0, h - size + 1), rng.integers(0, w - size + 1)
        if rng.random() < NEAR_A_FACE:
            centre = np.array(data.centre(number)) + rng.integers(-size // 4, size // 4 + 1, 2)
            top, left = np.clip(centre - size // 2, 0, (h - size, w - size))
        top, left = int(top) // step * step, int(left) // step * step
        box = slice(top, top + size), slice(left, left + size)
        image, mark = data.rgb[number][box], data.marks[number][box]
        if mirror and rng.random() < 0.5:
            image, mark = image[:, ::-1], mark[:, ::-1]
        images.append(image)
        marks.append(mark)
        weights.append(gains[k][part_of(mark)])
        picks.append((k, number, top, left))
    weight = torch.from_numpy(np.stack(weights))[:, None]
    return Windows(to_tensor(np.stack(images)), weight / weight.mean(), np.stack(marks), picks)
