"""A control net beside a U-Net: in diffusers' own folder, or as a small difference to the U-Net itself.

A ControlNet begins as a copy of its U-Net's encoder half, and one that was trained for a small change
stays near it. Such a one is stored as what it adds: ``low_rank.safetensors`` holds for each matrix
that changed ``NAME.up`` (out, r) and ``NAME.down`` (r, in), whose product is added to the U-Net's own
(to nothing, where the U-Net has no such matrix: the zero convolutions), and whole tensors by ``NAME``
for the rest; ``config.json`` the widths of the layers that see the picture. Both are
diffusers' ``ControlNetModel`` once they are opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.controlnets.controlnet import ControlNetModel
from torch import Tensor

from ...errors import ModelError
from ..device import Room
from ..files.checkpoint import read_json
from ..parts import load_part, read_tensors
from .generator import order_for_norms

LOW_RANK = "low_rank.safetensors"
WIDTHS = "conditioning_embedding_out_channels"  # in both kinds of config.json


def load_control(folder: Path, unet: Any, room: Room) -> Any:
    """The control net in ``folder``, in the precision of ``unet``, placed in ``room``.

    Raises:
        ModelError: it is missing or broken, or belongs to another U-Net.
    """
    if (folder / LOW_RANK).is_file():
        net = beside(unet, widths=tuple(read_json(folder / "config.json").get(WIDTHS, ())))
        add_low_rank(net, read_tensors(folder / LOW_RANK)[0], str(folder))
        net = net.to(unet.dtype)
    else:
        net = load_part(ControlNetModel, folder, dtype=unet.dtype)
        for name in ("in_channels", "cross_attention_dim", "block_out_channels"):
            if list_of(net.config[name]) != list_of(unet.config[name]):
                raise ModelError(
                    f"{folder} is a control net of another U-Net: its {name} is {net.config[name]}, "
                    f"the U-Net's {unet.config[name]}"
                )
    net = room.place(net).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    if room.device.type == "cpu":
        order_for_norms(net)
    return net


def list_of(value: Any) -> Any:
    """A tuple as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def beside(unet: Any, *, widths: tuple[int, ...]) -> Any:
    """A control net that begins as the encoder half of ``unet``, and says nothing yet.

    Where the U-Net's layers are narrower than the class has them (of the time), zeros stand in the
    rest, so that it computes the same.

    Args:
        unet: LoRAs may lie beside its weights; they do not count.
        widths: of the layers that see the picture, each half the size of the one before.
    """
    if len(widths) < 2:
        raise ModelError(f"a control net needs the widths of its first layers, {WIDTHS}")
    net = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=widths, load_weights_from_unet=False
    )
    own = {k.replace(".base_layer.", "."): v for k, v in unet.state_dict().items()}
    state = net.state_dict()
    state |= {k: grown(own[k].float(), v.shape) for k, v in state.items() if k in own}
    net.load_state_dict(state)
    return net


def grown(tensor: Tensor, shape: torch.Size) -> Tensor:
    """``tensor`` at the beginning of one of ``shape``, zeros in the rest."""
    more = [b - a for a, b in zip(tensor.shape, shape, strict=True)]
    return F.pad(tensor, [n for size in reversed(more) for n in (0, size)])


@torch.no_grad()
def add_low_rank(net: Any, tensors: dict[str, Tensor], file: str) -> None:
    """Puts what a low-rank file holds into ``net``, in place.

    Raises:
        ModelError: a tensor has no place in it, no other half, or another shape.
    """
    parameters = dict(net.named_parameters())
    for key, tensor in tensors.items():
        name = key.removesuffix(".up").removesuffix(".down")
        up, down = tensors.get(f"{name}.up"), tensors.get(f"{name}.down")
        if key.endswith(".down") and up is not None:
            continue
        try:
            place = parameters[name]
            if up is not None and down is not None:
                place += (up.float() @ down.float()).view(place.shape)
            else:
                place.copy_(tensor.view(place.shape))
        except (KeyError, RuntimeError) as error:
            raise ModelError(f"{file}: the U-Net has no place for {key!r} ({error})") from None
