"""PhotoMaker v1's identity encoder: a vision tower, two projections and the fuse module."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ..libraries import CLIPVisionConfig, CLIPVisionModel, no_init_weights
from ..pixels import CLIP_MEAN, CLIP_STD, Preprocessing
from .sizes import CLIP_VIT_L, PHOTOMAKER_WIDTHS


def fuse_mlp(width_in: int, width: int) -> nn.Sequential:
    """(..., width_in) -> (..., width), its parameters named as in PhotoMaker's checkpoint."""
    return nn.Sequential(
        OrderedDict(
            layernorm=nn.LayerNorm(width_in),
            fc1=nn.Linear(width_in, width),
            gelu=nn.GELU(),
            fc2=nn.Linear(width, width),
        )
    )


class FuseModule(nn.Module):
    """A class word's embedding and an identity's, merged into one row of the same width D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp1 = fuse_mlp(2 * width, width)
        self.mlp2 = fuse_mlp(width, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, class_rows: Tensor, identities: Tensor) -> Tensor:
        """LN(x + mlp2(x)) of x = mlp1([c, e]) + c; (B, D) and (B, D) -> (B, D)."""
        x = self.mlp1(torch.cat([class_rows, identities], dim=-1)) + class_rows
        return self.layer_norm(x + self.mlp2(x))


class IdentityEncoder(nn.Module):
    """PhotoMaker v1's identity encoder; parameters are named as in its checkpoint.

    ``config`` is the tower's ``CLIPVisionConfig``.

    Attributes:
        pixels: makes pictures ready for the tower: shorter side resized (bicubic), middle square
            cut out, normalised.
        widths: (d1, d2), the text encoders' widths; an embedding has d = d1 + d2 numbers.
    """

    def __init__(
        self,
        config: Any,
        widths: tuple[int, int],
        *,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        shortest_edge: int | None = None,
    ) -> None:
        super().__init__()
        self.vision_model = CLIPVisionModel(config)
        self.visual_projection = nn.Linear(config.hidden_size, widths[0], bias=False)
        self.visual_projection_2 = nn.Linear(config.hidden_size, widths[1], bias=False)
        self.fuse_module = FuseModule(sum(widths))
        self.widths = widths
        self.pixels = Preprocessing(int(config.image_size), mean, std, shorter=shortest_edge or 0)

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
    except KeyError as error:
        raise ModelError(f"not a PhotoMaker v1 identity encoder: {error} is missing") from error
    except (ValueError, TypeError):
        raise ModelError("not a PhotoMaker v1 identity encoder: its shapes are others") from None
    heads = _said(metadata, "num_attention_heads", max(1, hidden // 64))
    if heads < 1 or hidden % heads:
        raise ModelError(
            f"{heads} attention heads do not divide a width of {hidden}; "
            "say num_attention_heads in the metadata of photomaker.safetensors"
        )
    side = math.isqrt(max(0, positions - 1)) * patch
    edge = _said(metadata, "shortest_edge", side)
    if edge < side:
        raise ModelError(
            f"{edge} pixels are too few for a tower that reads {side}; "
            "correct shortest_edge in the metadata of photomaker.safetensors"
        )
    config = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=mlp,
        projection_dim=first,
        num_hidden_layers=len(layers),
        num_attention_heads=heads,
        num_channels=channels,
        image_size=side,
        patch_size=patch,
        hidden_act=metadata.get("hidden_act", "quick_gelu").strip('"'),
    )
    mean, std = _said(metadata, "image_mean", CLIP_MEAN), _said(metadata, "image_std", CLIP_STD)
    try:
        with no_init_weights():
            encoder = IdentityEncoder(
                config, (first, second), mean=mean, std=std, shortest_edge=edge
            )
    except KeyError:
        raise ModelError(
            f"the metadata of photomaker.safetensors says {config.hidden_act[:40]!r} of hidden_act, "
            "which transformers does not know; correct it"
        ) from None
    try:
        encoder.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(f"not a PhotoMaker v1 identity encoder: {error}") from error
    return encoder.eval().requires_grad_(False)


def _said(metadata: Mapping[str, str], key: str, otherwise: Any) -> Any:
    """What the metadata says of ``key``: a whole number, or three numbers, as ``otherwise`` is.

    Raises:
        ModelError: it says something else.
    """
    try:
        value = json.loads(metadata[key]) if key in metadata else otherwise
        if isinstance(otherwise, int):
            fits = type(value) is int
        else:
            fits = len(value) == 3 and all(map(math.isfinite, value))
    except (ValueError, TypeError, OverflowError, RecursionError):
        fits = False
    if not fits:
        wanted = "a whole number" if isinstance(otherwise, int) else "three numbers"
        raise ModelError(
            f"the metadata of photomaker.safetensors says {metadata[key][:40]!r} of {key}, "
            f"which must be {wanted}; correct it"
        )
    return value
