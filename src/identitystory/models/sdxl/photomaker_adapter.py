"""PhotoMaker with an IP-Adapter beside it as G_id: a face in the class word, and beside the words.

Both read PhotoMaker's embedding, which an adapter can that was trained on it, as the one in the
miniature. With a scale of 0 it is PhotoMaker alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...types import Prompt
from .attention import Beside
from .conditioning import Conditioning
from .face_beside import FaceBeside, Seen
from .generator import LatentDiffusion
from .ip_adapter import AdapterLayers, check_width, read_layers
from .photomaker import PhotoMaker, load_photomaker


class PhotoMakerAdapter(FaceBeside, PhotoMaker):  # type: ignore[misc]  # what steers a batch is its own
    """G_id: PhotoMaker, which looks at the face besides.

    Attributes:
        layers: the adapter.
    """

    layers: AdapterLayers

    def worded(self, prompt: Prompt) -> Conditioning:
        return PhotoMaker.condition(self, [prompt])

    @torch.inference_mode()
    def shown(self, face: Tensor) -> Beside | None:
        if not self.scale:
            return None
        tokens = [self.layers.tokens(e[None]) for e in (torch.zeros_like(face), face)]
        return Beside(self.layers.keys, self.layers.values, torch.stack(tokens), self.scale)

    def fuse_again(self, cond: Conditioning | Seen) -> Any:
        """As PhotoMaker's; what is looked at beside the words stays."""
        if not isinstance(cond, Seen):
            return PhotoMaker.fuse_again(self, cond)
        fused = ((at, PhotoMaker.fuse_again(self, own), shown) for at, own, shown in cond.parts)
        return Seen(tuple(fused))


def load_photomaker_adapter(
    file: Path, adapter: Path, general: LatentDiffusion
) -> PhotoMakerAdapter:
    """G_id on ``general``'s U-Net, in its precision and room.

    Args:
        file: PhotoMaker's.
        adapter: an IP-Adapter's, which reads PhotoMaker's embeddings.
        general: G.

    Raises:
        ModelError: a file is missing, broken, of another kind or size, or they do not fit.
    """
    own = load_photomaker(file, general)
    made = PhotoMakerAdapter(general, own.encoder, *own.loras)
    made.layers = read_layers(adapter, general)
    check_width(made.layers, sum(own.encoder.widths), adapter)
    return made
