"""PhotoMaker v1's pickle to safetensors: ``python -m identitystory.models.sdxl.convert FROM TO``.

Run in a process of its own. The pickle is opened with ``weights_only=True``, which builds tensors
and nothing else; keys and shapes are held against PhotoMaker v1's before anything is written.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...errors import ModelError
from .identity_encoder import photomaker_v1_shapes


def flattened(content: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """``id_encoder.*`` and ``lora_weights.*`` of a PhotoMaker checkpoint, as contiguous tensors.

    Args:
        content: what the pickle holds.
        shapes: of every tensor of the encoder, by its name there.

    Raises:
        ModelError: other groups, keys or shapes than PhotoMaker v1's; the first is named.
    """
    groups = {"id_encoder", "lora_weights"}
    if not isinstance(content, Mapping) or set(content) != groups:
        told = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise ModelError(f"it holds {told} instead of id_encoder and lora_weights")
    for group in sorted(groups):
        for key, value in content[group].items():
            if not isinstance(value, Tensor):
                raise ModelError(f"{group}.{key} is a {type(value).__name__}, not a tensor")
    encoder = {k: v for k, v in content["id_encoder"].items() if not k.endswith("position_ids")}
    missing, strange = sorted(shapes.keys() - encoder), sorted(encoder.keys() - shapes)
    if missing or strange:
        what = f"{missing[0]!r} is missing" if missing else f"{strange[0]!r} is not PhotoMaker v1's"
        raise ModelError(f"the encoder has {len(encoder)} tensors instead of {len(shapes)}: {what}")
    for key, shape in shapes.items():
        if tuple(encoder[key].shape) != shape:
            found = tuple(encoder[key].shape)
            raise ModelError(f"id_encoder.{key} has the shape {found} instead of {shape}")
    lora = content["lora_weights"]
    odd = [k for k, v in lora.items() if "lora" not in k or v.dim() != 2]
    if not lora or odd:
        raise ModelError(f"lora_weights holds {odd[0]!r}" if odd else "lora_weights is empty")
    tensors = {f"id_encoder.{k}": v for k, v in encoder.items()}
    tensors |= {f"lora_weights.{k}": v for k, v in lora.items()}
    return {k: v.detach().contiguous().clone() for k, v in tensors.items()}


def main(source: Path, made: Path) -> None:
    """Converts ``source`` into ``made``, which appears whole or not at all."""
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(f"it is not a pickle of tensors alone ({type(error).__name__})") from None
    tensors = flattened(content, photomaker_v1_shapes())
    beside = made.with_suffix(f".{os.getpid()}.part")
    try:
        save_file(tensors, beside, metadata={"format": "pt"})
        os.replace(beside, made)
    finally:
        beside.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except ModelError as error:
        sys.exit(str(error))
