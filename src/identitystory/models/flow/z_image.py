"""Z-Image as an ``ImageGenerator``: a transformer that sees a picture's latents and its prompt in one row.

Latents are the VAE's own, (16, height / 8, width / 8); the transformer takes 2 x 2 of them as a token. Its
clock runs from noise (0) to clean (1), and it gives minus the velocity. Prompts keep their own lengths.
It looks at no other pictures, so that it paints by words alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from ...errors import ConfigError
from .generator import FlowGenerator


class ZImage(FlowGenerator):
    """G on a ``ZImageTransformer2DModel`` and an ``AutoencoderKL``.

    Guidance is the usual one, 1 is none; diffusers' pipeline takes one less for the same.
    """

    cells = 2

    def shift(self, tokens: int, num_steps: int) -> float:
        """mu of a scheduler with ``use_dynamic_shifting``: straight in the tokens, the steps are no matter."""
        of = {
            "base_image_seq_len": 256,
            "max_image_seq_len": 4096,
            "base_shift": 0.5,
            "max_shift": 1.15,
        }
        of |= {name: value for name, value in self.sampler.schedule.items() if name in of}
        slope = (of["max_shift"] - of["base_shift"]) / (
            of["max_image_seq_len"] - of["base_image_seq_len"]
        )
        return of["base_shift"] + slope * (tokens - of["base_image_seq_len"])

    def _velocity(
        self, z: Tensor, seen: Tensor | None, sigma: Tensor, words: list[Tensor]
    ) -> Tensor:
        made = self.transformer(
            [x[:, None] for x in z], (1 - sigma).expand(len(z)), words, return_dict=False
        )[0]
        return -torch.stack([x[:, 0].float() for x in made])

    def _unscaled(self, z: Tensor) -> Tensor:
        return z / self.vae.config["scaling_factor"] + self.vae.config["shift_factor"]


class WordsAlone(ZImage):
    """What stands in an identity generator's place where there is none."""

    def __init__(self, general: ZImage) -> None:
        vars(self).update(vars(general))  # the same networks

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """None.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("this model paints no faces; --method general paints by words alone")
