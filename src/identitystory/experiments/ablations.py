"""What each ablation of the paper compares, by the table data/ablations.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from ..config import Preset
from ..errors import ConfigError, did_you_mean
from ..methods.registry import OURS
from ..settings import settings, with_settings
from ..story.file import slug
from .experiment import Variant


@dataclass(frozen=True)
class Ablation:
    """One figure of the paper.

    Attributes:
        name: what the command calls it.
        figure: of the paper.
        measures: what the figure shows; the CSV has all that could be measured.
        variants: label -> the settings that are ``set``, and the ``method`` if it is another;
            ``{grown}`` stands for the margin that masks have grown to in the end.
        setting: instead of them, the one that takes ``values`` and the preset's own; those of a
            step are whole, and of 50. ``label`` names each.
        axis: what the values are, or None.
        method: of the variants.
        faces: paint only portraits, of single descriptions, with the identity generator alone.
        poses: paint single descriptions with their heads turned, an angle a scene.
        paint: False stops after the portraits.
        sets: stories, or descriptions, by default.
        scenes: of each story, by default.
        shown: scenes of one story in the figure, at most.
    """

    name: str
    figure: str
    measures: Sequence[str]
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    setting: str = ""
    values: Sequence[float] = ()
    label: str = ""
    axis: str | None = None
    method: str = OURS
    faces: bool = False
    poses: bool = False
    paint: bool = True
    sets: int = 10
    scenes: int = 10
    shown: int = 3

    @property
    def of_steps(self) -> bool:
        """Whether the values are steps, which go from noise to clean."""
        return self.setting == "injection.start"


_FILE = resources.files("identitystory") / "data" / "ablations.toml"
ABLATIONS: Mapping[str, Ablation] = {
    name: Ablation(name, **row)
    for name, row in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()
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
    wanted = _wanted(made, base)
    for label, number, words, method in wanted:
        try:
            preset = with_settings(base, words.split())
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


def _wanted(made: Ablation, base: Preset) -> list[tuple[str, float | None, str, str]]:
    """Label, number, settings and method of each variant."""
    if made.setting:
        values = set(made.values)
        if made.of_steps:
            values = {round(value * base.num_steps / 50) for value in values}
        ordered = sorted(values | {settings(base)[made.setting]}, reverse=made.of_steps)
        return [
            (made.label.format(value), value, f"{made.setting}={value}", made.method)
            for value in ordered
            if value or not made.of_steps
        ]
    grown = base.injection.margin + base.injection.k_max
    return [
        (label, None, row.get("set", "").format(grown=grown), row.get("method", made.method))
        for label, row in made.variants.items()
    ]
