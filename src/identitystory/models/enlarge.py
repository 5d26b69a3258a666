"""Pictures at twice their size, by a small network that a checkpoint may hold in ``enlarger/``.

Not a part of the paper: finished pictures are enlarged, and stay as they are. The network is
convolutions at the small size, whose last channels are the four pixels of each (Shi et al. 2016),
on top of a bicubic enlargement.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError
from ..protocols import Enlarger
from .family import ENLARGERS, EnlargerPart
from .files.card import read_card
from .files.checkpoint import find_checkpoint
from .files.configs import read_json
from .files.found import found_in
from .pixels import normalised

HALF = (0.5, 0.5, 0.5)  # colours in [0, 1] to [-1, 1]


class PixelShuffle(nn.Module):
    """(B, 3, H, W) in [-1, 1] to (B, 3, 2 H, 2 W).

    Parameters:
        width: channels of each layer.
        depth: layers between the first and the last, an even number.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.middle = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.last = nn.Conv2d(width, 12, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """The pictures at twice their size."""
        h = self.first(x)
        for a, b in zip(self.middle[::2], self.middle[1::2], strict=True):
            h = h + b(F.silu(a(F.silu(h))))
        sharp = F.pixel_shuffle(self.last(F.silu(h)), 2)
        smooth = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return smooth + sharp

    @torch.inference_mode()
    def enlarge(self, image: Image.Image) -> Image.Image:
        """``image`` at twice its size, in RGB."""
        y = (self(normalised([image], HALF, HALF)).clamp(-1, 1) + 1) * 127.5
        return Image.fromarray(y[0].permute(1, 2, 0).round().byte().numpy())


def load_enlarger(folder: Path) -> PixelShuffle:
    """The network in ``folder``, frozen, float32 on the processor.

    Raises:
        ModelError: it is broken.
    """
    facts = read_json(folder / "config.json")
    try:
        network = PixelShuffle(int(facts["width"]), int(facts["depth"]))
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} is broken: {' '.join(str(error).split())[:200]}") from None
    return network.float().eval().requires_grad_(False)


def open_enlarger(model: str) -> Enlarger:
    """What a model's checkpoint enlarges with.

    Raises:
        ModelError: it is not here, or has no enlarger.
    """
    folder = find_checkpoint(model).base
    found = found_in(folder, ENLARGERS, read_card(folder).parts.get("enlarger"))
    if found is None:
        raise ModelError(f"{model} has no enlarger (enlarger/ in its folder); leave --enlarge out")
    return found.open()


PIXEL_SHUFFLE = EnlargerPart(
    title="pixel shuffle", places=("enlarger",), open=lambda files: load_enlarger(files[0])
)
