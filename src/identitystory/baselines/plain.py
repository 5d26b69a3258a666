"""The two ends between which story methods lie: no consistency at all, and a face pasted by prompt.

``general`` paints every scene by itself with the general generator (plain SDXL).
``direct-identity`` is the paper's ablation without Re-denoising Identity Injection (Sec. 4.3): the
identity generator paints the whole scene, with the face that Identity Discovery found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image

from ..config import InjectionConfig
from ..pipeline import direct_identity
from ..protocols import Backend
from ..sampling import sample
from ..types import Story
from .method import Work, own_seed


@dataclass(frozen=True)
class General:
    """G alone, T_i by T_i.

    Attributes:
        guidance: scale of classifier-free guidance.
        negative: negative prompt.
    """

    name: ClassVar[str] = "general"
    needs_identities: ClassVar[bool] = False
    needs_folder: ClassVar[bool] = False

    guidance: float = 5.0
    negative: str = ""

    def seed(self, seed: int, index: int, *, per_frame: bool) -> int:
        """As the preset wishes."""
        return own_seed(seed, index, per_frame=per_frame)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """Nothing."""
        return ()

    def evaluations(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame."""
        return 2 * steps * len(wanted)

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Image.Image]]:
        """Each frame by itself."""
        G = backend.general
        for n in work.wanted:
            cond = G.condition(
                [work.story.scenes[n].prompt], guidance=self.guidance, negative=self.negative
            )
            yield n, G.decode(sample(G, G.noise(work.seeds[n])[None], cond))[0]


@dataclass(frozen=True)
class DirectIdentity:
    """G_id alone: of a cast of several only the first gets its face.

    Attributes:
        guidance: scale of classifier-free guidance.
        negative: negative prompt.
    """

    name: ClassVar[str] = "direct-identity"
    needs_identities: ClassVar[bool] = True
    needs_folder: ClassVar[bool] = False

    guidance: float = 5.0
    negative: str = ""

    def seed(self, seed: int, index: int, *, per_frame: bool) -> int:
        """As the preset wishes."""
        return own_seed(seed, index, per_frame=per_frame)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """No other frame."""
        return ()

    def evaluations(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame."""
        return 2 * steps * len(wanted)

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Image.Image]]:
        """Each frame by itself."""
        config = InjectionConfig(guidance_identity=self.guidance, negative=self.negative)
        for n in work.wanted:
            scene, seed = work.story.scenes[n], work.seeds[n]
            frame = direct_identity(
                backend.identity, work.story, scene, work.identities, config, seed=seed
            )
            yield n, frame.image
