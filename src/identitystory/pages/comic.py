"""A story as a comic: panels in rows, wider where more is said, three rows to a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from .book import Book, Panel
from .bubbles import Spoken, filled
from .colophon import footed, headed
from .fonts import Fonts, leftward, wrap
from .sheet import GREY, LEADING, SIZES, Align, Box, Item, Page, Words

MARGIN, GUTTER = 34.0, 8.0
ROWS = 3  # to a page
MOST = 4  # panels to a row
WIDER = 0.3  # of a panel's width, at most, for its words
TALK = 160  # letters that a panel as wide as can be holds


@dataclass(frozen=True)
class Row:
    """Panels side by side, with their shares of the width, and its height if nothing is cropped."""

    panels: Sequence[Panel]
    shares: Sequence[float]
    height: float


def comic_pages(book: Book, fonts: Fonts, size: str = "a4") -> list[Page]:
    """The pages of a comic; every panel's heads are seen whole, and no word lies on one."""
    width, height = SIZES[size]
    inner = Box(MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
    rows = _rows(book.panels, inner.width, inner.height / ROWS)
    pages: list[list[Item]] = []
    while rows:
        items, room = headed(book, fonts, inner) if not pages else ([], inner)
        count = _fitting(rows, room)
        left: list[tuple[Panel, Spoken]] = []
        items += _set(book, rows[:count], room, fonts, left)
        pages.append(items)
        pages += _continued(left, inner, fonts)
        rows = rows[count:]
    return footed(book, pages, (width, height), fonts)


def _rows(panels: Sequence[Panel], width: float, wanted: float) -> list[Row]:
    """The panels in rows of about the height that is ``wanted``, as evenly as can be."""
    best: list[tuple[float, list[Row]]] = [(0.0, [])]
    for end in range(1, len(panels) + 1):
        options = []
        for start in range(max(0, end - MOST), end):
            row = _row(panels[start:end], width)
            cost, _before = best[start]
            options.append((cost + log(row.height / wanted) ** 2, start, row))
        cost, start, row = min(options, key=lambda option: option[:2])
        best.append((cost, [*best[start][1], row]))
    return best[-1][1]


def _row(panels: Sequence[Panel], width: float) -> Row:
    letters = [sum(len(says) for _, says in panel.spoken) for panel in panels]
    weights = [
        panel.aspect * (1 + WIDER * min(1.0, count / TALK))
        for panel, count in zip(panels, letters, strict=True)
    ]
    room = width - GUTTER * (len(panels) - 1)
    return Row(panels, [w / sum(weights) for w in weights], room / sum(p.aspect for p in panels))


def _fitting(rows: Sequence[Row], room: Box) -> int:
    """How many rows go on a page, at most a sixth lower than they are."""
    count, high = 0, 0.0
    while count < len(rows) and (not count or high + rows[count].height <= room.height * 1.2):
        high += rows[count].height + GUTTER
        count += 1
    return count


def _set(
    book: Book, rows: Sequence[Row], room: Box, fonts: Fonts, left: list[tuple[Panel, Spoken]]
) -> list[Item]:
    """The rows on a page, as high as the page where it is nearly full; ``left`` takes what has no room."""
    free = room.height - GUTTER * (len(rows) - 1)
    stretch = free / sum(row.height for row in rows)
    stretch = stretch if stretch < 1.2 else 1.0  # a page that is not full stays so
    items: list[Item] = []
    top = room.top
    for row in rows:
        height, at = row.height * stretch, room.left
        across = room.width - GUTTER * (len(row.panels) - 1)
        for panel, share in zip(row.panels, row.shares, strict=True):
            width = across * share
            start = at if book.order == "ltr" else room.left + room.right - at - width
            set_, rest = filled(panel, Box(start, top, width, height), book.order, fonts)
            items += set_
            left += [(panel, spoken) for spoken in rest]
            at += width + GUTTER
        top += height + GUTTER
    return items


def _continued(left: Sequence[tuple[Panel, Spoken]], room: Box, fonts: Fonts) -> list[list[Item]]:
    """Pages of words that found no room with their pictures."""
    pages: list[list[Item]] = []
    top = room.bottom
    for panel, (who, says) in left:
        text = f"{panel.number}. {who}: {says}" if who else f"{panel.number}. {says}"
        font = fonts.of(text)
        align: Align = "right" if leftward(text) else "left"
        for line in wrap(text, font, 10.0, room.width):
            if top + 10.0 * LEADING > room.bottom:
                pages.append([])
                top = room.top
            box = Box(room.left, top, room.width, 10.0 * LEADING)
            pages[-1].append(Words(box, [line], font, 10.0, align, GREY, text))
            top += 10.0 * LEADING
        top += 4.0
    return pages
