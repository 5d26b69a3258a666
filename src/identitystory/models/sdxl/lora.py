"""LoRAs inside a U-Net: never merged into its weights, each off until it is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin
from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import ModelError


class LoraLayer(nn.Module):
    """W x + scale B A x for each LoRA that is on, beside the layer whose W it is.

    Attributes:
        base_layer: the layer itself, linear or a convolution.
        lora_A: A of each LoRA by its name; of a convolution it has the layer's kernel, and B is 1x1.
        lora_B: B of each.
        scaling: the scale of each.
        wanted: names of those that are on.
    """

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A, self.lora_B = nn.ModuleDict(), nn.ModuleDict()
        self.scaling: dict[str, float] = {}
        self.wanted: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        """What it has not is the layer's: ``weight``, ``in_features``."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base_layer"), name)

    def put(self, name: str, A: Tensor, B: Tensor) -> None:
        """Puts a LoRA beside the layer, off.

        Raises:
            ValueError: its shapes are another layer's.
        """
        W: Tensor = self.base_layer.weight  # type: ignore[assignment]
        fits = len(A) == B.shape[1] and A.shape[1:] == W.shape[1:] and len(B) == len(W)
        if not fits or A.dim() != B.dim():
            raise ValueError(f"{tuple(A.shape)} and {tuple(B.shape)} beside {tuple(W.shape)}")
        self.scaling[name] = 1.0
        self.lora_A[name], self.lora_B[name] = _like(self.base_layer, A), _like(None, B)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's answer and the LoRAs'."""
        result: Tensor = self.base_layer(x)
        for name in self.wanted:
            delta, scale = self.lora_B[name](self.lora_A[name](x)), self.scaling[name]
            result = result + (delta if scale == 1 else delta * scale)
        return result


def _like(layer: nn.Module | None, weight: Tensor) -> nn.Module:
    """A layer without bias that has ``weight``, and the stride and padding of ``layer``."""
    made: nn.Module
    if weight.dim() == 2:
        made = nn.Linear(1, 1, bias=False, device="meta")
    else:
        how: dict[str, Any] = {"kernel_size": tuple(weight.shape[2:])}
        how |= {k: getattr(layer, k) for k in ("stride", "padding", "dilation")} if layer else {}
        made = nn.Conv2d(1, 1, bias=False, device="meta", **how)
    made.weight = nn.Parameter(weight, requires_grad=False)
    return made


class Lora:
    """One LoRA of a U-Net: off, except inside ``with lora.on():``. Several may be on at once.

    Attributes:
        name: what it is called in its layers.
        layers: what it changes.
    """

    def __init__(self, unet: nn.Module, name: str) -> None:
        changed = [m for m in unet.modules() if isinstance(m, LoraLayer)]
        self.name = name
        self.layers = [layer for layer in changed if name in layer.lora_A]

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
    device, dtype = unet.device, unet.dtype  # asked once: each walks through the whole U-Net
    for place in dict.fromkeys(key.rsplit(".lora_", 1)[0] for key in state):
        A, B = (state.get(f"{place}.lora_{letter}.weight") for letter in "AB")
        try:
            layer = unet.get_submodule(place)
        except AttributeError:
            layer = None
        if not isinstance(layer, LoraLayer | nn.Linear | nn.Conv2d) or A is None or B is None:
            raise ModelError(f"{file}: the U-Net has no place for {place + '.lora_A.weight'!r}")
        if not isinstance(layer, LoraLayer):
            layer = LoraLayer(layer)
            unet.set_submodule(place, layer)
        try:
            layer.put(name, A.to(device, dtype), B.to(device, dtype))
        except ValueError as error:
            raise ModelError(f"{file}: the LoRA does not fit {place}: {error}") from None
    return Lora(unet, name)


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
