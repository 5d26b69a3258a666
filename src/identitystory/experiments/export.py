"""A result of evaluation as JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..metrics.intervals import HOW as INTERVAL
from ..metrics.measures import Score, instrument_of
from ..runs.files import versions, write_whole
from .evaluate import Evaluation


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """metrics.json: every number as a fraction (Q-Align: 1 to 5), null where nothing was measured."""
    e = evaluation
    return {
        "format": 1,
        "pictures": e.pictures,
        "measured_with": e.measured_with,
        "not_measured": e.not_measured,
        "interval": f"{INTERVAL}, {e.samples} drawings, seed 0",
        "notes": e.notes,
        "groups": {name: _group(e, name, table) for name, table in e.groups.items()},
        "attributes": {s.name: _values(s) for s in e.attributes},
        "stories": {
            name: {"pictures": e.sizes[name][1], "scores": {s.name: _number(s.value) for s in t}}
            for name, t in e.stories.items()
        },
        "versions": versions(),
    }


def _group(e: Evaluation, name: str, table: Sequence[Score]) -> dict[str, Any]:
    stories, pictures = e.sizes[name]
    return {
        "stories": stories,
        "pictures": pictures,
        "scores": {s.name: _values(s) for s in table},
    }


def _values(s: Score) -> dict[str, Any]:
    return {"value": _number(s.value), "low": s.low, "high": s.high, "stories": s.stories}


def _number(value: float) -> float | None:
    return None if value != value else value


def as_csv(evaluation: Evaluation) -> str:
    """metrics.csv: a line for each measure of each group and story, with what measured it."""
    import csv
    import io

    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["level", "name", "measure", "value", "low", "high", "stories", "measured_with"])
    levels = [("group", evaluation.groups), ("story", evaluation.stories)]
    levels.append(("attribute", {"all": evaluation.attributes}))
    for level, tables in levels:
        for name, table in tables.items():
            for s in table:
                numbers = [_number(s.value), s.low, s.high]
                shown = ["" if n is None else f"{n:.6f}" for n in numbers]
                instrument = "attributes" if level == "attribute" else instrument_of(s.name)
                used = evaluation.measured_with.get(instrument, {}).get("name", instrument)
                rows.writerow([level, name, s.name, *shown, s.stories, used])
    return text.getvalue()


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """metrics.json and metrics.csv in ``out``, whole or not at all.

    Raises:
        RunError: ``out`` cannot be written.
    """
    content = json.dumps(as_json(evaluation), indent=2, ensure_ascii=False) + "\n"
    files = {out / "metrics.json": content, out / "metrics.csv": as_csv(evaluation)}
    for path, text in files.items():
        write_whole(path, text.encode())
    return list(files)
