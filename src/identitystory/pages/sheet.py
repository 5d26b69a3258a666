"""A page: pictures, shapes and words at places in points (1/72 inch), from the top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .book import Panel
from .fonts import Font, visual

Point = tuple[float, float]
Align = Literal["middle", "left", "right"]
SIZES = {"a4": (595.0, 842.0), "letter": (612.0, 792.0), "comic": (477.0, 738.0)}
LEADING = 1.17  # lines, in letter sizes
BASE = 0.91  # from the top of a line down to what its letters stand on
INK = "#1a1a1a"
GREY = "#6b6b6b"


@dataclass(frozen=True)
class Box:
    """A rectangle: left, top, width, height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def inset(self, x: float, y: float) -> Box:
        """Smaller by ``x`` on the left and on the right, by ``y`` above and below."""
        return Box(self.left + x, self.top + y, self.width - 2 * x, self.height - 2 * y)


WHOLE = Box(0, 0, 1, 1)


@dataclass(frozen=True)
class Picture:
    """A panel's picture; ``crop`` is the part of it that is seen, of 1 x 1."""

    box: Box
    panel: Panel
    crop: Box = WHOLE


@dataclass(frozen=True)
class Shape:
    """A rectangle with round corners, and a ``tail`` to the point where its speaker is."""

    box: Box
    radius: float = 0.0
    fill: str = ""
    line: float = 1.0
    tail: tuple[Point, Point, Point] | None = None


@dataclass(frozen=True)
class Words:
    """Lines of text in a box, the first at its top; ``text`` is what they are of, if they are not all."""

    box: Box
    lines: Sequence[str]
    font: Font
    size: float
    align: Align = "left"
    colour: str = INK
    text: str = ""

    @property
    def visual(self) -> list[str]:
        """The lines as their letters stand on paper, from left to right."""
        whole = self.text or " ".join(self.lines)
        return [visual(line, whole) for line in self.lines]

    def baseline(self, number: int) -> float:
        """Where the letters of line ``number`` stand, from the top of the page."""
        return self.box.top + self.size * (BASE + LEADING * number)

    @property
    def x(self) -> float:
        """Where lines are held: their middle, or the end that they start or stop at."""
        shares = {"left": 0.0, "middle": 0.5, "right": 1.0}
        return self.box.left + self.box.width * shares[self.align]


Item = Picture | Shape | Words


@dataclass(frozen=True)
class Page:
    """What is on a page, what lies below first."""

    width: float
    height: float
    items: Sequence[Item]
