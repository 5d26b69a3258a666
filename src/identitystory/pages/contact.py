"""All pictures of a story, small, each with its number and two lines of words."""

from __future__ import annotations

from .book import Book
from .colophon import footed, headed
from .fonts import Fonts, wrap
from .sheet import GREY, LEADING, SIZES, Box, Page, Picture, Words

MARGIN, GAP = 34.0, 10.0
COLUMNS = 4
TEXT = 6.5


def contact_pages(book: Book, fonts: Fonts, size: str = "a4") -> list[Page]:
    """Four pictures side by side, as many rows as there is room for."""
    width, height = SIZES[size]
    inner = Box(MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
    side = (inner.width - GAP * (COLUMNS - 1)) / COLUMNS
    high = side + 3 * TEXT * LEADING + GAP
    first, room = headed(book, fonts, inner)
    pages, top = [first], room.top
    for place, panel in enumerate(book.panels):
        column = place % COLUMNS
        if place and not column:
            top += high
        if top + high > inner.bottom + GAP and not column:
            pages.append([])
            top = inner.top
        across = column if book.order == "ltr" else COLUMNS - 1 - column
        left = inner.left + across * (side + GAP)
        wide, tall = min(side, side * panel.aspect), min(side, side / panel.aspect)
        box = Box(left + (side - wide) / 2, top + (side - tall) / 2, wide, tall)
        told = f"{panel.number}  {panel.action}"
        font = fonts.of(told)
        lines = wrap(told, font, TEXT, side)
        if len(lines) > 2:
            lines = [lines[0], wrap(lines[1], font, TEXT, side - 2 * TEXT)[0] + " …"]
        under = Box(left, top + side + 2, side, 2 * TEXT * LEADING)
        pages[-1] += [Picture(box, panel), Words(under, lines, font, TEXT, colour=GREY)]
    return footed(book, pages, (width, height), fonts)
