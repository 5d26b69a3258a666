"""FLUX.2 klein's and Z-Image's folders as generators; every size is read from the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    Flux2Transformer2DModel,
    ZImageTransformer2DModel,
)
from transformers import Qwen2Tokenizer, Qwen3Model

from ...errors import ConfigError, ModelError
from ..device import Room, compile_unet
from ..files.checkpoint import check_layout
from ..files.configs import read_json
from ..parts import load_part
from ..sdxl.load import decode_in_tiles
from .generator import FlowGenerator
from .klein import Klein
from .schedule import flow_sampler
from .text import THINKING, Qwen3Texts
from .z_image import ZImage


@dataclass(frozen=True)
class _Kind:
    """What is not the same for all: classes, what the transformer calls its words' width, and texts."""

    made: type[FlowGenerator]
    transformer: Any
    vae: Any
    reads: str
    texts: Mapping[str, Any]


_KLEIN = _Kind(Klein, Flux2Transformer2DModel, AutoencoderKLFlux2, "joint_attention_dim", {})
_Z_IMAGE = _Kind(
    ZImage,
    ZImageTransformer2DModel,
    AutoencoderKL,
    "cap_feat_dim",
    {"layers": (-2,), "frame": THINKING, "padded": False},
)


def load_klein(folder: Path, **how: Any) -> FlowGenerator:
    """G from a folder in FLUX.2 klein's layout, as `models.family.Family.open` wants it.

    Raises:
        ModelError: a part is missing, broken or of another kind.
        ConfigError: the sampler or the number of steps does not fit, or features are to be reused.
    """
    return _load(_KLEIN, folder, **how)


def load_z_image(folder: Path, **how: Any) -> FlowGenerator:
    """G from a folder in Z-Image's layout; errors as `load_klein`."""
    return _load(_Z_IMAGE, folder, **how)


def _load(
    kind: _Kind,
    folder: Path,
    *,
    sampler: str,
    num_steps: int,
    device: torch.device,
    dtype: torch.dtype,
    room: Room | None = None,
    reuse: int = 1,
    compiled: bool | str = False,
) -> FlowGenerator:
    family = check_layout(folder)
    if reuse != 1:
        raise ConfigError(f"{family.title} keeps no deep features; leave out --reuse")
    schedule = read_json(folder / "scheduler" / "scheduler_config.json")
    rule = flow_sampler(sampler, schedule, num_steps, 1)
    room = room or Room(device)
    encoder = load_part(Qwen3Model, folder / "text_encoder", dtype=dtype)
    text = Qwen3Texts(load_part(Qwen2Tokenizer, folder / "tokenizer"), encoder, room, **kind.texts)
    transformer = load_part(kind.transformer, folder / "transformer", dtype=dtype)
    if transformer.config[kind.reads] != text.width:
        raise ModelError(
            f"the transformer of {folder} reads {transformer.config[kind.reads]} numbers "
            f"a token, its text encoder gives {text.width}"
        )
    if transformer.config.get("guidance_embeds"):
        raise ModelError(f"{folder / 'transformer'} is FLUX.2 dev's, not klein's: guidance_embeds")
    vae = load_part(kind.vae, folder / "vae", dtype=dtype)
    if room.one_at_a_time:
        decode_in_tiles(vae)
    if compiled:
        compile_unet(transformer, compiled if isinstance(compiled, str) else "inductor")
    distilled = bool(read_json(folder / "model_index.json").get("is_distilled", False))
    return kind.made(transformer, vae, text, rule, room=room, unguided=distilled)
