"""Blank lines and comments of a story's text, held while its tables are edited.

tomlkit has what stands above a table's header at the end of the table before, whichever that is. Here the
comments directly above a header go where its table goes, those directly below the last key of a table
stay below it, and what has blank lines around it keeps its place between tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.items import AoT, Null, Table, Whitespace

Entries = list[
    Any
]  # pairs of key and item, as a container of tomlkit has them; of comments the key is None


@dataclass
class Head:
    """What stands above one header, or at the end of the text.

    Attributes:
        table: whose header it is; None at the end.
        name: of the table.
        listed: whether it is one of several of its name.
        above: of the table that it is in, or of the text.
        gap: blank lines, and what stands between them.
        own: the comments directly above the header.
    """

    table: Table | None
    name: str
    listed: bool
    above: Entries
    gap: Entries = field(default_factory=list)
    own: Entries = field(default_factory=list)


def lift(document: Any) -> list[Head]:
    """Takes out of a text, and gives, what stands above each header, in order, and at its end."""
    heads = _heads(document)
    for before, head in zip(_bodies(document, heads), heads, strict=True):
        end = _first_table(before)
        start = max((n + 1 for n in range(end) if before[n][0] is not None), default=0)
        blank = [n for n in range(start, end) if isinstance(before[n][1], Whitespace)]
        first, last = (blank[0], blank[-1] + 1) if blank else (start, start)
        head.gap, head.own = before[first:last], before[last:end]
        for n in range(first, end):
            before[n] = (None, Null())  # tomlkit finds keys by their number
    return heads


def lay(document: Any, heads: Sequence[Head]) -> None:
    """Puts what `lift` gave back into a text, whose tables were edited since; nothing is edited after this.

    Of a table that is gone, what stood alone above it stands above the next one; the comment directly above
    it is gone with it if it was one of the text's own list, and else is above what the text has instead.
    """
    now, known = _heads(document), {id(head.table): head for head in heads}
    there = {id(head.table) for head in now}
    bodies = {id(document.body)} | {id(head.table.value.body) for head in now if head.table}
    gap: Entries = []
    gaps: dict[tuple[int, str], list[Entries]] = {}
    for head in heads:
        if id(head.table) in there:
            gaps.setdefault(_list(head), []).append(_joined(gap, head.gap))
            gap = []
        elif id(head.above) in bodies:  # else it is gone with the table that it was in
            gap = _joined(gap, head.gap)
            if not head.listed or head.above is not document.body:
                place = _place(head.above, head.name)
                head.above[place:place] = head.own
    _give(now, known, gaps)
    for before, head in zip(_bodies(document, now), now, strict=True):
        end = _first_table(before)
        before[end:end] = [*head.gap, *head.own]
        if head.table is not None:  # tomlkit puts a blank line before some, too
            head.table.trivia.indent = head.table.trivia.indent.lstrip("\r\n")


def _give(
    now: Sequence[Head], known: dict[int, Head], gaps: dict[tuple[int, str], list[Entries]]
) -> None:
    """To each head what it has now: tables bring their own, gaps keep their place in a list."""
    begun = set()
    for head in now:
        old, left = known.get(id(head.table)), gaps.get(_list(head), [])
        head.own = old.own if old else []
        first = _list(head) not in begun
        begun.add(_list(head))
        if first and left and old is None:
            left.insert(1, _blank())  # before the table that was the first
        head.gap = left.pop(0) if left and (first or old) else _blank()


def _heads(document: Any) -> list[Head]:
    """A head for each header, and one for the end, with nothing above."""
    return [*_inside(document.body), Head(None, "", False, document.body)]


def _inside(body: Entries) -> Iterator[Head]:
    for key, item in body:
        if _has_header(key, item):
            listed = isinstance(item, AoT)
            for table in item.body if listed else [item]:
                yield Head(table, key.key, listed, body)
                yield from _inside(table.value.body)


def _has_header(key: Any, item: Any) -> bool:
    """Whether an entry is a table, or several, below headers of their own; one of dotted keys is not."""
    return isinstance(item, AoT) or (isinstance(item, Table) and not key.is_dotted())


def _bodies(document: Any, heads: Sequence[Head]) -> list[Entries]:
    """What comes before each of the ``heads``: the text's own keys, or a table."""
    return [document.body, *(head.table.value.body for head in heads if head.table is not None)]


def _first_table(body: Entries) -> int:
    """Where the first table below a header stands, or the end."""
    return next((n for n, entry in enumerate(body) if _has_header(*entry)), len(body))


def _place(body: Entries, name: str) -> int:
    """Where the key ``name`` stands, or the first table."""
    named = (n for n, (key, _) in enumerate(body) if key is not None and key.key == name)
    return next(named, _first_table(body))


def _list(head: Head) -> tuple[int, str]:
    """Tells the list that a table is one of."""
    return id(head.above), head.name


def _joined(gap: Entries, below: Entries) -> Entries:
    """Two gaps as one, without blank lines for a table that is gone."""
    if not _says(gap) or not _says(below):
        return gap if _says(gap) else below
    return [*gap, *below[1:]]


def _says(gap: Entries) -> bool:
    return any(not isinstance(item, Whitespace) for _, item in gap)


def _blank() -> Entries:
    return [(None, tomlkit.nl())]
