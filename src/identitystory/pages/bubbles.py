"""Words on a picture: each where nobody is, near who speaks, in the order they are read; else below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .book import Masks, Order, Panel
from .fonts import Font, Fonts, leftward, pieces, wrap
from .ground import CELL, Grid, Ground, counted, crop_of, ground, sums
from .sheet import LEADING, Align, Box, Item, Picture, Point, Shape, Words

LARGE = (10.0, 9.0, 8.0)  # points; smaller ones where nothing else fits
SMALL = (7.0,)
PAD = (6.0, 3.5)  # points around a bubble's words
WORD = 20.0  # letter sizes; longer words may be cut
GAP = 2  # cells between bubbles, and to the picture's edge
AROUND = 6  # cells around a bubble that had better be free
MOST_BELOW = 0.5  # of a panel's height that words below the picture may take
NARRATED, SPOKEN = "#fff6d6", "#ffffff"
BETWEEN = 4.0  # points, a picture and the words below it
Spoken = tuple[str, str]
Cells = tuple[int, int, int, int]
Tail = tuple[Point, Point, Point]


@dataclass(frozen=True)
class Placed:
    """Words set in a box of cells: left, top, width, height."""

    cells: Cells
    lines: Sequence[str]
    font: Font
    size: float


def filled(panel: Panel, box: Box, order: Order, fonts: Fonts) -> tuple[list[Item], list[Spoken]]:
    """A panel in ``box``: its picture with its words on it or below, and the words left over."""
    spoken, count = panel.spoken, len(panel.spoken)
    while True:
        lines, left = _below(spoken[count:], box, order, fonts)
        height = sum(words.box.height for words in lines)
        room = replace(box, height=box.height - height - (BETWEEN if lines else 0))
        where, crop = crop_of(panel.aspect, room, panel.masks)
        items, placed = _on(spoken[:count], panel.masks, where, crop, order, fonts)
        if placed == count:
            break
        count = placed
    down = room.bottom + BETWEEN
    for words in lines:
        items.append(replace(words, box=replace(words.box, top=down)))
        down += words.box.height
    return [Picture(where, panel, crop), Shape(where, line=1.2), *items], left


def _on(
    spoken: Sequence[Spoken], masks: Masks | None, box: Box, crop: Box, order: Order, fonts: Fonts
) -> tuple[list[Item], int]:
    """Shapes and words on a picture, and how many of ``spoken`` there are before one has no place."""
    items: list[Item] = []
    if masks is None or not spoken:
        return items, 0
    area = ground(masks, box, crop)
    taken = np.zeros_like(area.people)
    before: Cells | None = None
    for number, (who, says) in enumerate(spoken):
        mouth, tail = area.mouths.get(who), None
        placed = _placed(says, fonts, area, taken, before, mouth, order) if mouth else None
        if mouth and placed:
            tail, seen = _tail(placed.cells, mouth, area, who, taken)
            placed = placed if seen else None
        if placed is None:  # nobody's, or of somebody whom no tail reaches: who speaks is written
            said = f"{who}: {says}" if who else says
            placed = _placed(said, fonts, area, taken, before, mouth, order)
        if placed is None:
            return items, number
        before = left, top, width, height = placed.cells
        taken[max(0, top - GAP) :, max(0, left - GAP) :][: height + 2 * GAP, : width + 2 * GAP] = 1
        for x, y in _along(tail, box) if tail else ():
            taken[max(0, y - GAP) : y + GAP, max(0, x - GAP) : x + GAP] = True
        items += _bubble(placed, area, tail, narrated=not who)
    return items, len(spoken)


def _bubble(placed: Placed, area: Ground, tail: Tail | None, *, narrated: bool) -> list[Item]:
    x, y, width, height = (CELL * n for n in placed.cells)
    box = Box(area.box.left + x, area.box.top + y, width, height)
    radius = 1.0 if narrated else min(height / 2, 11.0)
    high = len(placed.lines) * placed.size * LEADING
    inner = box.inset(0, (height - high) / 2)
    return [
        Shape(box, radius, NARRATED if narrated else SPOKEN, 0.9, tail),
        Words(inner, placed.lines, placed.font, placed.size, "middle"),
    ]


def _placed(
    text: str,
    fonts: Fonts,
    area: Ground,
    taken: Grid,
    before: Cells | None,
    mouth: Point | None,
    order: Order,
) -> Placed | None:
    """The best place for ``text``: first where nobody is, then where no head is; None if there is none."""
    font = fonts.of(text)
    broken = _broken(text, font)
    for sizes, people in ((LARGE, area.people), (LARGE, area.heads), (SMALL, area.heads)):
        free, crowd = sums(people | taken), sums(np.pad(people, AROUND))
        for size in sizes:
            best: tuple[float, Placed] | None = None
            for lines, across in broken:
                width = math.ceil((across * size + 2 * PAD[0]) / CELL)
                height = math.ceil((len(lines) * size * LEADING + 2 * PAD[1]) / CELL)
                fits = counted(free, width, height) == 0
                if not fits.any():
                    continue
                around = counted(crowd, width + 2 * AROUND, height + 2 * AROUND)
                score = _scores(fits, around, (width, height), before, mouth, order)
                top, left = divmod(int(score.argmin()), score.shape[1])
                value = float(score[top, left]) + 0.3 * abs(math.log(width / height / 2.2))
                if math.isfinite(value) and (best is None or value < best[0]):
                    best = value, Placed((left, top, width, height), lines, font, size)
            if best is not None:
                return best[1]
    return None


def _broken(text: str, font: Font) -> list[tuple[list[str], float]]:
    """``text`` in one line, in two, and so on to eight, with the longest line's width in letter sizes."""
    whole, found = font.width(text, 1.0), {}
    longest = max((font.width(word.rstrip(), 1.0) for word in pieces(text)), default=0.0)
    for count in range(1, 9):
        wanted = whole / count * (1.0 if count == 1 else 1.12) + 1.0
        lines = wrap(text, font, 1.0, max(wanted, min(longest, WORD)) + 0.01)
        found[len(lines)] = lines, max((font.width(line, 1.0) for line in lines), default=0.0)
    return [shape for count, shape in found.items() if 0 < count <= 12]


