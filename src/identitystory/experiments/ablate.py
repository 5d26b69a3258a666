"""An ablation as an experiment over settings: its stories, what it costs, and the files it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import wording
from ..config import Preset
from ..errors import ConfigError
from ..metrics.intervals import HOW, SAMPLES
from ..models.files.catalogue import called
from ..pose import Pose
from ..runs.files import versions
from ..runs.service import Service
from ..settings import to_dict
from ..story.sets import shortened
from ..types import Character, Scene, Story
from . import batch, figures, identity_space, instruments
from .ablations import ABLATIONS, Ablation
from .evaluate import scorer
from .experiment import Experiment, Say, Variant, measure, write_sheets
from .instruments import EvaluationRequest
from .tables import Outcome, Row, Table, write_files
from .workers import Engine

_FIELDS = [field.name for field in fields(Row) if field.name != "group"]


def experiment(
    made: Ablation, variants: Sequence[Variant], stories: Sequence[Story], out: Path, **where: Any
) -> Experiment:
    """The ``variants`` that can be computed over `chosen_stories`; ``where`` is as of an ``Experiment``."""
    command = f"ablate {made.name}"
    return Experiment(command, tuple(variants), tuple(stories), out, paint=made.paint, **where)


def compare(
    request: Experiment, service: Service, asked: EvaluationRequest, by: Engine, say: Say
) -> tuple[Outcome, list[Path]]:
    """Paints, measures, writes and draws an ablation: the outcome, and all files.

    Raises:
        IdentityStoryError: an instrument is not here, told before the painting; or see `batch.paint`.
    """
    say(told_cost(request, service))
    tools = instruments.open_tools(asked, [request.model]) if request.paint else None
    batch.paint(request, service, say, by)
    if tools is None:
        clouds = identity_space.clouds(request)
        outcome = identity_space.measure_space(clouds)
        points = {request.out / f"{request.name}.points.csv": identity_space.points_csv(clouds)}
        files = [*write(request, outcome), *write_files(points)]
        draw = partial(figures.draw_space, request, clouds)
    else:
        outcome = measure(request, scorer(asked, tools), say)
        files = write(request, outcome)
        draw = partial(figures.draw, request, outcome)
    if figures.can_draw():
        return outcome, files + draw()
    say(figures.MISSING)
    return outcome, files


def chosen_stories(
    made: Ablation, stories: Sequence[Story], base: Preset, number: int, scenes: int
) -> tuple[Story, ...]:
    """The first ``number`` stories with their first ``scenes`` scenes; or one for each description.

    Raises:
        ConfigError: ``number`` or ``scenes`` is 0.
    """
    for name, value in (("--sets", number), ("--scenes", scenes)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1")
    if not made.faces and not made.poses:
        return tuple(shortened(story, scenes) for story in stories[:number])
    people = {c.description.casefold(): c for story in stories for c in story.faced}
    tell = turned_story if made.poses else face_story
    return tuple(
        tell(c, base, place, scenes) for place, c in enumerate(list(people.values())[:number], 1)
    )


def face_story(character: Character, base: Preset, number: int, pictures: int) -> Story:
    """``pictures`` pictures of one character, painted from the words of its portraits."""
    prompt = wording.search_prompt(character, base.discovery)
    text = base.discovery.search_prompt.replace("{description}", f"{{{character.name}}}")
    scene = Scene(prompt, (character.name,), text)
    return Story(f"face {number:02d} {character.name}", (character,), (scene,) * pictures)


ANGLES = ((0, 0), (-20, 0), (20, 0), (0, 10), (0, -10), (-10, 0), (10, 0))  # yaw and pitch, degrees


def turned_story(character: Character, base: Preset, number: int, pictures: int) -> Story:
    """One character in the first of ``ANGLES``, a portrait each, at most ``pictures``."""
    name = character.name
    scene = Scene(f"a portrait of {character.description}", (name,), f"a portrait of {{{name}}}")
    poses = [Pose(name, yaw=yaw, pitch=pitch) for yaw, pitch in ANGLES[:pictures]]
    scenes = tuple(replace(scene, pose=(pose,)) for pose in poses)
    return Story(f"turned {number:02d} {name}", (character,), scenes)


def told_cost(request: Experiment, service: Service) -> str:
    """One line: what there is to paint, and the network calls that still lie ahead."""
    model = service.describe(request.model, request.device, request.dtype)
    runs = [unit.run for stage in batch.stages(request) for unit in stage]
    pictures = sum(len(run.story.scenes) for run in runs if run.paint)
    portraits = max(v.preset.discovery.num_portraits for v in request.variants)
    return (
        f"{request.name} ({ABLATIONS[request.name].figure}): variants {len(request.variants)}, "
        f"stories {len(request.stories)}, pictures {pictures}, portraits a character {portraits}; "
        f"{sum(batch.ahead(runs, model)):,} network calls lie ahead"
    )


def as_csv(request: Experiment, outcome: Outcome) -> str:
    """One line for each variant and measure; differences are to the reference, story by story."""
    head = ["ablation", *_FIELDS[:1], *_FIELDS[2:-1]]
    shown = {"gain": f"minus {outcome.reference}"}
    shown |= {f"gain_{end}": f"minus {outcome.reference} {end}" for end in ("low", "high")}
    rows = [[request.name, *(getattr(r, name) for name in head[1:])] for r in _all(outcome)]
    return Table([shown.get(name, name) for name in head], rows).csv()


def _all(outcome: Outcome) -> list[Row]:
    """The rows over all stories: an ablation does not split them."""
    return [row for row in outcome.rows if row.group == "all"]


def as_json(request: Experiment, outcome: Outcome) -> dict[str, Any]:
    """NAME.json: the rows, what measured them, and everything that decided the pictures."""
    rows = [[getattr(row, name) for name in _FIELDS] for row in _all(outcome)]
    return {
        "format": 1,
        "ablation": request.name,
        "figure": ABLATIONS[request.name].figure,
        "reference": outcome.reference,
        "interval": f"{HOW}, {SAMPLES} drawings, seed 0",
        "stories": [story.title for story in request.stories],
        "scenes": [len(story.scenes) for story in request.stories],
        "model": called(request.model),
        "seed": request.seed,
        "variants": {
            v.label: {"method": v.method, "configuration": to_dict(v.preset)}
            for v in request.variants
        },
        "measured_with": dict(outcome.measured_with),
        "not_measured": dict(outcome.not_measured),
        "notes": list(outcome.notes),
        "rows": Table(_FIELDS, rows).json(),
        "versions": versions(),
    }


def markdown(request: Experiment, outcome: Outcome) -> str:
    """The figure's measures as a table, and what each variant gains on the reference."""
    made = ABLATIONS[request.name]
    shown = {name: name for name in made.measures}
    lines = [f"# {made.name}: {made.figure}, {len(request.stories)} stories", ""]
    lines += outcome.table(shown, "variant").markdown()
    lines += ["", f"Difference to {outcome.reference}, story by story:", ""]
    lines += outcome.table(shown, "variant", gains=True).markdown()
    lines += ["", *(f"{what}: {facts['name']}" for what, facts in outcome.measured_with.items())]
    for facts in outcome.measured_with.values():
        own = [f"{k} {v:.1f}°" for k, v in facts.get("held-out error", {}).items()]
        lines += [f"the reader's own error, on held-out pictures: {', '.join(own)}"] if own else []
    lines += [f"not measured: {what}: {why}" for what, why in outcome.not_measured.items()]
    return "\n".join([*lines, *outcome.notes]) + "\n"


def write(request: Experiment, outcome: Outcome) -> list[Path]:
    """NAME.csv, NAME.json and a sheet for each story with a row a variant; whole or not at all."""
    name, out = request.name, request.out
    texts = {"csv": as_csv(request, outcome), "json": as_json(request, outcome)}
    files = write_files({out / f"{name}.{kind}": text for kind, text in texts.items()})
    return [*files, *(write_sheets(request, name) if request.paint else [])]
