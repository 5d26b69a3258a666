"""StoryDiffusion: Consistent Self-Attention for Long-Range Image and Video Generation, 2024.

Covered: consistent self-attention (Sec. 3.1) in the variant that gathers tokens: a frame's keys and
values are its own and a random sample of those of every character's first frames, in the U-Net's
up path; layers skip it by a seeded coin. All frames advance step by step together, so the bank of
sampled tokens holds one step and no more, however long the story. With one noise for all, the anchors,
which are one batch, still have a noise each, and every other frame has the first anchor's.

Defaults are the authors' demonstration's (its low-memory form, except ``anchors``: 2 as in its
other form; 1, its own, would leave the first frame nothing to look at). Not reproduced:
reference pictures through PhotoMaker (that is what IdentityStory's own generator does), comic
lay-out, the semantic motion predictor for video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..models.sdxl.attention import Site, attend, edited
from ..protocols import EditableGenerator
from ..seeds import attempt_seed, derived_seed, frame_seed
from ..types import Story
from .anchors import AnchoredEdit, AnchoredMethod, Anchors, Conditions, groups, in_step
from .method import Work


@dataclass(frozen=True)
class StoryDiffusion(AnchoredMethod):
    """Consistent self-attention over a story.

    Attributes:
        keep: the share of an anchor's tokens that others see, drawn anew at each step and grid.
        warm_up: first steps, with plain attention.
        skip_early: chance that a layer is left plain before ``early`` of 50 steps are done.
        skip_late: the same from then on.
        early: in steps of 50.
        same_noise: start every frame but the anchors after the first from the same noise.
    """

    name: ClassVar[str] = "storydiffusion"
    alone_first: ClassVar[bool] = True
    recipe: ClassVar[int] = 2  # 1 gave all anchors one noise

    keep: float = 0.5
    warm_up: int = 1
    skip_early: float = 0.3
    skip_late: float = 0.1
    early: int = 20
    same_noise: bool = True

    def seed(self, seed: int, place: int | str, *, per_frame: bool) -> int:
        """The story's own, as ``same_noise`` says."""
        return frame_seed(seed, place, per_frame=not self.same_noise)

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame, the anchors' counted in every portion."""
        made = groups(self.found(story), wanted)
        return self.per_step * steps * sum(len(group) for portion in made for group in portion)

    def stepped(
        self, G: EditableGenerator, work: Work, found: Anchors, conds: Conditions
    ) -> dict[int, Tensor]:
        places = dict(zip(found.frames, range(len(found.frames)), strict=True))
        noise = lambda n: G.noise(
            attempt_seed(work.seeds[n], places.get(n, 0) if self.same_noise else 0)
        )
        z = {n: noise(n) for group in conds for n in group}
        edit = ConsistentSelfAttention(self, found, work.seeds, G.num_steps)
        with edited(G.unet, edit):
            for _ in in_step(G, edit, z, conds):
                pass
        return z


class ConsistentSelfAttention(AnchoredEdit):
    """The edit: k and v of the anchors' sampled tokens, joined to a frame's own."""

    def __init__(
        self, settings: StoryDiffusion, found: Anchors, seeds: Sequence[int], steps: int
    ) -> None:
        super().__init__(found, seeds, steps)
        self.settings = settings

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Consistent self-attention in the up path, plain attention elsewhere."""
        if not site.is_self or site.part != "up" or self.done < self.settings.warm_up:
            return attend(q, k, v)
        return self.shared(site, q, k, v)

    def one(self, site: Site, n: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One frame's attention to the samples of its anchors and to itself."""
        seen = self.found.seen[n]
        if not seen or self.skips(site, n):
            return attend(q, k, v)
        banked = [self.bank[site.name, a] for a in seen]
        k = torch.cat([*(k_a for k_a, _ in banked), k], dim=2)
        v = torch.cat([*(v_a for _, v_a in banked), v], dim=2)
        return attend(q, k, v)

    def sample(self, anchor: int, tokens: int) -> Tensor:
        """A share of its tokens, ``keep``."""
        return self.drawn("tokens", anchor, tokens) < self.settings.keep

    def skips(self, site: Site, n: int) -> bool:
        """Whether this layer stays plain at this step, by a coin that depends on the seed alone."""
        coin = derived_seed("coin", self.seeds[n], self.i, site.name) / 2**48
        early = self.done * 50 < self.settings.early * self.steps
        return coin < (self.settings.skip_early if early else self.settings.skip_late)
