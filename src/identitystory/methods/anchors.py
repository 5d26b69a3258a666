"""Frames that others look at, and how they are stepped side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..config import Preset
from ..models.sdxl.attention import Site
from ..models.sdxl.freeu import freeu
from ..protocols import Backend, Conditioning, EditableGenerator
from ..sampling import sized
from ..seeds import derived_seed
from ..types import Frame, Scales, Story
from .base import BaseMethod
from .method import Work, editable, for_the_last

Conditions = dict[tuple[int, ...], Conditioning]  # of each group of frames that is stepped together
FRAMES_AT_ONCE = 16  # latents kept side by side; longer stories are painted in such portions


def portions(frames: Sequence[int], size: int = FRAMES_AT_ONCE) -> list[tuple[int, ...]]:
    """``frames`` in order, ``size`` at a time, so that memory does not grow with the story."""
    return [tuple(frames[a : a + size]) for a in range(0, len(frames), size)]


@dataclass(frozen=True)
class Anchors:
    """The frames that all others look at: the first few of each character.

    Attributes:
        frames: ascending; always painted together, so that their bytes are the same each time.
        seen: for every frame of the story the anchors it looks at, itself left out.
    """

    frames: tuple[int, ...]
    seen: tuple[tuple[int, ...], ...]


@for_the_last
def anchors(story: Story, per_character: int, *, alone: bool) -> Anchors:
    """The first ``per_character`` frames of each character, and who looks at which.

    A frame looks at the anchors of everybody in its cast; one without people looks at none.

    Args:
        story: casts are read off its scenes.
        per_character: how many frames a character is anchored in.
        alone: frames where somebody is alone come first.
    """
    of: dict[str, list[int]] = {}
    for character in story.characters:
        shown = [n for n, scene in enumerate(story.scenes) if character.name in scene.cast]
        if alone:
            shown.sort(key=lambda n: len(story.scenes[n].cast) > 1)  # stable
        of[character.name] = shown[:per_character]
    frames = tuple(sorted({n for some in of.values() for n in some}))
    seen = tuple(
        tuple(sorted({a for name in scene.cast for a in of[name]} - {n}))
        for n, scene in enumerate(story.scenes)
    )
    return Anchors(frames, seen)


def groups(found: Anchors, wanted: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """For each portion, what is stepped together: all anchors as one batch, then frame by frame.

    The anchors come again with every portion, for nothing of them is kept but their pictures.
    """
    rest = [n for n in wanted if n not in found.frames]
    first = [found.frames] if any(found.seen[n] or n in found.frames for n in wanted) else []
    return [first + [(n,) for n in some] for some in portions(rest) or [()]]


class AnchoredEdit:
    """An edit in which frames look at anchors of the same step.

    Attributes:
        bank: (site, anchor) -> k and v, (halves, heads, N, d), of its tokens that others see.
    """

    def __init__(self, found: Anchors, seeds: Sequence[int], steps: int) -> None:
        self.found, self.seeds, self.steps = found, seeds, steps
        self.bank: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        self.i, self.group = steps, tuple[int, ...]()

    @property
    def done(self) -> int:
        """Steps already made."""
        return self.steps - self.i

    def begin(self, i: int, group: tuple[int, ...], z: Tensor, cond: Conditioning) -> None:
        """Told before z_i of ``group`` is stepped; the anchors come first, and fill the bank."""
        self.i, self.group = i, group
        if group == self.found.frames:
            self.bank.clear()

    def __call__(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As `models.sdxl.attention.Edit`."""
        raise NotImplementedError

    def sample(self, anchor: int, tokens: int) -> Tensor:
        """Which of an anchor's tokens the others see at this step: bool (tokens,)."""
        raise NotImplementedError

    def one(self, site: Site, n: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """One frame's attention, (halves, heads, N, d); each half sees its own kind only."""
        raise NotImplementedError

    def shared(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Every frame's attention, `one` by one, after the anchors have put theirs in the bank."""
        q, k, v = (x.unflatten(0, (-1, len(self.group))) for x in (q, k, v))
        if self.group == self.found.frames:
            for b, n in enumerate(self.group):
                kept = self.sample(n, k.shape[3]).to(k.device)
                self.bank[site.name, n] = k[:, b, :, kept], v[:, b, :, kept]
        h = [self.one(site, n, q[:, b], k[:, b], v[:, b]) for b, n in enumerate(self.group)]
        return torch.stack(h, dim=1).flatten(0, 1)

    def drawn(self, what: str, anchor: int, tokens: int) -> Tensor:
        """A number in [0, 1) for each of an anchor's tokens, others at each step and grid."""
        place = self.found.frames.index(anchor)
        seed = derived_seed(what, self.seeds[anchor], place, self.i, tokens)
        return torch.rand(tokens, generator=torch.Generator().manual_seed(seed))


def in_step(
    G: EditableGenerator,
    edit: AnchoredEdit,
    z: dict[int, Tensor],
    conds: Conditions,
) -> Iterator[int]:
    """Steps every group of ``conds`` from noise to clean side by side, and yields each i done.

    All frames are at the same i, so what the anchors leave for the others is one step's worth.
    ``z`` holds z_t of each frame, (C, h, w), and is moved on in place. The caller installs ``edit``.
    """
    for i in range(G.num_steps, 0, -1):
        for group, cond in conds.items():
            z_i = torch.stack([z[n] for n in group])
            edit.begin(i, group, z_i, cond)
            z.update(zip(group, G.step(z_i, i, cond), strict=True))
        yield i


@dataclass(frozen=True)
class AnchoredMethod(BaseMethod):
    """A method whose frames look at the anchors of their characters, all stepped side by side.

    Attributes:
        anchors: frames of each character that the others look at.
        freeu: s1, s2, b1 and b2 of FreeU; None is off.
    """

    one_size: ClassVar[bool] = True
    alone_first: ClassVar[bool]  # whether frames where somebody is alone are anchors before others

    anchors: int = 2
    freeu: Scales | None = (0.6, 0.4, 1.1, 1.2)

    @classmethod
    def changes(cls, preset: Preset) -> dict[str, Any]:
        """Without FreeU too: its scales are SDXL's."""
        return {**super().changes(preset), "freeu": None}

    def found(self, story: Story) -> Anchors:
        """The anchors of ``story``."""
        return anchors(story, self.anchors, alone=self.alone_first)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """Every anchor, as they look at each other, unless the frame shows nobody."""
        found = self.found(story)
        if not found.seen[index] and index not in found.frames:
            return ()
        return tuple(a for a in found.frames if a != index)

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """Portion by portion; see `in_step`."""
        G = sized(editable(backend, self.name), work.story.scenes[0])
        found, told = self.found(work.story), set[int]()
        for portion in groups(found, work.wanted):
            conds = {group: G.condition(self.said(work, group)) for group in portion}
            with freeu(G.unet, self.freeu):
                z = self.stepped(G, work, found, conds)
            for n in sorted(set(z) & set(work.wanted) - told):
                told.add(n)
                yield n, Frame(work.story.scenes[n], G.decode(z[n][None])[0])

    def stepped(
        self, G: EditableGenerator, work: Work, found: Anchors, conds: Conditions
    ) -> dict[int, Tensor]:
        """z_0 of every frame of one portion, (C, h, w)."""
        raise NotImplementedError
