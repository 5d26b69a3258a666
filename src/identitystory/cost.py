"""Network calls of a run, known in advance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .config import Preset
from .types import WHOLE, Interval, guided


def count_evaluations(
    steps: int,
    start: int,
    characters_found: int,
    *,
    templates: int = 1,
    portraits: int = 0,
    interval: Interval = WHOLE,
) -> int:
    """U-Net evaluations, known in advance: 2t a template and a portrait, 2t' a character found.

    100 + 80·s for a frame with t = 50, t' = 40. A step outside the guidance interval costs one
    evaluation instead of two.

    Args:
        steps: t.
        start: t'.
        characters_found: summed over all frames.
        templates: frames, retries counted.
        portraits: summed over all characters.
        interval: where guidance is on, see `types.guided`.
    """
    costs = [2 if guided(i, steps, interval) else 1 for i in range(1, steps + 1)]
    return sum(costs) * (templates + portraits) + sum(costs[:start]) * characters_found


def frame_evaluations(preset: Preset, characters_found: int, *, templates: int = 1) -> int:
    """U-Net evaluations of frames painted as ``preset`` says, summed as in `count_evaluations`.

    Guidance of 1 is none: such a step costs one evaluation, wherever the interval lies.
    """
    config, steps = preset.injection, preset.num_steps
    count = partial(count_evaluations, steps, config.start)
    within = lambda guidance: config.guidance_interval if guidance > 1 else (0.0, 0.0)
    painted = count(0, templates=templates, interval=within(config.guidance_template))
    injected = within(config.guidance_identity)
    return painted + count(characters_found, templates=0, interval=injected)


def frame_worth(preset: Preset, shares: Sequence[float]) -> float:
    """What a frame costs in network calls' worth: each counts by the part of the picture that it sees.

    Without windows it is `frame_evaluations`.

    Args:
        preset: how it is painted.
        shares: of each character found, the share of the picture that their window has, 1 without one.
    """
    template = frame_evaluations(preset, 0)
    return template + sum(shares) * (frame_evaluations(preset, 1) - template)


def search_evaluations(preset: Preset) -> int:
    """U-Net evaluations that finding one character costs at most."""
    config = preset.discovery
    return count_evaluations(
        preset.portrait_steps,
        0,
        0,
        templates=0,
        portraits=config.num_portraits,
        interval=config.guidance_interval if config.portrait_guidance > 1 else (0.0, 0.0),
    )
