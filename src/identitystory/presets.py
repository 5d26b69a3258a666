"""The named configurations.

`paper` is the letter of the paper, `release` what the authors' published code does, `recommended`
what a story should be made with, `fast` and `low-vram` the same with fewer network calls or less
memory.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from .checked import MOST, Checked, meant, number, whole
from .config import Average, DiscoveryConfig, IdentityWords, Preset, Sampler
from .errors import ConfigError

DEFAULT_PRESET = "recommended"
FEW_STEPS = 8  # of a portrait in a short search; the distilled LoRAs are made for them
GUIDED_BY_MODEL = ("recommended", "fast", "low-vram")  # what the paper fixes is the same for all


@dataclass(frozen=True)
class Suits(Checked):
    """What a checkpoint is used with; its card says it. The values here are those of SDXL's size.

    Attributes:
        guidance: scale for portraits, templates and re-denoising, at least 1.
        steps: t, at least 1.
        search_steps: of a portrait; None is as many as a frame takes.
        sampler: ``ddim``, ``euler`` or ``ancestral``.
        stories: the story set that its words are in, see `story.sets.load_sets`.
        caveats: sentences on the page of results of what was painted with it.
        negative: negative prompt of all pictures; None is none at all, the zeros that SDXL learned
            to paint without words from.
        identity_words: see `InjectionConfig`. At SDXL's size the paper's: no others were measured.
        average: see `DiscoveryConfig`; with every preset, for it follows what an embedding is.
        start: t' of ``steps`` where equal steps are other noise than the paper's, the step that is as
            noisy; with every preset, in proportion. None leaves the preset's.
    """

    guidance: float = number(5.0, 1.0, 100.0, "1 is none")
    steps: int = whole(50, 1, MOST, "t")
    search_steps: int | None = whole(None, 1, MOST, "of a portrait")
    sampler: Sampler = "ddim"
    stories: str = "consistory_human"
    caveats: tuple[str, ...] = ()
    negative: str | None = None
    identity_words: IdentityWords = "description"
    average: Average = "mean"
    start: int | None = whole(None, 0, MOST, "t' at these steps")

    def __post_init__(self) -> None:
        """Checks that all of it can be.

        Raises:
            ConfigError: it cannot.
        """
        super().__post_init__()
        texts = (("stories", [self.stories]), ("negative", [self.negative or ""]))
        for name, words in (*texts, ("caveats", self.caveats)):
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be text")
        object.__setattr__(self, "caveats", tuple(self.caveats))


def _read() -> dict[str, Preset]:
    """The presets of data/presets.toml by name."""
    data = resources.files("identitystory") / "data" / "presets.toml"
    tables: dict[str, dict[str, Any]] = tomllib.loads(data.read_text(encoding="utf-8"))
    found: dict[str, Preset] = {}
    for name, own in tables.items():
        base = found[own.pop("like")] if "like" in own else Preset(name)
        for part in own.keys() & {"discovery", "injection"}:
            own[part] = replace(getattr(base, part), **own[part])
        found[name] = replace(base, name=name, **own)
    return found


def _suited(base: Preset, suits: Suits) -> Preset:
    injection = replace(
        base.injection, negative=suits.negative, identity_words=suits.identity_words
    )
    base = replace(
        base,
        sampler=suits.sampler,
        discovery=replace(base.discovery, negative=suits.negative),
        injection=injection,
    )
    made = with_steps(base, suits.steps)
    if made.discovery.search_steps is None:
        made = with_search_steps(made, suits.search_steps)
    return with_guidance(made, suits.guidance)


def fitted(name: str, suits: Suits) -> Preset:
    """The preset called ``name``, with guidance, sampler, steps and words that suit a checkpoint.

    `models.files.suited.preset` reads them from the checkpoint's card.

    Raises:
        ConfigError: there is none; says which there are and which was probably meant.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}.{meant(name, PRESETS)}")
    made = PRESETS[name]
    if name in GUIDED_BY_MODEL:
        made = _suited(made, suits)
    made = replace(made, discovery=replace(made.discovery, average=suits.average))
    if suits.start is None:
        return made
    start = round(suits.start * made.num_steps / suits.steps)
    return replace(made, injection=replace(made.injection, start=start))


def with_steps(base: Preset, steps: int) -> Preset:
    """``base`` with t = ``steps``; t' follows in proportion, and portraits never take more.

    Raises:
        ConfigError: it is below 1 or above ``MOST``.
    """
    if not 1 <= steps <= MOST:
        raise ConfigError(f"there are {steps} steps; it must be at least 1 and at most {MOST}")
    start = round(base.injection.start * steps / base.num_steps)
    injection = replace(base.injection, start=start)
    changed = replace(base, num_steps=steps, injection=injection)
    return with_search_steps(changed, None) if changed.portrait_steps > steps else changed


def with_search_steps(base: Preset, steps: int | None) -> Preset:
    """``base`` with portraits of so many steps; None is as many as a frame takes."""
    return replace(base, discovery=replace(base.discovery, search_steps=steps))


def with_distilled(base: DiscoveryConfig, on: bool) -> DiscoveryConfig:
    """``base`` with portraits of a few-step LoRA, or without.

    On: the 64 portraits of the paper in `FEW_STEPS` steps without guidance, 512 evaluations. Off
    again: guided steps cost two evaluations each, so 40 portraits, 640 evaluations.
    """
    count = 64 if on else 40
    return replace(base, distilled=on, num_portraits=count, search_steps=FEW_STEPS)


def with_guidance(base: Preset, guidance: float) -> Preset:
    """``base`` with one guidance scale for portraits, templates and re-denoising.

    Raises:
        ConfigError: it is below 1.
    """
    return replace(
        base,
        discovery=replace(base.discovery, guidance=guidance),
        injection=replace(base.injection, guidance_template=guidance, guidance_identity=guidance),
    )


PRESETS: Mapping[str, Preset] = {
    name: _suited(base, Suits()) if name in GUIDED_BY_MODEL else base
    for name, base in _read().items()
}
