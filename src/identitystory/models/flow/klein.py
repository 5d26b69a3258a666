"""FLUX.2 klein as an ``ImageGenerator``: a transformer over tokens of 16 x 16 pixels, driven by hand.

Latents are the VAE's, 2 x 2 of them in the channels of one, normalised by the VAE's own statistics:
(C, h, w) with h = height / 16. A token of the picture is at (0, y, x, 0), one of its k-th reference
at (10 k, y, x, 0), one of the prompt at (0, 0, 0, n). A distilled checkpoint
(``is_distilled`` in ``model_index.json``) knows no guidance, and takes none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from ..pixels import normalised, square
from .generator import FlowGenerator
from .schedule import time_shift

APART = 10  # in the first coordinate, of a reference from the one before


class Klein(FlowGenerator):
    """G on a ``Flux2Transformer2DModel`` and an ``AutoencoderKLFlux2``."""

    cells = 1

    def __init__(self, transformer: Any, vae: Any, *others: Any, **more: Any) -> None:
        super().__init__(transformer, vae, *others, **more)
        self.mean = vae.bn.running_mean.float().view(-1, 1, 1).to(self.device)
        var = vae.bn.running_var.float().view(-1, 1, 1).to(self.device)
        self.std = (var + vae.config["batch_norm_eps"]).sqrt()

    def shift(self, tokens: int, num_steps: int) -> float:
        return time_shift(tokens, num_steps)

    def _velocity(
        self, z: Tensor, seen: Tensor | None, sigma: Tensor, words: list[Tensor]
    ) -> Tensor:
        """v, like z (B, C, h, w), of pictures that look at ``seen``, (B, k, C, h', w')."""
        count, _, h, w = z.shape
        tokens, places = z.flatten(2).mT, [_places(0, h, w)]  # (B, h w, C)
        if seen is not None:
            tokens = torch.cat([tokens, seen.flatten(3).mT.flatten(1, 2)], dim=1)
            places += [_places(APART * (k + 1), *seen.shape[-2:]) for k in range(seen.shape[1])]
        hidden = torch.stack(words)
        ids = torch.zeros(hidden.shape[1], 4)
        ids[:, 3] = torch.arange(len(ids))
        out = self.transformer(
            hidden_states=tokens,
            encoder_hidden_states=hidden,
            timestep=sigma.expand(count),
            img_ids=torch.cat(places).to(self.device),
            txt_ids=ids.to(self.device),
            return_dict=False,
        )[0]
        return out[:, : h * w].mT.unflatten(2, (h, w))

    def _unscaled(self, z: Tensor) -> Tensor:
        return pixel_shuffle(z * self.std + self.mean, 2)

    @torch.inference_mode()
    def latents_of(self, images: Sequence[Image.Image], side: int) -> Tensor:
        """Pictures as clean latents, (n, C, side / 16, side / 16) float32 on the CPU.

        Args:
            images: any; the middle square of each is taken.
            side: that it is resized to, in pixels, a multiple of ``multiple``.
        """
        made = []
        for image in images:  # one by one, so that a row does not depend on its neighbours
            pixels = normalised([square(image, side)], (0.5,) * 3, (0.5,) * 3)
            with self.room.holding(self.vae):
                read = self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist.mode()
            made.append(((pixel_unshuffle(read.float(), 2) - self.mean) / self.std).cpu())
        shape = (0, self.latent_shape[0], side // self.multiple, side // self.multiple)
        return torch.cat([torch.empty(shape), *made])


def _places(t: int, h: int, w: int) -> Tensor:
    """(h w, 4): where the tokens of a picture are."""
    return torch.cartesian_prod(
        torch.tensor([t]), torch.arange(h), torch.arange(w), torch.tensor([0])
    )
