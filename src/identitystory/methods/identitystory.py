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

from ..attempts import best_of_turns, find_template
from ..config import InjectionConfig, Preset
from ..cost import frame_evaluations
from ..errors import StoryError
from ..pipeline import first_latents, inject, inject_together
from ..protocols import Backend
from ..sampling import sized
from ..settings import to_dict
from ..skeleton import control_of, kind_of
from ..types import Control, Frame, Scene, Story, Template, plain
from ..wording import beside, identity_prompt, negative, phrases, template_prompt, worn
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
    heeds_poses: ClassVar[bool] = True

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
        if (source := self._source(story, index)) is not None:
            yield template_prompt(story, story.scenes[source], config), ""
        for character in map(story.character, scene.cast):
            yield identity_prompt(story, scene, character, config), character.noun

    def inputs(self, sources: Sources, index: int) -> dict[str, Any]:
        """Words, identities, seed and settings; names and the other scenes play no part."""
        scene, settings = sources.story.scenes[index], to_dict(self.preset)
        cast = [sources.story.character(name) for name in scene.cast]
        words = template_prompt(sources.story, scene, self.preset.injection)
        wear = [worn(c, scene) for c in cast]
        unsaid = (
            wear != [c.description for c in cast] and words != scene.prompt
        )  # T_i leaves clothes out
        return {
            "prompt": words,
            "cast": [[c.description, c.noun, sources.identities[c.name]] for c in cast],
            **({"wears": wear} if unsaid else {}),
            **_others(sources.story, scene),
            "seed": sources.seeds[index],
            **{k: v for k in ("shape", "negative") if (v := getattr(scene, k))},
            "injection": settings["injection"] if cast else _without_people(self.preset.injection),
            **{k: settings[k] for k in ("attempts", "batch") if k in settings},
            **self._posed(sources, index, self.preset.control.identity),
        }

    def _posed(self, sources: Sources, index: int, identity: bool = False) -> dict[str, Any]:
        """What a pose adds to all that a picture is made from; nothing without one.

        Raises:
            ModelError: the model has no control net for it.
        """
        scene, config = sources.story.scenes[index], self.preset.control
        if not scene.pose or not config.strength:
            return {}
        source = self._source(sources.story, index)
        seen = {} if source is None else {"from": self._template_inputs(sources, source)}
        return {
            "control": {
                "pose": plain(scene)["pose"],
                "weights": sources.model.control_weights(kind_of(scene)),
                "strength": config.strength,
                "interval": list(config.interval),
                **({"identity": True} if identity else {}),
                **seen,
            }
        }

    def facts(self, sources: Sources, index: int) -> dict[str, Any]:
        """The scene, and who is in it, with which identity or from words alone. Without ``method``, as ever."""
        story, scene = sources.story, sources.story.scenes[index]
        cast = [story.character(name) for name in scene.cast]
        facts: dict[str, Any] = {
            "scene": plain(scene),
            "characters": [
                *(plain(c) | {"identity": sources.identities[c.name]} for c in cast),
                *map(plain, beside(story, scene)),
            ],
        }
        source = self._source(story, index)
        if source is not None:  # it cannot be painted without
            seeds = {str(n): sources.seeds[n] for n in (index, source)}
            facts |= {"story": plain(story), "index": index, "frame_seeds": seeds}
        return facts

    def template(self, sources: Sources, index: int) -> tuple[dict[str, Any], int] | None:
        """None in batches, whose templates are painted together and may differ in last bits."""
        if self.preset.batch > 1:
            return None
        inputs = self._template_inputs(sources, index)
        return inputs, frame_evaluations(self.preset, 0)

    def _template_inputs(self, sources: Sources, index: int) -> dict[str, Any]:
        """All that a template is made from."""
        story, scene, config = sources.story, sources.story.scenes[index], self.preset.injection
        return {
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
            **_others(story, scene),
            "attempts": self.preset.attempts,
            "steps": self.preset.num_steps,
            **({"shape": scene.shape} if scene.shape else {}),
            **self._posed(sources, index),
        }

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame and 2t' a character of its cast, less where guidance is off."""
        people = sum(len(story.scenes[n].cast) for n in wanted)
        preset = replace(self.preset, num_steps=steps)
        asked = [(n, s) for n in wanted if (s := self._source(story, n)) is not None]
        seen = {s for n, s in asked if self.preset.batch > 1 or s > n or s not in wanted}
        return frame_evaluations(preset, people, templates=len(wanted) + len(seen))

    def _source(self, story: Story, n: int) -> int | None:
        """The scene that scene ``n`` takes its pose from, both counted from 0; None if from none.

        Raises:
            StoryError: there is no such scene, or it has a pose itself.
        """
        pose = story.scenes[n].pose if self.preset.control.strength else ()
        source = pose[0].source if pose else 0
        if source and (source > len(story.scenes) or story.scenes[source - 1].pose):
            raise StoryError(
                f"scene {n + 1} takes its pose from scene {source}, which has none to give"
            )
        return source - 1 if source else None

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Frame by frame, or ``preset.batch`` of them at a time.

        A batch is painted as a whole even where some of it is there, so that a frame's bytes do not
        depend on where a run was cut off. It is of one size.
        """
        story, config = work.story, self.preset.injection
        masks: dict[int, Tensor] = {}  # of scenes that others take their poses from
        looked_at = {self._source(story, n) for n in work.wanted}
        for block in self._blocks(story, work.asked or work.wanted):
            wanted = [n for n in block if n in work.wanted]
            if not wanted:
                continue
            scenes = [story.scenes[n] for n in block]
            seeds = [work.seeds[n] for n in block]
            controls = [self._control(backend, work, n, masks) for n in block]
            first = first_latents(backend.general, story, scenes, seeds, config, controls)
            templates = []
            for n, latents, control in zip(block, first, controls, strict=True):
                templates.append(self._template(backend, work, n, latents, control))
                if n in looked_at and len(block) == 1:  # of a batch's the last bits may differ
                    masks[n] = templates[-1].masks
                if n in wanted:
                    work.on_template(n, templates[-1])
            kept = controls if self.preset.control.identity else None
            frames = inject_together(
                backend.identity, story, scenes, templates, work.identities, config, kept
            )
            for n, frame, control in zip(block, frames, controls, strict=True):
                if n in wanted:
                    yield n, self._best(backend, work, n, frame, control)

    def _best(
        self, backend: Backend, work: Work, n: int, frame: Frame, control: Control | None
    ) -> Frame:
        """Of ``frame`` and, while something is wrong with it, some on other templates, see `best_of_turns`."""
        kept = control if self.preset.control.identity else None

        def paint_on(template: Template) -> Frame:
            work.on_template(n, template)
            given = work.story, frame.scene, template, work.identities, self.preset.injection, kept
            return inject(backend.identity, *given)

        given = backend, work.story, frame, self.preset, paint_on
        return best_of_turns(*given, seed=work.seeds[n], control=control)

    def _blocks(self, story: Story, asked: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """``asked`` in batches: neighbours of one shape, ``preset.batch`` of them at most."""
        for _, some in groupby(asked, lambda n: story.scenes[n].shape):
            frames, size = tuple(some), self.preset.batch
            yield from (frames[n : n + size] for n in range(0, len(frames), size))

    def _control(
        self, backend: Backend, work: Work, n: int, masks: dict[int, Tensor]
    ) -> Control | None:
        """What scene ``n`` keeps to; that of another is found in its template, if not in ``masks``."""
        scene, source = work.story.scenes[n], self._source(work.story, n)
        if source is not None and source not in masks:
            masks[source] = self._template(backend, work, source, None, None).masks
        seen = None if source is None else masks[source]
        return control_of(scene, sized(backend.general, scene).size, self.preset.control, seen)

    def _template(
        self,
        backend: Backend,
        work: Work,
        n: int,
        latents: Tensor | None,
        control: Control | None,
    ) -> Template:
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
                control=control,
                bare=backend.bare,
            )
            work.templates.write(n, found)
        return found


def _others(story: Story, scene: Scene) -> dict[str, Any]:
    """How many are painted from words alone, for a prompt says the same where they have no name; nothing of none."""
    others = len(beside(story, scene))
    return {"others": others} if others else {}


def _without_people(config: InjectionConfig) -> dict[str, Any]:
    """The settings that a picture of nobody depends on, the others at their defaults."""
    names = ("guidance_template", "negative", "guidance_interval")
    return to_dict(InjectionConfig(**{name: getattr(config, name) for name in names}))
