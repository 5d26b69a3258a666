"""Masks: cleaning, growing, sharing out and down-sampling them (Sec. 3.2, Eqs. 5, 7, 8).

All masks are (s, H, W) bool in image pixels until `downsample`. Overlaps go to the character with
the smaller area: a child before a grown-up keeps its face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor

from .errors import ConfigError

HEAD_FILL = 0.4  # of the box around a head; an ellipse fills .79
HEAD_LONG = 2.5  # long hair and all


def dilate(masks: Tensor, radius: int) -> Tensor:
    """Dilate(M, K) of Eq. 8: each mask grown by ``radius`` pixels, a square of side 2·radius+1.

    Separable: rows first, then columns. (s, H, W) bool in and out; always a new tensor.
    """
    if radius < 0:
        raise ConfigError(f"radius is {radius}; a mask can only grow, so it must be at least 0.")
    radius = min(radius, max(masks.shape[1:]))  # which covers the picture from any place in it
    side = 2 * radius + 1
    grown = masks[:, None].float()  # (s, 1, H, W)
    grown = F.max_pool2d(grown, (1, side), stride=1, padding=(0, radius))
    grown = F.max_pool2d(grown, (side, 1), stride=1, padding=(radius, 0))
    return grown[:, 0].bool()


def kernel_size(i: int, start: int, k_max: float) -> int:
    """K_i of Eq. 8, a radius in whole pixels: 0 at i = start, growing to K_max at i = 1.

    The paper prints (i-t')/(t-t')·K_max with a rising i. With its own falling i, of which t' are
    re-done, that is (t'-i)/(t'-1)·K_max. With a single step there is nothing to grow: 0.

    Raises:
        ConfigError: i is not in 1..start.
    """
    if not 1 <= i <= start:
        raise ConfigError(f"step {i} is not one of the {start} that are re-denoised.")
    if start == 1:
        return 0
    return int(k_max * (start - i) / (start - 1))


def exclusive(masks: Tensor, *, areas: Tensor | None = None) -> Tensor:
    """The masks with every pixel given to at most one: smaller area first, then the order given.

    Args:
        masks: (s, H, W) bool, may overlap.
        areas: (s,) what to rank by, when it shall not change as masks grow; default their own.
    """
    if areas is None:
        areas = masks.flatten(1).sum(dim=1)
    result = torch.zeros_like(masks)
    taken = torch.zeros(masks.shape[1:], dtype=torch.bool, device=masks.device)
    for j in areas.argsort(stable=True).tolist():
        result[j] = masks[j] & ~taken
        taken = taken | masks[j]
    return result


def clean(masks: Tensor, *, margin: int = 0, areas: Tensor | None = None) -> Tensor:
    """Masks fit for Eq. 5: exclusive, one connected piece each, then widened by ``margin`` pixels.

    (s, H, W) bool in and out. Overlaps go by the areas of the masks as the segmenter drew them,
    before and after widening: ``areas`` (s,), or those of ``masks``. Doing it twice changes nothing
    when ``margin`` is 0.
    """
    if areas is None:
        areas = masks.flatten(1).sum(dim=1)
    pieces = exclusive(masks, areas=areas)
    for j in range(len(pieces)):
        pieces[j] = largest_component(pieces[j])
    return exclusive(dilate(pieces, margin), areas=areas)


def largest_component(mask: Tensor) -> Tensor:
    """The largest 8-connected piece of one mask (H, W) bool; the first of equals; empty if empty."""
    pieces, count = label(mask.cpu().numpy(), structure=np.ones((3, 3)))
    if not count:
        return torch.zeros_like(mask)
    winner = np.bincount(pieces.ravel())[1:].argmax() + 1  # 0 is what lies in none
    return torch.from_numpy(pieces == winner).to(mask.device)


def distinct_heads(masks: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Those of ``masks`` (H, W) that are shaped like a head, each head once: (n, H, W) bool, exclusive.

    A head fills ``HEAD_FILL`` of the box around it, is at most ``HEAD_LONG`` times as long as wide or
    the other way round, and lies in no other's box by half of its own or more; the larger of two stays.
    """
    sized = sorted(masks, key=lambda mask: -int(mask.sum()))
    heads: list[Tensor] = []
    boxes: list[Tensor] = []
    for mask in sized:
        box = _box(mask)
        height, width = int(box.any(dim=1).sum()), int(box.any(dim=0).sum())
        filled = mask.any() and int(mask.sum()) >= HEAD_FILL * height * width
        if not filled or max(height, width) > HEAD_LONG * min(height, width):
            continue
        if all(2 * int((box & other).sum()) < height * width for other in boxes):
            heads.append(mask)
            boxes.append(box)
    found = torch.stack(heads) if heads else torch.zeros(0, *shape, dtype=torch.bool)
    return exclusive(found)


