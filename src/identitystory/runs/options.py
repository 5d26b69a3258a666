"""From options to a ``RunRequest``: the same for every door.

A folder that already holds a run keeps its own settings unless told otherwise, so that
``--only 3 --seed 9`` and ``extend`` need not repeat what the run was started with.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ..errors import RunError
from ..methods.registry import check_method
from ..models.files.catalogue import DEFAULT_MODEL
from ..models.files.names import on_base
from ..models.files.suited import preset
from ..presets import DEFAULT_PRESET
from ..settings import Overrides, overridden
from ..sizes import shape_of
from ..story.file import slug
from ..story.scenes import recast
from ..types import Story, plain
from .files import part_key
from .folder import RunFolder
from .request import RunRequest, from_picture, recorded


def default_folder(
    story: Story,
    source: str = "",
    parent: Path | None = None,
    taken: Collection[Path] = (),
) -> Path:
    """``runs/<the title as a folder name>``, or with more letters if that is another story's.

    Args:
        story: whose pictures go there.
        source: `source_of` its file; empty for a story that is typed.
        parent: instead of ``runs``, if it is given.
        taken: folders that will be another story's.
    """
    folder = (parent or Path("runs")) / slug(story.title)
    if RunFolder(folder).record.is_file():
        there = recorded(folder)
        same = source == there.source if source and there.source else _related(story, there.story)
    else:
        same = folder not in taken
    if same:
        return folder
    more = part_key([source, [c.description for c in story.characters]])[:6]
    return folder.with_name(f"{folder.name}-{more}")


def source_of(file: str | Path) -> str:
    """What tells a story's file from others of its name: a hash of where it lies, not the place."""
    return part_key(["source", str(Path(file).resolve())])[:12]


def _related(one: Story, other: Story) -> bool:
    """Whether two stories have somebody or a scene in common."""
    people = {(c.name, c.description) for c in one.characters}
    scenes = {scene.text for scene in one.scenes}
    return any((c.name, c.description) in people for c in other.characters) or any(
        scene.text in scenes for scene in other.scenes
    )


def new_request(
    story: Story,
    out: Path | None = None,
    overrides: Overrides = Overrides(),
    *,
    preset_name: str | None = None,
    seed: int | Literal["random"] | None = None,
    only: tuple[int, ...] = (),
    paint: bool = True,
    method: str | None = None,
    size: str | None = None,
    aspect: str | None = None,
    file: str | Path | None = None,
    max_takes: int | None = None,
    metadata: bool | None = None,
    marks: bool | None = None,
    enlarge: int = 1,
    unknown: str | None = None,
    **where: str | None,
) -> RunRequest:
    """The request for ``story`` in ``out``; whatever is None is the folder's own, or the default.

    Args:
        story: what to make.
        out: the run folder; None is ``default_folder``.
        overrides: what stands instead of the preset's numbers.
        preset_name: see presets.PRESETS.
        seed: see ``RunRequest``; ``random`` draws one, unless a whole run is there and has its own.
        only: see ``RunRequest``.
        paint: see ``RunRequest``.
        method: see ``RunRequest``.
        size: ``1216x832``, of scenes that have no shape of their own.
        aspect: ``16:9``, likewise: the nearest size that the model was made for.
        metadata: see ``RunRequest``.
        marks: see ``RunRequest``.
        file: the story's, so that another of the same title has another folder.
        max_takes: see ``RunRequest``.
        enlarge: see ``RunRequest``.
        unknown: see ``RunRequest``; ``warn`` is empty there.
        **where: ``model``, ``device``, ``dtype``; a model of LoRAs alone is these on the folder's own.

    Raises:
        IdentityStoryError: a name or number that does not exist, or a folder of another format.
    """
    source = "" if file is None else source_of(file)
    out = out or default_folder(story, source)
    given: dict[str, Any] = {key: value for key, value in where.items() if value is not None}
    named = on_base(given.get("model", ""), DEFAULT_MODEL)
    request = RunRequest(story, out, preset(DEFAULT_PRESET, named))
    there = RunFolder(out).record.is_file()
    if there:
        before = recorded(out)
        story = _with_chosen(story, before.story)
        whole = before.story if only and _begins(before.story, story) else story
        same = source and source == before.source
        if not same and not _related(story, before.story):
            raise RunError(
                f"{out} holds the run of another story, {before.story.title!r}; choose another "
                "folder with --out"
            )
        request = replace(before, story=whole)
    if "model" in given:
        given["model"] = on_base(given["model"], request.model)
    if preset_name is not None:
        request = replace(request, preset=preset(preset_name, given.get("model", request.model)))
    configuration, notes = overridden(request.preset, overrides)
    if metadata is not None:
        given["metadata"] = metadata
    if marks is not None:
        given["marks"] = marks
    if unknown is not None:
        given["unknown"] = unknown.replace("warn", "")
    if method is not None:
        given["method"] = check_method(method)
    if shape := shape_of(size, aspect):
        given["shape"] = shape
    if max_takes is not None:
        given["max_takes"] = max_takes
    if seed == "random":
        seed = None if there and not only else secrets.randbelow(2**32)
        if seed is None:
            notes += ("the run goes on with its own seed; only a new run or --only draws another",)
    given |= {"source": source or request.source, "enlarge": enlarge}
    return replace(
        request, preset=configuration, notes=notes, seed=seed, only=only, paint=paint, **given
    )


def _with_chosen(story: Story, before: Story) -> Story:
    """``story`` with the candidates that were chosen in its run, see `audition`, as long as its words stand."""
    for who in before.characters:
        own = {c.name: c for c in story.characters}.get(who.name)
        if own is None or own.face or not who.face or own.seed != who.seed:
            continue
        if who.sought == (own.name, own.description):
            story = recast(story, replace(who, wears=own.wears))
    return story


def _begins(whole: Story, story: Story) -> bool:
    """Whether ``whole`` is ``story``, perhaps with more characters and scenes at its end.

    Single frames of it are then painted in the whole story, so that what was added is not dropped.
    """
    characters = whole.characters[: len(story.characters)]
    scenes = whole.scenes[: len(story.scenes)]
    return story == replace(whole, characters=characters, scenes=scenes, loras=story.loras)


def again_request(picture: Path, out: Path | None = None, **where: str | None) -> RunRequest:
    """The request that makes a frame again from what its PNG says; ``where`` as ``new_request``.

    Without ``out`` it is ``runs/TITLE-again``, or with more letters if that is of other scenes.

    Raises:
        RunError: there is no such picture, it does not say how it was made, or ``out`` holds a run of
            other scenes, which would no longer be in it.
    """
    given = {key: value for key, value in where.items() if value is not None}
    request = from_picture(picture, out or Path(), model=given.pop("model", None))
    story = request.story
    if out is None:
        out = Path("runs") / f"{slug(story.title)}-again"
        if not _free(out, story):
            out = out.with_name(f"{out.name}-{part_key(plain(story))[:6]}")
    if not _free(out, story):
        raise RunError(
            f"{out} holds a run of other scenes, which the picture's would replace; choose another "
            "folder with --out"
        )
    return replace(request, out=out, **given)  # type: ignore[arg-type]


def _free(out: Path, story: Story) -> bool:
    """Whether a folder holds no run, or that of this very story."""
    return not RunFolder(out).record.is_file() or recorded(out).story == story
