"""Where words may lie on a picture: its people's masks in cells, their heads, and free places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, binary_fill_holes, maximum_filter

from .book import Masks
from .sheet import Box

Grid = NDArray[np.bool_]
CELL = 2.0  # points
MARGIN = (
    1 / 20
)  # of a picture's longer side; segmenters are coarse, and hair is painted beyond them


@dataclass(frozen=True)
class Ground:
    """A picture as cells.

    Attributes:
        box: the picture on the page.
        people: (h, w), where anybody is, and a little around.
        heads: (h, w), where anybody's head may be, and a little around.
        whose: by name, (h, w), where somebody is, and no more.
        mouths: by name, (x, y) in cells, about where somebody speaks.
    """

    box: Box
    people: Grid
    heads: Grid
    whose: Mapping[str, Grid]
    mouths: Mapping[str, tuple[float, float]]


def heads_of(masks: Masks) -> dict[str, Grid]:
    """By name, the part of somebody's mask that may be the head, holes filled.

    The upper part: a quarter higher than the mask is wide, twice as high if it is cut off by the
    picture's side or by somebody else, and at least 35 % of it. Of a portrait that is nearly all; of
    somebody who stands, the head and the chest.
    """
    heads = {}
    everybody = np.sum([mask.astype(np.uint8) for mask in masks.values()], axis=0)
    for name, mask in masks.items():
        whole = heads[name] = binary_fill_holes(mask)
        if not whole.any():
            continue
        rows, columns = whole.any(axis=1).nonzero()[0], whole.any(axis=0).nonzero()[0]
        high, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        others = binary_dilation(everybody > mask, iterations=2)
        cut = columns[0] == 0 or columns[-1] == mask.shape[1] - 1 or bool((others & whole).any())
        end = rows[0] + math.ceil(max((2.0 if cut else 1.25) * wide, 0.35 * high))
        whole[end:] = False
    return heads


def ground(masks: Masks, box: Box, crop: Box) -> Ground:
    """The picture in ``box`` of the page, of which ``crop`` is seen, as cells."""
    size = max(1, int(box.width / CELL)), max(1, int(box.height / CELL))
    people, heads = np.zeros(size[::-1], bool), np.zeros(size[::-1], bool)
    whose, mouths = {}, {}
    for name, head in heads_of(masks).items():
        mask = masks[name]
        whose[name] = _cells(mask, size, crop)
        people |= _grown(whose[name], crop)
        heads |= _grown(_cells(head, size, crop), crop)
        rows, columns = head.nonzero()
        if not len(rows):
            continue
        x, y = (
            columns.mean() / mask.shape[1],
            (0.55 * rows.min() + 0.45 * rows.max()) / mask.shape[0],
        )
        mouths[name] = (
            (x - crop.left) / crop.width * size[0],
            (y - crop.top) / crop.height * size[1],
        )
    return Ground(box, people, heads, whose, mouths)


def _cells(mask: Grid, size: tuple[int, int], crop: Box) -> Grid:
    """``mask``, cropped; a cell is taken if any of it is."""
    high, wide = mask.shape
    seen = (crop.left * wide, crop.top * high, crop.right * wide, crop.bottom * high)
    seen = (*seen[:2], min(seen[2], wide), min(seen[3], high))
    whole = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(whole.resize(size, Image.Resampling.BOX, box=seen)) > 0


def _grown(cells: Grid, crop: Box) -> Grid:
    """``cells`` and a margin around them."""
    reach = math.ceil(MARGIN * max(cells.shape[0] / crop.height, cells.shape[1] / crop.width))
    return np.asarray(maximum_filter(cells, size=2 * reach + 1))


def sums(taken: Grid) -> NDArray[np.int32]:
    """(h + 1, w + 1), how many cells are taken above and left of each corner; for `counted`."""
    total = np.zeros((taken.shape[0] + 1, taken.shape[1] + 1), np.int32)
    taken.cumsum(0, dtype=np.int32).cumsum(1, out=total[1:, 1:])
    return total


def counted(total: NDArray[np.int32], width: int, height: int) -> NDArray[np.int32]:
    """(h', w'), how many cells are taken in the rectangle from each cell on; empty if it is too large."""
    high, wide = total.shape
    if width >= wide or height >= high:
        return np.zeros((0, 0), np.int32)
    below, above = total[height:], total[: high - height]
    return (below[:, width:] - below[:, : wide - width]) - (
        above[:, width:] - above[:, : wide - width]
    )


def crop_of(aspect: float, box: Box, masks: Masks | None) -> tuple[Box, Box]:
    """Where a picture lies in ``box`` and which part of it is seen: as much as fills the box.

    The part keeps heads whole; where none does, or it is not known where they are, the whole
    picture is seen and the box is not filled.
    """
    wanted = box.width / box.height
    wide, high = min(1.0, wanted / aspect), min(1.0, aspect / wanted)
    heads = list(heads_of(masks or {}).values())
    inner = Box(0, 0, 1, 1)
    left, top = 0.5 - wide / 2, (1 - high) * 0.3
    if heads:
        shape = heads[0].shape
        rows, columns = np.logical_or.reduce(heads).nonzero()
        inner = Box(
            columns.min() / shape[1],
            rows.min() / shape[0],
            (columns.max() + 1 - columns.min()) / shape[1],
            (rows.max() + 1 - rows.min()) / shape[0],
        )
        left = _around(inner.left, inner.width, wide, 0.5)
        top = _around(inner.top, inner.height, high, 0.8)  # words lie above heads
    if (heads and inner.width <= wide and inner.height <= high) or masks == {}:
        return box, Box(left, top, wide, high)
    width = min(box.width, box.height * aspect)
    height = width / aspect
    middle = box.left + (box.width - width) / 2, box.top + (box.height - height) / 2
    return Box(*middle, width, height), Box(0, 0, 1, 1)


def _around(start: float, length: float, seen: float, before: float) -> float:
    """Where a part of length ``seen`` starts that holds ``start`` to ``start + length``.

    ``before`` is the share of what is left over that lies before it.
    """
    return min(max(0.0, start - before * (seen - length)), 1 - seen)
