"""The two ends between which story methods lie: no consistency at all, and a face pasted by prompt.

``general`` paints every scene by itself with the general generator (plain SDXL).
``direct-identity`` is the paper's ablation without Re-denoising Identity Injection (Sec. 4.3): the
identity generator paints the whole scene, with the face that Identity Discovery found. As PhotoMaker
is published, its first steps are steered by the words alone (11 of 50), which keeps the scene. InstantID is
shown where the face is, too, as it is published; there it is where the photo has it, here where a portrait does.

Covered: all of both; they are no more than a prompt, a seed and a trajectory. Defaults are guidance 5,
which diffusers has for SDXL and the other compared methods have, and an empty negative prompt; presets
that are made for a checkpoint put their own guidance (``BaseMethod.of``), and steps, sampler and
seeds are the preset's. Not reproduced: the paper gives neither guidance nor negative prompt of its
rows (docs/reference/paper.md), nor what the direct identity does with several people. Here the first of a cast
gets its face, for a prompt of PhotoMaker's takes one; the others are painted from their words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from ..config import Preset
from ..protocols import Backend, ImageGenerator, PlacesFaces
from ..sampling import first_noise, painted, sized, unwatched
from ..types import Frame, Prompt
from .base import BaseMethod
from .method import Work


@dataclass(frozen=True)
class General(BaseMethod):
    """G alone, T_i by T_i."""

    name: ClassVar[str] = "general"

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """With the templates' negative prompt too."""
        return {**super().changes(preset), "negative": preset.injection.negative}

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Each frame by itself."""
        return _one_by_one(self, backend.general, work)


@dataclass(frozen=True)
class DirectIdentity(BaseMethod):
    """G_id alone: of a cast of several only the first gets its face.

    Attributes:
        words_first: first steps, of 50, that are steered by the words without the face; PhotoMaker's
            ``start_merge_step`` of 10 is 11 of them. 0 starts with the face.
    """

    name: ClassVar[str] = "direct-identity"
    needs_identities: ClassVar[bool] = True

    words_first: int = 11

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """With the guidance of whoever paints faces, and their negative prompt."""
        config = preset.injection
        return {"guidance": config.guidance_identity, "negative": config.negative}

    def said(self, work: Work, frames: Sequence[int]) -> list[Prompt]:
        """Each scene's prompt, with the face of the first of its cast."""
        prompts = super().said(work, frames)
        for k, n in enumerate(frames):
            if cast := work.story.scenes[n].cast:
                face, noun = work.identities[cast[0]].embedding, work.story.character(cast[0]).noun
                prompts[k] = replace(prompts[k], face=face, noun=noun)
        return prompts

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Each frame by itself, T_i from noise."""
        return _one_by_one(self, backend.identity, work, self._painted)

    def _painted(self, G: ImageGenerator, prompts: Sequence[Prompt]) -> Tensor:
        """z_0, (B, C, h, w): the words first, then the faces too."""
        faces = G.num_steps - round(self.words_first * G.num_steps / 50)  # steps with them
        if isinstance(finder := unwatched(G), PlacesFaces):
            at = finder.portrait_points()
            prompts = [p if p.face is None else replace(p, points=at) for p in prompts]
        cond = G.condition(prompts)
        words = G.condition([replace(prompt, face=None, points=None) for prompt in prompts])
        z = first_noise(G, prompts)
        for i in range(G.num_steps, 0, -1):
            z = G.step(z, i, words if i > faces else cond)
        return z


def _one_by_one(
    method: BaseMethod,
    G: ImageGenerator,
    work: Work,
    paint: Callable[[ImageGenerator, Sequence[Prompt]], Tensor] = painted,
) -> Iterator[tuple[int, Frame]]:
    for n in work.wanted:
        scene = work.story.scenes[n]
        G_n = sized(G, scene)
        yield n, Frame(scene, G_n.decode(paint(G_n, method.said(work, [n])))[0])
