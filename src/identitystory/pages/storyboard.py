"""A story for those who work on it: each scene with its shot, camera, action, dialogue, notes and seed."""

from __future__ import annotations

from collections.abc import Iterator

from .book import Book, Panel
from .colophon import footed, headed
from .fonts import Fonts, leftward, wrap
from .sheet import GREY, INK, LEADING, SIZES, Align, Box, Item, Page, Picture, Shape, Words

MARGIN, GAP = 34.0, 12.0
WIDE = 112.0  # a picture
TEXT, SMALL = 8.5, 6.5
UNDER = 3 + (TEXT + SMALL) * LEADING  # what stands below a picture
PART = 5.0  # between what is said of one thing and of the next


def storyboard_pages(book: Book, fonts: Fonts, size: str = "a4") -> list[Page]:
    """A row for each scene: its picture, beside it what is to be known; a long one goes on overleaf."""
    width, height = SIZES[size]
    inner = Box(MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
    first, room = headed(book, fonts, inner)
    pages, top = [first], room.top
    for panel in book.panels:
        picture = _picture_size(panel)
        lines = list(_lines(panel, inner.width - WIDE - GAP, fonts))
        high = max(picture[1] + UNDER, sum(line.box.height for line in lines))
        if top + min(high, inner.height) > inner.bottom and top > inner.top:
            pages.append([])
            top = inner.top
        left, beside = inner.left, inner.left + WIDE + GAP
        if book.order == "rtl":
            left, beside = inner.right - WIDE, inner.left
        box = Box(left + (WIDE - picture[0]) / 2, top, *picture)
        pages[-1] += [Picture(box, panel), Shape(box, line=0.8), *_under(panel, box, left, fonts)]
        end, down = top + picture[1] + UNDER, top
        for line in lines:
            if down + line.box.height > inner.bottom:
                pages.append([])
                down = end = inner.top
            placed = Box(beside, down, line.box.width, line.box.height)
            pages[-1].append(
                Words(placed, line.lines, line.font, line.size, line.align, line.colour, line.text)
            )
            down += line.box.height
        top = max(end, down) + GAP
    return footed(book, pages, (width, height), fonts)


def _picture_size(panel: Panel) -> tuple[float, float]:
    width = min(WIDE, WIDE * panel.aspect)
    return width, width / panel.aspect


def _under(panel: Panel, box: Box, left: float, fonts: Fonts) -> Iterator[Item]:
    """Number and seconds, and in small print the seed, below the picture."""
    scene = f"{panel.scene.id}, " if panel.scene.id else ""
    told = [(f"{panel.number}   {panel.seconds:g} s", INK, TEXT)]
    told += [(f"{scene}seed {panel.seed}", GREY, SMALL)]
    top = box.bottom + 3
    for text, colour, size in told:
        place = Box(left, top, WIDE, size * LEADING)
        yield Words(place, [text], fonts.of(text), size, colour=colour)
        top += size * LEADING


def _lines(panel: Panel, width: float, fonts: Fonts) -> Iterator[Words]:
    """What is beside the picture, one line each, in a box of its height."""
    scene = panel.scene
    said = [f"{who}: {says}" for who, says in scene.dialogue if says]
    parts = {
        "SHOT": [", ".join(filter(None, (scene.shot, scene.camera)))],
        "ACTION": [panel.action],
        "CAPTION": [scene.caption],
        "DIALOGUE": said,
        "NOTES": [scene.notes],
    }
    for name, texts in parts.items():
        if not any(texts):
            continue
        lines = [(line, text) for text in texts for line in wrap(text, fonts.of(text), TEXT, width)]
        yield _line(name, name, SMALL, width, fonts, GREY)
        for number, (line, text) in enumerate(lines, 1):
            after = PART if number == len(lines) else 0.0
            yield _line(line, text, TEXT, width, fonts, INK, after)


def _line(
    line: str, text: str, size: float, width: float, fonts: Fonts, colour: str, after: float = 0.0
) -> Words:
    """A line of ``text``."""
    align: Align = "right" if leftward(text) else "left"
    box = Box(0, 0, width, size * LEADING + after)
    return Words(box, [line], fonts.of(text), size, align, colour, text)
