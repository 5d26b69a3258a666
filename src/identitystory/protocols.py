"""The seams: what the paper's files need from a model, and nothing else.

A generator is *driven one step at a time*. ``step`` is a pure function of (z, i, cond): the same
arguments give the same answer, in any order, however often. Re-denoising depends on it.
Noise is drawn on the CPU, so that a seed means one picture on every device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from .sizes import Size
    from .types import Face, Prompt, Segmentation

Conditioning = Any  # opaque to everybody but the generator that made it
# Of a picture, masks (s, H, W) of its characters and heads (n, H, W), if they are known: the places of
# those who seem to wear nothing; or, where the last is true, who may do so once faces are put in.
FindsBare = Callable[["Image.Image", "Tensor", "Tensor | None", bool], Sequence[int]]


class ImageGenerator(Protocol):
    """G: a general text-to-image generator, driven one step at a time."""

    num_steps: int  # t
    size: Size  # (width, height) in pixels
    multiple: int  # of which width and height must be

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """What steers a batch of pictures, one a prompt: all that `types.Prompt` has.

        Prompts may differ in length, guidance and all else; a picture does not depend on the others.

        Raises:
            ConfigError: a prompt has what this generator cannot heed: a face, a control.
            PromptError: a prompt is longer than the text encoders read.
        """
        ...

    def with_size(self, size: Size) -> Self:
        """This generator for pictures of another size, on the same networks."""
        ...

    def calls(self, i: int, cond: Conditioning) -> int:
        """Network calls that step ``i`` of all its pictures takes; two a picture with guidance."""
        ...

    def noise(self, seed: int) -> Tensor:
        """z_t, (C, h, w) float32 on the CPU, already scaled for the sampler."""
        ...

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1}, (B, C, h, w) float32. Pure; ``i`` counts down from ``num_steps`` to 1."""
        ...

    def decode(self, z: Tensor) -> list[Image.Image]:
        """Clean latents (B, C, h, w) to RGB pictures."""
        ...


class IdentityGenerator(ImageGenerator, Protocol):
    """G_id: a generator that can embed a face and paint with it (PhotoMaker).

    A prompt's face is fused once into its class word, the prompt's ``noun``; `condition` raises
    PromptError where the noun is not in the text.
    """

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, d) float32, one identity embedding a picture, before fusing.

        Who looks for a face and finds none in a picture gives a row of zeros for it.
        """
        ...


# What a generator may offer besides; `isinstance` of `sampling.unwatched` tells whether it does.


@runtime_checkable
class Respaced(Protocol):
    """A generator that can take another number of steps."""

    def with_steps(self, num_steps: int) -> Self:
        """This generator with another number of steps, on the same networks."""
        ...


@runtime_checkable
class FusesAgain(Protocol):
    """An identity generator that can put its faces in at every step, as the release does."""

    def fuse_again(self, cond: Conditioning) -> Conditioning:
        """``cond`` with its faces fused into its class words, which may be fused already."""
        ...


@runtime_checkable
class PlacesFaces(Protocol):
    """An identity generator that is told where in a picture a face is; it heeds `types.Prompt.points`."""

    def face_points(self, image: Image.Image, masks: Tensor) -> list[Tensor | None]:
        """Of the face in each mask (s, H, W) of ``image`` five points (5, 2), None where none is found.

        x and y in pixels of the eye on the left, the eye on the right, the nose's tip, the mouth's left
        corner and its right one.
        """
        ...

    def portrait_points(self) -> Tensor:
        """(5, 2), where a face is in a portrait of this size: for pictures without a template."""
        ...


@runtime_checkable
class Editable(Protocol):
    """A generator whose attention can be edited, such as ``models.sdxl.generator.LatentDiffusion``.

    ``unet`` is the network, ``encode`` the pair of text encoders (``models.sdxl.text.TextEncoders``),
    ``sampler`` has the timesteps (``models.samplers.Sampler``). Under an edit the pictures of a batch
    are stepped in one call, whatever their prompts.
    """

    unet: Any
    encode: Any
    sampler: Any


class EditableGenerator(ImageGenerator, Editable, Protocol):
    """G with its attention open to edits."""


class Segmenter(Protocol):
    """Finds the characters of a picture by phrase."""

    def segment(self, image: Image.Image, phrases: Sequence[str]) -> Segmentation:
        """One exclusive mask a phrase, all False where nobody was found. Never raises for that."""
        ...


@runtime_checkable
class FindsHeads(Protocol):
    """A segmenter that knows a head when it sees one.

    With it a character is found only by a mask that holds a head (`masks.with_heads`), and people are
    counted by their heads. A segmenter without it is taken at its word, and nobody is counted.
    """

    def heads(self, image: Image.Image, phrases: Sequence[str]) -> Tensor:
        """(n, H, W) bool on the CPU, exclusive: one mask a head, hair and all, whoever's it is.

        ``phrases`` are those of `Segmenter.segment`, who is probably among them; there may be none.
        """
        ...


class Enlarger(Protocol):
    """Doubles finished pictures."""

    def enlarge(self, image: Image.Image) -> Image.Image:
        """The picture at twice its width and height, in RGB."""
        ...


class PictureEncoder(Protocol):
    """Pictures and texts in one space: CLIP."""

    name: str  # model and version, for the results
    limit: int  # tokens of a text that it reads

    def pictures(self, images: Sequence[Image.Image]) -> Tensor:
        """(n, d) float32 on the CPU."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(n, d) float32 on the CPU; what lies beyond ``limit`` tokens is not read."""
        ...


