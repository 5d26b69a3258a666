"""Dense targets: the middle of the U-Net must know which part of the picture each place belongs to.

A linear layer reads off the middle block's maps how much of each place is a head, a face, hair,
clothes and so on, which the world knows exactly. So the network need not find out by denoising alone
what a person is made of. The layer is thrown away; it is learned again in some fifty steps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..pictures.latents import GROUPS
from .loop import DEVICE

WEIGHT = 0.1


class Dense:
    """The layer, its optimizer, and the maps of the last forward pass."""

    def __init__(self, unet: nn.Module) -> None:
        width = unet.config["block_out_channels"][-1]
        self.norm = nn.GroupNorm(8, width).to(DEVICE)
        self.layer = nn.Conv2d(width, len(GROUPS), 1).to(DEVICE)
        parameters = [*self.norm.parameters(), *self.layer.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, 2e-3)
        self.maps = torch.empty(0)
        unet.mid_block.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: tuple, maps: Tensor) -> None:
        self.maps = maps

    def untold(self, cells: Tensor) -> Tensor:
        """Cross entropy of the shares of cells (B, groups, h, w), of the last forward pass.

        Steps the layer down the gradient of the pass before, so that it needs no place of its own.
        """
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.layer(self.norm(self.maps.float()))
        size = cells.shape[-1] // logits.shape[-1]
        return F.binary_cross_entropy_with_logits(logits, F.avg_pool2d(cells, size))
