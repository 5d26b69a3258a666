"""What each ablation of the paper compares: a table of variants, each a grid of ordinary runs.

An ablation is a folder: ``runs/VARIANT/STORY`` are run folders, ``portraits`` and ``templates`` what
they share (they may be deleted). Several ablations in one folder share these, and the paper's own
setting, which all of them have, is painted once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from . import grid, pipeline
from .baselines.registry import OURS
from .config import Preset
from .engines import Engine, Local
from .errors import ConfigError, RunError
from .plan import RunRequest, make_plan
from .scenes import did_you_mean
from .service import Service
from .story import slug
from .types import Character, Scene, Story

DIRECT = "direct-identity"
Change = Callable[[Preset], Preset]


@dataclass(frozen=True)
class Variant:
    """One setting that is compared.

    Attributes:
        name: of its folder; the configuration itself is ``identitystory`` or ``direct-identity``.
        label: what tables and figures call it.
        preset: the resolved configuration.
        method: as of a run.
        number: where it stands on the figure's axis, if it is a number.
    """

    name: str
    label: str
    preset: Preset
    method: str = OURS
    number: float | None = None


@dataclass(frozen=True)
class Ablation:
    """One figure of the paper.

    Attributes:
        name: what the command calls it.
        figure: of the paper.
        measures: what the figure shows; the CSV has all that could be measured.
        variants: (label, number or None, change, method) of each, made for a preset.
        axis: what the numbers are, or None.
        faces: paint only portraits, of single descriptions, with the identity generator alone.
        paint: False stops after the portraits.
        sets: stories, or descriptions, by default.
        scenes: of each story, by default.
    """

    name: str
    figure: str
    measures: tuple[str, ...]
    variants: Callable[[Preset], list[tuple[str, float | None, Change, str]]]
    axis: str | None = None
    faces: bool = False
    paint: bool = True
    sets: int = 10
    scenes: int = 10


def _same(base: Preset) -> Preset:
    return base


def _discovery(**changes: Any) -> Change:
    return lambda base: replace(base, discovery=replace(base.discovery, **changes))


def _injection(**changes: Any) -> Change:
    return lambda base: replace(base, injection=replace(base.injection, **changes))


def _space(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    return [("portraits", None, _same, OURS)]


def _selections(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    labels = {"mean": "naive mean", "random": "random", "trim": "trim", "svd": "SVD"}
    return [
        (label, None, _discovery(selection=name), DIRECT) for name, label in labels.items()
    ]  # fmt: skip


def _iterations(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    values = sorted({0, 1, 2, 3, base.discovery.iterations})
    return [(f"p = {p}", p, _discovery(iterations=p), DIRECT) for p in values]


def _ranks(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    values = sorted({1, 2, 5, 10, 20, base.discovery.rank})
    return [(f"k = {k}", k, _discovery(rank=k), DIRECT) for k in values]


def _starts(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    t = base.num_steps
    values = {round(share * t / 50) for share in (50, 40, 30, 20, 10)} | {base.injection.start}
    ordered = sorted(values - {0}, reverse=True)
    return [(f"t' = {start}", start, _injection(start=start), OURS) for start in ordered]


def _masks(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    grown = base.injection.margin + base.injection.k_max
    return [
        ("K_max = 0", None, _injection(k_max=0.0), OURS),
        ("fixed", None, _injection(k_max=0.0, margin=grown), OURS),
        ("progressive", None, _same, OURS),
    ]


def _components(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    return [
        ("no discovery", None, _discovery(selection="mean"), OURS),
        ("no injection", None, _same, DIRECT),
        ("IdentityStory", None, _same, OURS),
    ]


def _mechanisms(base: Preset) -> list[tuple[str, float | None, Change, str]]:
    return [
        ("no layout", None, _injection(layout=False), OURS),
        ("layout", None, _same, OURS),
    ]


_FACES = ("Face-Sim", "AUC")
_STORY = ("CLIP-T", "CLIP-T-C", "CLIP-I", "Face-Sim")
_FACE_SETS: dict[str, Any] = {"faces": True, "sets": 20, "scenes": 15}

ABLATIONS: Mapping[str, Ablation] = {
    made.name: made
    for made in (
        Ablation(
            "space",
            "Fig. 2a",
            ("nearest to own mean", "cosine to own", "cosine to others"),
            _space,
            faces=True,
            paint=False,
            sets=6,
            scenes=1,
        ),
        Ablation("discovery", "Fig. 2b", _FACES, _selections, **_FACE_SETS),
        Ablation("start", "Fig. 5a", _STORY, _starts, axis="t'"),
        Ablation("masking", "Fig. 5b", _STORY, _masks),
        Ablation("components", "Fig. 7", _STORY, _components),
        Ablation("iterations", "Fig. 8a", _FACES, _iterations, axis="iterations p", **_FACE_SETS),
        Ablation("mechanism", "Fig. 8b", _STORY, _mechanisms),
        Ablation("rank", "Eq. 2, k", _FACES, _ranks, axis="rank k", **_FACE_SETS),
    )
}


def ablation(name: str) -> Ablation:
    """The ablation called ``name``.

    Raises:
        ConfigError: there is none; says which there are and which was probably meant.
    """
    if name not in ABLATIONS:
        hint = did_you_mean(name, ABLATIONS)
        raise ConfigError(
            f"no ablation is called {name!r}.{hint} There are: {', '.join(ABLATIONS)}"
        )
    return ABLATIONS[name]


def variants(made: Ablation, base: Preset) -> tuple[list[Variant], list[str]]:
    """The variants of ``base``, and a line for each that is left out as it cannot be computed.

    Raises:
        ConfigError: fewer than two are left where there should be several.
    """
    found: list[Variant] = []
    notes: list[str] = []
    wanted = made.variants(base)
    for label, number, change, method in wanted:
        try:
            preset = change(base)
        except ConfigError as error:
            notes.append(f"{label} is left out: {error}")
            continue
        own = method if preset == base else slug(f"{made.name} {label}")
        found.append(Variant(own, label, preset, method, number))
    if len(wanted) > 1 and len(found) < 2:
        raise ConfigError(
            f"{made.name} has nothing to compare: {notes[0]} Give more --portraits or --steps"
        )
    return found, notes


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
            portraits=self.out / "portraits",
            templates=self.out / "templates",
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
        return tuple(grid.shortened(story, scenes) for story in stories[:sets])
    people = {c.description.casefold(): c for story in stories for c in story.characters}
    return tuple(
        face_story(c, base, number, scenes)
        for number, c in enumerate(list(people.values())[:sets], 1)
    )


def face_story(character: Character, base: Preset, number: int, pictures: int) -> Story:
    """``pictures`` pictures of one character, painted from the words of its portraits."""
    prompt = pipeline.search_prompt(character, base.discovery)
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
        ModelError, ConfigError: a variant cannot be painted; before any painting.
        RunError: a worker of the engine was lost; the same command goes on.
    """
    facts = service.describe(request.model, request.device, request.dtype)
    for variant in request.variants:
        make_plan(request.run(variant, request.stories[0]), facts, None)
    runs = request.runs()
    costs = grid.ahead((run for _, run in runs), facts)
    units = [Unit(v.label, run, cost) for (v, run), cost in zip(runs, costs, strict=True)]
    one = partial(_work, grid.one_model(service), Once(say))
    first, began, done = len(request.stories), time.monotonic(), 0
    numbers = count(1)
    for stage in (units[:first], units[first:]):
        for unit, wrong in (engine or Local()).map(one, stage):
            if wrong:
                raise RunError(f"{unit}: {wrong}; the same command goes on")
            done += unit.cost
            left = (time.monotonic() - began) / max(done, 1) * (sum(costs) - done)
            rest = f", about {left / 60:.0f} min left" if left and done else ""
            say(f"{next(numbers)} of {len(units)}: {unit}{rest}")


def _work(service: Service, say: grid.Say, unit: Unit) -> str:
    grid.paint(unit.run, service, say)
    return ""
