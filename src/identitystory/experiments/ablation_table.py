"""An ablation's outcome: scores with intervals over stories, and what a variant gains on each story.

All variants paint the same stories from the same noise, so the difference to the reference is taken
story by story; its interval is that of the mean of these differences.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..metrics.intervals import HOW, SAMPLES, difference
from ..metrics.measures import ACROSS
from ..runs import sheets
from ..runs.files import versions, write_png, write_whole
from ..settings import to_dict
from ..story.file import slug
from . import batch as grid
from .ablate import AblationRequest
from .ablations import Variant
from .evaluate import evaluate
from .instruments import Tools, Wanted

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One measure of one variant, a line of the CSV.

    Attributes:
        variant: its label; ``number`` where it stands on the figure's axis.
        measure: its name.
        value, low, high: over ``stories`` stories, with the 95 % interval or None.
        gain, gain_low, gain_high: mean difference to the reference, story by story; None for the
            reference itself and for measures that pool the stories. pairs: the stories behind it.
        each: one value a story, in the stories' order; nan where it could not be measured.
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


@dataclass(frozen=True)
class Outcome:
    """Every row, the label that the others are compared with, what measured, what did not, and why."""

    rows: list[Row]
    reference: str = ""
    measured_with: Mapping[str, Any] = field(default_factory=dict)
    not_measured: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def labels(self) -> list[str]:
        """Of the variants, in their order."""
        return list(dict.fromkeys(row.variant for row in self.rows))

    def row(self, label: str, measure: str) -> Row | None:
        """The row of one variant and measure; None if nothing was measured there."""
        here = (r for r in self.rows if (r.variant, r.measure) == (label, measure))
        return next((r for r in here if r.stories), None)


def compared(rows: Sequence[Row], reference: str) -> list[Row]:
    """``rows`` with what each variant gains on the one labelled ``reference``."""
    base = {row.measure: row.each for row in rows if row.variant == reference}
    made = []
    for row in rows:
        gains: tuple[float | None, ...] = (None, None, None, 0)
        if row.variant != reference and row.each and base.get(row.measure):
            gains = difference(row.each, base[row.measure])
        names = ("gain", "gain_low", "gain_high", "pairs")
        values = asdict(row) | dict(zip(names, gains, strict=True))
        made.append(Row(**values))
    return made


def measure(
    request: AblationRequest, tools: Tools, say: grid.Say = lambda line: None
) -> Outcome:  # fmt: skip
    """Scores every variant over all stories with ``tools``, as ``identitystory evaluate`` does.

    Raises:
        RunError: a run is not finished.
    """
    grid.check_finished((run for _, run in request.runs()), f"ablate {request.ablation.name}")
    rows: list[Row] = []
    notes: list[str] = []
    for variant in request.variants:
        say(f"measuring {variant.label}")
        folders = tuple(request.run(variant, story).out for story in request.stories)
        found = evaluate(Wanted(folders), tools=tools)
        notes += found.notes
        each = {
            folder: {score.name: score.value for score in found.stories[str(folder)]}
            for folder in folders
        }
        for s in found.groups["all"]:
            values = tuple(each[folder].get(s.name, NAN) for folder in folders)
            values = () if s.name in ACROSS else values
            place = (variant.label, variant.number, s.name)
            rows.append(Row(*place, s.value, s.low, s.high, s.stories, each=values))
    reference = request.reference.label
    return Outcome(
        compared(rows, reference), reference, tools.measured_with, tools.not_measured, notes
    )


def as_csv(request: AblationRequest, outcome: Outcome) -> str:
    """One line for each variant and measure; differences are to the reference, story by story."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["variant", "measure", "value", "low", "high", "stories"]
    against = f"minus {outcome.reference}"
    table.writerow(["ablation", *head, against, f"{against} low", f"{against} high", "pairs"])
    for row in outcome.rows:
        numbers = [_text(n) for n in (row.value, row.low, row.high)]
        gains = [_text(n) for n in (row.gain, row.gain_low, row.gain_high)]
        name = request.ablation.name
        table.writerow([name, row.variant, row.measure, *numbers, row.stories, *gains, row.pairs])
    return text.getvalue()


def _text(number: float | None) -> str:
    return "" if number is None or number != number else f"{number:.6f}"


def as_json(request: AblationRequest, outcome: Outcome) -> dict[str, Any]:
    """NAME.json: the rows, what measured them, and everything that decided the pictures."""
    rows = [asdict(row) | {"each": [_plain(v) for v in row.each]} for row in outcome.rows]
    return {
        "format": 1,
        "ablation": request.ablation.name,
        "figure": request.ablation.figure,
        "reference": outcome.reference,
        "interval": f"{HOW}, {SAMPLES} drawings, seed 0",
        "stories": [story.title for story in request.stories],
        "scenes": [len(story.scenes) for story in request.stories],
        "model": request.model,
        "seed": request.seed,
        "variants": {v.label: _variant(v) for v in request.variants},
        "measured_with": dict(outcome.measured_with),
        "not_measured": dict(outcome.not_measured),
        "notes": list(outcome.notes),
        "rows": [row | {"value": _plain(row["value"])} for row in rows],
        "versions": versions(),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {"method": variant.method, "configuration": to_dict(variant.preset)}


def _plain(value: float) -> float | None:
    return None if value != value else value


def markdown(request: AblationRequest, outcome: Outcome) -> str:
    """The figure's measures as a table, and what each variant gains on the reference."""
    made, shown = request.ablation, request.ablation.measures
    lines = [f"# {made.name}: {made.figure}, {len(request.stories)} stories", ""]
    lines += _table(shown, outcome, outcome.labels, "value")
    lines += ["", f"Difference to {outcome.reference}, story by story:", ""]
    others = [label for label in outcome.labels if label != outcome.reference]
    lines += _table(shown, outcome, others, "gain")
    lines += ["", *(f"{w}: {facts['name']}" for w, facts in outcome.measured_with.items())]
    lines += [f"not measured: {what}: {why}" for what, why in outcome.not_measured.items()]
    return "\n".join([*lines, *outcome.notes]) + "\n"


def _table(shown: Sequence[str], outcome: Outcome, labels: Sequence[str], which: str) -> list[str]:
    lines = ["| variant | " + " | ".join(shown) + " |", "| --- |" + " ---: |" * len(shown)]
    for label in labels:
        cells = [_cell(outcome.row(label, name), which) for name in shown]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _cell(row: Row | None, which: str) -> str:
    if row is None:
        return "-"
    numbers = (row.gain, row.gain_low, row.gain_high) if which == "gain" else None
    value, low, high = numbers or (row.value, row.low, row.high)
    sign = "+" if which == "gain" else ""
    if value is None:
        return "-"
    text = f"{value:{sign}.3f}"
    return text if low is None else f"{text} [{low:{sign}.3f}, {high:{sign}.3f}]"


def write(request: AblationRequest, outcome: Outcome) -> list[Path]:
    """NAME.csv, NAME.json and a page for each story with a row a variant; whole or not at all."""
    made, out = request.ablation, request.out
    text = json.dumps(as_json(request, outcome), indent=1, ensure_ascii=False) + "\n"
    files = {out / f"{made.name}.csv": as_csv(request, outcome), out / f"{made.name}.json": text}
    for file, content in files.items():
        write_whole(file, content.encode())
    pages = []
    for story in request.stories if made.paint else ():
        pages.append(out / made.name / f"{slug(story.title)}.png")
        rows = [(variant.label, request.run(variant, story)) for variant in request.variants]
        write_png(pages[-1], sheets.page(rows), {"title": story.title, "ablation": made.name})
    return [*files, *pages]
