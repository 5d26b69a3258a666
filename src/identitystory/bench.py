"""Table 1: every method over every story, scored, side by side, by one command.

A bench is a folder: ``runs/METHOD/STORY`` are ordinary run folders, so what is finished is never
made again; ``portraits`` are those of all methods; ``costs/METHOD/STORY.json`` is the memory it took; ``table.json`` and ``table.md`` are the
outcome, ``side_by_side/STORY.png`` the pictures (Fig. 6). Pictures and scores depend on the inputs
alone; seconds and memory are those of the time when a picture was made.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from . import grid
from .baselines.catalogue import METHODS, OURS, check_method, method
from .config import Preset
from .evaluation import Wanted, evaluate
from .pipeline import count_evaluations
from .plan import RunRequest, make_plan
from .runfolder import RunFolder, canonical, write_png, write_whole
from .service import Service
from .story import slug
from .types import Story

Scorer = Callable[[Sequence[Path]], dict[str, dict[str, tuple[float, float | None, float | None]]]]


@dataclass(frozen=True)
class BenchRequest:
    """What to compare, and where.

    Attributes:
        stories: with distinct titles, see ``grid.load_stories``.
        out: the bench's folder.
        preset: the resolved configuration, the same for every method.
        methods: names, in the order of the table.
        model: a built-in name, a folder or a hub id.
        seed: of every run.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``.
    """

    stories: tuple[Story, ...]
    out: Path
    preset: Preset
    methods: tuple[str, ...] = METHODS
    model: str = "miniature"
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def run(self, name: str, story: Story) -> RunRequest:
        """The ordinary run of one method over one story."""
        return RunRequest(
            story,
            self.out / "runs" / name / slug(story.title),
            self.preset,
            model=self.model,
            seed=self.seed,
            device=self.device,
            dtype=self.dtype,
            method=name,
            portraits=self.out / "portraits",
        )


def chosen_methods(text: str) -> tuple[str, ...]:
    """The methods of ``all`` or ``a,b,c``, each once.

    Raises:
        ConfigError: one does not exist.
    """
    names = METHODS if text == "all" else [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(check_method(name) for name in names))


def paint(request: BenchRequest, service: Service, say: grid.Say = lambda line: None) -> None:
    """Every run that is not finished yet. Identities are searched once for all methods.

    Raises:
        ModelError: a method has weights of its own and the model lacks them; before any painting.
    """
    facts = service.describe(request.model, request.device, request.dtype)
    for name in request.methods:
        make_plan(request.run(name, request.stories[0]), facts, None)
    for story in request.stories:
        for name in request.methods:
            run = request.run(name, story)
            say(f"{name}: {story.title}")
            _reset_peak()
            finished = grid.paint(run, service)
            if any(part.startswith("frames/") for part in finished.made):
                file = _peak_file(request, name, story)
                content = {"peak_mib": max(_read_peak(file), _peak_mib())}
                write_whole(file, (canonical(content) + "\n").encode())


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


def _peak_file(request: BenchRequest, name: str, story: Story) -> Path:
    return request.out / "costs" / name / f"{slug(story.title)}.json"


def _read_peak(file: Path) -> float:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["peak_mib"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


# --- Scores ---------------------------------------------------------------------------------------


def evaluated(folders: Sequence[Path]) -> dict[
    str, dict[str, tuple[float, float | None, float | None]]
]:  # fmt: skip
    """Group of stories -> measure -> (value, low, high), as ``identitystory evaluate`` has them."""
    found = evaluate(Wanted(tuple(folders)))
    return {
        group: {s.name: (s.value, s.low, s.high) for s in scores if s.stories}
        for group, scores in found.groups.items()
    }


def make_table(request: BenchRequest, score: Scorer = evaluated) -> dict[str, Any]:
    """Method -> its scores by group of stories, and what a frame costs. Plain values.

    Raises:
        RunError: a run is not finished.
    """
    rows = {}
    for name in request.methods:
        grid.check_finished((request.run(name, story) for story in request.stories), "bench")
        runs = [request.run(name, story).out for story in request.stories]
        seconds = [s for run in runs for s in _seconds(run).values()]
        frames = sum(len(story.scenes) for story in request.stories)
        rows[name] = {
            "scores": {
                group: {measure: list(values) for measure, values in some.items()}
                for group, some in score(runs).items()
            },
            "cost": {
                "seconds": sum(seconds) / len(seconds) if seconds else None,
                "evaluations": sum(evaluations(request, name, s) for s in request.stories) / frames,
                "peak_mib": max(_read_peak(_peak_file(request, name, s)) for s in request.stories),
            },
        }
    return {"stories": len(request.stories), "preset": request.preset.name, "methods": rows}


def evaluations(request: BenchRequest, name: str, story: Story) -> int:
    """U-Net evaluations of all frames, if everybody is found at once; identities not counted."""
    steps = request.preset.num_steps
    if name == OURS:
        people = sum(len(scene.cast) for scene in story.scenes)
        start = request.preset.injection.start
        return count_evaluations(steps, start, people, templates=len(story.scenes))
    made = method(name, request.preset)
    return made.evaluations(story, range(len(story.scenes)), steps)


def markdown(table: dict[str, Any]) -> str:
    """The table as Markdown: one for each group of stories, then what a frame costs."""
    rows = table["methods"]
    groups = list(dict.fromkeys(g for row in rows.values() for g in row["scores"]))
    lines = [f"# {table['stories']} stories, preset {table['preset']}", ""]
    for group in groups:
        measures = list(
            dict.fromkeys(m for row in rows.values() for m in row["scores"].get(group, {}))
        )
        lines += [f"## {group}", "", "| method | " + " | ".join(measures) + " |"]
        lines.append("| --- |" + " ---: |" * len(measures))
        for name, row in rows.items():
            cells = [_cell(row["scores"].get(group, {}).get(m)) for m in measures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    if not groups:
        lines += ["No scores: this installation has no `evaluate`.", ""]
    lines += ["## A frame", "", "| method | seconds | evaluations | peak memory, MiB |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, row in rows.items():
        cost = row["cost"]
        took = "-" if cost["seconds"] is None else f"{cost['seconds']:.1f}"
        lines.append(f"| {name} | {took} | {cost['evaluations']:.0f} | {cost['peak_mib']:.0f} |")
    return "\n".join(lines) + "\n"


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
    """A row of pictures for each method, as in Fig. 6."""
    return grid.page([(name, request.run(name, story)) for name in request.methods])


# --- Memory ---------------------------------------------------------------------------------------


def _reset_peak() -> None:
    """Starts measuring anew, where the system can: Linux, and any GPU."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak_mib() -> float:
    """Most memory in use since ``_reset_peak``, MiB: of the GPU if there is one, else resident."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 2**10
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
