"""PhotoMaker v1's pickle to safetensors: ``python -m identitystory.models.sdxl.convert FROM TO``.

Run in a process of its own. The pickle is opened with ``weights_only=True``, which builds tensors
and nothing else; keys and shapes are held against PhotoMaker v1's before anything is written.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping
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
    groups = checked(content, "id_encoder", "lora_weights")
    encoder = {k: v for k, v in groups["id_encoder"].items() if not k.endswith("position_ids")}
    check_shapes("id_encoder", encoder, shapes, "PhotoMaker v1")
    lora = groups["lora_weights"]
    odd = [k for k, v in lora.items() if "lora" not in k or v.dim() != 2]
    if not lora or odd:
        raise ModelError(f"lora_weights holds {odd[0]!r}" if odd else "lora_weights is empty")
    return joined({**groups, "id_encoder": encoder})


def checked(content: Any, *names: str) -> dict[str, Mapping[str, Tensor]]:
    """What a pickle holds, if that is these groups of tensors and nothing else; else a ModelError."""
    if not isinstance(content, Mapping) or set(content) != set(names):
        told = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise ModelError(f"it holds {told} instead of {' and '.join(names)}")
    for group in names:
        if not isinstance(content[group], Mapping):
            raise ModelError(f"{group} is a {type(content[group]).__name__}, not tensors by name")
        for key, value in content[group].items():
            if not isinstance(value, Tensor):
                raise ModelError(f"{group}.{key} is a {type(value).__name__}, not a tensor")
    return dict(content)


def check_shapes(
    group: str, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], title: str
) -> None:
    """Nothing, if a group has the tensors that ``shapes`` lists; else a ModelError that names the first other."""
    missing, strange = sorted(shapes.keys() - tensors), sorted(tensors.keys() - shapes)
    if missing or strange:
        what = f"{missing[0]!r} is missing" if missing else f"{strange[0]!r} is not {title}'s"
        raise ModelError(f"{group} has {len(tensors)} tensors instead of {len(shapes)}: {what}")
    for key, shape in shapes.items():
        if tuple(tensors[key].shape) != shape:
            found = tuple(tensors[key].shape)
            raise ModelError(f"{group}.{key} has the shape {found} instead of {shape}")


def joined(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """All tensors as ``GROUP.NAME``, contiguous and each in a memory of its own."""
    named = {f"{group}.{k}": v for group, own in groups.items() for k, v in own.items()}
    return {k: v.detach().contiguous().clone() for k, v in named.items()}


def main(source: Path, made: Path) -> None:
    """Converts PhotoMaker's ``source`` into ``made``, which appears whole or not at all."""
    save(flattened(opened(source), photomaker_v1_shapes()), made)


def opened(source: Path) -> Any:
    """What a pickle holds, if that is tensors and plain containers; else a ModelError."""
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(f"it is not a pickle of tensors alone ({type(error).__name__})") from None


def save(tensors: dict[str, Tensor], made: Path) -> None:
    """Writes ``made``, whole or not at all."""
    beside = made.with_suffix(f".{os.getpid()}.part")
    try:
        save_file(tensors, beside, metadata={"format": "pt"})
        os.replace(beside, made)
    finally:
        beside.unlink(missing_ok=True)


def run(convert: Callable[[Path, Path], None]) -> None:
    """``convert FROM TO`` of the command line; what is refused is one line and exit code 1."""
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    run(main)
