"""Reference portraits as G_id: a face is a portrait, and pictures are painted while looking at it.

An embedding is the portrait itself, as the base's VAE has it at half the base's size. Faces in other
places of the picture have other rows, so that an average of rows is nobody: with these rows the
discovery takes the kept portrait nearest to it (``average = "medoid"``). In re-denoising each
character is stepped by itself (Eq. 6), so that no picture looks at two people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from ...errors import ModelError
from ...types import Prompt
from ..sdxl.tokens import class_word
from .generator import Conditioning
from .klein import Klein


class References(Klein):
    """G_id on FLUX.2 klein: G, whose pictures also look at portraits.

    Attributes:
        side: of a reference, in pixels; it does not follow the size of the pictures.
    """

    def __init__(self, general: Klein, side: int = 0) -> None:
        vars(self).update(vars(general))  # the same networks
        self.side = side or general.size[0] // 2 // general.multiple * general.multiple

    def distilled(self, file: Path, num_steps: int) -> References:
        """None.

        Raises:
            ModelError: few-step LoRAs are SDXL's.
        """
        raise ModelError("FLUX.2 klein takes no few-step LoRA; leave out --distilled")

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, d) float32 on the CPU: the middle square of each picture, as latents."""
        return self.latents_of(images, self.side).flatten(1).clone()

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """As G's; who has a face looks at its portraits: k d numbers are k of them.

        Raises:
            PromptError: a noun is not in its prompt, or a prompt is too long.
            ModelError: a face is of another model.
        """
        shape = (-1, self.latent_shape[0], *[self.side // self.multiple] * 2)
        d = shape[1] * shape[2] * shape[3]
        references: list[Tensor | None] = []
        for prompt in prompts:
            if prompt.face is None:
                references.append(None)
                continue
            class_word(prompt.text, prompt.noun)
            if not prompt.face.numel() or prompt.face.numel() % d:
                raise ModelError(
                    f"an identity has {prompt.face.numel()} numbers, and a portrait of this model "
                    f"{d}; it was found by another model"
                )
            references.append(prompt.face.float().reshape(shape))
        cond = super().condition([replace(prompt, face=None) for prompt in prompts])
        return replace(cond, prompts=tuple(prompts), references=tuple(references))
