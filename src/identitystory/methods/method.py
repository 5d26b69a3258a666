"""What a method of painting a story is, and what the compared methods share.

A method paints whole stories, for its frames look at one another. It must give the same bytes for
a frame whatever else is painted with it, and hold no more in memory for longer stories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from PIL import Image
from torch import Tensor

from ..errors import ConfigError
from ..protocols import Backend, Editable, EditableGenerator
from ..sampling import unwatched
from ..seeds import frame_seed
from ..types import Identity, Prompt, Story


class Notes:
    """Tensors that a method keeps on the way to its frames, so that a run that was cut off goes on.

    This one keeps nothing; `runs.files.FolderNotes` keeps them beside a run.
    """

    def read(self, name: str) -> Tensor | None:
        """The tensor written as ``name``, on the CPU; None if there is none."""
        return None

    def write(self, name: str, tensor: Tensor) -> None:
        """Keeps ``tensor`` as ``name``, whole or not at all."""


NO_NOTES = Notes()


@dataclass(frozen=True)
class Work:
    """What there is to paint.

    Attributes:
        story: all of it.
        seeds: one a frame, of the whole story.
        wanted: the frames asked for, ascending.
        identities: by character's name, for methods that need them.
        folder: the checkpoint's folder, for methods with weights of their own; None without one.
        notes: for what takes long and is not yet a frame.
    """

    story: Story
    seeds: tuple[int, ...]
    wanted: tuple[int, ...]
    identities: Mapping[str, Identity]
    folder: Any = None
    notes: Notes = NO_NOTES


class StoryMethod(Protocol):
    """A way to paint a story. Frozen; its fields are its settings."""

    name: ClassVar[str]
    needs_identities: ClassVar[bool]
    needs_folder: ClassVar[bool]  # whether it reads weights that G has no use for
    recipe: ClassVar[int]  # counts up when the same settings start to give other pictures

    def seed(self, seed: int, index: int, *, per_frame: bool) -> int:
        """The seed of frame ``index`` in a run of ``seed``; ``per_frame`` is the preset's wish."""
        ...

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """The other frames that frame ``index`` looks at, in the order that matters."""
        ...

    def evaluations(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """U-Net evaluations that painting ``wanted`` takes: two a sample and step, one unguided."""
        ...

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Image.Image]]:
        """(frame, picture) for every frame wanted, as they get ready.

        Raises:
            ConfigError: the generator's U-Net is not at hand.
        """
        ...


def editable(backend: Backend, method: str) -> EditableGenerator:
    """The general generator, if its attention can be edited.

    Raises:
        ConfigError: it has no U-Net.
    """
    G: Any = backend.general
    if not isinstance(unwatched(G), Editable):
        raise ConfigError(
            f"{method} changes the attention of a U-Net, and the generator of {backend.name!r} "
            "shows none; use a checkpoint in SDXL's layout"
        )
    return G


@dataclass(frozen=True)
class Compared:
    """What a compared method is unless it says otherwise: every frame painted by itself.

    Attributes:
        guidance: scale of classifier-free guidance.
        negative: negative prompt; None is SDXL's "no negative prompt".
    """

    name: ClassVar[str]
    needs_identities: ClassVar[bool] = False
    needs_folder: ClassVar[bool] = False
    recipe: ClassVar[int] = 1

    guidance: float = 5.0
    negative: str | None = ""

    def seed(self, seed: int, index: int, *, per_frame: bool) -> int:
        """As the preset wishes."""
        return frame_seed(seed, index, per_frame=per_frame)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """No other frame."""
        return ()

    @property
    def per_step(self) -> int:
        """U-Net evaluations of a sample and step: 2, or 1 where guidance is 1, which is none."""
        return 1 if self.guidance == 1 else 2

    def evaluations(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """2t a frame, t without guidance."""
        return self.per_step * steps * len(wanted)

    def of(self, work: Work, frames: Sequence[int]) -> list[Prompt]:
        """What ``frames`` are painted from, with the method's guidance and negative prompt."""
        scenes, seeds = work.story.scenes, work.seeds
        return [self.prompt(scenes[n].prompt, seeds[n]) for n in frames]

    def prompt(self, text: str, seed: int) -> Prompt:
        """``text`` with the method's guidance and negative prompt."""
        return Prompt(text, self.negative, self.guidance, seed=seed)


# --- Frames that others look at -------------------------------------------------------------------
