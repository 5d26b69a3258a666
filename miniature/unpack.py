"""The way back from a packed checkpoint: ``python -m miniature.unpack`` fills ``build/checkpoints``.

Where ``build/`` is gone, a training goes on from the weights in the package instead of from nothing.
What was never packed (``teacher``, ``perception``, the heads that taught the text encoders) is not
there afterwards; nor are the states of the optimizers, which begin anew.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from transformers import (
    CLIPSegForImageSegmentation,
    CLIPTextModel,
    CLIPTextModelWithProjection,
)

from identitystory.metrics.attributes import FOLDER as ATTRIBUTES
from identitystory.metrics.attributes import WEIGHTS

from .pack import read_card
from .paths import TARGET
from .stages.identity import Tower
from .stages.painter import LORA, Painter
from .stages.reader import new_reader
from .stages.text import TOKENIZERS, Reader, make_tokenizers
from .stages.vae import DECODER
from .training.loop import CHECKPOINTS, trained


def prefixed(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Those whose names begin with ``prefix``, without it, float32."""
    return {k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)}


def read_painter(folder: Path) -> Painter:
    """U-Net, LoRA and fuse module of the checkpoint in ``folder``."""
    painter = Painter()
    base = UNet2DConditionModel.from_pretrained(folder / "unet").state_dict()
    own = painter.unet.state_dict()
    names = {k.replace(".base_layer", ""): k for k in own if "lora_" not in k}
    painter.unet.load_state_dict({names[k]: v.float() for k, v in base.items()}, strict=False)
    tensors = load_file(folder / "photomaker.safetensors")
    lora = prefixed(tensors, "lora_weights.unet.")
    set_peft_model_state_dict(painter.unet, lora, adapter_name=LORA)
    painter.fuse.load_state_dict(prefixed(tensors, "id_encoder.fuse_module."))
    return painter


def read_tower(folder: Path) -> Tower:
    """The identity encoder; the head that compares it with its teacher is untrained."""
    tower = Tower()
    tensors = prefixed(load_file(folder / "photomaker.safetensors"), "id_encoder.")
    tower.encoder.load_state_dict(tensors, strict=False)  # position numbers are not stored
    return tower


def read_text(folder: Path) -> Reader:
    """Both text encoders; the heads that taught them are untrained."""
    reader = Reader(len(make_tokenizers()[0]))
    one = CLIPTextModel.from_pretrained(folder / "text_encoder")
    two = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2")
    reader.encoders.first.load_state_dict(one.float().state_dict())
    reader.encoders.second.load_state_dict(two.float().state_dict())
    return reader


def parts_of(folder: Path) -> dict[str, nn.Module]:
    """Stage -> its model, of the checkpoint in ``folder``."""
    for source, name in zip(TOKENIZERS, ("tokenizer", "tokenizer_2"), strict=True):
        shutil.copytree(folder / name, source, dirs_exist_ok=True)
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    reader = new_reader()
    reader.load_state_dict(prefixed(load_file(folder / ATTRIBUTES / WEIGHTS), ""))
    return {
        "vae": vae,
        DECODER: vae,
        "text": read_text(folder),
        "tower": read_tower(folder),
        "segmenter": CLIPSegForImageSegmentation.from_pretrained(folder / "segmenter"),
        "reader": reader,
        "unet": read_painter(folder),
    }


def unpack(folder: Path) -> list[str]:
    """Write a checkpoint for every stage that has none; their names."""
    spent = read_card(folder)["training"]
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    written = []
    for name, model in parts_of(folder).items():
        if not trained(name):
            told = spent.get(name, {"steps": 0, "minutes": 0})
            state = dict(model=model.float().state_dict(), spent=60 * told["minutes"])
            torch.save(state | dict(step=told["steps"]), CHECKPOINTS / f"{name}.pt")
            written.append(name)
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=TARGET)
    print("unpacked:", ", ".join(unpack(parser.parse_args().folder)) or "nothing; all are there")


if __name__ == "__main__":
    main()
