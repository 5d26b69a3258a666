"""What a text says to `safety`, however it is written: the words of its lists, in disguise too."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from bisect import bisect_left
from functools import cache, lru_cache
from importlib import resources

# Letters of other alphabets, and signs, that look like Latin ones.
_LOOKS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0501\u04bb\u0458"
    "\u03bf\u03b1\u03b5\u03b9\u03c5@$",
    "aeopcyxisdhjoaeiuas",
)
_DIGITS = str.maketrans("0134578", "oieastb")
_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
)  # fmt: skip
_NUMBERS = {word: str(number) for number, word in enumerate(_WORDS)}
_MARKS = "[-_.*'\u2019/+]"
_IN_WORDS = re.compile(rf"{_MARKS}(?<=\w.){_MARKS}*(?=\w)")
_TWICE = re.compile(r"(.)\1+")


@cache
def lists() -> dict[str, list[str]]:
    """The lists of data/safety.toml by name, numbers in digits; a star stands for any ending."""
    file = resources.files("identitystory") / "data" / "safety.toml"
    lists: dict[str, list[str]] = tomllib.loads(file.read_text(encoding="utf-8"))
    as_read = lambda entry: " ".join(_NUMBERS.get(word, word) for word in entry.split())
    return {name: [as_read(entry) for entry in entries] for name, entries in lists.items()}


@cache
def _entries(name: str) -> list[tuple[str, frozenset[str], tuple[str, ...]]]:
    """Each entry of a list, its words that stand as they are, and the beginnings of the others."""
    return [
        (
            re.escape(entry).replace(r"\*", "[a-z]*").replace(r"\ ", " "),
            frozenset(word for word in entry.split() if word[-1] != "*"),
            tuple(word[:-1] for word in entry.split() if word[-1] == "*"),
        )
        for entry in lists()[name]
    ]


@cache
def _listed() -> frozenset[str]:
    """What makes a request sexual or somebody a child, without the stars."""
    return frozenset(e.removesuffix("*") for name in ("sexual", "minor") for e in lists()[name])


class Reading:
    """One way to read a text: small Latin letters and single blanks."""

    def __init__(self, text: str) -> None:
        """Without the innocent phrases, once and for all."""
        words = set(text.split())
        self.text, self.words = text, sorted(words)
        shorter = {w[:-1] for w in words}  # without the end of a plural
        self.stems = words | shorter | {w[:-1] for w in shorter}
        if innocent := self._pattern("innocent"):
            self.text = innocent.sub(" ", text)

    def find(self, name: str) -> str:
        """The first entry of a list that stands in the text, as it stands there; empty if none does."""
        pattern = self._pattern(name)
        return match[0] if pattern and (match := pattern.search(self.text)) else ""

    def _pattern(self, name: str) -> re.Pattern[str] | None:
        """Those entries of a list whose words all occur, as whole words; a star is any ending."""
        entries = [
            pattern
            for pattern, words, beginnings in _entries(name)
            if self.stems >= words and all(map(self._begins, beginnings))
        ]
        return re.compile(rf"\b(?:{'|'.join(entries)})(?:s|es)?\b") if entries else None

    def _begins(self, beginning: str) -> bool:
        """Whether a word begins so."""
        at = bisect_left(self.words, beginning)
        return at < len(self.words) and self.words[at].startswith(beginning)


@lru_cache(maxsize=8)
def readings(*texts: str) -> tuple[Reading, ...]:
    """The texts as they are written, and as they may be meant.

    Read as well: without signs inside words, with digits as letters, and with letters that stand apart
    drawn together.
    """
    flat = unicodedata.normalize("NFKD", "\n".join(texts)).casefold()
    if not flat.isascii():
        flat = "".join(ch for ch in flat if unicodedata.category(ch) not in ("Mn", "Cf"))
    flat = re.sub(r"[!|](?<=\w.)(?=\w)", "i", flat.translate(_LOOKS))
    found: dict[str, None] = {}
    for joined in dict.fromkeys((flat, _IN_WORDS.sub("", flat))):
        words = re.findall(r"[a-z0-9]+", joined)
        distinct = list(dict.fromkeys(words))
        once = _TWICE.sub(r"\1", " ".join(distinct)).split()
        number = {w: _NUMBERS[w] for w in distinct if w in _NUMBERS}
        mixed = {w: w.translate(_DIGITS) for w in distinct if not (w.isalpha() or w.isdigit())}
        mixed |= {w: one for w, one in zip(distinct, once, strict=True) if one in _listed()}
        for others in (number, mixed | number) if mixed else (number,):
            meant = [others.get(w, w) for w in words]
            apart = f" {' '.join(meant)} "
            drawn = re.sub(r" (?:[a-z0-9] ){3,}", _drawn, apart)
            found |= {apart: None, drawn: None}
    return tuple(Reading(each) for each in found)


def _drawn(match: re.Match[str]) -> str:
    """Letters that stand apart as words: all, without the first, and the listed words in them."""
    whole = match[0].replace(" ", "")
    return f" {' '.join([whole, whole[1:], *_inside(whole)])} "


@lru_cache(maxsize=64)
def _inside(letters: str) -> list[str]:
    """The listed words that stand anywhere in ``letters``."""
    return sorted(word for word in _listed() if word in letters)
