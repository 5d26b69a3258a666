"""LoRAs inside a U-Net: never merged into its weights, each off until it is wanted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any

from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin
from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
from peft import get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import ModelError


class Lora:
    """One LoRA of a U-Net: off, except inside ``with lora.on():``. Several may be on at once.

    Attributes:
        name: peft's name of it.
        layers: what it changes.
    """

    def __init__(self, unet: nn.Module, name: str) -> None:
        tuned = [m for m in unet.modules() if isinstance(m, BaseTunerLayer)]
        self.name = name
        self.layers: list[Any] = [m for m in tuned if name in m.lora_A]  # type: ignore[operator]
        for layer in self.layers:
            layer.wanted = ()
            layer.forward = MethodType(_plus_loras, layer)

    @contextmanager
    def on(self) -> Iterator[None]:
        """The LoRA on, and as it was again whatever happens."""
        for layer in self.layers:
            layer.wanted = (*layer.wanted, self.name)
        try:
            yield
        finally:
            for layer in self.layers:
                layer.wanted = layer.wanted[:-1]


def _plus_loras(layer: Any, x: Tensor) -> Tensor:
    """W x + scale B A x for each LoRA that is on: peft's own forward, bit for bit, without its questions.

    They cost as much as a small layer itself, and more than an accelerator takes for a large one.
    """
    result: Tensor = layer.base_layer(x)
    for name in layer.wanted:
        A, B, scale = layer.lora_A[name], layer.lora_B[name], layer.scaling[name]
        if isinstance(A, nn.Linear):
            delta = nn.functional.linear(nn.functional.linear(x, A.weight), B.weight)
        else:
            delta = B(A(x))
        result = result + (delta if scale == 1 else delta * scale)
    return result


def load_lora(
    unet: Any,
    tensors: Mapping[str, Tensor],
    name: str,
    *,
    file: str = "the file",
) -> Lora:
    """A LoRA's tensors put beside ``unet``'s weights, unmerged and switched off.

    Keys may carry ``unet.`` in front, in peft's form (``to_q.lora_A.weight``) or the older ones
    (``processor.to_q_lora.down.weight``, ``to_q.lora.down.weight``). The scale is 1.

    Args:
        unet: where it is put.
        tensors: of the U-Net alone.
        name: another one than the U-Net's other LoRAs have.
        file: what to call the file in errors.

    Raises:
        ModelError: a tensor that the U-Net has no place for, or a kind that is not supported.
    """
    state = {k.removeprefix("unet."): v for k, v in tensors.items()}
    if any("lora_A" not in k and "lora_B" not in k for k in state):
        state = convert_unet_state_dict_to_peft(state)
    strange = [k for k in state if not re.search(r"\.lora_[AB]\.weight$", k)]
    if strange:
        raise ModelError(f"{file}: {strange[0]!r} is not a LoRA weight of a U-Net")
    if state:
        try:
            with warnings.catch_warnings():  # that the U-Net has another LoRA already
                warnings.simplefilter("ignore", UserWarning)
                unet.load_lora_adapter(dict(state), prefix=None, adapter_name=name)
        except (ValueError, KeyError, IndexError, RuntimeError) as error:
            raise ModelError(f"{file}: the LoRA does not fit: {error}") from error
        placed = get_peft_model_state_dict(unet, adapter_name=name)
        homeless = sorted(state.keys() - placed.keys())
        if homeless:
            raise ModelError(f"{file}: the U-Net has no place for {homeless[0]!r}")
    lora = Lora(unet, name)
    device, dtype = unet.device, unet.dtype  # asked once: each walks through the whole U-Net
    for layer in lora.layers:
        layer.to(device, dtype).requires_grad_(False)
    return lora


def read_lora(file: Path, unet: Any, name: str) -> Lora:
    """The U-Net's part of a LoRA file, in any form that diffusers reads (kohya's too).

    Raises:
        ModelError: the file is missing or broken, or does not fit.
    """
    try:
        tensors, alphas = StableDiffusionXLLoraLoaderMixin.lora_state_dict(
            load_file(file), unet_config=unet.config
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read as a LoRA: {error}") from error
    state = {k: v for k, v in tensors.items() if k.startswith("unet.")}
    for key, alpha in (alphas or {}).items():  # the scale is alpha over rank: into the weights
        down = key.removesuffix(".alpha")
        if down in state:
            state[down] = state[down] * (float(alpha) / state[down].shape[0])
    return load_lora(unet, state, name, file=file.name)
