"""Where LoRA files put their tensors: what they call each layer of the U-Net and the text encoders.

Files of kohya's trainers write underscores for all dots, and call the U-Net's blocks as the first
single-file checkpoints do (``input_blocks.4.1``); others have diffusers' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_INSIDE = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ENCODERS = (("te1_", "text_encoder_"), ("te2_", "text_encoder_2_"))
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)")


def single_file_name(name: str, config: Mapping[str, Any]) -> str:
    """What a single-file checkpoint calls a U-Net's layer; without ``model.diffusion_model.``.

    Args:
        name: diffusers' name of the layer.
        config: the U-Net's.
    """
    for ours, theirs in _OUTSIDE.items():
        if name == ours or name.startswith(f"{ours}."):
            return _inside(theirs, name[len(ours) + 1 :])
    found = _BLOCK.match(name)
    if found is None:
        return name
    side, block, kind, number = found[1], int(found[2]), found[3], int(found[4])
    a_block, rest = config["layers_per_block"] + 1, name[found.end() + 1 :]
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * a_block}.0.op"
    if kind == "upsamplers":
        attends = "CrossAttn" in config["up_block_types"][block]
        return f"output_blocks.{(block + 1) * a_block - 1}.{1 + attends}.conv"
    at = f"{block * a_block + number + (side == 'down')}.{int(kind == 'attentions')}"
    return _inside(f"{'in' if side == 'down' else 'out'}put_blocks.{at}", rest)


def _inside(block: str, rest: str) -> str:
    return ".".join(filter(None, (block, _INSIDE.get(rest, rest))))


def flat(place: str) -> str:
    """A layer's name in a LoRA file, as the keys of `lora_places` have it."""
    return place.replace(".processor.", ".").removeprefix("lora_").replace(".", "_")


def lora_places(
    unet: Any, encoders: Sequence[nn.Module], fits: Callable[[nn.Module], bool]
) -> dict[str, tuple[nn.Module, str]]:
    """By every flat name that LoRA files have for it: a network, and a layer's name in it.

    Args:
        unet: a ``UNet2DConditionModel`` of SDXL's kind.
        encoders: its two text encoders, or none.
        fits: which layers a LoRA may change.
    """
    places: dict[str, tuple[nn.Module, str]] = {}
    for name, layer in unet.named_modules():
        if fits(layer):
            names = {flat(name), flat(single_file_name(name, unet.config))}
            names |= {each.removesuffix("_0") for each in names if each.endswith("to_out_0")}
            places |= {f"{front}{each}": (unet, name) for each in names for front in ("", "unet_")}
    for fronts, encoder in zip(_ENCODERS[: len(encoders)], encoders, strict=True):
        for name, layer in encoder.named_modules():
            if fits(layer):
                bare = flat(name).removeprefix("text_model_")
                whole = bare if bare == "text_projection" else f"text_model_{bare}"
                places |= {f"{front}{whole}": (encoder, name) for front in fronts}
    return places
