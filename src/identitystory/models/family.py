"""What a checkpoint is made of: a base of some family, an identity generator, a segmenter.

A base's ``model_index.json`` names its pipeline, and that picks the family. The two parts beside it
are known by where their files lie in the folder, or by the name that its card gives. All three are
found by name, ours and those of other packages (`extensions`). Nothing is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, ModelError
from ..extensions import Registry
from ..presets import Suits
from ..protocols import Enlarger, IdentityGenerator, ImageGenerator, Segmenter
from .files.catalogue import ALLOWED

if TYPE_CHECKING:  # so that presets and cards are read without torch
    from ..sizes import Size
    from .files.header import Header


@dataclass(frozen=True)
class Family:
    """A kind of base checkpoint: everything about it that is not the same for all.

    Attributes:
        name: that it is found by.
        title: its name in sentences.
        pipeline: what the class in ``model_index.json`` begins with.
        others: words in that name of what is of another kind all the same.
        parts: the folders that a base consists of, and whether each holds weights.
        open: ``open(folder, *, sampler, num_steps, device, dtype, room, reuse, compiled)`` is the
            general generator G; a ModelError or ConfigError if it cannot be.
        max_steps: the most sampling steps that the base in a folder takes; None if not known.
        size: (width, height) that the base in a folder was made for, in pixels, and of which number
            both must be multiples; None if it paints no other.
        check_prompts: ``check_prompts(folder, prompts)`` raises a PromptError if one is too long
            for the base's text encoders, and returns those that they read in pieces. Opens no
            weights.
        few_steps: whether identity generators on it take a LoRA for portraits in few steps.
        adapter: where in a folder the weights lie that read pictures as references; empty without.
        open_adapter: ``open_adapter(folder, general)`` is what `protocols.Backend.adapter` opens.
        check_lora: ``check_lora(folder, file, header)`` raises a ModelError if the LoRA in ``file``
            is none for the base in ``folder``; None takes none. ``open`` is then also given
            ``loras``, a sequence of (file, weight), where there are any.
        check_file: ``check_file(file, header)`` raises a ModelError if ``file`` is not a whole base
            of this family; None reads no bases from single files.
        from_file: ``from_file(file, header, folder, words, prediction)`` makes a folder of such a
            file, with the vocabulary in the folder ``words``; of a folder that is there it writes
            the schedule alone. ``prediction`` is what the file says if it is empty.
        identity: the identity generator that needs no files beside a base's; empty is none.
        suits: what its bases are used with where a card says nothing else.
        open_control: ``open_control(folder, general)`` opens the control net in a folder when it is
            called, once; its generators have ``controls`` to put it into. None: it has no such nets.
    """

    name: str
    title: str
    pipeline: str
    parts: Mapping[str, bool]
    open: Callable[..., ImageGenerator]
    max_steps: Callable[[Path], int | None] = lambda folder: None
    size: Callable[[Path], tuple[Size | None, int]] = lambda folder: (None, 1)
    check_prompts: Callable[[Path, Iterable[str]], Sequence[str] | None] = lambda folder, prompts: (
        None
    )
    few_steps: bool = False
    adapter: str = ""
    open_adapter: Callable[[Path, ImageGenerator], Any] | None = None
    check_lora: Callable[[Path, Path, Header], None] | None = None
    check_file: Callable[[Path, Header], None] | None = None
    from_file: Callable[[Path, Header, Path, Path, str], None] | None = None
    identity: str = ""
    suits: Suits = field(default_factory=Suits)
    open_control: Callable[[Path, ImageGenerator], Callable[[], Any]] | None = None
    others: tuple[str, ...] = ()

    def paints(self, pipeline: str) -> bool:
        """Whether the class ``pipeline`` is one of this family."""
        return pipeline.startswith(self.pipeline) and not any(x in pipeline for x in self.others)


@dataclass(frozen=True)
class IdentityPart:
    """A kind of identity generator.

    Attributes:
        title: its name in sentences.
        places: where its files lie in a complete checkpoint: a file, or a folder where there is no
            dot. Without any it is found by the name in a card alone.
        families: names of the families that it can paint on; any if empty.
        open: ``open(files, general)`` is G_id; ``files`` are in the order of ``places``.
        embeddings: what its embeddings can be, none where it paints no faces; with more than ``tokens`` it has
            ``set_to(averaged=, scale=)``, which is G_id with embeddings of another kind.
        scaled: whether it adds what it sees of a face by a scale, which ``set_to`` sets too.
        noncommercial: what of it may be used for non-commercial research only; empty is nothing.
        check: raises a ConfigError if a package that it needs is not installed; imports none.
        elsewhere: those of its files that no hub has, by place; raises a ModelError if one is not there.
    """

    title: str
    places: tuple[str, ...]
    families: tuple[str, ...]
    open: Callable[[tuple[Path, ...], ImageGenerator], IdentityGenerator]
    embeddings: tuple[str, ...] = ("tokens",)
    scaled: bool = False
    noncommercial: str = ""
    check: Callable[[], None] = lambda: None
    elsewhere: Callable[[], Mapping[str, Path]] = dict


@dataclass(frozen=True)
class SegmenterPart:
    """A kind of segmenter.

    Attributes:
        title: its name in sentences.
        places: as for an identity generator.
        open: ``open(files, *, room, **options)``; ``room`` is a ``device.Room``.
        check_phrases: ``check_phrases(files, scenes)`` raises a PromptError if the descriptions of
            one scene are too long together. Opens no weights.
    """

    title: str
    places: tuple[str, ...]
    open: Callable[..., Segmenter]
    check_phrases: Callable[[tuple[Path, ...], Iterable[Sequence[str]]], None] = (
        lambda files, scenes: None
    )


@dataclass(frozen=True)
class EnlargerPart:
    """A kind of network that doubles finished pictures; a checkpoint may do without.

    Attributes:
        title: its name in sentences.
        places: as for an identity generator.
        open: ``open(files)``.
    """

    title: str
    places: tuple[str, ...]
    open: Callable[[tuple[Path, ...]], Enlarger]


FAMILIES = Registry(
    "model family",
    "identitystory.families",
    {
        "sdxl": "identitystory.models.sdxl.family:SDXL",
        "flux2-klein": "identitystory.models.flow.family:KLEIN",
        "z-image": "identitystory.models.flow.family:Z_IMAGE",
    },
    needs=("name", "title", "pipeline", "parts", "open", "max_steps", "size", "check_prompts"),
    error=ModelError,
)
IDENTITY_GENERATORS = Registry(
    "identity generator",
    "identitystory.identity_generators",
    {
        "photomaker": "identitystory.models.sdxl.family:PHOTOMAKER",
        "photomaker-adapter": "identitystory.models.sdxl.family:PHOTOMAKER_ADAPTER",
        "plus-face": "identitystory.models.sdxl.family:PLUS_FACE",
        "instantid": "identitystory.models.sdxl.family:INSTANTID",
        "references": "identitystory.models.flow.family:REFERENCES",
        "words-alone": "identitystory.models.flow.family:WORDS_ALONE",
    },
    needs=("title", "places", "families", "open"),
    error=ModelError,
)
SEGMENTERS = Registry(
    "segmenter",
    "identitystory.segmenters",
    # In this order they are looked for; the plainest comes last.
    {
        "grounded-sam": "identitystory.models.segment.parts:GROUNDED_SAM",
        "clipseg": "identitystory.models.segment.parts:CLIPSEG",
    },
    needs=("title", "places", "open", "check_phrases"),
    error=ModelError,
)

ENLARGERS = Registry(
    "enlarger",
    "identitystory.enlargers",
    {
        "pixel-shuffle": "identitystory.models.enlarge:PIXEL_SHUFFLE",
    },
    needs=("title", "places", "open"),
    error=ModelError,
)


def family_of(pipeline: str) -> Family | None:
    """The family of a pipeline by its class's name; None if no family here has such.

    Raises:
        ModelError: none has, and another package's family is broken.
    """
    name = FAMILIES.first(lambda family: family.paints(pipeline)) if pipeline else None
    return FAMILIES.get(name) if name else None


def check_faces(part: IdentityPart, averaged: str, scale: float) -> None:
    """Nothing, if an identity generator has such embeddings and such a scale; else a ConfigError.

    Args:
        part: the generator.
        averaged: see `config.DiscoveryConfig`.
        scale: see `config.InjectionConfig`.
    """
    if not part.embeddings:
        raise ConfigError(
            f"the model has no identity generator ({part.title}), so that no face can be found or "
            "painted with it; --method general paints by words alone"
        )
    if averaged not in part.embeddings:
        raise ConfigError(
            f"discovery.averaged is {averaged}, and {part.title} has only "
            f"{' and '.join(part.embeddings)}; --model sdxl-plus-face has states too"
        )
    if scale != 1 and not part.scaled:
        raise ConfigError(
            f"injection.face_scale is {scale:g}, and {part.title} has none but 1; "
            "--model miniature-face, sdxl-plus-face and sdxl-instantid take others"
        )


def check_terms(part: IdentityPart) -> None:
    """Nothing, if ``part`` is for every use, or whoever runs this said that theirs is allowed; else a ConfigError.

    ``--allow-noncommercial`` says so, and the variable that it sets, for processes that follow.
    """
    if part.noncommercial and os.environ.get(ALLOWED) != "1":
        raise ConfigError(
            f"{part.title} is not for every use ({part.noncommercial}); if yours is such research, "
            f"say --allow-noncommercial, or set {ALLOWED}=1"
        )


def plain_family() -> Family:
    """The family whose layout a folder is held against if it does not say of which it is: SDXL's."""
    family: Family = FAMILIES.get(next(iter(FAMILIES.own)))
    return family
