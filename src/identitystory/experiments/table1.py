"""Table 1 from a finished bench: scores, costs, pictures side by side, and the page of results.

``table.json`` and ``table.md`` are the outcome, ``side_by_side/STORY.png`` the pictures (Fig. 6).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ..methods.registry import OURS, method
from ..metrics.intervals import difference
from ..metrics.measures import ACROSS
from ..runs import sheets
from ..runs.files import write_png, write_whole
from ..runs.folder import RunFolder
from ..runs.request import RunRequest
from ..story.file import slug
from ..types import Story
from . import batch as grid
from .bench import BenchRequest, peak_file, read_peak
from .evaluate import evaluate, group_of
from .instruments import Tools, Wanted
from .scoreboard import OPEN, label

# Value, low and high of its 95 % interval, stories that it was measured on.
Values = tuple[float, float | None, float | None, int]


@dataclass(frozen=True)
class Scored:
    """The scores of one method.

    Attributes:
        groups: group of stories -> measure -> values.
        each: measure -> one value a story, in the order of the folders; nan without.
        measured_with: instrument -> what it is, or why it did not measure.
    """

    groups: dict[str, dict[str, Values]]
    each: dict[str, list[float]]
    measured_with: dict[str, str]


Scorer = Callable[[Sequence[Path]], Scored]


def evaluated(
    folders: Sequence[Path], *, wanted: Wanted | None = None, tools: Tools | None = None
) -> Scored:
    """The scores as ``identitystory evaluate`` has them.

    Args:
        folders: run folders.
        wanted: with what to measure; its own ``runs`` do not count.
        tools: ``wanted``'s instruments, if they are open already.
    """
    found = evaluate(replace(wanted or Wanted(()), runs=tuple(folders)), tools=tools)
    groups = {
        group: {s.name: (s.value, s.low, s.high, s.stories) for s in scores if s.stories}
        for group, scores in found.groups.items()
    }
    each: dict[str, list[float]] = {}
    for folder in folders:
        for s in found.stories[str(folder)]:
            if s.name not in ACROSS:
                each.setdefault(s.name, []).append(s.value)
    with_ = {what: str(facts.get("name", "")) for what, facts in found.measured_with.items()}
    missing = {what: f"not measured: {why}" for what, why in found.not_measured.items()}
    return Scored(groups, each, with_ | missing)


def _seconds(run: RunRequest) -> list[float]:
    """What each frame took when it was last painted, by the run's diary."""
    frames = {f"frames/{index:03d}" for index in range(len(run.story.scenes))}
    diary, found = RunFolder(run.out).events, {}
    for line in diary.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told = json.loads(line)
            if told["event"] == "FrameReady" and told["part"] in frames:
                found[str(told["part"])] = float(told["seconds"])
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash cut short
    return list(found.values())


def make_table(
    request: BenchRequest, score: Scorer = evaluated, say: grid.Say = lambda line: None
) -> dict[str, Any]:
    """Method -> its scores by group of stories, and what a frame costs. Plain values.

    Where IdentityStory is among them, also what each other method has more, story by story.
    ``say`` hears which method is measured.

    Raises:
        RunError: a run is not finished.
    """
    rows: dict[str, dict[str, Any]] = {}
    scored: dict[str, Scored] = {}
    for name in request.methods:
        runs = [request.run(name, story) for story in request.stories]
        grid.check_finished(runs, "bench")
        say(f"measuring {name}")
        scored[name] = score([run.out for run in runs])
        rows[name] = {
            "scores": {
                group: {measure: list(values) for measure, values in some.items()}
                for group, some in scored[name].groups.items()
            },
            "cost": _cost(request, name, runs),
        }
    if OURS in scored:
        for name in request.methods:
            if name != OURS:
                rows[name]["more"] = _more(request, scored[name].each, scored[OURS].each)
    return {
        "stories": len(request.stories),
        "preset": request.preset.name,
        "methods": rows,
        "measured_with": next((found.measured_with for found in scored.values()), {}),
    }


def _cost(request: BenchRequest, name: str, runs: Sequence[RunRequest]) -> dict[str, Any]:
    """Of a frame: seconds and evaluations on the mean, the most memory; None where not noted."""
    seconds = [s for run in runs for s in _seconds(run)]
    frames = sum(len(story.scenes) for story in request.stories)
    peaks = [read_peak(peak_file(request, name, s)) for s in request.stories]
    return {
        "seconds": sum(seconds) / len(seconds) if seconds else None,
        "evaluations": sum(evaluations(request, name, s) for s in request.stories) / frames,
        "peak_mib": max((peak for peak in peaks if peak is not None), default=None),
    }


