"""What the networks that look at faces are shown: the middle of a portrait.

A portrait's head is in the middle; people are discovered from portraits alone, so nothing else is looked at.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from identitystory.models.pixels import CLIP_MEAN, CLIP_STD

from .dataset import PictureSet

PICTURE, SIZE = 128, 96  # pixels a side of a picture, and of its middle
MARGIN = (PICTURE - SIZE) // 2
COARSE = 4  # pixels a side of what the parts are drawn in
PARTS = 7  # of the renderer's masks: nothing, skin, eyes, teeth, cloth, glasses, hair


def middles(images: np.ndarray) -> np.ndarray:
    """(B, S, S, ...) of pictures (B, 128, 128, ...)."""
    return images[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def normalized(x: Tensor) -> Tensor:
    """(B, 3, S, S) of CLIP's mean and spread, from colours in 0..1."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (x - mean) / std


def pixels(images: np.ndarray) -> Tensor:
    """(B, 3, S, S) as the encoder wants them, of pictures (B, 128, 128, 3)."""
    return normalized(torch.from_numpy(middles(images)).permute(0, 3, 1, 2).float() / 255)


def varied(
    images: np.ndarray, masks: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Moved, mirrored, softened at random and in another light: (B, 3, S, S), and the parts (B, S / 4, S / 4)."""
    views, parts = [], []
    for image, mask in zip(images, masks, strict=True):
        top, left = rng.integers(MARGIN // 2, 3 * MARGIN // 2 + 1, 2)
        way = rng.choice([-1, 1])
        box = slice(top, top + SIZE), slice(left, left + SIZE)
        views.append(image[box][:, ::way])
        parts.append(mask[box][:, ::way][COARSE // 2 :: COARSE, COARSE // 2 :: COARSE])
    x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    soft = torch.from_numpy(rng.random(len(x)) < 0.3)  # generated pictures are softer than rendered
    small = F.interpolate(x[soft], scale_factor=0.75, mode="bilinear", antialias=True)
    x[soft] = F.interpolate(small, size=(SIZE, SIZE), mode="bicubic")
    gain = rng.uniform(0.9, 1.1, (len(x), 1, 1, 1)) * rng.uniform(0.97, 1.03, (len(x), 3, 1, 1))
    x = (x * torch.from_numpy(gain).float()).clamp(0, 1)
    return normalized(x), torch.from_numpy(np.stack(parts)).long()


def portraits(data: PictureSet) -> dict[int, np.ndarray]:
    """The numbers of each known person's portraits, of those who have two or more."""
    of: dict[int, list[int]] = {}
    for row in data.facts:
        if row["framing"] == "portrait" and row["n"] < data.held_out_from:
            of.setdefault(row["index"], []).append(row["n"])
    return {who: np.array(numbers) for who, numbers in of.items() if len(numbers) > 1}


def other_portraits(data: PictureSet) -> dict[int, int]:
    """The number of a portrait of each person, not their second picture; of those who have one."""
    per = data.spec["pictures"]
    shown = [r for r in data.facts if r["framing"] == "portrait" and r["n"] % per != 1]
    return {row["index"]: row["n"] for row in shown}


def kinds_of(data: PictureSet, people: np.ndarray) -> np.ndarray:
    """(n,) a number for the sex, skin and hair of each of ``people``."""
    of = {row["index"]: f"{row['sex']} {row['skin']} {row['hair']}" for row in data.facts}
    return np.unique([of[i] for i in people.tolist()], return_inverse=True)[1]


def look_alikes(kinds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) people of whom half are of somebody's kind, if there are so many, the others anybody."""
    everybody = rng.permutation(len(kinds))
    alike = everybody[kinds[everybody] == kinds[everybody[0]]][: count // 2]
    others = everybody[~np.isin(everybody, alike)][: count - len(alike)]
    return np.concatenate([alike, others])


class Pairs:
    """Two portraits each of many people, half of whom look alike."""

    def __init__(self, data: PictureSet):
        self.data, self.of = data, portraits(data)
        self.people = np.array(sorted(self.of))
        self.kinds = kinds_of(data, self.people)

    def draw(self, people: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (2 n, 3, S, S), parts (2 n, S / 4, S / 4) and who it is (2 n,) of n people."""
        who = self.people[look_alikes(self.kinds, people, rng)]
        chosen = np.concatenate([rng.choice(self.of[w], 2, replace=False) for w in who.tolist()])
        order = np.argsort(chosen)  # a memory-mapped file is read forwards
        images = self.data.images[chosen[order]]
        x, parts = varied(images, self.data.masks[chosen[order]] & 7, rng)
        return x, parts, torch.from_numpy(np.repeat(who, 2)[order])
