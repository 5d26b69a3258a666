"""What the records say, as numbers that networks can be taught."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..world.records import CATEGORIES, categories
from .sets import PictureSet

CATEGORY_NAMES = tuple(CATEGORIES)
CATEGORY_SIZES = [len(values) for values in CATEGORIES.values()]
NOBODY = -100  # what cross entropy leaves out


def labels_of(data: PictureSet, numbers: np.ndarray, who: int = 0) -> Tensor | None:
    """(n, attributes) places in ``CATEGORIES`` of what is true of person ``who``; NOBODY where there
    is none. None where the set has no records."""
    if not data.shots:
        return None
    return torch.tensor([labels(data.shots[int(n)].record, who) for n in numbers])


def labels(record, who: int) -> list[int]:
    """Places in ``CATEGORIES``; of a picture with nobody only place, hour and framing."""
    if who < len(record.people):
        said = categories(record, who)
    else:
        place = record.place
        said = {"place": place.name, "hour": place.hour, "framing": record.framing}
    return [
        CATEGORIES[k].index(said[k]) if said.get(k) in CATEGORIES[k] else NOBODY
        for k in CATEGORY_NAMES
    ]
