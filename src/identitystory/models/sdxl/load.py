"""Stable Diffusion XL's folder as a ``LatentDiffusion``: two text encoders, U-Net, VAE, schedule.

The layout is the hub's (``model_index.json``, ``tokenizer``, ``tokenizer_2``, ``text_encoder``,
``text_encoder_2``, ``unet``, ``vae``, ``scheduler``). Every size is read from the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...errors import ConfigError, ModelError
from ..device import Room, compile_unet
from ..files.checkpoint import check_layout
from ..files.configs import read_json
from ..libraries import (
    AutoencoderKL,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    UNet2DConditionModel,
)
from ..parts import load_part
from ..samplers import sampler as make_sampler
from .feature_cache import DeepFeatures
from .generator import LatentDiffusion
from .lora import merge_lora
from .text import TextEncoders

TILE = 512  # pixels of a tile's side where memory is short


def load_sdxl(
    folder: Path,
    *,
    sampler: str,
    num_steps: int,
    device: torch.device,
    dtype: torch.dtype,
    room: Room | None = None,
    reuse: int = 1,
    compiled: bool | str = False,
    loras: Sequence[tuple[Path, float]] = (),
) -> LatentDiffusion:
    """G from a folder in SDXL's layout, as `models.family.Family.open` wants it.

    The VAE is kept in float32 if its configuration asks for it (``force_upcast``), as SDXL's own
    does: in float16 it overflows, and in bfloat16 its pictures are rough. A room that holds one
    network at a time also decodes pictures in tiles.

    Raises:
        ModelError: a part is missing, broken or of another kind.
        ConfigError: the sampler or the number of steps does not fit, or features are reused in a
            compiled U-Net.
    """
    if reuse != 1 and compiled:
        raise ConfigError("a compiled U-Net keeps no features; leave out --compile or --reuse")
    check_layout(folder)
    rule = make_sampler(
        sampler, read_json(folder / "scheduler" / "scheduler_config.json"), num_steps
    )
    room = room or Room(device)
    models = (
        load_part(CLIPTextModel, folder / "text_encoder", dtype=dtype),
        load_part(CLIPTextModelWithProjection, folder / "text_encoder_2", dtype=dtype),
    )
    first, second = (room.place(model).eval().requires_grad_(False) for model in models)
    index = read_json(folder / "model_index.json")
    text = TextEncoders(
        (
            load_part(CLIPTokenizer, folder / "tokenizer"),
            load_part(CLIPTokenizer, folder / "tokenizer_2"),
        ),
        (first, second),
        zeros_for_none=bool(index.get("force_zeros_for_empty_prompt", True)),
        room=room,
    )
    unet = load_part(UNet2DConditionModel, folder / "unet", dtype=dtype)
    if unet.config["addition_embed_type"] != "text_time":
        raise ModelError(f"{folder / 'unet'} is not SDXL's: addition_embed_type is not text_time")
    if unet.config["cross_attention_dim"] != sum(text.widths):
        raise ModelError(
            f"the U-Net of {folder} reads {unet.config['cross_attention_dim']} numbers a token, "
            f"its text encoders give {text.widths[0]} + {text.widths[1]}"
        )
    for file, weight in loras:
        merge_lora(file, weight, unet, (first, second))
    whole = read_json(folder / "vae" / "config.json").get("force_upcast", True)
    vae = load_part(AutoencoderKL, folder / "vae", dtype=torch.float32 if whole else dtype)
    reads, gives = unet.config["in_channels"], unet.config["out_channels"]
    latent = vae.config["latent_channels"]
    if not reads == gives == latent:
        raise ModelError(
            f"the U-Net of {folder} reads {reads} channels and gives {gives}, and its VAE has "
            f"{latent}: it is one for inpainting or editing; give a base that paints from words alone"
        )
    if room.one_at_a_time:
        decode_in_tiles(vae)
    general = LatentDiffusion(unet, vae, rule, text, device=device, room=room)
    if reuse != 1:
        general.deep = DeepFeatures(unet, reuse)
    if compiled:
        compile_unet(unet, compiled if isinstance(compiled, str) else "inductor")
    return general


def decode_in_tiles(vae: Any, side: int = TILE) -> None:
    """Has ``vae`` decode what is larger than ``side`` pixels in overlapping tiles of that side.

    Its own tiles are as large as the pictures that it was made for, so that those never come in
    more than one. A tile has its own group norms: pictures differ a little from those of one piece.
    """
    factor = 2 ** (len(vae.config["block_out_channels"]) - 1)
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // factor
