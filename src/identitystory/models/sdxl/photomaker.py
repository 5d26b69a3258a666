"""PhotoMaker v1 as G_id: a face embedded into the text space, fused into the class word.

The checkpoint is one safetensors file in PhotoMaker v1's layout: ``id_encoder.*`` (CLIP vision
tower, two projections, fuse module) and ``lora_weights.*`` (a LoRA on the U-Net's attention).
Sizes come from the tensors' shapes. What shapes cannot tell may stand in the file's metadata, as
JSON: ``num_attention_heads`` (width / 64 without it), ``hidden_act``, ``image_mean``,
``image_std`` (CLIP's without them), ``shortest_edge`` (to which a picture's shorter side is
resized before the middle is cut out; the tower's own size without it).

G_id shares G's U-Net: the LoRA is never merged, and is on only inside its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...errors import ModelError
from ...types import Prompt
from ..parts import read_tensors
from .conditioning import Conditioning
from .face_painter import FacePainter
from .generator import LatentDiffusion
from .identity_encoder import IdentityEncoder, identity_encoder
from .lora import Lora, load_lora
from .tokens import class_word, token_rows

LORA = "photomaker"
EMBED_BATCH = 16  # pictures through the vision tower at once


# --- The class word -------------------------------------------------------------------------------


def class_token(tokenizer: Any, prompt: str, noun: str, limit: int) -> int:
    """Index of the last token of ``noun``'s first whole-word occurrence in ``prompt``.

    Counted in the encoder's output: start tokens included, one chunk of ``limit`` after the other
    (``tokens.token_rows``). Case does not matter.

    Raises:
        PromptError: the noun is not in the prompt, or the prompt has too many chunks.
    """
    last = class_word(prompt, noun)
    offsets = tokenizer(prompt, return_offsets_mapping=True, verbose=False).offset_mapping
    index = max(n for n, (start, end) in enumerate(offsets[1:-1]) if start <= last < end)
    return token_rows(tokenizer, prompt, limit)[index]


# --- G_id -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fused(Conditioning):
    """Conditioning with faces in it, and what it takes to put them in once more.

    Attributes:
        places: which prompts have a face, and for each text encoder the row of their class words.
    """

    places: tuple[list[int], list[int], list[int]]


class PhotoMaker(FacePainter):
    """G_id: the general generator's U-Net with the identity LoRA on, and faces in its prompts.

    Attributes:
        encoder: face to embedding, float32 (embeddings are averaged and decomposed).
    """

    def __init__(self, general: LatentDiffusion, encoder: IdentityEncoder, *loras: Lora) -> None:
        super().__init__(general, *loras)
        text: Any = general.encode
        if encoder.widths != text.widths:
            raise ModelError(
                f"the identity encoder speaks to text encoders of widths {encoder.widths}, "
                f"the checkpoint's have {text.widths}"
            )
        self.text = text
        self.encoder = self.room.place(encoder)

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, d1 + d2) float32 on the CPU, before fusing and not normalised."""
        if not images:
            return torch.empty(0, sum(self.encoder.widths))
        rows = []
        with torch.inference_mode(), self.room.holding(self.encoder):
            for first in range(0, len(images), EMBED_BATCH):
                pixels = self.encoder.pixels(images[first : first + EMBED_BATCH])
                rows.append(self.encoder.embed(pixels.to(self.general.device)).cpu())
        return torch.cat(rows)  # outside: an ordinary tensor

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """As G's; faces are fused into their class words, once.

        Only the class word's row of the prompt's own half changes; the negative prompt and the
        pooled embedding stay the text's.

        Raises:
            PromptError: a noun is not in its prompt, or a prompt has too many chunks.
        """
        faced = [b for b, prompt in enumerate(prompts) if prompt.face is not None]
        first, second = (
            [class_token(tokenizer, prompts[b].text, prompts[b].noun, limit) for b in faced]
            for tokenizer, limit in zip(self.text.tokenizers, self.text.limits, strict=True)
        )
        cond = self.general.condition([replace(prompt, face=None) for prompt in prompts])
        if not faced:
            return cond
        fields = {**vars(cond), "prompts": tuple(prompts)}
        return self.fuse_again(Fused(**fields, places=(faced, first, second)))

    def fuse_again(self, cond: Conditioning) -> Conditioning:
        """``cond`` with its faces fused into its class rows, which may be fused already.

        The authors' released code does this at every re-denoised step; the paper's way is once.
        """
        if not isinstance(cond, Fused):
            return cond
        with torch.inference_mode():
            (b, first, second), d1 = cond.places, self.text.widths[0]
            hidden = cond.hidden.clone()
            given = hidden[cond.batch :]  # a view: the prompts' half
            rows = torch.cat([given[b, first, :d1], given[b, second, d1:]], dim=-1)
            faces = torch.stack([face for p in cond.prompts if (face := p.face) is not None])
            if faces.shape[1:] != (sum(self.encoder.widths),):
                raise ModelError(
                    f"an identity has {faces[0].numel()} numbers, and this model's have "
                    f"{sum(self.encoder.widths)}; it was found by another model"
                )
            faces = faces.to(rows.device, torch.float32)
            with self.room.holding(self.encoder):
                fused = self.encoder.fuse(rows.float(), faces).to(rows.dtype)
            given[b, first, :d1], given[b, second, d1:] = fused[:, :d1], fused[:, d1:]
        return replace(cond, hidden=hidden)


def load_photomaker(file: Path, general: LatentDiffusion) -> PhotoMaker:
    """G_id on ``general``'s U-Net, from a safetensors file in PhotoMaker v1's layout.

    Raises:
        ModelError: the file is missing, broken, or of another kind or size.
    """
    groups, metadata = _read(file)
    encoder = identity_encoder(groups["id_encoder"], metadata)
    lora = load_lora(general.unet, groups["lora_weights"], LORA, file=file.name)
    return PhotoMaker(general, encoder, lora)


def load_identity_encoder(file: Path) -> IdentityEncoder:
    """The encoder alone.

    Raises:
        ModelError: as ``load_photomaker``.
    """
    groups, metadata = _read(file)
    return identity_encoder(groups["id_encoder"], metadata)


def _read(file: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    if not file.is_file():
        raise ModelError(f"{file} is missing; G_id needs PhotoMaker v1's weights as safetensors")
    groups: dict[str, dict[str, Tensor]] = {"id_encoder": {}, "lora_weights": {}}
    tensors, metadata = read_tensors(file)
    for key, tensor in tensors.items():
        group, _, name = key.partition(".")
        if group not in groups:
            raise ModelError(f"{file}: {key!r} is in neither id_encoder nor lora_weights")
        groups[group][name] = tensor
    return groups, metadata
