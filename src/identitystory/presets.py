"""The named configurations.

`paper` is the letter of the paper, `release` what the authors' published code does, `recommended`
what a story should be made with, `fast` and `low-vram` the same with fewer network calls or less
memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .config import DiscoveryConfig, InjectionConfig, Preset, _meant
from .errors import ConfigError

DEFAULT_PRESET = "recommended"
FEW_STEPS = 8  # of a portrait in a short search; the distilled LoRAs are made for them
# Guidance, sampler and steps of the presets that the paper does not fix. The miniature's faces come
# apart above 3 and without new noise, and with new noise 20 steps show more faces, and more alike,
# than 50 (dev/log.md); checkpoints of SDXL's size are used with 5 to 7 and the paper's 50 steps.
MINIATURE_GUIDANCE, FULL_SIZE_GUIDANCE = 3.0, 5.0
MINIATURE_STEPS, FULL_SIZE_STEPS = 20, 50
GUIDED_BY_MODEL = ("recommended", "fast", "low-vram")
_RELEASE_SEARCH_NEGATIVE = (
    "(asymmetry, worst quality, low quality, illustration, 3d, 2d, painting, cartoons, sketch)"
)

# Of negative prompts: all presets but `release` have an empty one (""), as the paper names none, and
# not diffusers' zeros (None), which a checkpoint may not have been trained with.
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
        sampler="ancestral",
        num_steps=MINIATURE_STEPS,
        discovery=DiscoveryConfig(
            search_prompt="a portrait of {description}",
            guidance=MINIATURE_GUIDANCE,
            negative="",
            search_steps=FEW_STEPS,  # as near to a full search as another seed, docs/explanation/performance.md
        ),
        injection=InjectionConfig(
            start=16,  # four fifths of the steps, as in the paper
            guidance_template=MINIATURE_GUIDANCE,
            guidance_identity=MINIATURE_GUIDANCE,
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


def preset(name: str, model: str = "miniature") -> Preset:
    """The preset called ``name``, with guidance, sampler and steps that suit ``model``.

    Searching in few steps was measured on the miniature alone; elsewhere only ``fast`` does so.

    Raises:
        ConfigError: there is none; says which there are and which was probably meant.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}. {_meant(name, PRESETS)}")
    if name not in GUIDED_BY_MODEL or model == "miniature":
        return PRESETS[name]
    full_size = with_steps(dataclasses.replace(PRESETS[name], sampler="ddim"), FULL_SIZE_STEPS)
    if name != "fast":
        full_size = with_search_steps(full_size, None)
    return with_guidance(full_size, FULL_SIZE_GUIDANCE)


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
