"""What each ablation of the paper compares: a table of variants of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config import Preset
from ..errors import ConfigError, did_you_mean
from ..methods.registry import OURS
from ..story.file import slug
from .experiment import DIRECT, Variant

Change = Callable[[Preset], Preset]


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
