"""The U-Net with the identity's LoRA and fuse module beside it."""

from __future__ import annotations

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from ..package import FuseModule
from .text import WIDTHS
from .unet import load_unet, new_unet, predicted, watch

LORA, RANK = "photomaker", 16
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]  # PhotoMaker's: every attention projection


class Painter(nn.Module):
    """The U-Net with its LoRA, and the fuse module."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = new_unet()
        self.layers = watch(self.unet)
        self.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS), LORA)
        width = sum(WIDTHS)
        self.fuse = FuseModule(width)
        with torch.no_grad():  # so that the identity is half of the fused row; it would be a tenth
            self.fuse.mlp1.fc2.weight *= 4
        self._switches = [m for m in self.unet.modules() if isinstance(m, BaseTunerLayer)]

    def switch(self, on: bool) -> None:
        """The LoRA on or off."""
        for layer in self._switches:
            layer._disable_adapters = not on

    def forward(
        self, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor, *, identity: bool
    ) -> Tensor:
        """Predicted velocity."""
        self.switch(identity)
        return predicted(self.unet, x, t, states, pooled)

    def with_identity(self, states: Tensor, where: Tensor, e: Tensor) -> Tensor:
        """``states`` (B, L, D) with ``e`` (B, D) fused into the class word's row ``where`` (B,).

        Where there is no class word (0) the states stay as they are.
        """
        every = torch.arange(len(states), device=states.device)
        rows = states[every, where]
        changed = states.clone()
        fused = self.fuse(rows, e).to(states)
        changed[every, where] = torch.where((where > 0)[:, None], fused, rows)
        return changed


def plain_state(unet: nn.Module) -> dict[str, Tensor]:
    """The U-Net's weights without any LoRA, under their own names."""
    state = unet.state_dict()
    return {k.replace(".base_layer", ""): v for k, v in state.items() if "lora_" not in k}


def load_plain(painter: Painter, state: dict[str, Tensor]) -> None:
    """Put a plain U-Net's weights into a painter's."""
    own = painter.unet.state_dict()
    names = {k.replace(".base_layer", ""): k for k in own if "lora_" not in k}
    painter.unet.load_state_dict({names[k]: v.float() for k, v in state.items()}, strict=False)


def painter_of_unet() -> Painter:
    """The trained U-Net with an untrained LoRA and fuse module."""
    painter = Painter()
    load_plain(painter, load_unet().state_dict())
    return painter
