"""What a method of painting a story is, and what it is given.

A method paints whole stories, for its frames may look at one another. It must give the same bytes
for a frame whatever else is painted with it, and hold no more in memory for longer stories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, Self, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ..config import Preset
from ..errors import ConfigError
from ..injection import heads_in
from ..masks import clean, with_heads
from ..protocols import Backend, Editable, EditableGenerator, ModelFacts, Segmenter
from ..sampling import unwatched
from ..seeds import frame_seed
from ..types import Frame, Identity, Scene, Story, Template
from ..wording import phrases

Key = TypeVar("Key")
Value = TypeVar("Value")
P = ParamSpec("P")


def for_the_last(function: Callable[P, Value]) -> Callable[P, Value]:
    """``function``, which remembers all it gave for the first argument that it was given last.

    So that what is read off a whole story, again for each of its frames, is read once.
    """
    last: list[tuple[Any, dict[Any, Value]]] = [(None, {})]

    @wraps(function)
    def remembering(*given: P.args, **named: P.kwargs) -> Value:
        kept = last[0]  # one value, so that threads need no lock
        if kept[0] is not given[0]:
            last[0] = kept = given[0], {}
        rest = given[1:], tuple(named.items())
        if rest not in kept[1]:
            kept[1][rest] = function(*given, **named)
        return kept[1][rest]

    return remembering


class Kept(Generic[Key, Value]):
    """What a method keeps on the way to its frames. This one keeps nothing."""

    def read(self, key: Key, /) -> Value | None:
        """What was written as ``key``, on the CPU; None if there is nothing."""
        return None

    def write(self, key: Key, value: Value, /) -> None:
        """Keeps ``value`` as ``key``, whole or not at all."""


Notes = Kept[str, Tensor]  # so that a run that was cut off goes on: `runs.files.FolderNotes`
Templates = Kept[int, Template]  # by frame, shared by runs: `runs.cache.CachedTemplates`
NO_NOTES, NO_TEMPLATES = Notes(), Templates()


@dataclass(frozen=True)
class Sources:
    """What the frames of a story are made from, known before any is painted.

    Attributes:
        story: all of it; the shapes of its scenes are sizes in pixels, empty is the model's own.
        model: what the model is.
        seeds: one a frame, of the whole story.
        identities: the key of each character's identity, by name; empty without identities.
    """

    story: Story
    model: ModelFacts
    seeds: tuple[int, ...]
    identities: Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """What there is to paint.

    Attributes:
        story: all of it.
        seeds: one a frame, of the whole story.
        wanted: the frames to paint, ascending.
        identities: by character's name, for methods that need them.
        folder: the checkpoint's folder, for methods with weights of their own; None without one.
        notes: for what takes long and is not yet a frame.
        asked: ``wanted`` and the frames that are finished; who paints several as one batch paints
            each in the same company again. Empty is ``wanted``.
        templates: for methods that paint templates.
        on_template: hears of each template of a wanted frame when it is ready, before the picture.
    """

    story: Story
    seeds: tuple[int, ...]
    wanted: tuple[int, ...]
    identities: Mapping[str, Identity]
    folder: Any = None
    notes: Notes = NO_NOTES
    asked: tuple[int, ...] = ()
    templates: Templates = NO_TEMPLATES
    on_template: Callable[[int, Template], None] = lambda index, template: None


class Method(Protocol):
    """A way to paint a story. Frozen; its fields are its settings.

    What has a value or a body here is what a method is unless it says otherwise.
    """

    name: ClassVar[str]
    needs_identities: ClassVar[bool] = False
    has_templates: ClassVar[bool] = False  # whether its frames have one, see `types.Frame`
    heeds_poses: ClassVar[bool] = False  # whether its frames keep to their scenes' poses
    one_size: ClassVar[bool] = False  # whether all frames of a story must have the same size

    @classmethod
    def of(cls, preset: Preset) -> Self:
        """The method with the settings that ``preset`` asks for."""
        ...

    def seed(self, seed: int, place: int | str, *, per_frame: bool) -> int:
        """The seed of the frame at ``place`` (from 0, or its scene's id) in a run of ``seed``.

        ``per_frame`` is the preset's wish.
        """
        return frame_seed(seed, place, per_frame=per_frame)

    def depends(self, story: Story, index: int) -> tuple[int, ...]:
        """The other frames that frame ``index`` looks at, in the order that matters; none."""
        return ()

    def prompts(self, story: Story, index: int) -> Iterator[tuple[str, str]]:
        """Each prompt that frame ``index`` is painted from, and the noun that a face is put into.

        The noun is empty where there is no face. Those of frames that it looks at are theirs.
        """
        ...

    def weights(self, model: ModelFacts) -> str:
        """The fingerprint of all weights that it paints with: the checkpoint's.

        Raises:
            ModelError: the model does not hold them.
        """
        return model.fingerprint

    def inputs(self, sources: Sources, index: int) -> dict[str, Any]:
        """What frame ``index`` is made from, plain values: all of it goes into the frame's key.

        The run adds style, sampler, steps, dtype and weights, and whether features are reused.
        """
        ...

    def facts(self, sources: Sources, index: int) -> dict[str, Any]:
        """What the picture of frame ``index`` tells of itself, beside what the run adds.

        ``scene``, ``characters`` and ``method``; if others are needed to make it again, also
        ``story``, its ``index`` in it and their ``frame_seeds``. Plain values.
        """
        ...

    def template(self, sources: Sources, index: int) -> tuple[dict[str, Any], int] | None:
        """What the template of frame ``index`` is made from, and its network calls.

        None if there is no template that another run could use.
        """
        return None

    def calls(self, story: Story, wanted: Sequence[int], steps: int) -> int:
        """Network calls that painting ``wanted`` takes, if everybody is found at once.

        Two a sample and step, one unguided.
        """
        ...

    def paint(self, backend: Backend, work: Work) -> Iterator[tuple[int, Frame]]:
        """(number, frame) for every frame wanted, as they get ready.

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


def find_cast(
    segmenter: Segmenter,
    story: Story,
    scene: Scene,
    image: Image.Image,
    heads: Tensor | None = None,
) -> tuple[Tensor, tuple[str, ...]]:
    """Masks (s, H, W) bool of the cast in a finished picture, and the names of who is not there.

    ``heads`` are those in it (`injection.heads_in`); None has them looked for.
    """
    if not scene.cast:
        return torch.zeros(0, image.height, image.width, dtype=torch.bool), ()
    words = phrases(story, scene)
    M = clean(segmenter.segment(image, words).masks.cpu().bool())
    heads = heads_in(segmenter, image, words) if heads is None else heads
    M = M if heads is None else with_heads(M, heads)
    return M, tuple(name for name, M_j in zip(scene.cast, M, strict=True) if not M_j.any())
