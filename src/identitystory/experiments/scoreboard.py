"""An evaluation as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from ..metrics.measures import Score
from .evaluate import Evaluation

PLAIN = ("Q-Align-Aes", "Q-Align-Gen", "AUC", "AUC alike")  # the rest is shown in percent
LOWER = ("Face-Sim different", "Face-Sim different alike")
OPEN = ("face diversity", "segmented")  # neither more nor less is better by itself


def show(evaluation: Evaluation, out: TextIO, *, width: int | None = None) -> None:
    """A row for each measure, a column for each group; below it what measured, and what is missing."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, highlight=False, soft_wrap=False, width=width)
    console.print(
        f"{evaluation.pictures}; percent unless said otherwise, [95 % interval]", markup=False
    )
    table = Table()
    table.add_column("measure")
    groups = evaluation.groups
    for name in groups:
        stories, pictures = evaluation.sizes[name]
        plural = "story" if stories == 1 else "stories"
        head = "" if len(groups) == 1 else f"{name}: "
        table.add_column(f"{head}{stories} {plural}, {pictures} pictures", justify="right")
    for row in zip(*groups.values(), strict=True):
        if any(s.stories for s in row):
            sizes = [evaluation.sizes[name][0] for name in groups]
            table.add_row(label(row[0].name), *map(cell, row, sizes))
    console.print(table, markup=False)
    for line in below(evaluation):
        console.print(line, markup=False, soft_wrap=True)


def label(name: str) -> str:
    """The measure with an arrow to where it is better."""
    arrow = "" if name in OPEN else " ↓" if name in LOWER else " ↑"
    unit = " (1-5)" if name.startswith("Q-Align") else " (0-1)" if name.startswith("AUC") else ""
    return name + unit + arrow


def cell(score: Score, of: int = 0) -> str:
    """``35.4 [34.9, 35.8]``; a dash where nothing was measured.

    Where some of the group's stories have no value, how many ``of`` them do is behind it.
    """
    if not score.stories:
        return "-"
    places, factor = (3, 1) if score.name in PLAIN else (1, 100)
    value = f"{score.value * factor:.{places}f}"
    if score.low is not None and score.high is not None:
        value += f" [{score.low * factor:.{places}f}, {score.high * factor:.{places}f}]"
    return f"{value} ({score.stories} of {of})" if score.stories < of else value


def below(evaluation: Evaluation) -> Sequence[str]:
    """The lines under the table."""
    lines = []
    if evaluation.attributes:
        known = evaluation.measured_with.get("attributes", {}).get("held-out accuracy", {})
        read = ", ".join(
            f"{s.name} {s.value * 100:.0f}"
            + (f" ({known[s.name] * 100:.0f})" if s.name in known else "")
            for s in evaluation.attributes
        )
        lines.append(
            f"attributes read right (in brackets, by the reader on held-out renders): {read}"
        )
    for what, facts in evaluation.measured_with.items():
        licence = f"; licence: {facts['licence']}" if "licence" in facts else ""
        scale = f"; scale: {facts['scale']}" if "scale" in facts else ""
        lines.append(f"{what}: {facts['name']}{scale}{licence}")
    lines += [f"not measured: {what}: {why}" for what, why in evaluation.not_measured.items()]
    return [*lines, *evaluation.notes]
