"""What steers a picture in a part of its steps: the part itself, and a picture of the layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that a configuration is read without it
    from PIL import Image

Interval = tuple[float, float]
WHOLE: Interval = (0.0, 1.0)


def guided(i: int, t: int, interval: Interval) -> bool:
    """Whether step ``i`` of ``t`` (counting down) starts inside ``interval``, 0 noise, 1 clean."""
    low, high = interval
    elapsed = (t - i) / t
    return low - 1e-9 <= elapsed < high - 1e-9


@dataclass(frozen=True)
class Control:
    """A picture of the layout, for generators with a control net.

    Attributes:
        image: RGB, of any size; it is scaled to the picture's.
        kind: what it shows, as control nets are called: ``openpose``, ``depth``.
        strength: what the control net says is multiplied by; 1 is as it was trained.
        interval: the part of the steps that it speaks in, from noise (0) to clean (1).
    """

    image: Image.Image
    kind: str = "openpose"
    strength: float = 1.0
    interval: Interval = WHOLE

    def strength_at(self, i: int, t: int) -> float:
        """The strength at step ``i`` of ``t`` (counting down): 0 outside the interval."""
        return self.strength if guided(i, t, self.interval) else 0.0
