"""InstantID's pickle to safetensors: ``python -m identitystory.models.sdxl.convert_instantid FROM TO``.

Run in a process of its own, as `convert` is: tensors are built and nothing else, and their names and
shapes are held against InstantID's before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .attention import sites
from .convert import check_shapes, checked, joined, opened, run, save
from .sizes import sdxl_unet

WIDTH, LAYERS, TOKENS = 1280, 4, 16  # of the resampler
ARCFACE, READ = 512, 2048  # numbers of a face, and of a token that SDXL's U-Net reads


def resampler_shapes() -> dict[str, tuple[int, ...]]:
    """Of every tensor of ``image_proj``, by its name there."""
    d = WIDTH
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, TOKENS, d),
        "proj_in.weight": (d, ARCFACE),
        "proj_in.bias": (d,),
        "proj_out.weight": (READ, d),
        "proj_out.bias": (READ,),
        "norm_out.weight": (READ,),
        "norm_out.bias": (READ,),
    }
    for n in range(LAYERS):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"layers.{n}.{norm}.{kind}": (d,) for kind in ("weight", "bias")}
        shapes |= {
            f"layers.{n}.0.to_q.weight": (d, d),
            f"layers.{n}.0.to_kv.weight": (2 * d, d),
            f"layers.{n}.0.to_out.weight": (d, d),
            f"layers.{n}.1.1.weight": (4 * d, d),
            f"layers.{n}.1.3.weight": (d, 4 * d),
        }
    return shapes


def attention_shapes() -> dict[str, tuple[int, ...]]:
    """Of every tensor of ``ip_adapter``, by its name there: a pair for each cross-attention of SDXL's U-Net."""
    with torch.device("meta"):
        unet: Any = sdxl_unet()
    return {
        f"{number}.to_{kind}_ip.weight": tuple(unet.get_submodule(site.name).to_k.weight.shape)
        for number, site in enumerate(sites(unet))
        if not site.is_self
        for kind in "kv"
    }


def flattened(
    content: Any, shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> dict[str, Tensor]:
    """``image_proj.*`` and ``ip_adapter.*`` of an InstantID pickle.

    Args:
        content: what it holds.
        shapes: of every tensor, by group and by its name there.

    Raises:
        ModelError: other groups, names or shapes than InstantID's; the first is named.
    """
    groups = checked(content, *shapes)
    for group, own in shapes.items():
        check_shapes(group, groups[group], own, "InstantID")
    return joined(groups)


def main(source: Path, made: Path) -> None:
    """Converts ``source`` into ``made``, which appears whole or not at all."""
    shapes = {"image_proj": resampler_shapes(), "ip_adapter": attention_shapes()}
    save(flattened(opened(source), shapes), made)


if __name__ == "__main__":
    run(main)
