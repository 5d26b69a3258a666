"""FLUX.2 klein as a family with its reference portraits, and Z-Image. The networks are imported when opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...protocols import IdentityGenerator, ImageGenerator
from ...sizes import Size
from ..family import Family, IdentityPart
from ..files.catalogue import ENTRIES
from ..files.configs import told
from ..sdxl.family import SDXL
from .text import check_lengths


def _open(folder: Path, **how: Any) -> ImageGenerator:
    from .load import load_klein

    return load_klein(folder, **how)


def _open_z_image(folder: Path, **how: Any) -> ImageGenerator:
    from .load import load_z_image

    return load_z_image(folder, **how)


def _open_words_alone(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .z_image import WordsAlone

    return WordsAlone(general)


def _open_references(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .references import References

    return References(general)


def _size(folder: Path) -> tuple[Size, int]:
    vae = folder / "vae" / "config.json"
    side = told(vae, "sample_size", int, 1024)
    return (side, side), 2 ** len(told(vae, "block_out_channels", list))


KLEIN = Family(
    name="flux2-klein",
    title="FLUX.2 klein",
    pipeline="Flux2KleinPipeline",
    parts={
        "tokenizer": False,
        "text_encoder": True,
        "transformer": True,
        "vae": True,
        "scheduler": False,
    },
    open=_open,
    max_steps=SDXL.max_steps,
    size=_size,
    check_prompts=check_lengths,
    identity="references",
    suits=ENTRIES["flux2-klein-base"].suits,
)
Z_IMAGE = replace(
    KLEIN,
    name="z-image",
    title="Z-Image",
    pipeline="ZImagePipeline",
    open=_open_z_image,
    identity="words-alone",
    suits=ENTRIES["z-image-base"].suits,
)
WORDS_ALONE = IdentityPart(
    title="Words alone",
    places=(),
    families=("z-image",),
    open=_open_words_alone,
    embeddings=(),
)
REFERENCES = IdentityPart(
    title="Reference portraits",
    places=(),
    families=("flux2-klein",),
    open=_open_references,
)
