"""The page of results of Table 1: facts of the runs, the table, and what follows from its numbers alone.

Nothing on it is written by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ..methods.registry import OURS
from ..metrics.measures import described
from ..models.files.catalogue import called
from ..models.files.suited import suits_of
from ..runs.folder import RunFolder, read_record
from .experiment import Experiment, people_in
from .table1 import has_gain, measured_with, tables
from .tables import Outcome, Row, cell, write_files


def page(request: Experiment, outcome: Outcome, command: str) -> str:
    """The whole page, Markdown.

    Args:
        request: what was compared; its runs are finished.
        outcome: of `table1.measured`.
        command: what repeats it.
    """
    template = resources.files("identitystory") / "templates" / "results.md"
    text = template.read_text(encoding="utf-8").format(
        command=command,
        run="\n".join(_run(request, outcome)),
        tables="\n".join(tables(outcome)),
        shown="\n".join([*best(outcome), *apart(outcome)]),
        caveats="".join(f"- {line}\n" for line in suits_of(request.model).caveats),
    )
    return without_folders(text)


def write_page(request: Experiment, outcome: Outcome, file: Path, command: str) -> Path:
    """``page`` in ``file``, whole or not at all."""
    return write_files({file: page(request, outcome, command)})[0]


def _run(request: Experiment, outcome: Outcome) -> list[str]:
    """What was run, a line a fact."""
    first = RunFolder(request.run(request.variants[0], request.stories[0]).out)
    record = read_record(first) or {}
    model, preset = record["model"], request.variants[0].preset
    sizes = Counter(map(people_in, request.stories))
    casts = ", ".join(f"{count} with {size}" for size, count in sorted(sizes.items()))
    frames = sum(len(story.scenes) for story in request.stories)
    facts = {
        "stories": f"{len(request.stories)} ({casts} characters), {frames} scenes",
        "model": f"{called(request.model)}, weights {model['fingerprint'][:12]}",
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
    for what in outcome.measured():
        found = {name: r for name in outcome.labels if (r := outcome.row(name, what))}
        most, better = max(r.stories for r in found.values()), described(what).better
        values = {name: r for name, r in found.items() if r.stories == most}
        if not better or len(values) < 2:
            continue
        value = (min if better == "less" else max)(r.value for r in values.values())
        tops = [name for name, r in values.items() if r.value == value]
        if len(tops) == len(values):
            lines.append(f"- {what}: all alike, {value:.3f}.")
            continue
        near = [n for n in values if n not in tops and overlap(values[n], values[tops[0]])]
        some = f" over {most} stories" if most < outcome.sizes.get("all", 0) else ""
        end = _beside(values[tops[0]], near)
        lines.append(f"- {what}: {' and '.join(tops)}, {value:.3f}{some}{end}.")
    return lines or ["Nothing was scored."]


def _beside(top: Row, near: Sequence[str]) -> str:
    """What is said of the best beside the others, of whom ``near`` are those with intervals that overlap."""
    if top.low is None:
        return "; too few stories for an interval"
    if near:
        return f"; intervals overlap with {', '.join(near)}"
    return "; the same in every story" if top.low == top.high else ", apart from all others"


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
