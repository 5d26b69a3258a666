"""How alike the heads of a picture are to known people: by a checkpoint's own encoder, or a recogniser.

What is `seen` of a head, and what is known of a person, is a few vectors each: (c, d) of several
cut-outs of one head, (k, d) of several portraits of one person. They are as alike as the best of the
cut-outs is to the portraits on the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..protocols import FaceRecogniser
from .faces import match
from .scores import cosine

OWN = "own"  # the name of a checkpoint's encoder as a recogniser
ABOVE = 0.11  # of a cut-out's side above the head, as portraits have it
# The side of a cut-out, told by the box around a head in three ways: long hair spoils one, a wide
# cut another.
SIDES: tuple[Callable[[float, float], float], ...] = (
    lambda wide, high: 1.48 * high,
    lambda wide, high: 1.95 * wide,
    lambda wide, high: 1.7 * (wide * high) ** 0.5,
)


class Knows(Protocol):
    """Tells people apart."""

    @property
    def name(self) -> str:
        """As `conformal.Marks` has it."""
        ...

    def seen(self, image: Image.Image, heads: Tensor) -> list[Tensor | None]:
        """Of each of ``heads`` (n, H, W) bool: (c, d), or None where no face was found."""
        ...

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(c, k) float64 of vectors (c, d) and (k, d); 1 for equal faces."""
        ...


@dataclass(frozen=True)
class OwnEncoder:
    """The encoder that a checkpoint embeds portraits with; a head is shown to it as a portrait's is."""

    embed: Callable[[Sequence[Image.Image]], Tensor]
    name: str = OWN

    def seen(self, image: Image.Image, heads: Tensor) -> list[Tensor | None]:
        """As `Knows`."""
        each = [cut_outs(image, head) for head in heads]
        flat = [picture for some in each for picture in some]
        if not flat:
            return []
        return list(self.embed(flat).float().cpu().split([len(some) for some in each]))

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """As `Knows`: cosines."""
        return cosine(a, b)


@dataclass(frozen=True)
class ByFaces:
    """A recogniser that finds faces by itself; a head has the face that lies in it."""

    recogniser: FaceRecogniser
    name: str

    def seen(self, image: Image.Image, heads: Tensor) -> list[Tensor | None]:
        """As `Knows`."""
        found = match(self.recogniser.faces(image), heads)
        return [None if face is None else face.embedding[None] for face in found]

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """As `Knows`."""
        return self.recogniser.similarity(a, b)

    def portraits(self, images: Sequence[Image.Image]) -> Tensor:
        """(k, d) of those ``images`` that a face is found in."""
        found = [
            max(f, key=lambda face: face.score) for i in images if (f := self.recogniser.faces(i))
        ]
        return torch.stack([face.embedding for face in found]) if found else torch.zeros(0, 1)


def likeness(knows: Knows, seen: Tensor | None, known: Tensor) -> float:
    """How alike somebody ``seen`` (c, d) and ``known`` (k, d) are; nan where they cannot be compared."""
    if seen is None or not len(seen) or not len(known) or seen.shape[1] != known.shape[1]:
        return float("nan")
    return float(knows.similarity(seen, known).mean(dim=1).max())


def likenesses(knows: Knows, image: Image.Image, heads: Tensor, known: Sequence[Tensor]) -> Tensor:
    """(n, s) float64 of each head with each person known; nan as in `likeness`."""
    rows = [[likeness(knows, one, each) for each in known] for one in knows.seen(image, heads)]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(heads), len(known))


def cut_outs(image: Image.Image, head: Tensor) -> list[Image.Image]:
    """Three squares around a head, which is as large and as high in them as in a portrait.

    Where they reach beyond the picture, its edge is drawn out.

    Args:
        image: W x H.
        head: (H, W) bool, not empty: hair and all.
    """
    rows, columns = (head.any(dim=d).nonzero().flatten() for d in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    high, wide = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    sides = [round(side(wide, high)) for side in SIDES]
    room = max(sides)
    pixels = np.pad(np.asarray(image.convert("RGB")), ((room, room), (room, room), (0, 0)), "edge")
    made = []
    for side in sides:
        x, y = room + left + (wide - side) // 2, room + top - round(ABOVE * side)
        made.append(Image.fromarray(pixels[y : y + side, x : x + side]))
    return made