def _scores(
    fits: Grid,
    around: NDArray[np.int32],
    size: tuple[int, int],
    before: Cells | None,
    mouth: Point | None,
    order: Order,
) -> NDArray[np.float64]:
    """How bad it is to lie at each place; infinite where it does not fit, or out of reading order.

    Args:
        fits: (h', w'), whether nothing is there.
        around: (h', w'), cells of people there and a little around: few in the largest place.
        size: width and height in cells.
        before: the words that are read before.
        mouth: of who speaks, in cells; None is nobody's.
        order: how a page is read.
    """
    width, height = size
    high, wide = fits.shape[0] + height - 1, fits.shape[1] + width - 1
    y, x = np.ogrid[: fits.shape[0], : fits.shape[1]]
    near_edge = (x < GAP) | (y < GAP) | (x + width > wide - GAP) | (y + height > high - GAP)
    score = 0.6 * around / ((width + 2 * AROUND) * (height + 2 * AROUND))
    if mouth is None:
        start = x if order == "ltr" else wide - width - x
        score = score + 1.5 * y / high + 0.6 * start / wide
    else:
        gaps = [
            np.maximum(np.maximum(at - place, place - at - side), 0)
            for at, side, place in ((x, width, mouth[0]), (y, height, mouth[1]))
        ]
        lower = np.maximum(y + height - mouth[1], 0) / high
        score = score + np.hypot(*gaps) / math.hypot(wide, high) + 0.5 * lower
    if before is not None:
        left, top, w, h = before
        beside = x >= left + w + GAP if order == "ltr" else x + width <= left - GAP
        after = (y >= top + h) | (beside & (y >= top - 1))
        near_edge = near_edge | ~after
    return np.where(fits & ~near_edge, score, np.inf)


def _tail(
    cells: Cells, mouth: Point, area: Ground, who: str, taken: Grid
) -> tuple[Tail | None, bool]:
    """A bubble's tail towards the mouth, which ends before anybody begins, and whether that is ``who``.

    None where the bubble is so near that it has no room.
    """
    left, top, width, height = cells
    middle = left + width / 2, top + height / 2
    away = mouth[0] - middle[0], mouth[1] - middle[1]
    length = math.hypot(*away) or 1.0
    step = away[0] / length, away[1] / length
    at, edge, hit = 0.0, 0.0, who
    high, wide = area.people.shape
    while at < length:
        x, y = middle[0] + step[0] * at, middle[1] + step[1] * at
        if left <= x <= left + width and top <= y <= top + height:
            edge = at
        elif 0 <= x < wide and 0 <= y < high:
            there = [name for name, cells in area.whose.items() if cells[int(y), int(x)]]
            if there or taken[int(y), int(x)]:
                hit = who if who in there else ""
                break
        at += 0.5
    at = min(at - 2.0, edge + 14)
    if at < edge + 2:
        return None, hit == who
    half = min(3.0, width / 5, height / 4)
    start = max(0.0, edge - 4)
    base = middle[0] + step[0] * start, middle[1] + step[1] * start
    points = [
        (base[0] - step[1] * half, base[1] + step[0] * half),
        (middle[0] + step[0] * at, middle[1] + step[1] * at),
        (base[0] + step[1] * half, base[1] - step[0] * half),
    ]
    a, b, c = ((area.box.left + x * CELL, area.box.top + y * CELL) for x, y in points)
    return (a, b, c), hit == who


def _along(tail: Tail, box: Box) -> list[tuple[int, int]]:
    """The cells in the middle of a tail, from its bubble to its tip."""
    a, tip, b = tail
    base = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    steps = [n / 10 for n in range(11)]
    points = [(base[0] + (tip[0] - base[0]) * t, base[1] + (tip[1] - base[1]) * t) for t in steps]
    return [(int((x - box.left) / CELL), int((y - box.top) / CELL)) for x, y in points]


def _below(
    spoken: Sequence[Spoken], box: Box, order: Order, fonts: Fonts
) -> tuple[list[Words], list[Spoken]]:
    """Words under a picture, as many as there is room for, and the others."""
    set_: list[Words] = []
    high = 0.0
    for number, (who, says) in enumerate(spoken):
        text = f"{who}: {says}" if who else says
        font = fonts.of(text)
        lines = wrap(text, font, 9.0, box.width - 4)
        height = len(lines) * 9.0 * LEADING + 2
        if high + height > MOST_BELOW * box.height:
            return set_, list(spoken[number:])
        align: Align = "right" if leftward(text) else "left"
        set_.append(Words(Box(box.left + 2, 0, box.width - 4, height), lines, font, 9.0, align))
        high += height
    return set_, []
