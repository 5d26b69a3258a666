"""Table 1 as an experiment over methods: scores, what a frame costs, pictures side by side.

``table.json`` and ``table.md`` are the outcome, ``side_by_side/STORY.png`` the pictures (Fig. 6).
Pictures and scores depend on the inputs alone; seconds and memory are those of the time when a
picture was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Preset
from ..methods.registry import METHODS, check_method, method
from ..metrics.measures import described
from ..runs.files import read
from ..runs.folder import RunFolder
from ..runs.request import RunRequest
from ..runs.service import Service
from ..story.plain import plain_json
from ..types import Story
from . import batch, instruments
from .evaluate import scorer
from .experiment import Experiment, Say, Scorer, Variant, measure, silent, write_sheets
from .instruments import EvaluationRequest
from .tables import Outcome, Row, Table, cell, write_files
from .workers import Engine

_COST = {"seconds": ".1f", "evaluations": ".0f", "peak_mib": ".0f"}  # as they are shown


def chosen_methods(text: str) -> tuple[str, ...]:
    """The methods of ``all`` or ``a,b,c``, each once.

    Raises:
        ConfigError: one does not exist.
    """
    names = METHODS if text == "all" else [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(check_method(name) for name in names))


def experiment(
    stories: Sequence[Story],
    out: Path,
    preset: Preset,
    methods: Sequence[str] = METHODS,
    **where: Any,
) -> Experiment:
    """``methods`` over ``stories`` with one configuration; ``where`` is as of an ``Experiment``."""
    variants = tuple(Variant(name, name, preset, name) for name in methods)
    return Experiment("bench", variants, tuple(stories), out, **where)


def compare(
    request: Experiment, service: Service, asked: EvaluationRequest, by: Engine, say: Say
) -> tuple[Outcome, list[Path]]:
    """Paints, measures and writes Table 1: the outcome, and the files of `write`.

    The instruments are opened before anything is painted, so that what is not here is known at
    once; and not kept, for the memory that painting takes is measured.

    Raises:
        IdentityStoryError: an instrument is not here, or see `batch.paint`.
    """
    instruments.open_tools(asked, [request.model])
    batch.paint(request, service, say, by)
    tools = instruments.open_tools(asked, [request.model])
    outcome = measured(request, scorer(asked, tools), say)
    return outcome, write(request, outcome)


def measured(request: Experiment, score: Scorer, say: Say = silent) -> Outcome:
    """The scores of each method, as `experiment.measure` has them, and what a frame costs.

    Raises:
        RunError: a run is not finished.
    """
    found = measure(request, score, say)
    return replace(found, costs={v.label: _cost(request, v) for v in request.variants})


def _cost(request: Experiment, variant: Variant) -> dict[str, float | None]:
    """Of a frame: seconds and network calls on the mean, the most memory; None where not noted."""
    seconds = [s for story in request.stories for s in _seconds(request.run(variant, story))]
    frames = sum(len(story.scenes) for story in request.stories)
    notes = [request.note(variant, story) for story in request.stories]
    runs = [request.run(variant, story).out for story in request.stories]
    peaks = [batch.read_peak(note, run) for note, run in zip(notes, runs, strict=True) if note]
    return {
        "seconds": sum(seconds) / len(seconds) if seconds else None,
        "evaluations": sum(calls(variant, story) for story in request.stories) / frames,
        "peak_mib": max((peak for peak in peaks if peak is not None), default=None),
    }


def _seconds(run: RunRequest) -> list[float]:
    """What each frame took when it was last painted, by the run's diary."""
    diary, found = RunFolder(run.out).events, {}
    for line in read(diary, run.out).splitlines():
        try:
            told = plain_json(line)
            if told["event"] == "FrameReady" and told["index"] < len(run.story.scenes):
                found[int(told["index"])] = float(told["seconds"])
        except (ValueError, KeyError, TypeError):
            continue  # a line that a crash cut short
    return list(found.values())


def calls(variant: Variant, story: Story) -> int:
    """Network calls of all frames, if everybody is found at once; identities not counted."""
    made = method(variant.method, variant.preset)
    return made.calls(story, range(len(story.scenes)), variant.preset.num_steps)


def as_json(request: Experiment, outcome: Outcome) -> dict[str, Any]:
    """table.json: method -> its scores by group of stories, and what a frame costs. Plain values.

    Where IdentityStory is among them, also what each other method has more, story by story.
    """
    methods: dict[str, dict[str, Any]] = {}
    for label in outcome.labels:
        scores: dict[str, dict[str, Any]] = {}
        more: dict[str, dict[str, Any]] = {}
        for r in (row for row in outcome.rows if row.variant == label):
            if r.stories:
                scores.setdefault(r.group, {})[r.measure] = [r.value, r.low, r.high, r.stories]
            if has_gain(r):
                gains = [r.gain, r.gain_low, r.gain_high, r.pairs]
                more.setdefault(r.group, {})[r.measure] = gains
        methods[label] = {"scores": scores, "cost": outcome.costs[label]}
        if outcome.reference and label != outcome.reference:
            methods[label]["more"] = more
    return {
        "stories": len(request.stories),
        "preset": request.variants[0].preset.name,
        "methods": methods,
        "measured_with": measured_with(outcome),
    }


def measured_with(outcome: Outcome) -> dict[str, str]:
    """Instrument -> what it is, or why it did not measure."""
    used = {what: str(facts.get("name", "")) for what, facts in outcome.measured_with.items()}
    return used | {what: f"not measured: {why}" for what, why in outcome.not_measured.items()}


def has_gain(row: Row) -> bool:
    """Whether a difference says which of two is better."""
    return bool(row.pairs and described(row.measure).better)


def markdown(request: Experiment, outcome: Outcome) -> str:
    """The table as Markdown: one for each group of stories, then what a frame costs."""
    preset = request.variants[0].preset.name
    lines = [f"# {len(request.stories)} stories, preset {preset}", ""]
    return "\n".join([*lines, *tables(outcome)]) + "\n"


def tables(outcome: Outcome) -> list[str]:
    """The lines of ``markdown`` without its heading."""
    lines: list[str] = []
    for group in outcome.groups:
        head = {measure: described(measure).label for measure in outcome.measured(group)}
        lines += [f"## {group}", "", *outcome.table(head, "method", group).markdown(), ""]
        shown = {r.measure: r.measure for r in outcome.rows if r.group == group and has_gain(r)}
        if shown:
            lines += [f"Less {outcome.reference}, story by story:", ""]
            lines += [*outcome.table(shown, "method", group, gains=True).markdown(), ""]
    rows = [
        [label, *(cell(cost[name], None, None, form=form) for name, form in _COST.items())]
        for label, cost in outcome.costs.items()
    ]
    frame = Table(["method", "seconds", "NFE", "peak memory, MiB"], rows)
    return [*lines, "## A frame", "", *frame.markdown()]


def write(request: Experiment, outcome: Outcome) -> list[Path]:
    """``table.json``, ``table.md`` and a sheet for each story, each whole or not at all."""
    out, text = request.out, markdown(request, outcome)
    files = write_files({out / "table.json": as_json(request, outcome), out / "table.md": text})
    return [*files, *write_sheets(request, "side_by_side", heads=True)]
