"""PhotoMaker v1's identity encoder: a vision tower, two projections and the fuse module."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ...errors import ModelError
from ..libraries import CLIPVisionConfig, CLIPVisionModel, no_init_weights
from ..pixels import CLIP_MEAN, CLIP_STD, normalised, square
from .sizes import CLIP_VIT_L, PHOTOMAKER_WIDTHS


class FuseMLP(nn.Module):
    """LayerNorm, Linear, GELU, Linear."""

    def __init__(self, width_in: int, width: int, width_out: int) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(width_in)
        self.fc1 = nn.Linear(width_in, width)
        self.fc2 = nn.Linear(width, width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width_in) -> (..., width_out)."""
        return self.fc2(nn.functional.gelu(self.fc1(self.layernorm(x))))


class FuseModule(nn.Module):
    """A class word's embedding and an identity's, merged into one row of the same width D."""

    def __init__(self, width: int, mlp1: int, mlp2: int) -> None:
        super().__init__()
        self.mlp1 = FuseMLP(2 * width, mlp1, width)
        self.mlp2 = FuseMLP(width, mlp2, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, class_rows: Tensor, identities: Tensor) -> Tensor:
        """LN(x + mlp2(x)) of x = mlp1([c, e]) + c; (B, D) and (B, D) -> (B, D)."""
        x = self.mlp1(torch.cat([class_rows, identities], dim=-1)) + class_rows
        return self.layer_norm(x + self.mlp2(x))


class IdentityEncoder(nn.Module):
    """PhotoMaker v1's identity encoder; parameters are named as in its checkpoint.

    ``config`` is the tower's ``CLIPVisionConfig``.

    Attributes:
        image_size: side of the square picture that the tower reads.
        shortest_edge: to which a picture's shorter side is resized before that is cut out.
        widths: (d1, d2), the text encoders' widths; an embedding has d = d1 + d2 numbers.
    """

    def __init__(
        self,
        config: Any,
        widths: tuple[int, int],
        *,
        fuse_widths: tuple[int, int] | None = None,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        shortest_edge: int | None = None,
    ) -> None:
        super().__init__()
        width = sum(widths)
        self.vision_model = CLIPVisionModel(config)
        self.visual_projection = nn.Linear(config.hidden_size, widths[0], bias=False)
        self.visual_projection_2 = nn.Linear(config.hidden_size, widths[1], bias=False)
        self.fuse_module = FuseModule(width, *(fuse_widths or (width, width)))
        self.image_size = int(config.image_size)
        self.widths = widths
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.shortest_edge = shortest_edge or self.image_size

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """(m, 3, S, S): shorter side resized (bicubic), centre crop, normalised."""
        middles = [square(im, self.image_size, self.shortest_edge) for im in images]
        return normalised(middles, self.mean, self.std)

    def embed(self, pixels: Tensor) -> Tensor:
        """(m, d1 + d2): the pooled class token under both projections, side by side."""
        return self.project(self.vision_model(pixels).pooler_output)  # after the last layer norm

    def project(self, pooled: Tensor) -> Tensor:
        """(m, hidden) -> (m, d1 + d2)."""
        parts = [self.visual_projection(pooled), self.visual_projection_2(pooled)]
        return torch.cat(parts, dim=-1)

    def fuse(self, class_rows: Tensor, identities: Tensor) -> Tensor:
        """(B, D): each class word's row with its identity in it. New tensor."""
        return self.fuse_module(class_rows, identities)


def photomaker_v1_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of each of the 407 tensors of PhotoMaker v1's encoder (CLIP ViT-L/14)."""
    with torch.device("meta"):
        encoder = IdentityEncoder(CLIPVisionConfig(**CLIP_VIT_L), PHOTOMAKER_WIDTHS)
    state = encoder.state_dict()
    return {key: tuple(value.shape) for key, value in state.items()}


def identity_encoder(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> IdentityEncoder:
    """The encoder that ``id_encoder``'s tensors belong to, with them in it, float32.

    Raises:
        ModelError: tensors are missing, left over or of the wrong shape (PhotoMaker v2, say).
    """
    state = {k: v.float() for k, v in tensors.items() if not k.endswith("position_ids")}
    try:
        hidden, channels, patch, _ = state["vision_model.embeddings.patch_embedding.weight"].shape
        positions = len(state["vision_model.embeddings.position_embedding.weight"])
        layers = {k.split(".")[3] for k in state if k.startswith("vision_model.encoder.layers.")}
        mlp = len(state["vision_model.encoder.layers.0.mlp.fc1.weight"])
        first = len(state["visual_projection.weight"])
        second = len(state["visual_projection_2.weight"])
        fuse_widths = tuple(len(state[f"fuse_module.{m}.fc1.weight"]) for m in ("mlp1", "mlp2"))
    except KeyError as error:
        raise ModelError(f"not a PhotoMaker v1 identity encoder: {error} is missing") from error
    config = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=mlp,
        projection_dim=first,
        num_hidden_layers=len(layers),
        num_attention_heads=_heads(metadata, hidden),
        num_channels=channels,
        image_size=math.isqrt(positions - 1) * patch,
        patch_size=patch,
        hidden_act=metadata.get("hidden_act", "quick_gelu").strip('"'),
    )
    with no_init_weights():
        encoder = IdentityEncoder(
            config,
            (first, second),
            fuse_widths=(fuse_widths[0], fuse_widths[1]),
            mean=json.loads(metadata.get("image_mean", json.dumps(CLIP_MEAN))),
            std=json.loads(metadata.get("image_std", json.dumps(CLIP_STD))),
            shortest_edge=_shortest_edge(metadata, math.isqrt(positions - 1) * patch),
        )
    try:
        encoder.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(f"not a PhotoMaker v1 identity encoder: {error}") from error
    return encoder.eval().requires_grad_(False)


def _heads(metadata: Mapping[str, str], hidden: int) -> int:
    heads = int(metadata.get("num_attention_heads", max(1, hidden // 64)))
    if heads < 1 or hidden % heads:
        raise ModelError(
            f"{heads} attention heads do not divide a width of {hidden}; "
            "say num_attention_heads in the metadata of photomaker.safetensors"
        )
    return heads


def _shortest_edge(metadata: Mapping[str, str], size: int) -> int:
    edge = int(metadata.get("shortest_edge", size))
    if edge < size:
        raise ModelError(
            f"{edge} pixels are too few for a tower that reads {size}; "
            "correct shortest_edge in the metadata of photomaker.safetensors"
        )
    return edge
