"""Tables, for people and for programs, and the outcome of an experiment that fills them.

All variants paint the same stories from the same noise, so the difference to a reference is taken
story by story; its interval is that of the mean of these differences.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TextIO

from ..metrics.intervals import difference
from ..metrics.measures import Score, described
from ..runs.files import write_whole


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under headings; the first column names the row.

    None and nan are a dash for people, nothing in CSV and null in JSON.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def markdown(self) -> list[str]:
        """Its lines; numbers stand to the right, fractions have three places."""
        lines = ["| " + " | ".join(self.head) + " |", "| --- |" + " ---: |" * (len(self.head) - 1)]
        return lines + ["| " + " | ".join(map(_shown, row)) + " |" for row in self.rows]

    def csv(self) -> str:
        """With its headings; fractions have six places."""
        text = io.StringIO()
        made = csv.writer(text, lineterminator="\n")
        made.writerow(self.head)
        for row in self.rows:
            made.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in map(plain, row)])
        return text.getvalue()

    def json(self) -> list[dict[str, Any]]:
        """Each row by its headings."""
        return [dict(zip(self.head, map(plain, row), strict=True)) for row in self.rows]

    def terminal(
        self, out: TextIO, *, above: str = "", below: Sequence[str] = (), width: int | None = None
    ) -> None:
        """Drawn between lines of text, as wide as the terminal or ``width``."""
        from rich.console import Console
        from rich.table import Table as Drawn

        console = Console(file=out, highlight=False, soft_wrap=False, width=width)
        console.print(above, markup=False)
        drawn = Drawn()
        for number, name in enumerate(self.head):
            drawn.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            drawn.add_row(*map(_shown, row))
        console.print(drawn, markup=False)
        for line in below:
            console.print(line, markup=False, soft_wrap=True)


def write_files(contents: Mapping[Path, Any], indent: int = 1) -> list[Path]:
    """The paths, each written whole or not at all: a text as it is, anything else as JSON.

    Raises:
        RunError: one cannot be written.
    """
    for file, content in contents.items():
        if not isinstance(content, str):
            content = json.dumps(content, indent=indent, ensure_ascii=False) + "\n"
        write_whole(file, content.encode())
    return list(contents)


def plain(value: Any) -> Any:
    """``value``, or None for nan, which JSON does not have; also within a list."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return None if value != value else value


def _shown(value: Any) -> str:
    value = plain(value)
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def cell(
    value: float | None,
    low: float | None,
    high: float | None,
    stories: int = 0,
    of: int = 0,
    form: str = ".3f",
) -> str:
    """``0.638 [0.610, 0.660] (3 of 5)``; a dash where nothing was measured.

    The interval is there if it has both ends; ``stories`` are told where there are more, ``of``.
    """
    if value is None or value != value:
        return "-"
    text = f"{value:{form}}"
    if low is not None and high is not None:
        text += f" [{low:{form}}, {high:{form}}]"
    return f"{text} ({stories} of {of})" if stories < of else text


def percent(score: Score, of: int = 0) -> str:
    """``35.4 [34.9, 35.8]``: a share in percent, other units as they are; see `cell`."""
    factor, form = (100, ".1f") if described(score.name).unit == "%" else (1, ".3f")
    value, low, high = (
        n if n is None else n * factor for n in (score.value, score.low, score.high)
    )
    return cell(value if score.stories else None, low, high, score.stories, of, form)


@dataclass(frozen=True)
class Row:
    """One measure of one variant over a group of stories.

    Attributes:
        variant: its label; ``number`` where it stands on a figure's axis.
        measure: its name.
        value, low, high: over ``stories`` stories, with the 95 % interval or None.
        gain, gain_low, gain_high: mean difference to the reference, story by story; None for the
            reference itself and for measures that pool the stories. pairs: the stories behind it.
        each: one value a story, in the stories' order; nan where it could not be measured.
        group: ``all``, or ``1 character`` and so on.
    """

    variant: str
    number: float | None
    measure: str
    value: float
    low: float | None
    high: float | None
    stories: int
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    pairs: int = 0
    each: tuple[float, ...] = ()
    group: str = "all"


@dataclass(frozen=True)
class Outcome:
    """What came out of an experiment.

    Attributes:
        rows: of every variant, group and measure.
        reference: label of the variant that the others are compared with, or "".
        measured_with: instrument -> what it is.
        not_measured: instrument -> why.
        notes: what else the reader should know.
        costs: label -> what a frame of it costs; empty where that was not asked.
        sizes: group -> how many stories it has; where it is not told, the most that a variant was
            measured on count as all.
    """

    rows: Sequence[Row]
    reference: str = ""
    measured_with: Mapping[str, Any] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    costs: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Of the variants, in their order."""
        return list(dict.fromkeys([*(row.variant for row in self.rows), *self.costs]))

    @property
    def groups(self) -> list[str]:
        """Of stories, in which something was measured."""
        return list(dict.fromkeys(row.group for row in self.rows if row.stories))

    def measured(self, group: str = "all") -> list[str]:
        """The measures that some variant has a value of."""
        here = (row for row in self.rows if row.group == group and row.stories)
        return list(dict.fromkeys(row.measure for row in here))

    def row(self, label: str, measure: str, group: str = "all") -> Row | None:
        """The row of one variant and measure; None if nothing was measured there."""
        wanted = (label, measure, group)
        here = (r for r in self.rows if (r.variant, r.measure, r.group) == wanted)
        return next((r for r in here if r.stories), None)

    def table(
        self, head: Mapping[str, str], first: str, group: str = "all", *, gains: bool = False
    ) -> Table:
        """A row a variant, a column a measure: its scores, or what it gains on the reference.

        Args:
            head: measure -> its heading.
            first: heading of the variants.
            group: of stories.
            gains: what it gains.
        """
        names = ("gain", "gain_low", "gain_high", "pairs")
        numbers = attrgetter(*names) if gains else attrgetter("value", "low", "high", "stories")
        here = {(r.variant, r.measure): numbers(r) for r in self.rows if r.group == group}
        most = {
            m: self.sizes.get(group)
            or max((n[3] for (_, of), n in here.items() if of == m), default=0)
            for m in head
        }
        form = "+.3f" if gains else ".3f"
        rows = [
            [
                label,
                *(cell(*here.get((label, m), (None, None, None, 0)), most[m], form) for m in head),
            ]
            for label in self.labels
            if not gains or label != self.reference
        ]
        return Table([first, *head.values()], rows)


def compared(rows: Sequence[Row], reference: str) -> list[Row]:
    """``rows`` with what each variant gains on the one labelled ``reference``."""
    base = {(r.group, r.measure): r.each for r in rows if r.variant == reference}
    made = []
    for row in rows:
        each = base.get((row.group, row.measure))
        if row.variant != reference and row.each and each:
            gain, low, high, pairs = difference(row.each, each)
            row = replace(row, gain=gain, gain_low=low, gain_high=high, pairs=pairs)
        made.append(row)
    return made
