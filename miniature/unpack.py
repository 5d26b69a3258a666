"""The way back from a packed checkpoint: ``python -m miniature.unpack [FOLDER]`` fills the state.

Where the state is gone, a training goes on from the weights in a checkpoint instead of from nothing.
The encoders are finished: all else was trained on them. What was never packed (``look``, ``teacher``, ``perception``, ``numbers``, the heads that taught) is not
there afterwards; nor are the states of the optimizers, which begin anew. Latents come out normalised
already, so the encoder's own normalisation is then one of mean 0 and spread 1.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPSegForImageSegmentation, CLIPTextModel, CLIPTextModelWithProjection

from . import paths
from .card import CARD, read_card
from .package import ADAPTER, ATTRIBUTES, CONTROLS, FEW_STEPS_FILE, LITTLE_PEOPLE, WEIGHTS
from .pictures.latents import mark_of, norm_path
from .stages import (
    enlarger,
    few_steps,
    identity_lora,
    ip_adapter,
    little_people,
    pose_control,
    reader,
    text,
    tower,
    vae,
)
from .stages.painter import LORA, load_plain
from .training.beside import fingerprint
from .training.loop import trained

# What all else was trained on: another one would fit nothing that is unpacked with it.
ENCODERS = ("text", "vae", "vae_cool", "tower")


def prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin with ``prefix``, without it, float32."""
    found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return {k: v.float() if v.is_floating_point() else v for k, v in found.items()}


def read_vae(folder: Path) -> nn.Module:
    """The autoencoder, in what teaches it."""
    taught = vae.Taught()
    taught.vae.load_state_dict(AutoencoderKL.from_pretrained(folder / "vae").float().state_dict())
    return taught


def read_text(folder: Path) -> nn.Module:
    """Both text encoders; the heads that taught them are untrained."""
    for source, name in zip(text.tokenizer_folders(), ("tokenizer", "tokenizer_2"), strict=True):
        shutil.copytree(folder / name, source, dirs_exist_ok=True)
    model = text.Teaching(len(text.make_tokenizers()[0]))
    one = CLIPTextModel.from_pretrained(folder / "text_encoder")
    two = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2")
    model.encoders.first.load_state_dict(one.float().state_dict())
    model.encoders.second.load_state_dict(two.float().state_dict())
    return model


def read_unet(folder: Path) -> nn.Module:
    """The plain U-Net."""
    return UNet2DConditionModel.from_pretrained(folder / "unet").float()


def read_tower(folder: Path) -> nn.Module:
    """The identity encoder; the head that compares it with its teacher is untrained."""
    model = tower.Tower()
    tensors = prefixed(load_file(folder / "photomaker.safetensors"), "id_encoder.")
    model.encoder.load_state_dict(tensors, strict=False)  # position numbers are not stored
    return model


def read_listener(folder: Path, beside: float) -> nn.Module:
    """The U-Net with its LoRA and fuse module, marked as trained ``beside`` what is packed with it."""
    model = identity_lora.Listener()
    load_plain(model, read_unet(folder).state_dict())
    tensors = load_file(folder / "photomaker.safetensors")
    lora = prefixed(tensors, "lora_weights.unet.")
    set_peft_model_state_dict(model.unet, lora, adapter_name=LORA)
    model.fuse.load_state_dict(prefixed(tensors, "id_encoder.fuse_module."))
    model.beside.fill_(beside)
    return model


def read_small(model: nn.Module, file: Path) -> nn.Module:
    """A network of our own."""
    model.load_state_dict(prefixed(load_file(file), ""))
    return model


def read_recogniser(file: Path) -> nn.Module:
    """The recogniser of drawn people; what it was taught by is untrained."""
    taught = little_people.new_taught()
    taught["net"].load_state_dict(prefixed(load_file(file), ""))
    return taught


def told_of(training: dict, stage: str, cool: bool = False) -> dict:
    """Steps and minutes of a stage on a card; of its cooled copy, of as many steps as it where the card
    has none."""
    plain = training.get(stage, {"steps": 0, "minutes": 0})
    return training.get(f"{stage}_cool", plain | {"minutes": 0}) if cool else plain


