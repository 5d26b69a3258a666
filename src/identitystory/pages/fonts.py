"""The fonts that come along, which one a text is set in, and where its lines break.

Comic Neue for Latin letters in comics, DejaVu Sans for what it has not: Greek, Cyrillic, Hebrew, Arabic,
Armenian, Georgian and more. Other scripts need a font of the user's.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError, IdentityStoryError
from ..runs.inside import read
from .needs import joined_and_turned, reportlab_fonts

HERE = Path(__file__).parent / "fonts"
MAX_FONT = 1 << 26  # bytes
_NEVER_FIRST = set("、。，．！？：；）」』】〉》ー…・ゃゅょっャュョッ)]}.,!?:;")  # noqa: RUF001
_OPENS, _CLOSES = "([{<«‹", ")]}>»›"  # noqa: RUF001
_MIRROR = dict(zip(_OPENS + _CLOSES, _CLOSES + _OPENS, strict=True))
# Scripts whose letters change with their neighbours in ways that only a shaping engine knows.
_SHAPED = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0xA880, 0xA8FF), (0xA980, 0xA9DF))


@dataclass(frozen=True, eq=False)
class Font:
    """A TrueType file.

    Attributes:
        name: what pages call it.
        content: of the file.
        face: reportlab's reading of it.
    """

    name: str
    content: bytes
    face: Any

    def width(self, text: str, size: float) -> float:
        """Of ``text`` as it is drawn, in points."""
        letters = self.face.face
        known, other = letters.charWidths, letters.defaultWidth
        return sum(known.get(ord(ch), other) for ch in visual(text)) * size / 1000

    def lacks(self, text: str) -> set[str]:
        """The letters that it does not have."""
        there = self.face.face.charToGlyph
        return {ch for ch in visual(text) if ord(ch) not in there and not _unseen(ch)}


@dataclass(frozen=True)
class Fonts:
    """Fonts in the order in which they are tried."""

    fonts: Sequence[Font]

    def of(self, text: str) -> Font:
        """The first that has every letter of ``text``, or the one that lacks fewest."""
        return min(self.fonts, key=lambda font: len(font.lacks(text)))

    def told(self, texts: Iterable[str]) -> list[str]:
        """A sentence for what cannot be set as it is written; none if all can."""
        whole = "".join(texts)
        lacking = sorted({ch for text in [whole] for ch in set(text)})
        lacking = [ch for ch in lacking if all(font.lacks(ch) for font in self.fonts)]
        shaped = any(low <= ord(ch) <= high for ch in whole for low, high in _SHAPED)
        said = []
        if lacking:
            scripts = sorted({unicodedata.name(ch, "?").split()[0].lower() for ch in lacking})
            said.append(
                f"no font here has {len(lacking)} of the letters ({', '.join(scripts[:6])}); pages "
                "show boxes for them. Give a TrueType font that has them with --font FILE"
            )
        if shaped:
            said.append(
                "letters of Indian, Burmese, Khmer and Tibetan scripts are not joined on pages; "
                "--as html joins them"
            )
        return said


def open_fonts(given: Path | None = None, *, comic: bool = True) -> Fonts:
    """The fonts of pages, the user's first.

    Args:
        given: a TrueType file.
        comic: whether Latin letters look written by hand.

    Raises:
        ConfigError: ``given`` is no font with TrueType outlines; or reportlab is not installed.
    """
    names = ["ComicNeue-Bold", "DejaVuSans"] if comic else ["DejaVuSans"]
    mine = [_opened(given)] if given is not None else []
    return Fonts([*mine, *(_shipped(name) for name in names)])


@cache
def _shipped(name: str) -> Font:
    return _read(name, HERE / f"{name}.ttf")


def _opened(path: Path) -> Font:
    try:
        return _read("Given", path)
    except OSError as error:
        raise ConfigError(f"--font {path} cannot be read: {error.strerror}") from None
    except IdentityStoryError:
        raise
    except Exception as error:  # whatever a broken file makes the reader raise
        raise ConfigError(
            f"--font {path} is no font with TrueType outlines (.ttf): {str(error)[:200]}"
        ) from None


def _read(name: str, path: Path) -> Font:
    content = read(path.resolve(), most=MAX_FONT)
    return Font(name, content, reportlab_fonts().TTFont(name, io.BytesIO(content)))


def wrap(text: str, font: Font, size: float, width: float) -> list[str]:
    """``text`` in lines of at most ``width`` points; a word that is longer is cut."""
    lines, room = [""], width
    for piece in pieces(text):
        if font.width(piece.rstrip(), size) <= room:
            lines[-1] += piece
            room -= font.width(piece, size)
            continue
        lines, room = [*lines, ""], width
        for ch in piece:
            if lines[-1] and font.width(ch, size) > room:
                lines, room = [*lines, ""], width
            lines[-1] += ch
            room -= font.width(ch, size)
    return [line for line in (each.strip() for each in lines) if line]


def pieces(text: str) -> list[str]:
    """What a line may break after: words with their blanks, and each letter that is written wide."""
    if text.isascii():
        return re.findall(r"\s*\S+\s*", text)
    found = [""]
    for ch in text:
        last = found[-1][-1:]
        breaks = last.isspace() or ((wide(last) or wide(ch)) and ch not in _NEVER_FIRST)
        if last and breaks and not ch.isspace():
            found.append("")
        found[-1] += ch
    return found


def wide(ch: str) -> bool:
    """Whether a letter is written as wide as high, as in Chinese, Japanese and Korean."""
    return bool(ch) and unicodedata.east_asian_width(ch) in "WF"


def _unseen(ch: str) -> bool:
    return ch.isspace() or unicodedata.category(ch) in ("Cf", "Mn")


def leftward(text: str) -> bool:
    """Whether ``text`` is read from right to left, by its first letter with a direction."""
    kinds = (unicodedata.bidirectional(ch) for ch in text)
    return next((kind != "L" for kind in kinds if kind in ("L", "R", "AL")), False)


@cache
def visual(line: str, text: str = "") -> str:
    """A line as its letters stand on paper, from left to right, Arabic ones joined.

    ``text`` is what the line is of, whose first letter says which way all of it is read.
    """
    turned = leftward(text or line)
    if not turned and not any(unicodedata.bidirectional(ch) in ("R", "AL") for ch in line):
        return line
    return _mirrored(joined_and_turned(line, "R" if turned else "L"))


def _mirrored(line: str) -> str:
    """A turned line with the brackets turned that were: those that close before they open."""
    letters, opened = list(line), []
    for at, ch in enumerate(line):
        if ch in _OPENS:
            opened.append(at)
        elif ch in _CLOSES and opened and line[opened[-1]] == _MIRROR[ch]:
            opened.pop()
        elif ch in _CLOSES:
            letters[at] = _MIRROR[ch]
    for at in opened:
        letters[at] = _MIRROR[line[at]]
    return "".join(letters)
