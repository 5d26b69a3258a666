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

LEAST = 0.5  # of the picture's shorter side; of much smaller pictures networks make little
MOST = 0.9  # of the picture's area; a larger window saves nothing worth having


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


def around(cells: Tensor, margin: int, multiple: int, factor: int) -> Window | None:
    """The smallest window with ``margin`` cells around those; None, which is all, where little is left.

    Its corners are multiples of ``multiple`` cells, its sides at least `LEAST`, its area at most `MOST`.

    Args:
        cells: (h, w) bool, some True; h and w are multiples of ``multiple``.
        margin: cut off at the picture's edge.
        multiple: cells.
        factor: pixels of a cell.
    """
    least = LEAST * min(cells.shape)
    top, bottom = _side(cells.any(dim=1), margin, least, multiple)
    left, right = _side(cells.any(dim=0), margin, least, multiple)
    found = Window(*(side * factor for side in (left, top, right, bottom)))
    height, width = (side * factor for side in cells.shape)
    return found if found.share((width, height)) <= MOST else None


def _side(line: Tensor, margin: int, least: float, multiple: int) -> tuple[int, int]:
    """First cell and end of a side of the window; ``line`` (n,) bool is where it is needed."""
    there, steps = line.nonzero().flatten(), len(line) // multiple
    first = max(0, (int(there[0]) - margin) // multiple)
    end = min(steps, math.ceil((int(there[-1]) + 1 + margin) / multiple))
    count = max(end - first, math.ceil(least / multiple))
    first = min(max(0, first - (count - end + first) // 2), steps - count)
    return first * multiple, (first + count) * multiple