def _more(
    request: BenchRequest, each: dict[str, list[float]], ours: dict[str, list[float]]
) -> dict[str, dict[str, list[float | int | None]]]:
    """Group -> measure -> (mean difference to ``ours``, low, high, stories that have both)."""
    groups: dict[str, list[int]] = {"all": list(range(len(request.stories)))}
    for index, story in enumerate(request.stories):
        groups.setdefault(group_of(len(story.characters)), []).append(index)
    if len(groups) == 2:  # all of one size
        groups.popitem()
    made: dict[str, dict[str, list[float | int | None]]] = {}
    for group, members in groups.items():
        for measure in each:
            if measure in ours and measure not in OPEN:
                values = [[some[measure][k] for k in members] for some in (each, ours)]
                found = difference(*values)
                if found[3]:
                    made.setdefault(group, {})[measure] = list(found)
    return made


def evaluations(request: BenchRequest, name: str, story: Story) -> int:
    """U-Net evaluations of all frames, if everybody is found at once; identities not counted."""
    made = method(name, request.preset)
    return made.calls(story, range(len(story.scenes)), request.preset.num_steps)


def markdown(table: dict[str, Any]) -> str:
    """The table as Markdown: one for each group of stories, then what a frame costs."""
    lines = [f"# {table['stories']} stories, preset {table['preset']}", ""]
    return "\n".join([*lines, *tables(table)]) + "\n"


def tables(table: dict[str, Any]) -> list[str]:
    """The lines of ``markdown`` without its heading."""
    rows, lines = table["methods"], []
    groups = list(dict.fromkeys(g for row in rows.values() for g in row["scores"]))
    for group in groups:
        measures = list(
            dict.fromkeys(m for row in rows.values() for m in row["scores"].get(group, {}))
        )
        lines += [f"## {group}", "", "| method | " + " | ".join(map(label, measures)) + " |"]
        lines.append("| --- |" + " ---: |" * len(measures))
        most = {m: most_stories(rows, group, m) for m in measures}
        for name, row in rows.items():
            cells = [_cell(row["scores"].get(group, {}).get(m), most[m]) for m in measures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines += ["", *_differences(rows, group)]
    lines += ["## A frame", "", "| method | seconds | evaluations | peak memory, MiB |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, row in rows.items():
        cost = row["cost"]
        took = "-" if cost["seconds"] is None else f"{cost['seconds']:.1f}"
        peak = "-" if cost["peak_mib"] is None else f"{cost['peak_mib']:.0f}"
        lines.append(f"| {name} | {took} | {cost['evaluations']:.0f} | {peak} |")
    return lines


def most_stories(rows: dict[str, Any], group: str, measure: str) -> int:
    """The most stories of a group that any method has a value of ``measure`` on."""
    found = [row["scores"].get(group, {}).get(measure) for row in rows.values()]
    return max((values[3] for values in found if values), default=0)


def _differences(rows: dict[str, Any], group: str) -> list[str]:
    """The lines of a group's table of differences to IdentityStory; none without them."""
    more = {name: row["more"][group] for name, row in rows.items() if group in row.get("more", {})}
    measures = list(dict.fromkeys(m for some in more.values() for m in some))
    if not measures:
        return []
    lines = [f"Less {OURS}, story by story:", "", "| method | " + " | ".join(measures) + " |"]
    lines.append("| --- |" + " ---: |" * len(measures))
    most = {m: max(some[m][3] for some in more.values() if m in some) for m in measures}
    for name, some in more.items():
        cells = [_cell(some.get(m), most[m], sign="+") for m in measures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(values: Sequence[Any] | None, most: int = 0, sign: str = "") -> str:
    """``0.638 [0.610, 0.660]``, with the stories behind it where another method has ``most``."""
    if values is None or values[0] is None or values[0] != values[0]:
        return "-"
    value, low, high, stories = values
    text = f"{value:{sign}.3f}"
    if low is not None and high is not None:
        text += f" [{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{text} ({stories} of {most})" if stories < most else text


def write(request: BenchRequest, table: dict[str, Any]) -> list[Path]:
    """``table.json``, ``table.md`` and a page for each story, each whole or not at all."""
    text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
    files = {request.out / "table.json": text, request.out / "table.md": markdown(table)}
    for file, content in files.items():
        write_whole(file, content.encode())
    pages = []
    for story in request.stories:
        pages.append(request.out / "side_by_side" / f"{slug(story.title)}.png")
        write_png(pages[-1], side_by_side(request, story), {"title": story.title})
    return [*files, *pages]


def side_by_side(request: BenchRequest, story: Story) -> Image.Image:
    """A row of pictures for each method, the texts of the scenes above the columns, as in Fig. 6."""
    rows = [(name, request.run(name, story)) for name in request.methods]
    return sheets.page(rows, [scene.text or scene.prompt for scene in story.scenes])
