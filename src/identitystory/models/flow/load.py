"""FLUX.2 klein's folder as a ``Klein``; every size is read from the files."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from transformers import Qwen2Tokenizer, Qwen3Model

from ...errors import ConfigError, ModelError
from ..device import Room, compile_unet
from ..files.checkpoint import check_layout, read_json
from ..parts import load_part
from ..sdxl.load import decode_in_tiles
from .klein import Klein
from .schedule import flow_sampler
from .text import Qwen3Texts


def load_klein(
    folder: Path,
    *,
    sampler: str,
    num_steps: int,
    device: torch.device,
    dtype: torch.dtype,
    room: Room | None = None,
    reuse: int = 1,
    compiled: bool | str = False,
) -> Klein:
    """G from a folder in FLUX.2 klein's layout, as `models.family.Family.open` wants it.

    Raises:
        ModelError: a part is missing, broken or of another kind.
        ConfigError: the sampler or the number of steps does not fit, or features are to be reused.
    """
    if reuse != 1:
        raise ConfigError("FLUX.2 klein keeps no deep features; leave out --reuse")
    check_layout(folder)
    schedule = read_json(folder / "scheduler" / "scheduler_config.json")
    rule = flow_sampler(sampler, schedule, num_steps, 1)
    room = room or Room(device)
    encoder = load_part(Qwen3Model, folder / "text_encoder", dtype=dtype)
    text = Qwen3Texts(load_part(Qwen2Tokenizer, folder / "tokenizer"), encoder, room)
    transformer = load_part(Flux2Transformer2DModel, folder / "transformer", dtype=dtype)
    if transformer.config["joint_attention_dim"] != text.width:
        raise ModelError(
            f"the transformer of {folder} reads {transformer.config['joint_attention_dim']} numbers "
            f"a token, its text encoder gives {text.width}"
        )
    if transformer.config["guidance_embeds"]:
        raise ModelError(f"{folder / 'transformer'} is FLUX.2 dev's, not klein's: guidance_embeds")
    vae = load_part(AutoencoderKLFlux2, folder / "vae", dtype=dtype)
    if room.one_at_a_time:
        decode_in_tiles(vae)
    if compiled:
        compile_unet(transformer, compiled if isinstance(compiled, str) else "inductor")
    distilled = bool(read_json(folder / "model_index.json").get("is_distilled", False))
    return Klein(transformer, vae, text, rule, room=room, unguided=distilled)
