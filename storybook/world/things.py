"""Things in the foreground of a picture with nobody: what stands where, and how it is drawn."""

from __future__ import annotations

import numpy as np

from .records import INDOORS, Place

INSIDE = ("cat", "dog", "lantern", "chair", "flower pot", "basket", "suitcase", "ball", "books",
          "teapot")  # fmt: skip
OUTSIDE = ("cat", "dog", "lantern", "chair", "basket", "suitcase", "ball", "bench", "umbrella",
           "flower pot")  # fmt: skip


def things_of(place: Place) -> tuple[str, ...]:
    """The things (none to two) in the foreground of this place when nobody is in the picture."""
    rng = np.random.default_rng([19, place.seed])
    names = INSIDE if place.name in INDOORS else OUTSIDE
    count = int(rng.choice(3, p=(0.2, 0.5, 0.3)))
    return tuple(str(n) for n in rng.choice(names, count, replace=False))
