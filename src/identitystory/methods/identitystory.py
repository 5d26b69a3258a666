"""IdentityStory itself as a method: templates, then each character's face put into them (Sec. 3.2).

The equations are in `injection`, the line from a scene to its frame in `pipeline`. Here is what a
run must know of it: what a frame depends on, what it costs, and how several are painted as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, ClassVar, Self

from torch import Tensor

from ..config import Preset
from ..cost import frame_evaluations
from ..pipeline import find_template, first_latents, inject_together
from ..protocols import Backend
from ..settings import to_dict
from ..types import Frame, Story, Template, plain
from ..wording import identity_prompt, negative, phrases, template_prompt
from .method import Method, Sources, Work


@dataclass(frozen=True)
class IdentityStory(Method):
    """Re-denoising Identity Injection over the general generator's templates.

    Attributes:
        preset: all of its settings; those of ``injection`` above all.
    """

    name: ClassVar[str] = "identitystory"
    needs_identities: ClassVar[bool] = True
    has_templates: ClassVar[bool] = True

    preset: Preset

    @classmethod
    def of(cls, preset: Preset) -> Self:
        """As ``preset`` says, whichever it is."""
        return cls(preset)

    def prompts(self, story: Story, index: int) -> Iterator[tuple[str, str]]:
        """The template's, the negative one, and one for the face of each of the cast."""
        scene, config = story.scenes[index], self.preset.injection
        yield template_prompt(story, scene, config), ""
        yield negative(config.negative, scene) or "", ""
        for character in map(story.character, scene.cast):
            yield identity_prompt(story, scene, character, config), character.noun

    def inputs(self, sources: Sources, index: int) -> dict[str, Any]:
        """Words, identities, seed and settings; names and the other scenes play no part."""
        scene, settings = sources.story.scenes[index], to_dict(self.preset)
        cast = [sources.story.character(name) for name in scene.cast]
        return {
            "prompt": template_prompt(sources.story, scene, self.preset.injection),
            "cast": [[c.description, c.noun, sources.identities[c.name]] for c in cast],
            "seed": sources.seeds[index],
            **{k: v for k in ("shape", "negative") if (v := getattr(scene, k))},
            **{k: settings[k] for k in ("injection", "attempts", "batch") if k in settings},
        }

    def facts(self, sources: Sources, index: int) -> dict[str, Any]:
        """The scene, and who is in it with which identity. Without ``method``, as ever."""
        scene = sources.story.scenes[index]
        cast = [sources.story.character(name) for name in scene.cast]
        return {
            "scene": plain(scene),
            "characters": [plain(c) | {"identity": sources.identities[c.name]} for c in cast],
        }

    def template(self, sources: Sources, index: int) -> tuple[dict[str, Any], int] | None:
        """None in batches, whose templates are painted together and may differ in last bits."""
        if self.preset.batch > 1:
            return None
        story, scene, config = sources.story, sources.story.scenes[index], self.preset.injection
        inputs = {
            "prompt": template_prompt(story, scene, config),
            "cast": list(scene.cast),
            "phrases": phrases(story, scene),
            "nouns": [story.character(name).noun for name in scene.cast],
            "fallback_nouns": config.fallback_nouns,
            "seed": sources.seeds[index],
            "guidance": config.guidance_template,
            "negative": negative(config.negative, scene),
            "interval": list(config.guidance_interval),
            "margin": [config.margin, config.reference_size],
            "attempts": self.preset.attempts,
            "steps": self.preset.num_steps,
            **({"shape": scene.shape} if scene.shape else {}),
        }
        return inputs, frame_evaluations(self.preset, 0)

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame and 2t' a character of its cast, less where guidance is off."""
        people = sum(len(story.scenes[n].cast) for n in wanted)
        preset = replace(self.preset, num_steps=steps)
        return frame_evaluations(preset, people, templates=len(wanted))

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Frame by frame, or ``preset.batch`` of them at a time.

        A batch is painted as a whole even where some of it is there, so that a frame's bytes do not
        depend on where a run was cut off. It is of one size.
        """
        story, config = work.story, self.preset.injection
        for block in self._blocks(story, work.asked or work.wanted):
            wanted = [n for n in block if n in work.wanted]
            if not wanted:
                continue
            scenes = [story.scenes[n] for n in block]
            seeds = [work.seeds[n] for n in block]
            first = first_latents(backend.general, story, scenes, seeds, config)
            templates = []
            for n, latents in zip(block, first, strict=True):
                templates.append(self._template(backend, work, n, latents))
                if n in wanted:
                    work.on_template(n, templates[-1])
            frames = inject_together(
                backend.identity, story, scenes, templates, work.identities, config
            )
            yield from ((n, frame) for n, frame in zip(block, frames, strict=True) if n in wanted)

    def _blocks(self, story: Story, asked: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """``asked`` in batches: neighbours of one shape, ``preset.batch`` of them at most."""
        for _, some in groupby(asked, lambda n: story.scenes[n].shape):
            frames, size = tuple(some), self.preset.batch
            yield from (frames[n : n + size] for n in range(0, len(frames), size))

    def _template(self, backend: Backend, work: Work, n: int, latents: Tensor | None) -> Template:
        """Another run's if it is kept, else painted, from ``latents`` on if they are there."""
        found = work.templates.read(n)
        if found is None:
            found = find_template(
                backend.general,
                backend.segmenter,
                work.story,
                work.story.scenes[n],
                self.preset,
                seed=work.seeds[n],
                latents=latents,
            )
            work.templates.write(n, found)
        return found
