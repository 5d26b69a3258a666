"""Painting an ablation: a folder of ordinary runs, one for each variant and story.

``runs/VARIANT/STORY`` are run folders, ``portraits`` and ``templates`` what they share (they may be
deleted). Several ablations in one folder share these, and the paper's own setting, which all of
them have, is painted once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from .. import wording
from ..config import Preset
from ..errors import ConfigError, RunError
from ..methods.registry import OURS
from ..runs.cache import Cache
from ..runs.plan import make_plan
from ..runs.request import RunRequest
from ..runs.service import Service, one_model
from ..story.file import slug
from ..story.sets import shortened
from ..types import Character, Scene, Story
from . import batch as grid
from .ablations import DIRECT, Ablation, Variant
from .workers import Engine, Local

KNOWN = 0.05  # of the work that must be done before anybody is told how long the rest takes


@dataclass(frozen=True)
class AblationRequest:
    """What to compare, on what, and where.

    Attributes:
        ablation: the table of variants.
        variants: those that can be computed, see `variants`.
        stories: see `chosen_stories`.
        out: the folder.
        model: a built-in name, a folder or a hub id.
        seed: of every run.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``.
    """

    ablation: Ablation
    variants: tuple[Variant, ...]
    stories: tuple[Story, ...]
    out: Path
    model: str = "miniature"
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    @property
    def reference(self) -> Variant:
        """The configuration itself, which the others are compared with: the last of its kind."""
        named = [v for v in self.variants if v.name in (OURS, DIRECT)]
        return next((v for v in named if v.name == OURS), named[-1])

    def run(self, variant: Variant, story: Story) -> RunRequest:
        """The ordinary run of one variant over one story."""
        return RunRequest(
            story,
            self.out / "runs" / variant.name / slug(story.title),
            variant.preset,
            model=self.model,
            seed=self.seed,
            paint=self.ablation.paint,
            device=self.device,
            dtype=self.dtype,
            method=variant.method,
            cache=Cache(self.out),
        )

    def runs(self) -> list[tuple[Variant, RunRequest]]:
        """Every run: the configuration itself over all stories, then the other variants."""
        others = [v for v in self.variants if v is not self.reference]
        return [(v, self.run(v, s)) for v in (self.reference, *others) for s in self.stories]


def chosen_stories(
    made: Ablation, stories: Sequence[Story], base: Preset, sets: int, scenes: int
) -> tuple[Story, ...]:
    """The first ``sets`` stories with their first ``scenes`` scenes; or one for each description.

    Raises:
        ConfigError: ``sets`` or ``scenes`` is 0.
    """
    for name, value in (("--sets", sets), ("--scenes", scenes)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1")
    if not made.faces:
        return tuple(shortened(story, scenes) for story in stories[:sets])
    people = {c.description.casefold(): c for story in stories for c in story.characters}
    return tuple(
        face_story(c, base, number, scenes)
        for number, c in enumerate(list(people.values())[:sets], 1)
    )


def face_story(character: Character, base: Preset, number: int, pictures: int) -> Story:
    """``pictures`` pictures of one character, painted from the words of its portraits."""
    prompt = wording.search_prompt(character, base.discovery)
    text = base.discovery.search_prompt.replace("{description}", f"{{{character.name}}}")
    scene = Scene(prompt, (character.name,), text)
    return Story(f"face {number:02d} {character.name}", (character,), (scene,) * pictures)


def told_cost(request: AblationRequest, service: Service) -> str:
    """One line: what there is to paint, and the evaluations that still lie ahead."""
    model = service.describe(request.model, request.device, request.dtype)
    runs = [run for _, run in request.runs()]
    pictures = sum(len(run.story.scenes) for run in runs if run.paint)
    portraits = max(v.preset.discovery.num_portraits for v in request.variants)
    left = sum(grid.ahead(runs, model))
    made = request.ablation
    return (
        f"{made.name} ({made.figure}): variants {len(request.variants)}, stories "
        f"{len(request.stories)}, pictures {pictures}, portraits a character {portraits}; "
        f"{left:,} evaluations lie ahead"
    )


@dataclass(frozen=True)
class Unit:
    """What an engine does at a time: one variant of one story, an ordinary run.

    Attributes:
        label: of the variant.
        run: see above.
        cost: evaluations that lay ahead.
    """

    label: str
    run: RunRequest
    cost: int

    def __str__(self) -> str:
        """``no layout: The pier``."""
        return f"{self.label}: {self.run.story.title}"


@dataclass
class Once:
    """``say`` that tells the same line once."""

    say: grid.Say
    told: set[str] = field(default_factory=set)

    def __call__(self, line: str) -> None:
        """Tells ``line`` if it is new."""
        if line not in self.told:
            self.told.add(line)
            self.say(line)


def paint(
    request: AblationRequest,
    service: Service,
    say: grid.Say = lambda line: None,
    engine: Engine | None = None,
) -> None:
    """Every run that is not finished yet; ``say`` hears what is painted and how long it will take.

    First come the runs of the configuration itself, whose portraits and templates the others share.

    Raises:
        ModelError, ConfigError: a variant cannot be painted, or the folder holds it with other
            settings; before any painting.
        RunError: a worker of the engine was lost; the same command goes on.
    """
    grid.check_settings(run for _, run in request.runs())
    facts = service.describe(request.model, request.device, request.dtype)
    for variant in request.variants:
        make_plan(request.run(variant, request.stories[0]), facts, None)
    runs = request.runs()
    costs = grid.ahead((run for _, run in runs), facts)
    units = [Unit(v.label, run, cost) for (v, run), cost in zip(runs, costs, strict=True)]
    one = partial(_work, one_model(service), Once(say))
    first, began, done = len(request.stories), time.monotonic(), 0
    numbers = count(1)
    for stage in (units[:first], units[first:]):
        for unit, wrong in (engine or Local()).map(one, stage):
            if wrong:
                raise RunError(f"{unit}: {wrong}; the same command goes on")
            done += unit.cost
            left = (time.monotonic() - began) / max(done, 1) * (sum(costs) - done)
            known = left and done >= sum(costs) * KNOWN
            rest = f", about {left / 60:.0f} min left" if known else ""
            say(f"{next(numbers)} of {len(units)}: {unit}{rest}")


def _work(service: Service, say: grid.Say, unit: Unit) -> str:
    grid.paint(unit.run, service, say)
    return ""