class FaceRecogniser(Protocol):
    """Finds faces and tells how alike two are."""

    name: str  # model and version, for the results
    licence: str  # of its weights
    scale: str  # what its similarity means

    def faces(self, image: Image.Image) -> list[Face]:
        """Every face found in ``image``."""
        ...

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, m) float64 of embeddings (n, d) and (m, d); 1 for equal faces."""
        ...


class QualityJudge(Protocol):
    """Rates pictures in files."""

    name: str  # model and version, for the results

    def rate(self, pictures: Sequence[Path]) -> tuple[Tensor, Tensor]:
        """(n,) aesthetic and (n,) general quality, each in [1, 5]."""
        ...


@dataclass(frozen=True)
class Backend:
    """Parts that belong together: what a checkpoint folder is opened as."""

    name: str
    general: ImageGenerator
    identity: IdentityGenerator
    segmenter: Segmenter
    fingerprint: str = ""  # sha256 over the weights: what makes a finished part stale
    search: IdentityGenerator | None = None  # paints the portraits; None is ``identity``
    adapter: Callable[[], Any] | None = None  # the IP-Adapter, opened when first asked for
    bare: FindsBare | None = None  # sees who wears nothing; None if nothing here can tell


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model without loading it.

    Attributes:
        fingerprint: sha256 over its weights.
        device: where it will run.
        dtype: what it will compute in, ``float32`` and so on.
        folder: its checkpoint, or None if it is not a local folder.
        few_steps: sha256 of its few-step LoRA; empty if it has none.
        max_steps: the most sampling steps that its schedule has; None if that is not known.
        size: (width, height) that it was made for, in pixels; None if that is not known, and then
            no other can be asked for.
        multiple: of which width and height must be.
        adapter: the folder that its IP-Adapter lies in; None if it has none.
        sizes: all that it was made for, where its card says so; see `sizes.buckets`.
        words: of each LoRA on it, by its file's name, what it listens to.
        encoder: sha256 over what embeds portraits; empty if that is not told apart from the rest.
        check_prompts: raises a PromptError if one of the prompts is longer than the model reads;
            returns those that it reads in pieces.
        check_phrases: raises a PromptError if the descriptions of one scene are, together.
        check_faces: raises a ConfigError if its embeddings are not of this kind (`config.DiscoveryConfig`),
            or its faces have no such scale (`config.InjectionConfig`).
        control_weights: sha256 over the control net that reads this kind of picture; raises a
            ModelError if it has none.
    """

    fingerprint: str
    device: str
    dtype: str
    folder: Path | None = None
    few_steps: str = ""
    max_steps: int | None = None
    size: Size | None = None
    multiple: int = 1
    adapter: Path | None = None
    sizes: tuple[Size, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encoder: str = ""
    check_prompts: Callable[[Iterable[str]], Sequence[str] | None] = lambda prompts: None
    check_phrases: Callable[[Iterable[Sequence[str]]], None] = lambda scenes: None
    check_faces: Callable[[str, float], None] = lambda averaged, scale: None
    control_weights: Callable[[str], str] = lambda kind: ""

    @property
    def embeds(self) -> str:
        """What an embedding of this model is named by: other bases with one encoder share theirs."""
        return self.encoder or hashlib.sha256(self.fingerprint.encode()).hexdigest()
