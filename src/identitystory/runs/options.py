"""From options to a ``RunRequest``: the same for every door.

A folder that already holds a run keeps its own settings unless told otherwise, so that
``--only 3 --seed 9`` and ``extend`` need not repeat what the run was started with.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import DiscoveryConfig, Preset
from ..errors import ConfigError
from ..methods.registry import check_method
from ..presets import preset, with_distilled, with_guidance, with_steps
from ..sizes import shape_of
from ..story.file import slug
from ..types import Story
from .folder import RunFolder
from .request import RunRequest, extended, from_picture, recorded

DEFAULT_PRESET = "recommended"


def default_folder(story: Story) -> Path:
    """``runs/<the title as a folder name>``."""
    return Path("runs") / slug(story.title)


def new_request(
    story: Story,
    out: Path | None = None,
    *,
    preset_name: str | None = None,
    steps: int | None = None,
    portraits: int | None = None,
    guidance: float | None = None,
    compiled: bool | None = None,
    reuse: int | None = None,
    distilled: bool | None = None,
    batch: int | None = None,
    seed: int | None = None,
    only: tuple[int, ...] = (),
    paint: bool = True,
    method: str | None = None,
    size: str | None = None,
    aspect: str | None = None,
    **where: str | None,
) -> RunRequest:
    """The request for ``story`` in ``out``; whatever is None is the folder's own, or the default.

    Args:
        story: what to make.
        out: the run folder; None is ``default_folder``.
        preset_name: see config.PRESETS.
        steps: t; t' follows in proportion, and portraits never take more.
        portraits: m; the rank follows where there would be too few rows for it.
        guidance: of portraits, templates and re-denoising; None is the preset's.
        compiled: see ``config.Preset``.
        reuse: see ``config.Preset``.
        distilled: see ``config.DiscoveryConfig``; sets portraits and their steps too.
        batch: see ``config.Preset``.
        seed: see ``RunRequest``.
        only: see ``RunRequest``.
        paint: see ``RunRequest``.
        method: see ``RunRequest``.
        size: ``1216x832``, of scenes that have no shape of their own.
        aspect: ``16:9``, likewise: the nearest size that the model was made for.
        **where: ``model``, ``device``, ``dtype``.

    Raises:
        IdentityStoryError: a name or number that does not exist, or a folder of another format.
    """
    out = out or default_folder(story)
    model = where.get("model") or "miniature"
    request = RunRequest(story, out, preset(DEFAULT_PRESET, model))
    if out.is_dir() and RunFolder(out).record.is_file():
        before = recorded(out)
        whole = before.story if only and _begins(before.story, story) else story
        request = replace(before, story=whole)
    if preset_name is not None:
        request = replace(request, preset=preset(preset_name, where.get("model") or request.model))
    configuration, notes = overridden(
        request.preset,
        steps=steps,
        portraits=portraits,
        guidance=guidance,
        compiled=compiled,
        reuse=reuse,
        distilled=distilled,
        batch=batch,
    )
    given: dict[str, Any] = {key: value for key, value in where.items() if value is not None}
    if method is not None:
        given["method"] = check_method(method)
    if shape := shape_of(size, aspect):
        given["shape"] = shape
    return replace(
        request,
        preset=configuration,
        notes=notes,
        seed=seed,
        only=only,
        paint=paint,
        **given,
    )


def _begins(whole: Story, story: Story) -> bool:
    """Whether ``whole`` is ``story``, perhaps with more characters and scenes at its end.

    Single frames of it are then painted in the whole story, so that what was added is not dropped.
    """
    characters = whole.characters[: len(story.characters)]
    return story == replace(whole, characters=characters, scenes=whole.scenes[: len(story.scenes)])


def longer_request(out: Path, more: Story) -> tuple[RunRequest, int]:
    """The run at ``out`` with the scenes of ``more``, and how many of them are new to it."""
    return extended(out, more)


def again_request(picture: Path, out: Path | None = None, **where: str | None) -> RunRequest:
    """The request that makes a frame again from what its PNG says; ``where`` as ``new_request``.

    Raises:
        RunError: there is no such picture, or it does not say how it was made.
    """
    given = {key: value for key, value in where.items() if value is not None}
    request = from_picture(picture, out or Path(), model=given.pop("model", None))
    if out is None:
        request = replace(request, out=Path("runs") / f"{slug(request.story.title)}-again")
    return replace(request, **given)  # type: ignore[arg-type]


def overridden(
    base: Preset,
    *,
    steps: int | None = None,
    portraits: int | None = None,
    guidance: float | None = None,
    compiled: bool | None = None,
    reuse: int | None = None,
    distilled: bool | None = None,
    batch: int | None = None,
) -> tuple[Preset, tuple[str, ...]]:
    """``base`` with other numbers, and a sentence for each that had to follow.

    Raises:
        ConfigError: a number is out of range.
    """
    notes: list[str] = []
    if guidance is not None:
        base = with_guidance(base, guidance)
    if compiled is not None:
        base = replace(base, compiled=compiled)
    if reuse is not None:
        base = replace(base, reuse=reuse)
    if distilled is not None and distilled != base.discovery.distilled:
        base = replace(base, discovery=with_distilled(base.discovery, distilled))
    if batch is not None:
        base = replace(base, batch=batch)
    if steps is not None and steps != base.num_steps:
        base = with_steps(base, steps)
    if portraits is not None and portraits != base.discovery.num_portraits:
        discovery, notes = _fewer(base.discovery, portraits)
        base = replace(base, discovery=discovery)
    return base, tuple(notes)


def _fewer(config: DiscoveryConfig, portraits: int) -> tuple[DiscoveryConfig, list[str]]:
    """The configuration for that many portraits, with rank and rounds that they allow."""
    try:
        return replace(config, num_portraits=portraits), []
    except ConfigError:
        if portraits < 1:
            raise
    for rounds in range(config.iterations, 0, -1):
        for rank in range(config.rank, 0, -1):
            try:
                changed = replace(config, num_portraits=portraits, iterations=rounds, rank=rank)
            except ConfigError:
                continue
            return changed, [
                f"{portraits} portraits are few: the filter runs {rounds} rounds at rank {rank} "
                f"instead of {config.iterations} at {config.rank}"
            ]
    changed = replace(config, num_portraits=portraits, iterations=0)
    return changed, [f"{portraits} portraits are too few to filter; all of them are averaged"]
