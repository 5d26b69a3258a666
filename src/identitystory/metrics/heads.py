"""Heads in a finished picture: whose each is, and the square around one."""

from __future__ import annotations

from PIL import Image
from torch import Tensor


def heads_of(masks: Tensor, heads: Tensor) -> list[int | None]:
    """For each of ``masks`` (s, H, W) the largest of ``heads`` (n, H, W) that lies in it by more than half."""
    sizes = heads.flatten(1).sum(dim=1)  # (n,)
    inside = (masks[:, None] & heads).flatten(2).sum(dim=2)  # (s, n)
    return [
        max(held, key=lambda h: int(sizes[h]))
        if (held := own.nonzero().flatten().tolist())
        else None
        for own in 2 * inside > sizes
    ]


def square(image: Image.Image, head: Tensor) -> Image.Image:
    """A square as high as the picture, with a head in the middle as far as there is room."""
    columns = head.any(dim=0).nonzero().flatten()
    side = min(image.size)
    middle = int(columns[0] + columns[-1] + 1) // 2
    left = max(0, min(image.width - side, middle - side // 2))
    return image.crop((left, 0, left + side, side))
