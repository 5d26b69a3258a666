"""Where the subject of a picture is, and which patch of another picture is the same place of it.

ConsiStory's two readings of a U-Net, as pure functions: subject masks from cross-attention, and
correspondences from features (DIFT). No model is named here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.sdxl.tokens import token_rows

FAR = 2.0  # the largest cosine distance

# which source (T,), which patch (T,), whether to take it (T,)
Match = tuple[Tensor, Tensor, Tensor]


def concept_tokens(tokenizer: Any, prompt: str, nouns: Sequence[str], limit: int) -> list[int]:
    """Place of each noun's first token at its last occurrence in ``prompt``; absent ones are left
    out. Counted in the encoder's output, chunks of ``limit`` one after the other."""
    offsets = tokenizer(prompt, return_offsets_mapping=True, verbose=False).offset_mapping[1:-1]
    rows = token_rows(tokenizer, prompt, limit)
    places = []
    for noun in dict.fromkeys(nouns):
        found = list(re.finditer(rf"(?<!\w){re.escape(noun)}(?!\w)", prompt, re.IGNORECASE))
        if found:
            first = found[-1].start()
            places += [
                row for row, (start, end) in zip(rows, offsets, strict=True) if start <= first < end
            ][:1]
    return sorted(set(places))


def attention_to(q: Tensor, k: Tensor, tokens: Sequence[int]) -> Tensor:
    """How much each image token looks at each of ``tokens``, averaged over heads: (n, N).

    Args:
        q: (heads, N, d).
        k: (heads, L, d).
        tokens: n places among the L.
    """
    weights = (q.float() @ k.float().mT / math.sqrt(q.shape[-1])).softmax(-1)
    return weights[..., list(tokens)].mean(dim=0).mT


def otsu(values: Tensor, bins: int = 256) -> float:
    """The threshold that splits ``values`` into two classes the furthest apart (Otsu 1979).

    The middle of the histogram's bin after which the variance between the classes is largest, the
    first such, as scikit-image has it; the value itself where all are equal.
    """
    flat = values.flatten().double().cpu()
    low, high = float(flat.min()), float(flat.max())
    if low == high:
        return low
    counts = torch.histc(flat, bins, min=low, max=high)
    middles = low + (torch.arange(bins, dtype=torch.float64) + 0.5) * (high - low) / bins
    below = counts.cumsum(0)[:-1]
    above = counts.sum() - below
    mass = (counts * middles).cumsum(0)
    mean_below = mass[:-1] / below
    mean_above = (mass[-1] - mass[:-1]) / above
    between = below * above * (mean_below - mean_above) ** 2
    last = int(between.nan_to_num(-1.0).argmax())
    return float(middles[last])


def grid_of(tokens: int, size: Sequence[int]) -> tuple[int, int]:
    """(h, w) of the grid of so many tokens of a picture of ``size``, (width, height)."""
    h = round(math.sqrt(tokens * size[1] / size[0]))
    if h < 1 or tokens % h:
        raise ValueError(f"{tokens} tokens are no grid of a picture of {size[0]} x {size[1]}")
    return h, tokens // h


def subject_mask(maps: Tensor, tokens: int, size: Sequence[int]) -> Tensor:
    """Where any of the concepts is, bool (tokens,) on a grid of so many.

    Each map is resized (bilinear), split by Otsu, and the parts above are united.

    Args:
        maps: (n, N) attention to each concept, on a smaller grid.
        tokens: of the grid.
        size: (width, height) of the picture, or what is in proportion to it.
    """
    if not len(maps):
        return torch.zeros(tokens, dtype=torch.bool)
    grid = maps.float().view(1, -1, *grid_of(maps.shape[-1], size))
    grid = F.interpolate(grid, grid_of(tokens, size), mode="bilinear", align_corners=False)
    grid = grid[0].flatten(1)
    return torch.stack([one > otsu(one) for one in grid]).any(dim=0)


def smoothed(features: Tensor) -> Tensor:
    """(C, h, w) after a 3 x 3 Gaussian of standard deviation 1 in each channel, zeros around it."""
    line = torch.exp(-torch.tensor([1.0, 0.0, 1.0]) / 2).to(features)
    line = line / line.sum()
    across = F.pad(features, (1, 1, 1, 1)).unfold(2, 3, 1) @ line  # (C, h + 2, w)
    return across.unfold(1, 3, 1) @ line


def patches(features: Tensor, tokens: int) -> Tensor:
    """(tokens, C): smoothed features of unit length on a grid of so many patches."""
    shape = grid_of(tokens, features.shape[:0:-1])
    grid = F.interpolate(smoothed(features.float())[None], shape, mode="bilinear")[0]
    return F.normalize(grid.flatten(1).mT, dim=-1)


def nearest(
    target: Tensor, sources: Sequence[Tensor], masks: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """For each target patch the nearest source patch inside its source's mask.

    Args:
        target: (T, C) of unit length.
        sources: (T, C) each, of unit length.
        masks: bool (T,) each.

    Returns:
        which source (T,), which patch of it (T,), and the cosine distance (T,), 2 where no source
        patch may be taken.
    """
    distances, places = [], []
    for source, mask in zip(sources, masks, strict=True):
        d = (1 - target @ source.mT).masked_fill(~mask.to(target.device), FAR)
        best = d.min(dim=1)
        distances.append(best.values)
        places.append(best.indices)
    least = torch.stack(distances).min(dim=0)
    place = torch.stack(places).gather(0, least.indices[None])[0]
    return least.indices, place, least.values


def match_frame(
    features: Tensor, mask: Tensor, sources: Sequence[Tensor], masks: Sequence[Tensor]
) -> Match:
    """Which source patch each patch is, and whether it is sure enough to be injected.

    Sure is a patch inside ``mask`` whose distance is below Otsu's threshold of all distances.

    Args:
        features: (C, h, w) of the frame, and of each source likewise.
        mask: bool (T,); ``masks`` of the sources likewise.
        sources: see above.
        masks: see above.
    """
    tokens = len(mask)
    which, place, distance = nearest(
        patches(features, tokens), [patches(s, tokens) for s in sources], masks
    )
    take = mask.to(distance.device) & (distance < otsu(distance))
    return which, place, take & (distance < FAR)