def readers_of(folder: Path) -> dict[str, tuple[Path, object]]:
    """Stage -> (a file that must be there, what reads its model), in the order of who is beside whom."""
    training = read_card(folder)["training"]
    beside = lambda name: fingerprint(
        name, lambda stage: told_of(training, stage, cool=True)["steps"]
    )
    seen = folder / ATTRIBUTES / WEIGHTS
    large = folder / "enlarger" / "model.safetensors"
    known = folder.parent / LITTLE_PEOPLE / WEIGHTS
    turning = folder / CONTROLS / pose_control.KIND
    pictured, quick = folder / ADAPTER, folder / FEW_STEPS_FILE
    return {
        "vae": (folder / "vae", lambda: read_vae(folder)),
        "vae_cool": (folder / "vae", lambda: read_vae(folder)),
        "text": (folder / "text_encoder", lambda: read_text(folder)),
        "unet": (folder / "unet", lambda: read_unet(folder)),
        "unet_cool": (folder / "unet", lambda: read_unet(folder)),
        "tower": (folder / "photomaker.safetensors", lambda: read_tower(folder)),
        "identity_lora": (
            folder / "photomaker.safetensors",
            lambda: read_listener(folder, beside(identity_lora.NAME)),
        ),
        "segmenter": (
            folder / "segmenter",
            lambda: CLIPSegForImageSegmentation.from_pretrained(folder / "segmenter").float(),
        ),
        "reader": (seen, lambda: read_small(reader.new_reader(), seen)),
        "pose_control": (
            turning,
            lambda: pose_control.unpacked(turning, read_unet(folder), beside(pose_control.NAME)),
        ),
        "ip_adapter": (
            pictured,
            lambda: ip_adapter.unpacked(pictured, read_unet(folder), beside(ip_adapter.NAME)),
        ),
        "few_steps": (quick, lambda: few_steps.unpacked(quick, beside(few_steps.NAME))),
        "little_people": (known, lambda: read_recogniser(known)),
        "enlarger": (large, lambda: read_small(enlarger.new_enlarger(), large)),
    }


def unpack(folder: Path) -> list[str]:
    """Write a checkpoint for every stage that has none; their names. The card goes into the state, too.

    Raises:
        SystemExit: the state has checkpoints that were not unpacked from this folder.
    """
    card, own = folder / CARD, paths.state() / CARD
    told_by = lambda path: path.read_text(encoding="utf-8") if path.exists() else None
    begun = sorted(p.stem for p in paths.checkpoint("any").parent.glob("*.pt"))
    if begun and told_by(own) != (told_by(card) or ""):
        raise SystemExit(
            f"{paths.state()} has another training ({', '.join(begun[:3])}{' and more' * (len(begun) > 3)}), "
            f"which {folder} does not fit; give another --state, or delete that one"
        )
    paths.state().mkdir(parents=True, exist_ok=True)
    own.write_text(told_by(card) or "", encoding="utf-8")
    spent, written = read_card(folder)["training"], []
    for name, (needed, read) in readers_of(folder).items():
        if needed.exists() and not trained(name):
            cool, plain = name.endswith("_cool"), name.removesuffix("_cool")
            told = told_of(spent, plain, cool=cool)
            state = dict(
                model=read().state_dict(), spent=60 * told["minutes"], step=told["steps"],
                began=told_of(spent, plain)["steps"] if cool else 0, finished=name in ENCODERS,
            )  # fmt: skip
            paths.checkpoint(name).parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, paths.checkpoint(name))
            written.append(name)
    if "vae_cool" in written and not norm_path().exists():
        one = torch.ones(vae.CHANNELS, 1, 1)
        torch.save(dict(mean=0 * one, std=one, encoder=mark_of(vae.load_vae())), norm_path())
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=paths.TARGET)
    parser.add_argument("--state", type=Path)
    options = parser.parse_args()
    paths.use_state(options.state)
    print("unpacked:", ", ".join(unpack(options.folder)) or "nothing; all are there")


if __name__ == "__main__":
    main()
