"""The named configurations.

`paper` is the letter of the paper, `release` what the authors' published code does, `recommended`
what a story should be made with, `fast` and `low-vram` the same with fewer network calls or less
memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from .config import (
    DiscoveryConfig,
    InjectionConfig,
    Preset,
    Sampler,
    _meant,
    _number,
    _one_of,
    _whole,
)
from .errors import ConfigError

DEFAULT_PRESET = "recommended"
FEW_STEPS = 8  # of a portrait in a short search; the distilled LoRAs are made for them
GUIDED_BY_MODEL = ("recommended", "fast", "low-vram")  # what the paper fixes is the same for all
_RELEASE_SEARCH_NEGATIVE = (
    "(asymmetry, worst quality, low quality, illustration, 3d, 2d, painting, cartoons, sketch)"
)


@dataclass(frozen=True)
class Suits:
    """What a checkpoint is used with; its card says it. The values here are those of SDXL's size.

    Attributes:
        guidance: scale for portraits, templates and re-denoising, at least 1.
        steps: t, at least 1.
        search_steps: of a portrait; None is as many as a frame takes.
        sampler: ``ddim``, ``euler`` or ``ancestral``.
        stories: the story set that its words are in, see `story.sets.load_sets`.
        caveats: sentences on the page of results of what was painted with it.
    """

    guidance: float = 5.0
    steps: int = 50
    search_steps: int | None = None
    sampler: Sampler = "ddim"
    stories: str = "consistory_human"
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that all of it can be.

        Raises:
            ConfigError: it cannot.
        """
        _number("guidance", self.guidance, 1.0, 100.0, "1 is none")
        _whole("steps", self.steps, 1, "t")
        if self.search_steps is not None:
            _whole("search_steps", self.search_steps, 1, "of a portrait")
        _one_of("sampler", self.sampler, get_args(Sampler))
        for name, words in (("stories", [self.stories]), ("caveats", self.caveats)):
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be text")
        object.__setattr__(self, "caveats", tuple(self.caveats))


# As they are for a checkpoint without a card, see `fitted`. Of negative prompts: all but `release` have
# an empty one (""), as the paper names none, and not diffusers' zeros (None), which a checkpoint may not
# have been trained with.
PRESETS: Mapping[str, Preset] = {
    "paper": Preset(
        name="paper",
        discovery=DiscoveryConfig(
            rounding="round",  # 14 of 64, the nearest to its 21.6 %
            negative="",
        ),
        injection=InjectionConfig(negative=""),
    ),
    "release": Preset(
        name="release",
        sampler="euler",
        discovery=DiscoveryConfig(negative=_RELEASE_SEARCH_NEGATIVE),
        injection=InjectionConfig(
            start=41,
            margin=10.0,
            negative="noisy, blurry, soft, deformed, ugly",
            refuse_every_step=True,
        ),
        seed_per_frame=False,
    ),
    "recommended": Preset(
        name="recommended",
        discovery=DiscoveryConfig(search_prompt="a portrait of {description}", negative=""),
        injection=InjectionConfig(
            guidance_template=Suits.guidance,
            guidance_identity=Suits.guidance,
            negative="",
            identity_words="scene",  # keeps expressions and clothes, see dev/log.md
        ),
    ),
}
_RECOMMENDED = PRESETS["recommended"]
PRESETS = {
    **PRESETS,
    # 40 portraits of 8 guided steps: 640 evaluations a character, see docs/explanation/performance.md. Rank 10
    # needs 32 rows, so only a search of more than 40 portraits can settle before its end.
    "fast": dataclasses.replace(
        _RECOMMENDED,
        name="fast",
        discovery=dataclasses.replace(
            _RECOMMENDED.discovery,
            num_portraits=40,
            search_steps=FEW_STEPS,
            settle=0.01,
        ),
        injection=dataclasses.replace(
            _RECOMMENDED.injection, guidance_interval=(0.0, 0.6), fallback_nouns=True
        ),
    ),
    "low-vram": dataclasses.replace(
        _RECOMMENDED,
        name="low-vram",
        injection=dataclasses.replace(_RECOMMENDED.injection, fallback_nouns=True),
        memory="low",
    ),
}


def fitted(name: str, suits: Suits) -> Preset:
    """The preset called ``name``, with the guidance, sampler and steps that suit a checkpoint.

    `models.files.suited.preset` reads them from the checkpoint's card.

    Raises:
        ConfigError: there is none; says which there are and which was probably meant.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}. {_meant(name, PRESETS)}")
    if name not in GUIDED_BY_MODEL:
        return PRESETS[name]
    made = with_steps(dataclasses.replace(PRESETS[name], sampler=suits.sampler), suits.steps)
    if made.discovery.search_steps is None:
        made = with_search_steps(made, suits.search_steps)
    return with_guidance(made, suits.guidance)


def with_steps(base: Preset, steps: int) -> Preset:
    """``base`` with t = ``steps``; t' follows in proportion, and portraits never take more.

    Raises:
        ConfigError: it is below 1.
    """
    if steps < 1:
        raise ConfigError(f"there are {steps} steps; it must be at least 1")
    start = round(base.injection.start * steps / base.num_steps)
    injection = dataclasses.replace(base.injection, start=start)
    changed = dataclasses.replace(base, num_steps=steps, injection=injection)
    return with_search_steps(changed, None) if changed.portrait_steps > steps else changed


def with_search_steps(base: Preset, steps: int | None) -> Preset:
    """``base`` with portraits of so many steps; None is as many as a frame takes."""
    return dataclasses.replace(
        base, discovery=dataclasses.replace(base.discovery, search_steps=steps)
    )


def with_distilled(base: DiscoveryConfig, on: bool) -> DiscoveryConfig:
    """``base`` with portraits of a few-step LoRA, or without.

    On: the 64 portraits of the paper in `FEW_STEPS` steps without guidance, 512 evaluations. Off
    again: guided steps cost two evaluations each, so 40 portraits, 640 evaluations.
    """
    count = 64 if on else 40
    return dataclasses.replace(base, distilled=on, num_portraits=count, search_steps=FEW_STEPS)


def with_guidance(base: Preset, guidance: float) -> Preset:
    """``base`` with one guidance scale for portraits, templates and re-denoising.

    Raises:
        ConfigError: it is below 1.
    """
    return dataclasses.replace(
        base,
        discovery=dataclasses.replace(base.discovery, guidance=guidance),
        injection=dataclasses.replace(
            base.injection, guidance_template=guidance, guidance_identity=guidance
        ),
    )
