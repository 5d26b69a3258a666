"""ConsiStory: Training-Free Consistent Text-to-Image Generation, 2024.

Covered: subject-driven shared attention with dropped-out subject masks (Sec. 3.1), vanilla-query
blending (Sec. 3.2), feature injection along correspondences (Sec. 3.3), with anchor images
(Sec. 3.4): every picture looks at the anchors of its characters. Two passes from the same noise,
the first for masks and correspondences. Masks come from cross-attention to the characters' class
words, by Otsu, and are made anew after each step. All frames advance step by step together, so
what is kept of the anchors is one step's worth, however long the story.

Defaults are the released code's, for 50 steps; positions scale with the number of steps, and the
features are those of the timestep nearest to 261. Not reproduced: the order in which its
injection overwrites its own sources (here sources are as they were before injection); one noise
for all frames after the anchors (here each has its own).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..models.sdxl.attention import Site, attend, edited, observed
from ..protocols import Conditioning, EditableGenerator
from ..seeds import frame_seed
from ..types import Story
from . import subject
from .anchors import AnchoredEdit, AnchoredMethod, Anchors, Conditions, groups, in_step
from .method import Work


@dataclass(frozen=True)
class ConsiStory(AnchoredMethod):
    """Subject-driven shared attention over a story, with feature injection.

    Attributes:
        dropout: the share of a subject mask that is dropped, anew at each step and grid.
        remembered: steps whose attention maps are averaged to a mask.
        blend_first: weight of the plain query at the first step; falls to ``blend_last`` at the end.
        blend_last: see above; blending stops after a tenth of the steps.
        feature_timestep: where features for correspondences are read.
        injection: weight of the source in an injected patch.
    """

    name: ClassVar[str] = "consistory"
    alone_first: ClassVar[bool] = False
    recipe: ClassVar[int] = 3  # 1 mistook rows beyond 77 tokens, 2 split at the upper edge of a bin

    negative: str | None = None
    dropout: float = 0.5
    remembered: int = 20
    blend_first: float = 0.9
    blend_last: float = 0.1
    feature_timestep: int = 261
    injection: float = 0.8

    def seed(self, seed: int, place: int | str, *, per_frame: bool) -> int:
        """Another noise for every frame."""
        return frame_seed(seed, place, per_frame=True)

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame and pass, and 2 more for each step whose queries are blended."""
        found, total = self.found(story), 0
        for portion in groups(found, wanted):
            for group in portion:
                blended = min(steps // 10, steps - 1) if any(found.seen[n] for n in group) else 0
                total += len(group) * (steps + blended)
        return 2 * self.per_step * total

    def stepped(
        self, G: EditableGenerator, work: Work, found: Anchors, conds: Conditions
    ) -> dict[int, Tensor]:
        """z_0 of every frame of one portion, (C, h, w), after two passes from the same noise."""
        scenes, edit = work.story.scenes, None
        frames = [n for group in conds for n in group]
        concepts = {
            n: subject.concept_tokens(
                G.encode.tokenizers[0],
                scenes[n].prompt,
                [work.story.character(name).noun for name in scenes[n].cast],
                G.encode.limits[0],
            )
            for n in frames
        }
        for _ in ("masks and correspondences", "pictures"):
            edit = SharedSubject(self, G, found, work.seeds, concepts, edit)
            z = {n: G.noise(work.seeds[n]) for n in frames}
            with edited(G.unet, edit), observed(G.unet.up_blocks[0], edit.see):
                for _ in in_step(G, edit, z, conds):
                    pass
            edit.settle(frames)
        return z


class SharedSubject(AnchoredEdit):
    """The edit of one pass; given the first pass it is the second, and injects."""

    def __init__(
        self,
        settings: ConsiStory,
        G: EditableGenerator,
        found: Anchors,
        seeds: Sequence[int],
        concepts: dict[int, list[int]],
        first: SharedSubject | None = None,
    ) -> None:
        super().__init__(found, seeds, G.num_steps)
        self.settings, self.G = settings, G
        self.concepts, self.match = concepts, first.matches() if first else None
        timesteps = G.sampler.timesteps.double()
        self.feature_i = self.steps - int((timesteps - settings.feature_timestep).abs().argmin())
        self.maps = {n: deque[Tensor](maxlen=settings.remembered) for n in concepts}
        self.pending: dict[int, dict[int, list[Tensor]]] = {n: {} for n in concepts}
        self.coarse = 0  # image tokens of the smallest grid, and of the largest
        self.fine: int = first.fine if first else 0
        self.masks: dict[tuple[int, int], Tensor] = {}  # (frame, tokens) -> bool (tokens,)
        self.features: dict[int, Tensor] = {}
        self.outputs: dict[tuple[str, int], Tensor] = {}
        self.queries: dict[str, Tensor] = {}
        self.plain_pass = False

    def begin(self, i: int, group: tuple[int, ...], z: Tensor, cond: Conditioning) -> None:
        """Makes the masks of the last step, and the plain queries of this one."""
        super().begin(i, group, z, cond)
        self.settle(group)
        self.queries.clear()
        if group == self.found.frames:
            self.outputs.clear()
        if 1 <= self.done <= self.steps // 10 and any(self.found.seen[n] for n in group):
            self.plain_pass = True
            try:
                self.G.step(z, i, cond)  # for its queries; where it leads is thrown away
            finally:
                self.plain_pass = False

    def settle(self, frames: Sequence[int]) -> None:
        """The attention of ``frames``' last step joins their maps; masks are made anew."""
        for n in frames:
            by_grid, self.pending[n] = self.pending[n], {}
            if by_grid:
                self.coarse = min(by_grid)
                self.maps[n].append(torch.stack(by_grid[self.coarse]).mean(dim=0))
                self.masks = {key: mask for key, mask in self.masks.items() if key[0] != n}

    def mask(self, n: int, tokens: int) -> Tensor:
        """Where frame ``n`` shows its characters, bool (tokens,); nowhere before the first step."""
        if not self.maps[n]:
            return torch.zeros(tokens, dtype=torch.bool)
        if (n, tokens) not in self.masks:
            maps = torch.stack(list(self.maps[n])).mean(dim=0).cpu()
            self.masks[n, tokens] = subject.subject_mask(maps, tokens, self.G.size)
        return self.masks[n, tokens]

    def sample(self, anchor: int, tokens: int) -> Tensor:
        """An anchor's mask with a part of it dropped, another at each step."""
        kept = self.drawn("dropout", anchor, tokens) >= self.settings.dropout
        return self.mask(anchor, tokens) & kept

    def see(self, features: Tensor) -> None:
        """What the first up block gives; kept at one step of the first pass."""
        if self.match is None and self.i == self.feature_i and not self.plain_pass:
            given = features[-len(self.group) :]
            self.features.update(zip(self.group, given.clone(), strict=True))

    def matches(self) -> dict[int, subject.Match]:
        """For each frame where each of its patches is found in its anchors."""
        return {
            n: subject.match_frame(
                self.features[n],
                self.mask(n, self.fine),
                [self.features[a] for a in self.found.seen[n]],
                [self.mask(a, self.fine) for a in self.found.seen[n]],
            )
            for n in self.features
            if self.found.seen[n]
        }

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Reads maps at cross sites; shares, blends and injects at self sites."""
        tokens = q.shape[2]
        if not site.is_self:
            q_b, k_b = (x.unflatten(0, (-1, len(self.group))) for x in (q, k))
            if not self.plain_pass and (not self.coarse or tokens == self.coarse):
                for b, n in enumerate(self.group):
                    if self.concepts[n]:
                        seen = subject.attention_to(q_b[-1, b], k_b[-1, b], self.concepts[n])
                        self.pending[n].setdefault(tokens, []).append(seen)
            return attend(q, k, v)
        self.fine = max(self.fine, tokens)
        if site.part != "up":
            h = attend(q, k, v)
        elif self.plain_pass:
            self.queries[site.name] = q
            h = attend(q, k, v)
        else:
            h = self.shared(site, self._blended(site, q), k, v)
        return h if self.plain_pass or site.part == "mid" else self._injected(site, h)

    def _blended(self, site: Site, q: Tensor) -> Tensor:
        if site.name not in self.queries:
            return q
        s = self.settings
        share = self.done / max(1, self.steps - 1)
        weight = s.blend_first + (s.blend_last - s.blend_first) * share
        return weight * self.queries[site.name] + (1 - weight) * q

    def one(self, site: Site, n: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One frame's attention to itself and to its anchors' subjects, (halves, heads, N, d)."""
        banked = [self.bank[site.name, a] for a in self.found.seen[n]]
        k = torch.cat([k, *(k_a for k_a, _ in banked)], dim=2)
        v = torch.cat([v, *(v_a for _, v_a in banked)], dim=2)
        return attend(q, k, v)

    def _injected(self, site: Site, h: Tensor) -> Tensor:
        """``h`` with matched patches mixed in from the anchors, in the half with the prompt."""
        inside = self.steps // 10 <= self.done <= self.steps // 3
        if self.match is None or not inside or h.shape[2] != self.fine:
            return h
        given = h.unflatten(0, (-1, len(self.group)))[-1]  # (B, heads, N, d)
        if self.group == self.found.frames:
            self.outputs.update({(site.name, n): given[b] for b, n in enumerate(self.group)})
        mixed = given.clone()
        for b, n in enumerate(self.group):
            if n in self.match:
                which, place, take = (x.to(h.device) for x in self.match[n])
                sources = torch.stack([self.outputs[site.name, a] for a in self.found.seen[n]])
                source = sources[which, :, place].transpose(0, 1)  # (heads, N, d)
                w = self.settings.injection
                mixed[b] = torch.where(take[:, None], w * source + (1 - w) * given[b], given[b])
        return torch.cat([h[: len(h) - len(given)], mixed])
