"""Width and height of a picture: written by hand, as ``1216x832`` or ``16:9``, and what a model takes.

Sizes are (width, height) in pixels everywhere in the package; tensors stay (..., height, width).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .errors import ConfigError

Size = tuple[int, int]  # width, height

MAX_ASPECT = 4.0  # the longer side to the shorter
MAX_SCALE = 4.0  # the area to the checkpoint's own, and its inverse
# SDXL was trained on these and their transposes, at 1024 x 1024 (the appendix of its report).
SDXL_BUCKETS: tuple[Size, ...] = (
    (1024, 1024), (1024, 960), (1088, 960), (1088, 896), (1152, 896), (1152, 832), (1216, 832),
    (1280, 768), (1344, 768), (1408, 704), (1472, 704), (1536, 640), (1600, 640), (1664, 576),
    (1728, 576), (1792, 576), (1856, 512), (1920, 512), (1984, 512), (2048, 512),
)  # fmt: skip


def parse_size(text: str) -> Size:
    """(width, height) of ``1216x832``.

    Raises:
        ConfigError: it is not two whole numbers of pixels.
    """
    return _pair(text, "xX\u00d7", "size", "1216x832: width x height in pixels")


def parse_aspect(text: str) -> Size:
    """(16, 9) of ``16:9``.

    Raises:
        ConfigError: it is not two whole numbers, or the picture would be too narrow.
    """
    width, height = _pair(text, ":", "aspect", "16:9: width to height")
    _check_aspect(text, width, height)
    return width, height


def shape_of(size: str | None, aspect: str | None) -> str:
    """A shape as stories keep it, ``1216x832`` or ``16:9``; empty if neither is given.

    Raises:
        ConfigError: both are given, or one is not to be read.
    """
    if size is not None and aspect is not None:
        raise ConfigError(f"both a size ({size}) and an aspect ({aspect}) are given; give one")
    if size is not None:
        return as_text(parse_size(size))
    return "{}:{}".format(*parse_aspect(aspect)) if aspect is not None else ""


def as_text(size: Size) -> str:
    """``1216x832``."""
    return f"{size[0]}x{size[1]}"


def resolved(shape: str, own: Size, multiple: int, made_for: Sequence[Size] = ()) -> Size:
    """The size in pixels that a ``shape`` is for a model; its own size if the shape is empty.

    Args:
        shape: see `shape_of`.
        own: what the model was trained on.
        multiple: of which its sides must be.
        made_for: sizes that it was trained on, see `buckets`.

    Raises:
        ConfigError: the model does not take that size; names the nearest that it takes.
    """
    if not shape:
        return own
    if ":" in shape:
        return size_of_aspect(parse_aspect(shape), own, multiple, made_for)
    width, height = size = parse_size(shape)
    _check_aspect(shape, width, height)
    scale = width * height / (own[0] * own[1])
    if not 1 / MAX_SCALE <= scale <= MAX_SCALE:
        raise ConfigError(
            f"the size is {shape}, {scale:.2g} times the area of {as_text(own)} that the model was "
            f"made for; 1/{MAX_SCALE:g} to {MAX_SCALE:g} times is taken. "
            f"Try {as_text(size_of_aspect(size, own, multiple, made_for))}"
        )
    if width % multiple or height % multiple:
        near = [_round(side, multiple) for side in size]
        bucket = size_of_aspect(size, own, multiple, made_for)
        raise ConfigError(
            f"the size is {shape}; width and height must be multiples of {multiple}. The nearest is "
            f"{near[0]}x{near[1]}, the nearest that the model was made for {as_text(bucket)}"
        )
    return size


def size_of_aspect(aspect: Size, own: Size, multiple: int, made_for: Sequence[Size] = ()) -> Size:
    """The bucket whose width to height is nearest to ``aspect``'s, about as large as ``own``."""
    wanted = math.log(aspect[0] / aspect[1])
    area = own[0] * own[1]

    def far(size: Size) -> tuple[float, int]:
        return round(abs(math.log(size[0] / size[1]) - wanted), 9), abs(size[0] * size[1] - area)

    return min(buckets(own, multiple, made_for), key=far)


def buckets(own: Size, multiple: int, made_for: Sequence[Size] = ()) -> list[Size]:
    """The sizes that suit a model: ``own`` and ``made_for``, or if no other is known SDXL's own,
    scaled to ``own``'s area, widest last of each pair."""
    if made_for:
        return list(dict.fromkeys([own, *made_for]))
    scale = math.sqrt(own[0] * own[1]) / 1024
    found = [own]
    for size in SDXL_BUCKETS:
        width, height = (max(multiple, _round(side * scale, multiple)) for side in size)
        found += [(height, width), (width, height)]
    return list(dict.fromkeys(found))


def _round(side: float, multiple: int) -> int:
    return max(1, math.floor(side / multiple + 0.5)) * multiple


def _pair(text: str, between: str, what: str, how: str) -> tuple[int, int]:
    found = re.fullmatch(rf"\s*(\d{{1,5}})\s*[{between}]\s*(\d{{1,5}})\s*", text, re.ASCII)
    if found is None or not int(found[1]) or not int(found[2]):
        raise ConfigError(f"the {what} is {text!r}; it is written like {how}")
    return int(found[1]), int(found[2])


def _check_aspect(text: str, width: int, height: int) -> None:
    ratio = max(width, height) / min(width, height)
    if ratio > MAX_ASPECT:
        raise ConfigError(
            f"{text} has one side {ratio:.3g} times the other; at most {MAX_ASPECT:g} times is taken"
        )
