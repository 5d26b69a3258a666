"""LoRAs in a model's name, ``sdxl + ink.safetensors:0.8 + paper.safetensors:1``.

A model and the LoRAs on it are one name, so that runs, records and workers carry them like any model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ...errors import ModelError, shown

PLUS = " + "
STRONGEST = 4.0
_WRITTEN = re.compile(r"(.+\.safetensors)(?::(.*))?", re.DOTALL)
_NAMED = re.compile(r".+\.safetensors(:-?[\d.e-]+)?", re.DOTALL | re.ASCII)

Loras = tuple[tuple[str, float], ...]  # files and weights, in order


def read_lora_name(given: str) -> tuple[str, float]:
    """File and weight of ``ink.safetensors:0.8``; the weight is 1 without one.

    Raises:
        ModelError: it is no .safetensors file, or the weight is no number from -4 to 4.
    """
    found = _WRITTEN.fullmatch(given)
    if found is None or PLUS in given or not found[1].isprintable():
        pickle = re.search(r"\.(ckpt|pt|pth|bin)(:|$)", given.lower())
        why = ": a pickle runs the code that it holds, and is not opened" if pickle else ""
        raise ModelError(
            f"the LoRA {shown(given)} is not FILE.safetensors or FILE.safetensors:WEIGHT{why}"
        )
    try:
        weight = float(1 if found[2] is None else found[2])
    except ValueError:
        weight = float("nan")
    if not abs(weight) <= STRONGEST:
        raise ModelError(
            f"the weight of the LoRA {shown(given)} must be a number from -{STRONGEST:g} to "
            f"{STRONGEST:g}, as in {shown(found[1] + ':0.8')}"
        )
    return found[1], weight


def with_loras(model: str, loras: Iterable[str]) -> str:
    """``model`` with these LoRAs on it as well; a ModelError as `read_lora_name`."""
    return "".join([model, *(f"{PLUS}{f}:{w!r}" for f, w in map(read_lora_name, loras))])


def split_loras(model: str) -> tuple[str, Loras]:
    """The model alone, and the LoRAs on it."""
    parts = model.split(PLUS)
    loras: list[tuple[str, float]] = []
    while len(parts) > 1 and _NAMED.fullmatch(parts[-1]):
        loras.append(read_lora_name(parts.pop()))
    return PLUS.join(parts), tuple(reversed(loras))


def on_base(model: str, own: str) -> str:
    """``model``; where it is LoRAs alone, these on ``own``, whose LoRAs they replace."""
    return split_loras(own)[0] + model if model.startswith(PLUS) else model or own


def with_files(model: str, base: str, change: Callable[[str], str]) -> str:
    """``base`` with the LoRAs of ``model``, the way to each changed."""
    return base + "".join(f"{PLUS}{change(file)}:{w!r}" for file, w in split_loras(model)[1])
