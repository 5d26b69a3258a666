"""A control net beside a U-Net, from diffusers' own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel

from ...errors import ModelError
from ..device import Room
from ..parts import load_part
from .generator import order_for_norms


def load_control(folder: Path, unet: Any, room: Room) -> Any:
    """The control net in ``folder``, in the precision of ``unet``, placed in ``room``.

    Raises:
        ModelError: it is missing or broken, or belongs to another U-Net.
    """
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
