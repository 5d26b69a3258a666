"""FLUX.2 klein as a family, and its reference portraits. The networks are imported when opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...protocols import IdentityGenerator, ImageGenerator
from ...sizes import Size
from ..family import Family, IdentityPart
from ..files.catalogue import ENTRIES
from ..files.checkpoint import read_json
from ..sdxl.family import SDXL
from .text import check_lengths


def _open(folder: Path, **how: Any) -> ImageGenerator:
    from .load import load_klein

    return load_klein(folder, **how)


def _open_references(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .references import References

    return References(general)


def _size(folder: Path) -> tuple[Size, int]:
    vae = read_json(folder / "vae" / "config.json")
    side = int(vae.get("sample_size", 1024))
    return (side, side), 2 ** len(vae["block_out_channels"])


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
REFERENCES = IdentityPart(
    title="Reference portraits",
    places=(),
    families=("flux2-klein",),
    open=_open_references,
)