def _box(mask: Tensor) -> Tensor:
    """The smallest upright box around a mask, (H, W) bool."""
    rows, columns = (mask.any(dim=d).int() for d in (1, 0))
    span = lambda line: (line.cumsum(0) > 0) & (line.flip(0).cumsum(0).flip(0) > 0)
    return span(rows)[:, None] & span(columns)


def around_heads(heads: Tensor, mask: Tensor) -> Tensor:
    """(n, H, W) bool, exclusive: the pixels of ``mask`` (H, W), each with the nearest of n heads (n, H, W)."""
    far = np.stack([distance_transform_edt(~head) for head in heads.cpu().numpy()])
    nearest = torch.from_numpy(far.argmin(axis=0)).to(mask.device)
    return mask & (nearest == torch.arange(len(heads), device=mask.device).view(-1, 1, 1))


def with_heads(masks: Tensor, heads: Tensor) -> Tensor:
    """The masks (s, H, W) that hold a head, all False where one holds none.

    A head is a mask's that covers more than half of it, so that no two can hold the same. Of several,
    with a head for each, one that nobody holds is also that mask's which lies in it by more than half and
    has more of it than any other: a face that was found without its hair. The mask then covers the head.
    """
    inside = (masks[:, None] & heads).flatten(2).sum(dim=2)  # (s, n)
    holds = 2 * inside > heads.flatten(1).sum(dim=1)
    if len(masks) < 2 or len(heads) < len(masks):
        return masks & holds.any(dim=1)[:, None, None]
    most = inside == inside.amax(dim=0)
    most &= most.sum(dim=0) == 1
    lies = 2 * inside > masks.flatten(1).sum(dim=1, keepdim=True)
    given = lies & most & ~holds.any(dim=1, keepdim=True)  # (s, n)
    head = (given[:, :, None, None] & heads).any(dim=1) & ~masks.any(dim=0)
    return (masks | head) & (holds | given).any(dim=1)[:, None, None]


def downsample(masks: Tensor, shape: Sequence[int], mode: str = "nearest") -> Tensor:
    """DS of Eq. 7: (s, H, W) bool to (s, h, w) float32 in [0, 1].

    Args:
        masks: in image pixels.
        shape: (h, w) of the latent.
        mode: ``nearest`` takes one pixel a cell and stays binary; ``area`` the share covered.
    """
    if mode not in ("nearest", "area"):
        raise ConfigError(f"downsample is {mode!r}; it must be 'nearest' or 'area'.")
    return F.interpolate(masks[:, None].float(), size=tuple(shape), mode=mode)[:, 0]


def blend_weights(
    masks: Tensor, shape: Sequence[int], *, mode: str = "nearest", areas: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """DS(M_bg) and DS(M_j) of Eq. 7, sharing each latent pixel out so that the parts add up to one.

    The background is what no mask covers *after* growing; overlaps go as in `exclusive`.

    Args:
        masks: (s, H, W) bool, in image pixels; may overlap.
        shape: (h, w) of the latent.
        mode: of `downsample`.
        areas: of `exclusive`.

    Returns:
        Background (1, h, w) and characters (s, 1, h, w), float32 in [0, 1].
    """
    M = downsample(exclusive(masks, areas=areas), shape, mode)
    M_bg = (1 - M.sum(dim=0, keepdim=True)).clamp(min=0)
    return M_bg, M[:, None]
