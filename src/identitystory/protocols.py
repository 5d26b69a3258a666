"""The seams: what the paper's files need from a model, and nothing else.

A generator is *driven one step at a time*. ``step`` is a pure function of (z, i, cond): the same
arguments give the same answer, in any order, however often. Re-denoising depends on it.
Noise is drawn on the CPU, so that a seed means one picture on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from .types import Face, Segmentation

Conditioning = Any  # opaque to everybody but the generator that made it


class ImageGenerator(Protocol):
    """G: a general text-to-image generator, driven one step at a time."""

    num_steps: int  # t
    size: int  # H = W, image pixels

    def condition(
        self, prompts: Sequence[str], *, guidance: float, negative: str = ""
    ) -> Conditioning:
        """Conditioning for a batch of prompts; carries the guidance scale of Eq. (CFG)."""
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


class IdentityGenerator(Protocol):
    """G_id: a generator that can embed a face and paint with it (PhotoMaker)."""

    num_steps: int
    size: int

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, d) float32, one identity embedding a picture, before fusing."""
        ...

    def condition(
        self,
        prompts: Sequence[str],
        *,
        guidance: float,
        negative: str = "",
        identities: Tensor | None = None,
        nouns: Sequence[str] | None = None,
    ) -> Conditioning:
        """As G's; with identities (B, d) each is fused once into its prompt's class word ``nouns[b]``.

        Raises:
            PromptError: a noun is not in its prompt, or lies beyond the encoder's last token.
        """
        ...

    def noise(self, seed: int) -> Tensor:
        """As G's."""
        ...

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """As G's, with the identity adapter on."""
        ...

    def decode(self, z: Tensor) -> list[Image.Image]:
        """As G's."""
        ...


class Segmenter(Protocol):
    """Finds the characters of a picture by phrase."""

    def segment(self, image: Image.Image, phrases: Sequence[str]) -> Segmentation:
        """One exclusive mask a phrase, all False where nobody was found. Never raises for that."""
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


__all__ = [
    "Backend",
    "Conditioning",
    "FaceRecogniser",
    "IdentityGenerator",
    "ImageGenerator",
    "PictureEncoder",
    "QualityJudge",
    "Segmenter",
]


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
        check_prompts: raises a PromptError if one of the prompts is longer than the model reads.
        check_phrases: raises a PromptError if the descriptions of one scene are, together.
    """

    fingerprint: str
    device: str
    dtype: str
    folder: Path | None = None
    few_steps: str = ""
    max_steps: int | None = None
    check_prompts: Callable[[Iterable[str]], None] = lambda prompts: None
    check_phrases: Callable[[Iterable[Sequence[str]]], None] = lambda scenes: None
