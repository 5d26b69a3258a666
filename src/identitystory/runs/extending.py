"""The request for a run with more scenes at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import RunError, shown
from ..story.scenes import check_ids
from ..types import Scene, Story
from ..wording import styled
from .request import RunRequest, recorded, story_to_dict


def extended(out: Path, more: Story) -> tuple[RunRequest, int]:
    """The request for the run at ``out`` with the scenes of ``more`` added, and how many are new.

    Scenes that the run already ends with are not added again, so that a run that was cut off is
    finished by the same command. Without a style or a shape of ``more`` they have the run's.

    Raises:
        RunError: there is no run, it is of another style or has other LoRAs than ``more``, or one of
            its characters is described otherwise there.
        StoryError: two scenes would have the same id.
    """
    story = (request := recorded(out)).story
    _check_fits(out, story, more)
    known = {c.name for c in story.characters}
    first = len(story.scenes) - len(more.scenes)
    if first >= 0 and story.scenes[first:] == _added(story, more, first):
        return request, 0
    characters = story.characters + tuple(c for c in more.characters if c.name not in known)
    scenes = (*story.scenes, *_added(story, more, len(story.scenes)))
    check_ids(scenes, f"{out} with these scenes")
    longer = replace(story, characters=characters, scenes=scenes)
    return replace(request, story=longer), len(more.scenes)


def _check_fits(out: Path, story: Story, more: Story) -> None:
    known = {c.name: c for c in story.characters}
    for c in more.characters:
        old = known.get(c.name, c)
        if (old.description, old.face, old.seed) != (c.description, c.face, c.seed):
            raise RunError(
                f"{c.name!r} is {old.description!r} in {out}, not {c.description!r}"
                f"{', or has another face' * ((old.face, old.seed) != (c.face, c.seed))}; give the new character another name"
            )
    if more.style not in ("", story.style):
        raise RunError(
            f"the new scenes have the style {shown(more.style)}, but {out} has "
            f"{shown(story.style) if story.style else 'none'}; leave the style out, or paint them as "
            "a story of their own"
        )
    loras = [story_to_dict(each, out).get("loras", []) for each in (more, story)]
    if loras[0] and loras[0] != loras[1]:
        raise RunError(
            f"the new scenes have other LoRAs than {out}; leave 'lora' out, or paint them as a story "
            "of their own"
        )


def _added(story: Story, more: Story, first: int) -> Sequence[Scene]:
    """The scenes of ``more`` as they stand in ``story`` behind ``first`` of its own."""
    style = "" if more.style else story.style
    shape = "" if more.shape == story.shape else more.shape
    return tuple(
        replace(
            scene,
            prompt=styled(style, scene.prompt),
            shape=scene.shape or shape,
            pose=tuple(replace(p, source=p.source and p.source + first) for p in scene.pose),
        )
        for scene in more.scenes
    )
