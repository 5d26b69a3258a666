"""The page of results that a bench can be published as: what was run, how, and what came out.

Every number and every comparison on it is read off the bench's folder; nothing is written by hand.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..methods.registry import OURS
from ..metrics.measures import described
from ..models.files.suited import suits_of
from ..runs.files import write_whole
from ..runs.folder import RunFolder, read_record
from .experiment import Experiment
from .table1 import has_gain, measured_with, tables
from .tables import Outcome, Row, cell

LIMITS = (
    "Intervals are 95 % bootstrap intervals over stories. Stories are what was drawn: other "
    "stories of the same kind are covered, other kinds are not.",
    "Overlapping intervals do not prove equality, nor does the best value prove a difference; "
    "methods share stories, so the differences story by story are surer than the intervals look.",
    "A value with (n of m) was measured on n stories only, mostly for want of faces that are found: "
    "the others have none to compare. Such a method is not held against the others.",
    "NFE are network calls of the frames; the search for an identity is once a character and not in them.",
    "Seconds and memory are those of the machine and of what else ran on it.",
)


def page(request: Experiment, outcome: Outcome, command: str) -> str:
    """The whole page, Markdown.

    Args:
        request: what was compared; its runs are finished.
        outcome: of ``table1.measured``.
        command: what repeats it.
    """
    lines = ["# Results", "", "Written by the command itself; every number is measured.", ""]
    lines += ["```", command, "```", "", *_run(request, outcome), "", *tables(outcome)]
    lines += ["", "## What it shows", "", *best(outcome), *apart(outcome)]
    limits = (*suits_of(request.model).caveats, *LIMITS)
    lines += ["", "## What it does not show", "", *(f"- {line}" for line in limits)]
    return without_folders("\n".join(lines)) + "\n"


def write_page(request: Experiment, outcome: Outcome, file: Path, command: str) -> Path:
    """``page`` in ``file``, whole or not at all."""
    write_whole(file, page(request, outcome, command).encode())
    return file


def _run(request: Experiment, outcome: Outcome) -> list[str]:
    """What was run, a line a fact."""
    first = RunFolder(request.run(request.variants[0], request.stories[0]).out)
    record = read_record(first) or {}
    model, preset = record["model"], request.variants[0].preset
    sizes = sorted({len(story.characters) for story in request.stories})
    casts = ", ".join(
        f"{sum(len(story.characters) == size for story in request.stories)} with {size}"
        for size in sizes
    )
    frames = sum(len(story.scenes) for story in request.stories)
    facts = {
        "stories": f"{len(request.stories)} ({casts} characters), {frames} scenes",
        "model": f"{request.model}, weights {model['fingerprint'][:12]}",
        "preset": f"{preset.name}, {preset.num_steps} steps of {preset.sampler}, "
        f"{preset.discovery.num_portraits} portraits of "
        f"{preset.portrait_steps} steps a character",
        "seed": request.seed,
        "computed on": f"{model['device']}, {model['dtype']}",
        "versions": ", ".join(f"{name} {v}" for name, v in record["versions"].items()),
        **{f"measured, {what}": how for what, how in measured_with(outcome).items()},
    }
    rows = [f"| {name} | {fact} |" for name, fact in facts.items()]
    return ["| what was run | |", "| --- | --- |", *rows]


def best(outcome: Outcome) -> list[str]:
    """For each measure the best method over all stories, and whose intervals reach into its own."""
    lines = []
    for measure in outcome.measured():
        found = {name: outcome.row(name, measure) for name in outcome.labels}
        most, better = outcome.most(measure), described(measure).better
        values = {name: r for name, r in found.items() if r is not None and r.stories == most}
        if not better or len(values) < 2:
            continue
        value = (min if better == "less" else max)(r.value for r in values.values())
        tops = [name for name, r in values.items() if r.value == value]
        if len(tops) == len(values):
            lines.append(f"- {measure}: all alike, {value:.3f}.")
            continue
        near = [n for n in values if n not in tops and overlap(values[n], values[tops[0]])]
        beside = (
            f"; intervals overlap with {', '.join(near)}" if near else ", apart from all others"
        )
        top = values[tops[0]]
        end = beside if top.low != top.high else "; too few stories for an interval"  # one, or None
        lines.append(f"- {measure}: {' and '.join(tops)}, {value:.3f}{end}.")
    return lines or ["Nothing was scored."]


def apart(outcome: Outcome) -> list[str]:
    """For each other method the differences to IdentityStory whose interval leaves out 0."""
    lines, tried, sure = [], 0, 0
    for name in outcome.labels:
        rows = [r for r in outcome.rows if r.variant == name and r.group == "all"]
        rows = [r for r in rows if has_gain(r) and r.gain_low is not None]
        some = [
            f"{r.measure} {cell(r.gain, r.gain_low, r.gain_high, form='+.3f')}"
            for r in rows
            if not (r.gain_low or 0) <= 0 <= (r.gain_high or 0)
        ]
        tried, sure = tried + len(rows), sure + len(some)
        if some:
            lines.append(f"- {name} less {OURS}, story by story: {', '.join(some)}.")
    if lines:
        lines.append(
            f"- The other {tried - sure} of {tried} differences with an interval hold 0 in it. By chance "
            "alone one of 20 would not."
        )
    return lines


def without_folders(text: str) -> str:
    """``text`` with only the last names of absolute paths: a page is read elsewhere."""
    return re.sub(r"(?<![\w./~])(?:[A-Za-z]:)?[/\\](?:[^\s()]*[/\\])?([^\s()/\\]+)", r"\1", text)


def overlap(one: Row, other: Row) -> bool:
    """Whether the intervals of two have a number in common; not without intervals."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high
