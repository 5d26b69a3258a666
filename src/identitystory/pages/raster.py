"""Pages as pictures, for comic books in a zip and for films."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .fonts import Font
from .sheet import INK, Page, Picture, Shape, Words

SCALE = 2.5  # pixels a point: 180 an inch
FINER = 2  # drawn so many times larger, for smooth edges
_ANCHORS = {"left": "ls", "middle": "ms", "right": "rs"}


def raster(page: Page, scale: float = SCALE) -> Image.Image:
    """The page in RGB, ``scale`` pixels a point."""
    fine = scale * FINER
    size = round(page.width * scale), round(page.height * scale)
    made = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    draw = ImageDraw.Draw(made)
    for item in page.items:
        if isinstance(item, Picture):
            _picture(made, item, fine)
        elif isinstance(item, Shape):
            _shape(draw, item, fine)
        else:
            _words(draw, item, fine)
    return made.resize(size, Image.Resampling.BOX)


def _picture(made: Image.Image, item: Picture, fine: float) -> None:
    left, top = round(item.box.left * fine), round(item.box.top * fine)
    size = round(item.box.right * fine) - left, round(item.box.bottom * fine) - top
    picture, crop = item.panel.picture(), item.crop
    wide, high = picture.size
    seen = (crop.left * wide, crop.top * high, crop.right * wide, crop.bottom * high)
    seen = (*seen[:2], min(seen[2], wide), min(seen[3], high))
    if min(size) > 0:
        made.paste(picture.resize(size, Image.Resampling.LANCZOS, box=seen), (left, top))


def _shape(draw: ImageDraw.ImageDraw, item: Shape, fine: float) -> None:
    """The outline of bubble and tail first, then both filled, so that they are one."""
    box, line = item.box, item.line * fine / 2
    corners = [at * fine for at in (box.left, box.top, box.right, box.bottom)]
    tail = [(x * fine, y * fine) for x, y in item.tail or ()]
    for grown, colour in ((line, INK), (-line, item.fill)):
        if not colour:
            continue
        if grown > 0 and not item.fill:
            draw.rectangle(corners, outline=colour, width=max(1, round(2 * line)))
            continue
        if tail and grown > 0:
            draw.line([*tail, tail[0]], colour, max(1, round(2 * line)), joint="curve")
        if tail:
            draw.polygon(tail, fill=colour)
        x0, y0, x1, y1 = corners
        draw.rounded_rectangle(
            (x0 - grown, y0 - grown, x1 + grown, y1 + grown),
            max(0.0, item.radius * fine + grown),
            fill=colour,
        )


def _words(draw: ImageDraw.ImageDraw, item: Words, fine: float) -> None:
    font = drawn_font(item.font, item.size * fine)
    for number, line in enumerate(item.visual):
        place = item.x * fine, item.baseline(number) * fine
        draw.text(place, line, item.colour, font, _ANCHORS[item.align])


@cache
def drawn_font(font: Font, size: float) -> ImageFont.FreeTypeFont:
    """Pillow's reading of a font, which sets letters one by one, on every machine alike."""
    return ImageFont.truetype(io.BytesIO(font.content), size, layout_engine=ImageFont.Layout.BASIC)
