"""What most methods have in common: a prompt, guidance, and keys that tell their frames apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Self

from ..config import Preset
from ..types import Prompt, Scene, Story, plain
from ..wording import negative
from .method import Method, Sources, Work, for_the_last

TOGETHER = 128  # frames that are told one by one in each other's keys; more are told as one hash


@for_the_last
def _frame(sources: Sources, n: int) -> dict[str, Any]:
    """What frame ``n`` is made from, whoever looks at it."""
    scene, keys = sources.story.scenes[n], sources.identities
    cast = [sources.story.character(name) for name in scene.cast]
    return {
        "scene": plain(replace(scene, id="")),
        "cast": [plain(c) for c in cast],
        "faces": {c.name: keys[c.name] for c in cast if c.name in keys},
        "seed": sources.seeds[n],
    }


@for_the_last
def _together(sources: Sources, frames: Sequence[int]) -> str:
    """What all of ``frames`` are made from, as one hash."""
    told = [_frame(sources, n) for n in frames]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class BaseMethod(Method):
    """What a method is unless it says otherwise: every frame painted from its prompt, by itself.

    Attributes:
        guidance: scale of classifier-free guidance.
        negative: negative prompt; None is SDXL's "no negative prompt".
    """

    recipe: ClassVar[int] = 1  # counts up when the same settings start to give other pictures

    guidance: float = 5.0
    negative: str | None = ""

    @classmethod
    def of(cls, preset: Preset) -> Self:
        """With its authors' guidance in ``paper`` and ``release``, else with the preset's.

        Any other preset is made for the checkpoint at hand: methods are compared and not scales.
        """
        return cls() if preset.name in ("paper", "release") else cls(**cls.changes(preset))

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """The settings that follow a preset made for the checkpoint at hand."""
        return {"guidance": preset.injection.guidance_template}

    def settings(self) -> dict[str, Any]:
        """Its fields as plain values, as a run records them; part of a frame's key."""
        return asdict(self) | ({"recipe": self.recipe} if self.recipe > 1 else {})

    def group(self, story: Story, index: int) -> Sequence[int]:
        """The frames that all look at one another, ascending, frame ``index`` among them; itself."""
        return (index,)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """The others of its group."""
        return tuple(n for n in self.group(story, index) if n != index)

    def prompts(self, story: Story, index: int) -> Iterator[tuple[str, str]]:
        """The scene's, its negative one, and the first of the cast with its face."""
        scene = story.scenes[index]
        yield scene.prompt, ""
        yield negative(self.negative, scene) or "", ""
        if self.needs_identities and scene.cast:
            yield scene.prompt, story.character(scene.cast[0]).noun

    def inputs(self, sources: Sources, index: int) -> dict[str, Any]:
        """Its settings, the frame, and the frames that it looks at."""
        own = {"method": [self.name, self.settings()], "frame": _frame(sources, index)}
        group = self.group(sources.story, index)
        if len(group) > TOGETHER:
            return own | {"beside": _together(sources, group), "before": group.index(index)}
        beside = self.depends(sources.story, index)
        return own | {
            "beside": [_frame(sources, d) for d in beside],
            "before": sum(d < index for d in beside),
        }

    def facts(self, sources: Sources, index: int) -> dict[str, Any]:
        """With the whole story, and the seeds of the frames that it looks at."""
        story, scene = sources.story, sources.story.scenes[index]
        frames = sorted((index, *self.depends(story, index)))
        return {
            "method": {"name": self.name, "settings": self.settings()},
            "scene": plain(scene),
            "characters": [plain(story.character(name)) for name in scene.cast],
            "story": plain(story),
            "index": index,
            "frame_seeds": {str(n): sources.seeds[n] for n in frames},
        }

    @property
    def per_step(self) -> int:
        """Network calls of a sample and step: 2, or 1 where guidance is 1, which is none."""
        return 1 if self.guidance == 1 else 2

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame, t without guidance."""
        return self.per_step * steps * len(wanted)

    def said(self, work: Work, frames: Sequence[int]) -> list[Prompt]:
        """What ``frames`` are painted from, with the method's guidance and negative prompt."""
        scenes, seeds = work.story.scenes, work.seeds
        return [self.prompt(scenes[n].prompt, scenes[n], seeds[n]) for n in frames]

    def prompt(self, text: str, scene: Scene, seed: int) -> Prompt:
        """``text`` with the method's guidance, and its negative prompt and the scene's."""
        return Prompt(text, negative(self.negative, scene), self.guidance, seed=seed)
