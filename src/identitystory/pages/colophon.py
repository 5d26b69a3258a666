"""What stands at the head and the foot of pages: the title, numbers, and that a model made the pictures."""

from __future__ import annotations

from collections.abc import Sequence

from .. import __version__
from .book import Book
from .fonts import Fonts, wrap
from .sheet import GREY, LEADING, Align, Box, Item, Page, Words

TITLE = 26.0


def headed(book: Book, fonts: Fonts, inner: Box) -> tuple[list[Item], Box]:
    """The title at the top of ``inner``, and what is left of it."""
    font, size = fonts.of(book.title), TITLE
    while font.width(book.title, size) > inner.width and size > 12:
        size -= 1
    lines = wrap(book.title, font, size, inner.width)[:3]
    high = len(lines) * size * LEADING + 8
    box = Box(inner.left, inner.top - 6, inner.width, high)
    rest = Box(inner.left, inner.top + high - 6, inner.width, inner.height - high + 6)
    return [Words(box, lines, font, size, "middle")], rest


def footed(
    book: Book, pages: Sequence[Sequence[Item]], size: tuple[float, float], fonts: Fonts
) -> list[Page]:
    """The pages with their numbers, and on the last how its pictures came about."""
    width, height = size
    made = []
    for number, items in enumerate(pages, 1):
        sides: tuple[Align, Align] = ("right", "left") if book.order == "ltr" else ("left", "right")
        foot = [(str(number), sides[0])] if len(pages) > 1 else []
        foot += [(made_by(book), sides[1])] if number == len(pages) else []
        box = Box(34, height - 24, width - 68, 10)
        words = [Words(box, [text], fonts.of(text), 7.0, side, GREY) for text, side in foot]
        made.append(Page(width, height, [*items, *words]))
    return made


def made_by(book: Book) -> str:
    """A sentence for readers: the pictures are a model's."""
    return f"Pictures made by a model: identitystory {__version__}, {book.made_by}"
