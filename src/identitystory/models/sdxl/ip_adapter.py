"""IP-Adapters in the hub's file format: pictures as extra keys and values of the cross-attention.

``sdxl_models/ip-adapter_sdxl.safetensors`` holds ``image_proj.*`` (one linear layer that turns a
picture's embedding into a few tokens, and their layer norm) and ``ip_adapter.N.to_k_ip.weight``,
``to_v_ip``, where N counts the U-Net's attention layers in its own order;
``sdxl_models/image_encoder/`` is a CLIP vision tower with its projection; without it the identity
encoder in ``photomaker.safetensors`` is the tower, its two projections side by side, so that a small
checkpoint need not hold the same tower twice. Sizes come from the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ...errors import ModelError
from ..device import Room
from ..libraries import CLIPVisionConfig, CLIPVisionModelWithProjection
from ..parts import load_part, read_tensors
from ..pixels import Preprocessing, preprocessing
from .attention import sites
from .family import ADAPTER, ADAPTER_ENCODER, PHOTOMAKER_FILE, adapter_fingerprint
from .generator import LatentDiffusion
from .identity_encoder import IdentityEncoder
from .photomaker import load_identity_encoder


@dataclass(frozen=True)
class AdapterLayers:
    """What turns embeddings into keys and values.

    Attributes:
        projection: weight (n * D, E) and bias (n * D,) of the linear layer.
        norm: weight and bias (D,) of the layer norm.
        keys: (inner, D), by the name of the attention layer; cross-attention only.
        values: likewise.
        room: where they are used. The tensors stay where they are, on the device or in the main
            memory, and are brought there when they are used.
    """

    projection: tuple[Tensor, Tensor]
    norm: tuple[Tensor, Tensor]
    keys: dict[str, Tensor]
    values: dict[str, Tensor]
    room: Room

    @torch.inference_mode()
    def tokens(self, embeddings: Tensor) -> Tensor:
        """(N * n, D): n tokens for each of the (N, E) embeddings; zeros stand for no picture."""
        here = [x.to(self.room.device) for x in (*self.projection, *self.norm)]
        weight, bias, scale, shift = here
        given = F.linear(embeddings.to(weight), weight, bias).unflatten(-1, (-1, len(scale)))
        return F.layer_norm(given, (len(scale),), scale, shift).flatten(0, 1)


@dataclass(frozen=True)
class IPAdapter(AdapterLayers):
    """What turns pictures into keys and values.

    Attributes:
        encoder: ``CLIPVisionModelWithProjection``; in the U-Net's precision, or float32 where it is
            the identity encoder's tower.
        read: what is done to pictures before it.
    """

    encoder: Any
    read: Preprocessing

    @torch.inference_mode()
    def embed(self, image: Image.Image) -> Tensor:
        """(E,) float32 on the CPU, of the picture's centre at the encoder's size."""
        with self.room.holding(self.encoder):
            pixels = self.read([image]).to(self.room.device, self.encoder.dtype)
            return self.encoder(pixels).image_embeds[0].float().cpu()


def load_ip_adapter(folder: Path, general: LatentDiffusion) -> IPAdapter:
    """The IP-Adapter in ``folder``, in the precision and room of ``general``.

    Raises:
        ModelError: it is missing, broken, of another kind (plus, face) or for another U-Net.
    """
    adapter_fingerprint(folder)  # whether it is there
    layers = read_layers(folder / ADAPTER, general)
    encoder, read = _picture_encoder(folder, general.unet.dtype)
    encoder = general.room.place(encoder).eval().requires_grad_(False)
    check_width(layers, encoder.config.projection_dim, folder / ADAPTER)
    return IPAdapter(**vars(layers), encoder=encoder, read=read)


def read_layers(file: Path, general: LatentDiffusion) -> AdapterLayers:
    """The adapter in ``file``, in the precision and room of ``general``.

    Raises:
        ModelError: it is missing, broken, of another kind (plus, face) or for another U-Net.
    """
    unet, room = general.unet, general.room
    state = {k: room.place(v.to(unet.dtype)) for k, v in read_tensors(file)[0].items()}
    try:
        projection = state["image_proj.proj.weight"], state["image_proj.proj.bias"]
        norm = state["image_proj.norm.weight"], state["image_proj.norm.bias"]
    except KeyError as error:
        raise ModelError(
            f"{file} is not a plain IP-Adapter of SDXL: {error} is missing; the 'plus' and 'face' "
            "variants are no adapters here (plus-face is an identity generator)"
        ) from error
    return AdapterLayers(projection, norm, *by_site(state, unet, file), room)


def check_width(layers: AdapterLayers, width: int, file: Path) -> None:
    """Nothing, if the adapter of ``file`` reads embeddings of ``width`` numbers; else a ModelError."""
    if width != layers.projection[0].shape[1]:
        raise ModelError(
            f"{file} reads embeddings of {layers.projection[0].shape[1]} numbers, "
            f"the encoder beside it gives {width}"
        )


def _picture_encoder(folder: Path, dtype: torch.dtype) -> tuple[Any, Preprocessing]:
    """The tower, and what is done to pictures before it."""
    own = folder / ADAPTER_ENCODER
    if not own.is_dir():
        identity = load_identity_encoder(folder / PHOTOMAKER_FILE)
        return tower(identity), identity.pixels
    return load_picture_encoder(own, dtype)


def load_picture_encoder(folder: Path, dtype: torch.dtype) -> tuple[Any, Preprocessing]:
    """A ``CLIPVisionModelWithProjection``, and what is done to pictures before it.

    Raises:
        ModelError: it is missing or broken.
    """
    encoder = load_part(CLIPVisionModelWithProjection, folder, dtype=dtype)
    side = encoder.config.image_size
    return encoder, replace(preprocessing(folder, Preprocessing(side)), size=side)


def tower(encoder: IdentityEncoder) -> CLIPVisionModelWithProjection:
    """The identity encoder's tower as the class that the hub's files hold, float32.

    Its projection is the encoder's two, one under the other, so that it embeds as they do.
    """
    own = encoder.vision_model.config.to_dict()
    model = CLIPVisionModelWithProjection(
        CLIPVisionConfig(**{**own, "projection_dim": sum(encoder.widths)})
    )
    # The class without projection may hold its tensors without the prefix.
    inner = encoder.vision_model.state_dict()
    state = {f"vision_model.{k.removeprefix('vision_model.')}": v for k, v in inner.items()}
    both = [encoder.visual_projection.weight, encoder.visual_projection_2.weight]
    state["visual_projection.weight"] = torch.cat(both)
    missing = model.load_state_dict(state, strict=False).missing_keys
    if [key for key in missing if not key.endswith("position_ids")]:
        raise ModelError(f"the identity encoder lacks {missing[0]!r} of a CLIP vision tower")
    return model.float().eval()


def by_site(
    state: dict[str, Tensor], unet: Any, file: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """``to_k_ip`` and ``to_v_ip`` of a file by the layers' names.

    The number in a key is the layer's place in the U-Net's own order, which alternates between
    self- and cross-attention: 1, 3, 5, ...

    Raises:
        ModelError: it has others than this U-Net, or of another width.
    """
    numbered = sites(unet)
    found: dict[str, dict[str, Tensor]] = {"k": {}, "v": {}}
    for key, tensor in state.items():
        match = re.fullmatch(r"ip_adapter\.(\d+)\.to_([kv])_ip\.weight", key)
        if match and int(match[1]) < len(numbered):
            found[match[2]][numbered[int(match[1])].name] = tensor
        elif not key.startswith("image_proj."):
            raise ModelError(f"{file}: the U-Net has no place for {key!r}")
    cross = {site.name for site in numbered if not site.is_self}
    width = unet.config["cross_attention_dim"]
    for tensors in found.values():
        if tensors.keys() != cross or any(t.shape[1] != width for t in tensors.values()):
            raise ModelError(f"{file} belongs to another U-Net than the one in this checkpoint")
    return found["k"], found["v"]
