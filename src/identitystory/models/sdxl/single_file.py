"""SDXL in one file, as trainers and user interfaces save it, made a folder in the hub's layout.

Names are changed and three matrices of OpenCLIP's that lie in one are cut apart; no number changes.
Configurations are built from ``data/networks.toml``, and only the vocabulary of the tokenizers, which
is CLIP's, is copied from a model that was fetched.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig

from ...errors import ModelError
from ..libraries import AutoencoderKL, CLIPTextModel, CLIPTextModelWithProjection
from .file_kind import EPSILON, TEXT, TEXT_2, UNET, V_ZERO, VAE
from .places import single_file_name
from .sizes import SDXL_SCHEDULE, SDXL_TEXT, SDXL_TEXT_2, SDXL_VAE, sdxl_unet

WORDS = ("vocab.json", "merges.txt")
_END = "<|endoftext|>"


def sdxl_networks() -> dict[str, Any]:
    """The networks of SDXL by the folders that they lie in, without numbers."""
    with torch.device("meta"):
        return {
            "unet": sdxl_unet(),
            "vae": AutoencoderKL(**SDXL_VAE),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**SDXL_TEXT)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**SDXL_TEXT_2)),
        }


def convert(
    file: Path,
    folder: Path,
    words: Path,
    prediction: str,
    networks: Mapping[str, Any] | None = None,
) -> None:
    """Writes the checkpoint in ``file`` to ``folder``, one network after the other.

    Args:
        file: what `file_kind.check_sdxl_file` lets through.
        folder: is made.
        words: a folder with CLIP's ``vocab.json`` and ``merges.txt``.
        prediction: one of `file_kind.PREDICTIONS`.
        networks: SDXL's if it is None.

    Raises:
        ModelError: a tensor is missing, or has another shape than its network's.
    """
    networks = sdxl_networks() if networks is None else networks
    try:
        with safe_open(str(file), framework="pt") as opened:
            names = list(opened.keys())
            for part, network in networks.items():
                mine = {n: opened.get_tensor(n) for n in names if n.startswith(_FRONTS[part])}
                state = converted(part, network, mine, file.name)
                is_text = part.startswith("text")
                weights = "model" if is_text else "diffusion_pytorch_model"
                (folder / part).mkdir(parents=True)
                save_file(state, folder / part / f"{weights}.safetensors", {"format": "pt"})
                where = str(folder / part)
                network.config.save_pretrained(where) if is_text else network.save_config(where)
    except SafetensorError as error:
        raise ModelError(f"{file} cannot be read: {error}") from None
    for name, pad in (("tokenizer", _END), ("tokenizer_2", "!")):
        (folder / name).mkdir()
        for each in WORDS:
            shutil.copyfile(words / each, folder / name / each)
        special = {"bos_token": "<|startoftext|>", "eos_token": _END, "unk_token": _END}
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
        _write(folder / name / "tokenizer_config.json", {**config, "pad_token": pad})
    (folder / "scheduler").mkdir()
    write_schedule(folder, prediction)
    index = {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}
    _write(folder / "model_index.json", index)


def write_schedule(folder: Path, prediction: str) -> None:
    """The noise schedule of a converted file whose U-Net predicts so."""
    schedule = dict(SDXL_SCHEDULE)
    if prediction != EPSILON:
        schedule["prediction_type"] = "v_prediction"
    if prediction == V_ZERO:  # its last step is pure noise, and must be among those that are taken
        schedule |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    _write(folder / "scheduler" / "scheduler_config.json", schedule)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


_FRONTS = {"unet": UNET, "vae": VAE, "text_encoder": TEXT, "text_encoder_2": TEXT_2}


def converted(
    part: str, network: Any, tensors: Mapping[str, Tensor], file: str
) -> dict[str, Tensor]:
    """The tensors of one network, by the hub's names.

    Args:
        part: its folder.
        network: on whatever device; its configuration and shapes are looked at.
        tensors: those of the file whose names begin as the network's do.
        file: what to call the file in errors.

    Raises:
        ModelError: one is missing, or has another shape.
    """
    if part == "unet":
        state = dict(_of_unet(network, tensors))
    elif part == "vae":
        state = convert_ldm_vae_checkpoint(dict(tensors), network.config)
    elif part == "text_encoder":
        state = {name.removeprefix(TEXT): tensor for name, tensor in tensors.items()}
    else:
        state = convert_open_clip_checkpoint(network, dict(tensors), prefix=TEXT_2)
    state = {k: v.contiguous() for k, v in state.items() if not k.endswith("position_ids")}
    bare = lambda name: name.removeprefix("text_model.")
    wanted = {bare(k): tuple(v.shape) for k, v in network.state_dict().items()}
    found = {bare(k): tuple(v.shape) for k, v in state.items()}
    for name, shape in wanted.items():
        if found.get(name) != shape:
            has = f"has the shape {found[name]} and not {shape}" if name in found else "is missing"
            raise ModelError(f"{file} is not SDXL: {name} of its {part} {has}")
    return {k: v for k, v in state.items() if bare(k) in wanted}


def _of_unet(unet: Any, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name in unet.state_dict():
        layer, _, kind = name.rpartition(".")
        theirs = f"{UNET}{single_file_name(layer, unet.config)}.{kind}"
        if theirs in tensors:
            yield name, tensors[theirs]
