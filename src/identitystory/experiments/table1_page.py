"""The page of results that a bench can be published as: what was run, how, and what came out.

Every number and every comparison on it is read off the bench's folder; nothing is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..methods.registry import OURS
from ..models.files.suited import suits_of
from ..runs.files import write_whole
from ..runs.folder import RunFolder, read_record
from .bench import BenchRequest
from .scoreboard import LOWER, OPEN
from .table1 import most_stories, tables

LIMITS = (
    "Intervals are 95 % bootstrap intervals over stories. Stories are what was drawn: other "
    "stories of the same kind are covered, other kinds are not.",
    "Overlapping intervals do not prove equality, nor does the best value prove a difference; "
    "methods share stories, so the differences story by story are surer than the intervals look.",
    "A value with (n of m) was measured on n stories only, mostly for want of faces that are found: "
    "the others have none to compare. Such a method is not held against the others.",
    "Evaluations are of the frames; the search for an identity is once a character and not in them.",
    "Seconds and memory are those of the machine and of what else ran on it.",
)


def page(request: BenchRequest, table: dict[str, Any], command: str) -> str:
    """The whole page, Markdown.

    Args:
        request: what was compared; its runs are finished.
        table: of ``results.make_table``.
        command: what repeats it.
    """
    lines = ["# Results", "", "Written by the command itself; every number is measured.", ""]
    lines += ["```", command, "```", "", *_run(request, table), "", *tables(table)]
    lines += ["", "## What it shows", "", *best(table), *apart(table)]
    limits = (*suits_of(request.model).caveats, *LIMITS)
    lines += ["", "## What it does not show", "", *(f"- {line}" for line in limits)]
    return without_folders("\n".join(lines)) + "\n"


def write_page(request: BenchRequest, table: dict[str, Any], file: Path, command: str) -> Path:
    """``page`` in ``file``, whole or not at all."""
    write_whole(file, page(request, table, command).encode())
    return file


def _run(request: BenchRequest, table: dict[str, Any]) -> list[str]:
    """What was run, a line a fact."""
    first = RunFolder(request.run(request.methods[0], request.stories[0]).out)
    record = read_record(first) or {}
    model, preset = record["model"], request.preset
    sizes = sorted({len(story.characters) for story in request.stories})
    casts = ", ".join(
        f"{sum(len(story.characters) == size for story in request.stories)} with {size}"
        for size in sizes
    )
    frames = sum(len(story.scenes) for story in request.stories)
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    facts = {
        "stories": f"{len(request.stories)} ({casts} characters), {frames} scenes",
        "model": f"{request.model}, weights {model['fingerprint'][:12]}",
        "preset": f"{preset.name}, {preset.num_steps} steps of {preset.sampler}, "
        f"{preset.discovery.num_portraits} portraits of "
        f"{preset.portrait_steps} steps a character",
        "seed": request.seed,
        "computed on": f"{model['device']}, {model['dtype']}",
        "versions": versions,
        **{f"measured, {what}": how for what, how in table["measured_with"].items()},
    }
    return [
        "| what was run | |",
        "| --- | --- |",
        *(f"| {name} | {fact} |" for name, fact in facts.items()),
    ]


def best(table: dict[str, Any], group: str = "all") -> list[str]:
    """For each measure the best method of a group, and whose intervals reach into its own."""
    rows = {name: row["scores"].get(group, {}) for name, row in table["methods"].items()}
    measures = dict.fromkeys(m for some in rows.values() for m in some)
    lines = []
    for measure in measures:
        most = most_stories(table["methods"], group, measure)
        values = {
            name: some[measure]
            for name, some in rows.items()
            if most and measured(some, measure, most)
        }
        if measure in OPEN or len(values) < 2:
            continue
        pick = min if measure in LOWER else max
        value = pick(float(some[0]) for some in values.values())
        tops = [name for name in values if float(values[name][0]) == value]
        if len(tops) == len(values):
            lines.append(f"- {measure}: all alike, {value:.3f}.")
            continue
        near = [n for n in values if n not in tops and overlap(values[n], values[tops[0]])]
        beside = (
            f"; intervals overlap with {', '.join(near)}" if near else ", apart from all others"
        )
        _, low, high, _ = values[tops[0]]
        end = beside if low != high else "; too few stories for an interval"  # one, or None
        lines.append(f"- {measure}: {' and '.join(tops)}, {value:.3f}{end}.")
    return lines or ["Nothing was scored."]


def apart(table: dict[str, Any], group: str = "all") -> list[str]:
    """For each other method the differences to IdentityStory whose interval leaves out 0."""
    lines, tried, sure = [], 0, 0
    for name, row in table["methods"].items():
        more = row.get("more", {}).get(group, {})
        some = [
            f"{measure} {value:+.3f} [{low:+.3f}, {high:+.3f}]"
            for measure, (value, low, high, _) in more.items()
            if low is not None and not low <= 0 <= high
        ]
        tried, sure = tried + sum(v[1] is not None for v in more.values()), sure + len(some)
        if some:
            lines.append(f"- {name} less {OURS}, story by story: {', '.join(some)}.")
    if lines:
        lines.append(
            f"- The other {tried - sure} of {tried} differences with an interval hold 0 in it. By chance "
            "alone one of 20 would not."
        )
    return lines


def measured(scores: dict[str, Any], measure: str, stories: int) -> bool:
    """Whether there is a value of ``measure``, and of so many stories."""
    return measure in scores and scores[measure][3] == stories


def without_folders(text: str) -> str:
    """``text`` with only the last names of absolute paths: a page is read elsewhere."""
    return re.sub(r"(?<![\w./~])(?:[A-Za-z]:)?[/\\](?:[^\s()]*[/\\])?([^\s()/\\]+)", r"\1", text)


def overlap(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    """Whether two (value, low, high) have an interval in common; not without intervals."""
    (_, low, high, *_), (_, low_2, high_2, *_) = one, other
    if low is None or high is None or low_2 is None or high_2 is None:
        return False
    return low <= high_2 and low_2 <= high
