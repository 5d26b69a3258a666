"""What is said in a film, and when: for the files beside it, and below a GIF."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .book import RATE, Book, Panel, frame_count

LONGEST = 84  # letters on the screen at once


@dataclass(frozen=True)
class Cue:
    """A line from ``start`` to ``end``, in seconds of the film."""

    start: float
    end: float
    text: str


def cues(book: Book, rate: int = RATE) -> list[Cue]:
    """Every line of a story in order, each as long as its share of its scene's words.

    Scenes stand as long as their pictures in a film of ``rate`` a second, which are whole.
    """
    found, start = [], 0.0
    for panel in book.panels:
        lines = list(_lines(panel))
        weights = [len(line) for line in lines]
        at, stands = start, frame_count(panel, rate) / rate
        for line, weight in zip(lines, weights, strict=True):
            end = at + stands * weight / sum(weights)
            found.append(Cue(at, end, line))
            at = end
        start += stands
    return found


def _lines(panel: Panel) -> Iterator[str]:
    for who, says in panel.spoken:
        yield from textwrap.wrap(f"{who}: {says}" if who else says, LONGEST)


def srt(book: Book) -> bytes:
    """SubRip: numbers, times with a comma."""
    return _written(book, "", lambda n: f"{n}\n", ",", lambda text: text.replace("-->", "->"))


def vtt(book: Book) -> bytes:
    """WebVTT."""
    safe = lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _written(book, "WEBVTT\n\n", lambda n: "", ".", safe)


def _written(
    book: Book, head: str, number: Callable[[int], str], point: str, safe: Callable[[str], str]
) -> bytes:
    parts = [
        f"{number(n)}{_clock(cue.start, point)} --> {_clock(cue.end, point)}\n{safe(cue.text)}\n"
        for n, cue in enumerate(cues(book), 1)
    ]
    return (head + "\n".join(parts)).encode()


def _clock(seconds: float, point: str) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
