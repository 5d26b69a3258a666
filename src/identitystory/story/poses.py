"""Poses of a story file, ``pose = {yaw = -30}``, from their entries to the `pose.Pose` that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import StoryError, did_you_mean, quoted
from ..pose import Pose
from ..types import Scene
from . import text
from .pose_entry import PoseEntry

MAX_FILE = 8 << 20  # bytes of a picture


def poses_of(
    entry: PoseEntry | dict[str, PoseEntry] | None,
    cast: Sequence[str],
    place: str,
    folder: Path | None,
) -> tuple[Pose, ...]:
    """The poses of one scene; those of another scene are still to be found (`taken_over`).

    Args:
        entry: as the file has it.
        cast: of the scene.
        place: names it in errors.
        folder: the story's, that pictures lie in; None if it has none.

    Raises:
        StoryError: a number out of range, a name that is not of the cast, a picture that is none.
    """
    if entry is None:
        return ()
    place = f"{place}: 'pose'"
    if isinstance(entry, dict):
        named = text.by_name(entry, place)
        return tuple(_pose(each, name, cast, f"{place}: {name!r}") for name, each in named.items())
    told = entry.model_dump(by_alias=True, exclude_none=True)
    whole = [key for key in ("file", "from") if key in told]
    if not whole:
        if len(cast) != 1:
            names = quoted(cast) if cast else "nobody"
            raise StoryError(
                f"{place} must say whose, pose = {{Mara = {{yaw = 20}}}}; here is {names}"
            )
        return (_pose(entry, cast[0], cast, place),)
    if more := [key for key in told if key not in ("kind", whole[0])]:
        raise StoryError(f"{place} has {whole[0]!r}, which says all; leave out {more[0]!r}")
    if entry.file is not None:
        return (_made({"picture": _picture(entry.file, place, folder), **_kind(entry)}, place),)
    return (_made({"source": entry.source, "kind": entry.kind or "depth"}, place),)


def _kind(entry: PoseEntry) -> dict[str, str]:
    return {"kind": entry.kind} if entry.kind else {}


def _pose(entry: PoseEntry, name: str, cast: Sequence[str], place: str) -> Pose:
    """Somebody's."""
    who = text.plain_name(name)
    if who not in cast:
        hint = did_you_mean(who, cast, otherwise=f" There are: {quoted(cast)}." if cast else "")
        raise StoryError(f"{place}: {who!r} is not in the scene.{hint}")
    values = entry.model_dump(by_alias=True, exclude_none=True)
    if more := [key for key in ("file", "from", "kind") if key in values]:
        raise StoryError(f"{place}: {more[0]!r} is of a whole scene; give the head's angles")
    return _made({"who": who, **values}, place)


def _made(values: dict[str, Any], place: str) -> Pose:
    try:
        return Pose(**values)
    except ValueError as error:
        raise StoryError(f"{place}: {error}") from None


def _picture(name: str, place: str, folder: Path | None) -> str:
    """A picture in the story's folder, small, as a pose keeps it."""
    from ..skeleton import packed

    if folder is None:
        raise StoryError(f"{place}: a picture is read beside a story's file, and here is none")
    try:
        file = (folder / name).resolve(strict=True)
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            raise StoryError(f"{place}: {name!r} is no file in the story's folder")
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ValueError(f"it is larger than {MAX_FILE >> 20} MiB")
        return packed(content)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryError(f"{place}: {name!r} cannot be read: {reason}") from None


def taken_over(scenes: Sequence[Scene], source: str) -> list[Scene]:
    """``scenes`` with the poses that are those of other scenes.

    A scene's own poses are taken over as they are, for those who are in both; where it has none, the
    pose stays its number, and is found in its template when that is painted.

    Raises:
        StoryError: there is no such scene, or nobody of its poses is in this one.
    """
    made = []
    for number, scene in enumerate(scenes, 1):
        wanted = scene.pose[0].source if scene.pose else 0
        if wanted:
            place = f"{source}: scene {number}: 'pose'"
            if not 1 <= wanted <= len(scenes) or wanted == number:
                raise StoryError(f"{place}: there is no other scene {wanted} to take it from")
            other = scenes[wanted - 1].pose
            if other and other[0].source:
                raise StoryError(f"{place}: scene {wanted} takes its own from another scene")
            shared = tuple(p for p in other if not p.who or p.who in scene.cast)
            if other and not shared:
                raise StoryError(f"{place}: nobody of scene {wanted}'s poses is in this scene")
            scene = replace(scene, pose=shared or scene.pose)
        made.append(scene)
    return made
