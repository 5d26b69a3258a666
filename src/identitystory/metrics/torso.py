"""Whether somebody is dressed: the strip below the neck, held against the colour of the face.

Where most of the strip has the face's colour, if lighter or darker, nobody is dressed; clothes that
are like the skin are told as bare, too. An attribute reader says where the face is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .attributes import AttributeReader
from .colour import Pixels, rgb_to_lab
from .heads import heads_of, square

NEAR = 0.06  # OKLab distance within which a pixel has the face's colour
LIGHT = 0.4  # what lightness weighs in it: shoulders are lit otherwise than a face
BARE = 0.5  # share of the strip from which on a torso is bare
DOUBT = 0.4  # from which on it may be, once a face is put in, which moves the share by 0.1 at most
FACE = (-0.6, 0.25, 0.6, 0.9)  # cheeks and nose, from the point between the eyes, in half faces
STRIP = (-1.0, 2.1, 1.0, 3.2)  # below the neck, likewise


def region(rgb: Pixels, face: Sequence[float], box: Sequence[float]) -> Pixels:
    """OKLab (n, 3) of the pixels of a box around a face that lie in the picture.

    Args:
        rgb: (H, W, 3) uint8.
        face: x and y between the eyes and half the face's width, in pixels.
        box: left, top, right, bottom from there, in halves of the face's width.
    """
    x, y, reach = face
    left, top, right, bottom = (
        round(a + reach * b) for a, b in zip((x, y, x, y), box, strict=True)
    )
    inside = rgb[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    return rgb_to_lab(inside).reshape(-1, 3)


def skin_below(rgb: Pixels, face: Sequence[float]) -> float:
    """Share of the strip below the neck that has the face's colour; nan where it is out of the picture."""
    skin, strip = region(rgb, face, FACE), region(rgb, face, STRIP)
    if not len(skin) or not len(strip):
        return float("nan")
    away = (strip - np.median(skin, axis=0)) * (LIGHT, 1, 1)
    return float((np.linalg.norm(away, axis=1) < NEAR).mean())


def face_of(reader: AttributeReader, image: Image.Image) -> tuple[float, float, float]:
    """Where the reader sees the face: x and y between the eyes and half its width, in pixels."""
    with torch.inference_mode():
        x, y, reach = reader.network(reader.pixels(image))[1][0].tolist()
    width, height = image.size
    return (x + 1) * width / 2, (y + 1) * height / 2, reach * width / 2


def is_bare(reader: AttributeReader, image: Image.Image, share: float = BARE) -> bool:
    """Whether the one in ``image`` has the face's colour in at least this share of the strip below the neck."""
    return skin_below(np.asarray(image.convert("RGB")), face_of(reader, image)) >= share


def undressed(
    reader: AttributeReader,
    image: Image.Image,
    masks: Tensor,
    heads: Tensor | None,
    doubt: bool = False,
) -> list[int]:
    """The places in ``masks`` (s, H, W) bool of those who seem to wear nothing.

    Somebody alone is read off the whole picture; of several each off a square around their head, which
    is one of ``heads`` (n, H, W). Without heads nobody of several is looked at. With ``doubt`` those, too,
    who may wear nothing once a face is put in: nearly as much of them has its colour.
    """
    share = DOUBT if doubt else BARE
    if len(masks) == 1 and (heads is None or len(heads) == 1):
        return [0] if is_bare(reader, image, share) else []
    if heads is None or len(masks) < 2:
        return []
    mine = heads_of(masks, heads)
    seen = [(j, square(image, heads[h])) for j, h in enumerate(mine) if h is not None]
    return [j for j, around in seen if is_bare(reader, around, share)]
