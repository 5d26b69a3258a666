"""What the networks that know people are shown: the middle of a portrait.

A portrait's head is in the middle of the picture; people are discovered from portraits alone, so
nothing else is looked at. A picture is brought to ``PICTURE`` pixels, and its middle cut out.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..package import CLIP_MEAN, CLIP_STD
from ..world.records import identity_numbers
from .sets import PictureSet, part_of

PICTURE, SIZE = 128, 96  # pixels a side of a picture, and of its middle
MARGIN = (PICTURE - SIZE) // 2
COARSE = 4  # pixels a side of what the parts are told in


def normalized(x: Tensor) -> Tensor:
    """(B, 3, S, S) of CLIP's mean and spread, from colours in [-1, 1]."""
    mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return ((x + 1) / 2 - mean) / std


def smaller(images: np.ndarray) -> Tensor:
    """(B, 3, PICTURE, PICTURE) in [-1, 1] of square pictures (B, H, H, 3) uint8."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return F.interpolate(x, (PICTURE, PICTURE), mode="area")


def middles(x: Tensor) -> Tensor:
    """(B, 3, SIZE, SIZE) normalised, of pictures (B, 3, H, H) in [-1, 1]."""
    x = F.interpolate(x, (PICTURE, PICTURE), mode="area")
    return normalized(x[..., MARGIN:-MARGIN, MARGIN:-MARGIN])


def varied(
    images: np.ndarray, marks: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Moved, mirrored, softened at random and in another light: (B, 3, SIZE, SIZE) normalised, and the
    parts (B, SIZE / 4, SIZE / 4)."""
    x, scale = smaller(images), images.shape[1] // PICTURE
    small = part_of(marks)[:, scale // 2 :: scale, scale // 2 :: scale]
    views, parts = [], []
    for image, part in zip(x, small, strict=True):
        top, left = rng.integers(MARGIN // 2, 3 * MARGIN // 2 + 1, 2)
        box = slice(top, top + SIZE), slice(left, left + SIZE)
        view, seen = (
            image[:, box[0], box[1]],
            part[box][COARSE // 2 :: COARSE, COARSE // 2 :: COARSE],
        )
        if rng.random() < 0.5:
            view, seen = view.flip(2), seen[:, ::-1]
        views.append(view)
        parts.append(np.ascontiguousarray(seen))
    x = torch.stack(views)
    soft = torch.from_numpy(rng.random(len(x)) < 0.4)  # painted pictures are softer than drawn ones
    if soft.any():
        scale = float(rng.uniform(0.5, 0.85))
        less = F.interpolate(x[soft], scale_factor=scale, mode="bilinear", antialias=True)
        x[soft] = F.interpolate(less, size=(SIZE, SIZE), mode="bicubic")
    gain = rng.uniform(0.9, 1.1, (len(x), 1, 1, 1)) * rng.uniform(0.97, 1.03, (len(x), 3, 1, 1))
    x = ((x + 1) * torch.from_numpy(gain).float() - 1).clamp(-1, 1)
    return normalized(x), torch.from_numpy(np.stack(parts)).long()


def portraits(data: PictureSet) -> dict[int, np.ndarray]:
    """The numbers of each person's portraits, of those who have two or more."""
    of: dict[int, list[int]] = {}
    for number, shot in data.shots.items():
        if shot.record.framing == "portrait":
            of.setdefault(shot.people[0], []).append(number)
    return {who: np.array(numbers) for who, numbers in of.items() if len(numbers) > 1}


def numbers_of(data: PictureSet) -> dict[int, np.ndarray]:
    """Person -> identity numbers."""
    found: dict[int, np.ndarray] = {}
    for shot in data.shots.values():
        for who, person in zip(shot.people, shot.record.people, strict=True):
            if who not in found:
                found[who] = identity_numbers(person)
    return found


def kinds_of(data: PictureSet, people: list[int]) -> np.ndarray:
    """(n,) a number for sex, tone and age of each of these people."""
    known = {
        w: p for s in data.shots.values() for w, p in zip(s.people, s.record.people, strict=True)
    }
    kinds = [f"{known[w].masc > 0.5} {int(known[w].tone * 4)} {known[w].age // 22}" for w in people]
    return np.unique(kinds, return_inverse=True)[1]


class Pairs:
    """Two portraits each of many people, half of whom look alike."""

    def __init__(self, data: PictureSet, keep: slice = slice(None)):
        self.data, self.of = data, portraits(data)
        self.people = np.array(sorted(self.of))[keep]
        self.kinds = kinds_of(data, self.people.tolist())
        numbers = numbers_of(data)
        self.numbers = np.stack([numbers[w] for w in self.people.tolist()])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels (2 n, 3, S, S), parts (2 n, S / 4, S / 4), who it is (2 n,), identity numbers."""
        rows = look_alikes(self.kinds, count, rng)
        chosen = [rng.choice(self.of[int(w)], 2, replace=False) for w in self.people[rows]]
        flat = np.concatenate(chosen)
        order = np.argsort(flat)  # a memory-mapped file is read forwards
        images, marks = self.data.rgb[flat[order]], self.data.marks[flat[order]]
        x, parts = varied(images, marks, rng)
        back = np.repeat(rows, 2)[order]
        return x, parts, torch.from_numpy(back), torch.from_numpy(self.numbers[back])


def look_alikes(kinds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) rows of whom half are of somebody's kind, if there are so many, the others anybody."""
    everybody = rng.permutation(len(kinds))
    alike = everybody[kinds[everybody] == kinds[everybody[0]]][: count // 2]
    others = everybody[~np.isin(everybody, alike)][: count - len(alike)]
    return np.concatenate([alike, others])
