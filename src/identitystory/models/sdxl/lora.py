"""LoRAs: beside a U-Net's weights, off until they are wanted, or added to them for good.

The identity generator's own is beside them, for the general generator has the same U-Net and must
not feel it. Those of a user are on both generators, and are added when the base is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ..parts import read_tensors
from .lora_file import told_scales
from .places import flat, lora_places


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
    metadata: Mapping[str, str] | None = None,
) -> Lora:
    """A LoRA's tensors put beside ``unet``'s weights, unmerged and switched off.

    Keys may be peft's (``to_q.lora_A.weight``), kohya's (``lora_unet_..._to_q.lora_down.weight``) or
    diffusers' older ones (``processor.to_q_lora.down.weight``). The scale is alpha over rank; alpha is
    a tensor, or stands in the metadata (`lora_file.told_scales`). It is 1 without one.

    Args:
        unet: where it is put.
        tensors: of the U-Net alone.
        name: another one than the U-Net's other LoRAs have.
        file: what to call the file in errors.
        metadata: the file's.

    Raises:
        ModelError: a tensor that the U-Net has no place for, or a kind that is not supported.
    """
    device, dtype = unet.device, unet.dtype  # asked once: each walks through the whole U-Net
    places = lora_places(unet, (), _takes_lora)
    for _, place, A, B, scale in _pairs(tensors, metadata or {}, places, file):
        layer = unet.get_submodule(place)
        if not isinstance(layer, LoraLayer):
            layer = LoraLayer(layer)
            unet.set_submodule(place, layer)
        try:
            layer.put(name, (A if scale == 1 else A * scale).to(device, dtype), B.to(device, dtype))
        except ValueError as error:
            raise ModelError(f"{file}: the LoRA does not fit {place}: {error}") from None
    return Lora(unet, name)


def read_lora(file: Path, unet: Any, name: str) -> Lora:
    """As `load_lora`, of a file.

    Raises:
        ModelError: the file is missing or broken, or does not fit.
    """
    tensors, metadata = read_tensors(file)
    return load_lora(unet, tensors, name, file=file.name, metadata=metadata)


@torch.no_grad()
def merge_lora(file: Path, weight: float, unet: Any, encoders: Sequence[nn.Module]) -> None:
    """Adds weight (alpha / rank) B A to the weights of U-Net and text encoders, computed in float32.

    Raises:
        ModelError: the file is missing or broken, or does not fit.
    """
    places = lora_places(unet, encoders, _takes_lora)
    for network, place, A, B, scale in _pairs(*read_tensors(file), places, file.name):
        W: Tensor = network.get_submodule(place).weight  # type: ignore[assignment]
        if (len(B), B.shape[1], A.shape[1]) != (len(W), len(A), W.shape[1]):
            raise ModelError(f"{file.name}: {_shapes(A, B, W)} does not fit {place}")
        change = B.flatten(1).to(W.device).float() @ A.flatten(1).to(W.device).float()
        if change.numel() != W.numel():
            raise ModelError(f"{file.name}: {_shapes(A, B, W)} does not fit {place}")
        W.copy_(W.float() + weight * scale * change.view(W.shape))


def _takes_lora(layer: nn.Module) -> bool:
    return isinstance(layer, LoraLayer | nn.Linear | nn.Conv2d)


def _shapes(A: Tensor, B: Tensor, W: Tensor) -> str:
    return f"{tuple(A.shape)} and {tuple(B.shape)} beside {tuple(W.shape)}"


_KEY = re.compile(
    r"(?P<place>.+?)[._]lora(?:_linear_layer)?[._](?P<side>A|B|down|up)(?:\.default)?\.weight"
)


def _pairs(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    places: Mapping[str, tuple[nn.Module, str]],
    file: str,
) -> Iterator[tuple[nn.Module, str, Tensor, Tensor, float]]:
    """For each layer that the tensors change: the network it is in, its name, A, B and the scale.

    Raises:
        ModelError: a tensor without a place or without its other half, one of no rank, or none at all.
    """
    told = told_scales(metadata, file)
    found: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        place = match["place"] if match else key.removesuffix(".alpha")
        side = {"down": "A", "up": "B"}.get(match["side"], match["side"]) if match else "alpha"
        if side == "alpha" and (place == key or tensor.numel() != 1):
            raise ModelError(f"{file}: {key!r} is not a LoRA weight of SDXL")
        found.setdefault(flat(place), {})[side] = key, tensor
    if not found:
        raise ModelError(f"{file} holds no LoRA")
    for place, sides in found.items():
        key = next(iter(sides.values()))[0]
        if place not in places:
            raise ModelError(f"{file}: the model has no place for {key!r}")
        if "A" not in sides or "B" not in sides:
            raise ModelError(f"{file}: {key!r} is not a LoRA weight of SDXL without its other half")
        A, B = sides["A"][1], sides["B"][1]
        if min(A.dim(), B.dim()) < 2 or not len(A):
            shapes = f"{tuple(A.shape)} and {tuple(B.shape)}"
            raise ModelError(f"{file}: {key!r} is not a LoRA weight of SDXL ({shapes})")
        alpha = sides.get("alpha")
        scale = told(key, len(A)) if alpha is None else float(alpha[1]) / len(A)
        yield *places[place], A, B, scale
