"""A character cut out of a picture, for CLIP-T-C and CLIP-I."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

GREY = (127, 127, 127)
HOW = "cut out along its mask onto grey, in a square around the mask"


def cut_out(image: Image.Image, mask: Tensor) -> Image.Image | None:
    """The masked part of ``image`` on grey, in the smallest square around it; None if it is empty.

    The paper says only that characters are segmented. Grey hides the background, which is the
    scene's and not the character's; the square keeps proportions where an encoder takes squares.

    Args:
        image: W x H.
        mask: (H, W) bool.
    """
    inside = mask.cpu().numpy()
    if not inside.any():
        return None
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pixels = np.where(inside[..., None], np.asarray(image.convert("RGB")), np.array(GREY, np.uint8))
    part = Image.fromarray(pixels[top:bottom, left:right])
    side = max(part.size)
    page = Image.new("RGB", (side, side), GREY)
    page.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return page
