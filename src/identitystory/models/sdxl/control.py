"""What control nets (ControlNet, Zhang et al. 2023) add to the U-Net's features in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...sizes import Size
from ...types import Control, Prompt
from ..device import Room
from ..pixels import normalised

Controls = Mapping[str, Callable[[], Any]]  # what each reads -> opens the net, once


def as_seen(images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> Tensor:
    """(B, 3, H, W) in [0, 1]: what a net is shown of the layout of whole pictures, in a window its part."""
    parts = [x.crop(p.window) if p.window else x for x, p in zip(images, prompts, strict=True)]
    return normalised(parts, (0, 0, 0), (1, 1, 1))


def added(
    controls: Controls,
    prompts: Sequence[Prompt],
    i: int,
    num_steps: int,
    size: Size,
    room: Room,
    shown: Tensor,
    timestep: Tensor,
    beside: Callable[[Tensor, Tensor, Any], list[Tensor]] | None = None,
    **inputs: Any,
) -> dict[str, Any]:
    """What control nets say of step ``i``, as arguments of the U-Net; none if nobody asks them.

    Each net is asked once for the whole batch; its answer is multiplied by each picture's own strength,
    which is 0 for pictures without it. Both halves of a guided batch see the same picture, as in diffusers;
    in a window a net sees the same part as the U-Net.

    Args:
        controls: the nets there are.
        prompts: B, whose ``control`` is heeded.
        i: counts down.
        num_steps: t.
        size: (width, height) that pictures of the layout are scaled to.
        room: brings the nets to the device.
        shown: (B or 2B, C, h, w), as the U-Net sees it.
        timestep: likewise.
        beside: who speaks besides, see `conditioning.Conditioning`.
        **inputs: what else the U-Net and the nets both get.
    """
    asked: dict[str, list[Control | None]] = {}
    for b, prompt in enumerate(prompts):
        if (control := prompt.control) is not None and control.strength_at(i, num_steps):
            asked.setdefault(control.kind, [None] * len(prompts))[b] = control
    total: list[Tensor] = []
    for kind, own in sorted(asked.items()):
        net = controls[kind]()
        strengths = [c.strength_at(i, num_steps) if c else 0.0 for c in own]
        halves = len(shown) // len(prompts)
        black = Image.new("RGB", size)
        scaled = [c.image.resize(size, Image.Resampling.LANCZOS) if c else black for c in own]
        pictures = as_seen(scaled, prompts)
        with room.holding(net):
            down, middle = net(
                shown,
                timestep,
                controlnet_cond=pictures.repeat(halves, 1, 1, 1).to(shown.device, shown.dtype),
                return_dict=False,
                **inputs,
            )
        scale = torch.tensor(strengths * halves).to(shown).view(-1, 1, 1, 1)
        total = _sum(total, [x * scale for x in (*down, middle)])
    if beside is not None:
        total = _sum(total, beside(shown, timestep, inputs["added_cond_kwargs"]))
    if not total:
        return {}
    return {
        "down_block_additional_residuals": total[:-1],
        "mid_block_additional_residual": total[-1],
    }


def _sum(total: list[Tensor], said: list[Tensor]) -> list[Tensor]:
    return [a + b for a, b in zip(total, said, strict=True)] if total else said
