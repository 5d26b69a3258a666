"""Table 1 from a finished bench: scores, costs, pictures side by side, and the page of results.

``table.json`` and ``table.md`` are the outcome, ``side_by_side/STORY.png`` the pictures (Fig. 6).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from . import grid
from .baselines.registry import OURS, method
from .bench import BenchRequest, peak_file, read_peak
from .evaluation import Tools, Wanted, evaluate
from .pipeline import frame_evaluations
from .runfolder import RunFolder, write_png, write_whole
from .scoreboard import label
from .story import slug
from .types import Story

# Group of stories -> measure -> (value, low, high).
Groups = dict[str, dict[str, tuple[float, float | None, float | None]]]
Scorer = Callable[[Sequence[Path]], tuple[Groups, dict[str, str]]]


def evaluated(
    folders: Sequence[Path], *, wanted: Wanted | None = None, tools: Tools | None = None
) -> tuple[Groups, dict[str, str]]:
    """The scores as ``identitystory evaluate`` has them, and what measured them.

    Args:
        folders: run folders.
        wanted: with what to measure; its own ``runs`` do not count.
        tools: ``wanted``'s instruments, if they are open already.
    """
    found = evaluate(replace(wanted or Wanted(()), runs=tuple(folders)), tools=tools)
    groups: Groups = {
        group: {s.name: (s.value, s.low, s.high) for s in scores if s.stories}
        for group, scores in found.groups.items()
    }
    with_ = {what: str(facts.get("name", "")) for what, facts in found.measured_with.items()}
    return groups, with_ | {
        what: f"not measured: {why}" for what, why in found.not_measured.items()
    }


def _seconds(run: Path) -> dict[str, float]:
    """Frame -> seconds that it took when it was last painted, by the run's diary."""
    found = {}
    for line in RunFolder(run).events.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told = json.loads(line)
            if told["event"] == "FrameReady":
                found[str(told["part"])] = float(told["seconds"])
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash cut short
    return found


def make_table(request: BenchRequest, score: Scorer = evaluated) -> dict[str, Any]:
    """Method -> its scores by group of stories, and what a frame costs. Plain values.

    Raises:
        RunError: a run is not finished.
    """
    rows, instruments = {}, dict[str, str]()
    for name in request.methods:
        grid.check_finished((request.run(name, story) for story in request.stories), "bench")
        runs = [request.run(name, story).out for story in request.stories]
        seconds = [s for run in runs for s in _seconds(run).values()]
        frames = sum(len(story.scenes) for story in request.stories)
        groups, instruments = score(runs)
        rows[name] = {
            "scores": {
                group: {measure: list(values) for measure, values in some.items()}
                for group, some in groups.items()
            },
            "cost": {
                "seconds": sum(seconds) / len(seconds) if seconds else None,
                "evaluations": sum(evaluations(request, name, s) for s in request.stories) / frames,
                "peak_mib": max(read_peak(peak_file(request, name, s)) for s in request.stories),
            },
        }
    return {
        "stories": len(request.stories),
        "preset": request.preset.name,
        "methods": rows,
        "measured_with": instruments,
    }


def evaluations(request: BenchRequest, name: str, story: Story) -> int:
    """U-Net evaluations of all frames, if everybody is found at once; identities not counted."""
    if name == OURS:
        people = sum(len(scene.cast) for scene in story.scenes)
        return frame_evaluations(request.preset, people, templates=len(story.scenes))
    made = method(name, request.preset)
    return made.evaluations(story, range(len(story.scenes)), request.preset.num_steps)


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
        for name, row in rows.items():
            cells = [_cell(row["scores"].get(group, {}).get(m)) for m in measures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["## A frame", "", "| method | seconds | evaluations | peak memory, MiB |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, row in rows.items():
        cost = row["cost"]
        took = "-" if cost["seconds"] is None else f"{cost['seconds']:.1f}"
        lines.append(f"| {name} | {took} | {cost['evaluations']:.0f} | {cost['peak_mib']:.0f} |")
    return lines


def _cell(values: Sequence[float | None] | None) -> str:
    if values is None or values[0] is None or values[0] != values[0]:
        return "-"
    value, low, high = values
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


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
    return grid.page(rows, [scene.text or scene.prompt for scene in story.scenes])
