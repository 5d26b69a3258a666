"""Windows: the part of a picture that a character is denoised again in, around their mask.

Outside the mask the kept latents are put back at every step (Eq. 8), so what a network says of the
rest of the picture is thrown away. A window leaves out most of that rest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from .sizes import Size

LEAST = (
    0.5  # of the picture's shorter side; networks see pictures much smaller than their own badly
)
MOST = 0.75  # of the picture's area; a larger window saves too little to be worth having


class Window(NamedTuple):
    """A part of a picture, in pixels; ``right`` and ``bottom`` are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def share(self, size: Size) -> float:
        """Of the area of a picture of that size, in (0, 1]."""
        return math.prod(self.size) / math.prod(size)


def around(mask: Tensor, margin: int, multiple: int) -> Window | None:
    """The smallest window with ``margin`` pixels around the mask; None, which is all, where little is left.

    Its corners are multiples of ``multiple``, its sides at least `LEAST`, its area at most `MOST`.

    Args:
        mask: (H, W) bool, not empty; H and W are multiples of ``multiple``.
        margin: cut off at the picture's edge.
        multiple: pixels.
    """
    height, width = mask.shape
    least = LEAST * min(height, width)
    top, bottom = _side(mask.any(dim=1), margin, least, multiple)
    left, right = _side(mask.any(dim=0), margin, least, multiple)
    found = Window(left, top, right, bottom)
    return found if found.share((width, height)) <= MOST else None


def _side(line: Tensor, margin: int, least: float, multiple: int) -> tuple[int, int]:
    """First pixel and end of a side of the window; ``line`` (n,) bool is where the mask is."""
    there, cells = line.nonzero().flatten(), len(line) // multiple
    first = max(0, (int(there[0]) - margin) // multiple)
    end = min(cells, math.ceil((int(there[-1]) + 1 + margin) / multiple))
    count = max(end - first, math.ceil(least / multiple))
    first = min(max(0, first - (count - end + first) // 2), cells - count)
    return first * multiple, (first + count) * multiple
