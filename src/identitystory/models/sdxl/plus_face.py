"""IP-Adapter Plus Face as G_id: a face as sixteen tokens that the U-Net looks at beside the words.

The files are h94/IP-Adapter's: ``sdxl_models/ip-adapter-plus-face_sdxl_vit-h.safetensors`` holds
``image_proj.*``, a resampler that turns a picture's patches into tokens, and keys and values as a plain
adapter; ``models/image_encoder/`` is the CLIP vision tower whose states but one it reads. Sizes come from
the files. Nothing is added to the U-Net, and only a picture with a face is painted otherwise than by G.

What an embedding is can be chosen: the tokens after the resampler, or the tower's states before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from PIL import Image
from torch import Tensor

from ...errors import ModelError
from ...types import Prompt
from ..libraries import no_init_weights
from ..parts import read_tensors
from ..pixels import Preprocessing
from .attention import Beside
from .conditioning import Conditioning
from .face_beside import FaceBeside
from .generator import LatentDiffusion
from .ip_adapter import by_site, load_picture_encoder
from .tokens import class_word

HEAD = 64  # channels of a head of the resampler
# The file's names in a layer of the resampler, and diffusers'.
_NAMES = {
    "0.norm1": "ln0", "0.norm2": "ln1", "0.to_q": "attn.to_q", "0.to_out": "attn.to_out.0",
    "1.0": "ff.0", "1.1": "ff.1.net.0.proj", "1.3": "ff.1.net.2",
}  # fmt: skip


class PlusFace(FaceBeside):
    """G_id: G, which looks at the tokens of a face besides.

    Attributes:
        encoder: ``CLIPVisionModelWithProjection``, in the U-Net's precision.
        read: what is done to pictures before it.
        resampler: its states to tokens.
        keys: (inner, D) of each cross-attention layer, by its name.
        values: likewise.
        averaged: what `embed` gives: ``tokens``, or the ``states`` that they are made of.
    """

    def __init__(
        self,
        general: LatentDiffusion,
        encoder: Any,
        read: Preprocessing,
        resampler: Any,
        keys: dict[str, Tensor],
        values: dict[str, Tensor],
    ) -> None:
        super().__init__(general)
        self.encoder, self.resampler = (
            self.room.place(network).eval().requires_grad_(False)
            for network in (encoder, resampler)
        )
        self.read, self.keys, self.values = read, keys, values
        config = encoder.config
        self.state_shape = ((config.image_size // config.patch_size) ** 2 + 1, config.hidden_size)
        self.token_shape = (resampler.latents.shape[1], resampler.proj_out.out_features)

    def embed(self, images: Sequence[Image.Image]) -> Tensor:
        """E, (m, d) float32 on the CPU: 16 x 2048 numbers a picture, or 257 x 1280 states.

        The middle square of each picture is read; a face should fill it.
        """
        shape = self.token_shape if self.averaged == "tokens" else self.state_shape
        rows = [torch.empty(0, shape[0] * shape[1])]
        with torch.inference_mode():
            for image in images:
                states = self._states(self.read([image]))
                own = self._tokens(states) if self.averaged == "tokens" else states
                rows.append(own.flatten(1).float().cpu())
        return torch.cat(rows)  # outside: an ordinary tensor

    def _states(self, pixels: Tensor) -> Tensor:
        """(1, patches + 1, width) of a picture, of the layer before the last."""
        with self.room.holding(self.encoder):
            here = pixels.to(self.general.device, self.encoder.dtype)
            return self.encoder(here, output_hidden_states=True).hidden_states[-2]

    def _tokens(self, states: Tensor) -> Tensor:
        """(1, n, D) of (1, patches + 1, width)."""
        with self.room.holding(self.resampler):
            return self.resampler(states.to(self.general.device, self.encoder.dtype))

    @cached_property
    def _nobody(self) -> Tensor:
        """(1, n, D), the tokens of a grey picture: what rows without the prompt look at."""
        side = self.encoder.config.image_size
        return self._tokens(self._states(torch.zeros(1, 3, side, side)))

    @torch.inference_mode()
    def shown(self, face: Tensor) -> Beside:
        """The edit that shows a face, an embedding of either kind.

        Raises:
            ModelError: it is of another model.
        """
        kinds = {shape[0] * shape[1]: shape for shape in (self.state_shape, self.token_shape)}
        if face.numel() not in kinds:
            raise ModelError(
                f"an identity has {face.numel()} numbers, and this model's have "
                f"{' or '.join(map(str, kinds))}; it was found by another model"
            )
        own = face.reshape(1, *kinds[face.numel()]).to(self.general.device, self.encoder.dtype)
        tokens = own if own.shape[1:] == self.token_shape else self._tokens(own)
        return Beside(self.keys, self.values, torch.cat([self._nobody, tokens]), self.scale)

    def worded(self, prompt: Prompt) -> Conditioning:
        class_word(prompt.text, prompt.noun)
        return self.general.condition([replace(prompt, face=None)])


def load_plus_face(file: Path, encoder: Path, general: LatentDiffusion) -> PlusFace:
    """G_id on ``general``'s U-Net, in its precision and room.

    Args:
        file: the adapter.
        encoder: the folder of the tower.
        general: G.

    Raises:
        ModelError: a file is missing, broken, of another kind, or for another U-Net or tower.
    """
    unet, room = general.unet, general.room
    state = {k: v.to(unet.dtype) for k, v in read_tensors(file)[0].items()}
    resampler = resampler_of(state, file)
    keys, values = by_site({k: room.place(v) for k, v in state.items()}, unet, file)
    tower, read = load_picture_encoder(encoder, unet.dtype)
    if tower.config.hidden_size != resampler.proj_in.in_features:
        raise ModelError(
            f"{file} reads states of {resampler.proj_in.in_features} numbers, the encoder in "
            f"{encoder} has {tower.config.hidden_size}"
        )
    return PlusFace(general, tower, read, resampler, keys, values)


def resampler_of(state: Mapping[str, Tensor], file: Path) -> Any:
    """The resampler that ``image_proj``'s tensors belong to, with them in it.

    Raises:
        ModelError: tensors are missing, left over or of the wrong shape.
    """
    own = {k.partition(".")[2]: v for k, v in state.items() if k.startswith("image_proj.")}
    try:
        _, queries, hidden = own["latents"].shape
        with no_init_weights():
            network = IPAdapterPlusImageProjection(
                embed_dims=own["proj_in.weight"].shape[1],
                output_dims=len(own["proj_out.weight"]),
                hidden_dims=hidden,
                depth=len({k.split(".")[1] for k in own if k.startswith("layers.")}),
                dim_head=HEAD,
                heads=len(own["layers.0.0.to_q.weight"]) // HEAD,
                num_queries=queries,
                ffn_ratio=len(own["layers.0.1.1.weight"]) / hidden,
            )
        named = {new: v for k, value in own.items() for new, v in _renamed(k, value)}
        network.load_state_dict(named, assign=True)
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise ModelError(f"{file} is not an IP-Adapter Plus: {error}") from error
    return network


def _renamed(key: str, value: Tensor) -> list[tuple[str, Tensor]]:
    """A tensor of the resampler under diffusers' name; keys and values of a layer are one there."""
    found = re.fullmatch(r"(layers\.\d+)\.(\d\.\w+)\.(\w+)", key)
    if found is None:
        return [(key, value)]
    layer, name, kind = found.groups()
    if name == "0.to_kv":
        return [
            (f"{layer}.attn.to_{x}.{kind}", half)
            for x, half in zip("kv", value.chunk(2), strict=True)
        ]
    return [(f"{layer}.{_NAMES[name]}.{kind}", value)]
