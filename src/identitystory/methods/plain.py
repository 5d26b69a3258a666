"""The two ends between which story methods lie: no consistency at all, and a face pasted by prompt.

``general`` paints every scene by itself with the general generator (plain SDXL).
``direct-identity`` is the paper's ablation without Re-denoising Identity Injection (Sec. 4.3): the
identity generator paints the whole scene, with the face that Identity Discovery found.

Covered: all of both; they are no more than a prompt, a seed and a trajectory. Defaults are guidance 5,
which diffusers has for SDXL and the other compared methods have, and an empty negative prompt; presets
that are made for a checkpoint put their own guidance (``BaseMethod.of``), and steps, sampler and
seeds are the preset's. Not reproduced: the paper gives neither guidance nor negative prompt of its
rows (docs/reference/paper.md), nor what the direct identity does with several people. Here the first of a cast
gets its face, for a prompt of PhotoMaker's takes one; the others are painted from their words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..config import InjectionConfig, Preset
from ..protocols import Backend, IdentityGenerator
from ..sampling import painted, sized
from ..types import Frame, Identity, Prompt, Scene, Story
from .base import BaseMethod
from .method import Work


@dataclass(frozen=True)
class General(BaseMethod):
    """G alone, T_i by T_i."""

    name: ClassVar[str] = "general"

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Each frame by itself."""
        for n in work.wanted:
            G = sized(backend.general, work.story.scenes[n])
            z_0 = painted(G, self.said(work, [n]))
            yield n, Frame(work.story.scenes[n], G.decode(z_0)[0])


@dataclass(frozen=True)
class DirectIdentity(BaseMethod):
    """G_id alone: of a cast of several only the first gets its face."""

    name: ClassVar[str] = "direct-identity"
    needs_identities: ClassVar[bool] = True

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """With the guidance of whoever paints faces."""
        return {"guidance": preset.injection.guidance_identity}

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Each frame by itself."""
        config = InjectionConfig(guidance_identity=self.guidance, negative=self.negative)
        for n in work.wanted:
            scene, seed = work.story.scenes[n], work.seeds[n]
            yield (
                n,
                direct_identity(
                    backend.identity, work.story, scene, work.identities, config, seed=seed
                ),
            )


def direct_identity(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    identities: Mapping[str, Identity],
    config: InjectionConfig,
    *,
    seed: int = 0,
) -> Frame:
    """Without Re-denoising Identity Injection: the identity generator paints T_i from noise.

    One prompt takes one face: of a cast of several only the first gets its identity.
    """
    prompt = Prompt(scene.prompt, config.negative, config.guidance_identity, seed=seed)
    if scene.cast:
        first = story.character(scene.cast[0])
        face = identities[first.name].embedding
        prompt = replace(prompt, face=face, noun=first.noun)
    G_id = sized(G_id, scene)
    z_0 = painted(G_id, [prompt])
    return Frame(scene, G_id.decode(z_0)[0])
