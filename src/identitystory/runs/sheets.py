"""Pictures of pictures: the cast's contact sheet, the page of frames, the masks as colours."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import RunError
from ..sizes import Size, as_text
from .files import read_picture
from .folder import RunFolder
from .request import RunRequest

THUMBNAIL = 128  # pixels a side on a contact sheet
COLUMNS = 8
MAX_TILE, MIN_TILE = 320, 96  # pixels a side on the page of frames
MANY = 100  # frames that are shown so large
MARGIN = 8

PALETTE = (
    (0, 0, 0), (230, 75, 53), (77, 187, 213), (0, 160, 135), (255, 193, 7),
    (126, 97, 197), (242, 142, 43), (155, 200, 90), (240, 110, 170),
)  # fmt: skip


def thumbnails(images: Sequence[Image.Image]) -> Tensor:
    """(n, h, w, 3) uint8, the pictures scaled down to at most 128 pixels a side."""
    small = []
    for image in images:
        scale = min(1.0, THUMBNAIL / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        rgb = image.convert("RGB")
        small.append(rgb if size == rgb.size else rgb.resize(size, Image.Resampling.LANCZOS))
    return torch.stack([torch.from_numpy(np.array(i)) for i in small])


def contact_sheet(thumbs: Tensor, kept: Sequence[int]) -> Image.Image:
    """All portraits in rows of eight, the kept ones first, the others after them, dimmed."""
    others = [i for i in range(len(thumbs)) if i not in set(kept)]
    order = [*kept, *others]
    _, height, width, _ = thumbs.shape
    rows = -(-len(order) // COLUMNS)
    page = Image.new("RGB", (min(COLUMNS, len(order)) * width, rows * height), "white")
    for place, index in enumerate(order):
        picture = Image.fromarray(thumbs[index].numpy())
        if place >= len(kept):
            picture = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.6)
        page.paste(picture, (place % COLUMNS * width, place // COLUMNS * height))
    return page


def frames_page(frames: Iterable[Image.Image], captions: Sequence[str]) -> Image.Image:
    """All frames in a grid, wider than high, each with its caption below.

    Of more than a hundred the tiles get smaller, so that the page takes no more memory for a longer
    story; the ``frames`` are read one after the other.
    """
    count = len(captions)
    most = min(MAX_TILE, max(MIN_TILE, int(MAX_TILE * (MANY / count) ** 0.5)))
    columns = min(count, max(1, min(6 * MAX_TILE // most, round(count**0.5 + 0.49))))
    tiles = [_at_most(frame, most) for frame in frames]
    side = max(MIN_TILE, *(max(tile.size) for tile in tiles))
    font = ImageFont.load_default(12)
    lines = [textwrap.wrap(c, width=max(12, side // 7)) for c in captions]
    line_height = 15
    high = side + MARGIN + line_height * max((len(ls) for ls in lines), default=0)
    rows = -(-count // columns)
    size = (columns * (side + MARGIN) + MARGIN, rows * (high + MARGIN) + MARGIN)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for place, (frame, caption) in enumerate(zip(tiles, lines, strict=True)):
        x = MARGIN + place % columns * (side + MARGIN)
        y = MARGIN + place // columns * (high + MARGIN)
        scale = side / max(frame.size)
        tile = frame.resize(
            (round(frame.width * scale), round(frame.height * scale)), Image.Resampling.LANCZOS
        )
        page.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
        for number, line in enumerate(caption):
            draw.text((x, y + side + 4 + number * line_height), line, fill="black", font=font)
    return page


def _at_most(picture: Image.Image, side: int) -> Image.Image:
    """``picture`` in RGB, its longer side ``side`` pixels if it is longer."""
    scale = side / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    rgb = picture.convert("RGB")
    return rgb if scale >= 1 else rgb.resize(size, Image.Resampling.LANCZOS)


def masks_picture(masks: Tensor, size: tuple[int, int]) -> Image.Image:
    """A palette picture of ``size`` (W, H): 0 is the background, j + 1 the j-th of the cast.

    Args:
        masks: (s, H, W) bool, exclusive.
        size: used alone when s = 0.
    """
    index = np.zeros((size[1], size[0]), dtype=np.uint8)
    for j, mask in enumerate(masks.cpu().numpy()):
        index[mask] = j + 1
    picture = Image.fromarray(index, mode="P")
    colours = [PALETTE[0]] + [PALETTE[1 + j % (len(PALETTE) - 1)] for j in range(255)]
    picture.putpalette([channel for colour in colours for channel in colour])
    return picture


def read_masks(path: Path, count: int, size: Size, root: Path) -> Tensor:
    """(count, H, W) bool of a masks picture, in cast order; see ``sheets.masks_picture``.

    Raises:
        RunError: it is broken, or not the masks of a picture of this ``size``, (W, H).
    """
    image = read_picture(path, root)
    if image.mode not in ("P", "L") or image.size != size:
        raise RunError(
            f"{path} holds no masks of a picture of {as_text(size)} pixels; paint it again"
        )
    numbers = torch.from_numpy(np.array(image))
    return torch.stack([numbers == k + 1 for k in range(count)]) if count else numbers[None][:0] > 0


TILE = 192  # pixels a side of a picture on the page
NAMES = 170  # pixels for a row's name
HEAD = 13  # pixels of the letters above a column


def page(rows: Sequence[tuple[str, RunRequest]], heads: Sequence[str] = ()) -> Image.Image:
    """A row of pictures for each run with its name in front, a column for each frame.

    ``heads`` are texts above the columns, as high as the longest needs; names lose their braces.
    """
    columns = max(len(run.story.scenes) for _, run in rows)
    font, small = ImageFont.load_default(14), ImageFont.load_default(HEAD)
    texts = [wrapped(re.sub(r"[{}]", "", head), small, TILE - 8) for head in heads]
    line = HEAD + 4
    top = max((len(lines) * line + 8 for lines in texts), default=0)
    made = Image.new("RGB", (NAMES + TILE * columns, top + TILE * len(rows)), "white")
    draw = ImageDraw.Draw(made)
    for column, lines in enumerate(texts):
        for n, words in enumerate(lines):
            place = NAMES + column * TILE + 4, 4 + n * line
            draw.text(place, words, fill="black", font=small)
    for row, (name, run) in enumerate(rows):
        draw.text((6, top + row * TILE + TILE // 2), name, fill="black", font=font)
        for column in range(len(run.story.scenes)):
            rgb = read_picture(RunFolder(run.out).frame(column), run.out).convert("RGB")
            scale = TILE / max(rgb.size)
            size = max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))
            tile = rgb.resize(size, Image.Resampling.LANCZOS)
            left, above = (TILE - tile.width) // 2, (TILE - tile.height) // 2
            made.paste(tile, (NAMES + column * TILE + left, top + row * TILE + above))
    return made


def wrapped(text: str, font: Any, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, broken between words; a longer word is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while font.getlength(word) > width:
            word = word[:-1]
        lines[-1] = word
    return lines
