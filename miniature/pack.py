"""Put the trained parts together: ``python -m miniature.pack [--out FOLDER] [--replace]``.

Writes a checkpoint in SDXL's layout on the hub, with ``photomaker.safetensors`` (PhotoMaker v1's
layout), ``segmenter/``, ``attributes/``, ``enlarger/``, ``vocabulary.json`` and ``card.toml``; the
recogniser, an instrument, goes into ``little_people`` beside it. Weights are float16. Parts that are not trained yet are left out, and said so;
a checkpoint that has them is not replaced without ``--replace``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from . import paths
from .card import write_card
from .package import ATTRIBUTES, CLIP_MEAN, CLIP_STD, LITTLE_PEOPLE
from .pictures.faces import PICTURE
from .pictures.latents import load_norm, norm_path
from .stages import (
    enlarger,
    few_steps,
    ip_adapter,
    little_people,
    pose_control,
    reader,
    segmenter,
    text,
    tower,
)  # fmt: skip
from .stages.identity_lora import load_painter
from .stages.painter import LORA, Painter, plain_state
from .stages.unet import new_unet
from .stages.vae import load_vae
from .training.beside import fits
from .training.loop import load_trained, trained
from .training.noise import scheduler
from .world.captions import VOCABULARY

LARGEST, WHOLE = 15 * 2**20, 40 * 2**20  # bytes of a file, and of all
PARTS = dict(
    scheduler="DDIMScheduler", unet="UNet2DConditionModel", vae="AutoencoderKL",
    text_encoder="CLIPTextModel", text_encoder_2="CLIPTextModelWithProjection",
    tokenizer="CLIPTokenizer", tokenizer_2="CLIPTokenizer",
)  # fmt: skip


def fold_normalisation(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make latents of mean 0 and deviation 1 part of the 1 x 1 convolutions around them.

    The stock pipeline knows per-channel statistics for four channels only; folded, the VAE needs
    none and its scaling factor is 1.
    """
    mean, std = mean.flatten(), std.flatten()
    c = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    with torch.no_grad():
        quant.weight[:c] /= std.view(-1, 1, 1, 1)
        quant.bias[:c] = (quant.bias[:c] - mean) / std
        quant.bias[c:] -= 2 * std.log()
        post.bias += post.weight[:, :, 0, 0] @ mean
        post.weight *= std.view(1, -1, 1, 1)


def half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Float16 copies."""
    as_half = lambda v: v.half() if v.is_floating_point() else v
    return {k: as_half(v.detach()).contiguous() for k, v in state.items()}


def save_photomaker(painter: Painter, path: Path) -> None:
    """PhotoMaker v1's file: ``id_encoder.*`` and ``lora_weights.*``."""
    encoder = tower.load_encoder()
    encoder.fuse_module.load_state_dict(painter.fuse.state_dict())
    tensors = {
        f"id_encoder.{k}": v for k, v in encoder.state_dict().items() if "position_ids" not in k
    }
    lora = get_peft_model_state_dict(painter.unet, adapter_name=LORA)
    tensors |= {f"lora_weights.unet.{k}": v for k, v in lora.items()}
    metadata = dict(
        num_attention_heads=str(tower.WIDTH // 64), hidden_act=tower.ACTIVATION,
        image_mean=json.dumps(CLIP_MEAN), image_std=json.dumps(CLIP_STD),
        shortest_edge=str(PICTURE),
    )  # fmt: skip
    save_file(half(tensors), path, metadata)
    sort_metadata(path)


def sort_metadata(path: Path) -> None:
    """Put a safetensors file's metadata in order: equal weights are equal files.

    The library writes it in a random order, and runs know a checkpoint by its files' bytes.
    """
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    words = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(raw[:8] + words.ljust(size) + raw[8 + size :])


def save_segmenter(folder: Path) -> None:
    """CLIPSeg, with the CLIP inside it that measures pictures against texts."""
    vocabulary = len(text.make_tokenizers()[0])
    model = load_trained(segmenter.NAME, segmenter.new_segmenter(vocabulary))
    model.half().save_pretrained(folder)
    shutil.copytree(text.tokenizer_folders()[0], folder, dirs_exist_ok=True)
    size = segmenter.SIZE
    content = dict(
        size=dict(height=size, width=size), resample=2, image_mean=segmenter.MEAN,
        image_std=segmenter.STD, do_resize=True, do_normalize=True, do_rescale=True,
        rescale_factor=1 / 255, image_processor_type="ViTImageProcessor",
    )  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2))


def save_network(folder: Path, model: torch.nn.Module, **facts: object) -> None:
    """A network of our own: ``model.safetensors`` and what there is to know of it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(half(model.state_dict()), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(facts, indent=1))


def save_text(folder: Path) -> None:
    """Both text encoders and tokenizers."""
    _, encoders = text.load_encoders()
    encoders.first.half().save_pretrained(folder / "text_encoder")
    encoders.second.half().save_pretrained(folder / "text_encoder_2")
    for source, name in zip(text.tokenizer_folders(), ("tokenizer", "tokenizer_2"), strict=True):
        shutil.copytree(source, folder / name)
    (folder / "vocabulary.json").write_text(json.dumps({"words": list(VOCABULARY)}, indent=0))


def save_vae(folder: Path) -> None:
    """The autoencoder, normalised where its latents' spread is known."""
    vae = load_vae()
    if norm_path().exists():
        fold_normalisation(vae, *load_norm())
    vae.half().save_pretrained(folder / "vae")


def pack(folder: Path, replace: bool = False) -> list[str]:
    """Write the whole checkpoint into ``folder``; the names of parts that are not trained.

    Args:
        folder: a checkpoint there is replaced, whole or not at all.
        replace: also by one that lacks some of its files.

    Raises:
        SystemExit: files would be lost, and ``replace`` is not said; or no held-out pictures are
            drawn to measure with. Nothing is changed then.
    """
    new, beside = begun(folder), begun(folder.with_name(LITTLE_PEOPLE))
    for old in (new, beside):
        shutil.rmtree(old, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        missing = write_parts(new, beside)
        lost = files_of(folder) - files_of(new)
        if lost and not replace:
            raise SystemExit(
                f"{folder} has {', '.join(sorted(lost)[:3])}{' and more' * (len(lost) > 3)}, which would be lost, for "
                f"this is not trained in {paths.state()}: {', '.join(missing)}. Train it, pack into another --out, or say --replace"
            )
    except BaseException:
        for begin in (new, beside):
            shutil.rmtree(begin, ignore_errors=True)
        raise
    for written, place in ((new, folder), (beside, folder.with_name(LITTLE_PEOPLE))):
        if written.exists():
            shutil.rmtree(place, ignore_errors=True)
            written.rename(place)
    return missing


def begun(folder: Path) -> Path:
    """Where a folder is written before it takes its place."""
    return folder.with_name(f"{folder.name}.new")


def files_of(folder: Path) -> set[str]:
    """The files in a folder and those below it, named from there; none where there is no folder."""
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}


def write_parts(folder: Path, beside: Path) -> list[str]:
    """Write what is trained into an empty ``folder``, the recogniser ``beside`` it; the names of what is not."""
    index: dict = {
        "_class_name": "StableDiffusionXLPipeline",
        "force_zeros_for_empty_prompt": False,
    }
    library = lambda kind: "transformers" if kind.startswith("CLIP") else "diffusers"
    index |= {name: [library(kind), kind] for name, kind in PARTS.items()}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    scheduler().save_pretrained(folder / "scheduler")

    def identity() -> None:
        save_photomaker(load_painter(), folder / "photomaker.safetensors")

    def painted() -> None:
        unet = new_unet()
        unet.load_state_dict(plain_state(load_painter().unet))
        unet.half().save_pretrained(folder / "unet", max_shard_size="12MB")

    def recogniser() -> None:
        measured = little_people.report()
        save_network(beside, little_people.load_recogniser(),
                     threshold=measured["autoencoded_at"], measured=measured)  # fmt: skip

    def enlarging() -> None:
        save_network(folder / "enlarger", enlarger.load_enlarger(), width=enlarger.WIDTH,
                     depth=enlarger.DEPTH, scale=2)  # fmt: skip

    steps = {
        "text": (trained(text.NAME), lambda: save_text(folder)),
        "vae": (trained("vae"), lambda: save_vae(folder)),
        "unet": (trained("unet"), painted),
        "identity": (trained(tower.NAME) and trained("unet"), identity),
        "segmenter": (trained(segmenter.NAME), lambda: save_segmenter(folder / "segmenter")),
        "reader": (trained(reader.NAME), lambda: reader.save_reader(folder / ATTRIBUTES)),
        "ip_adapter": (fits(ip_adapter.NAME), lambda: ip_adapter.pack(folder)),
        "few_steps": (fits(few_steps.NAME), lambda: few_steps.pack(folder)),
        "pose_control": (fits(pose_control.NAME), lambda: pose_control.pack(folder)),
        "enlarger": (trained(enlarger.NAME), enlarging),
        "little_people": (trained(little_people.NAME), recogniser),
    }
    for there, write in steps.values():
        if there:
            write()
    write_card(folder)
    return [name for name, (there, _) in steps.items() if not there]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--out", type=Path, default=paths.TARGET)
    parser.add_argument("--replace", action="store_true", help="a checkpoint that has more, too")
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    missing = pack(options.out, options.replace)
    sizes = {f: f.stat().st_size for f in options.out.rglob("*") if f.is_file()}
    print(f"{options.out}: {sum(sizes.values()) / 2**20:.1f} MiB")
    for file, size in sizes.items():
        if size > LARGEST:
            print(f"{file} has {size / 2**20:.1f} MiB; {LARGEST / 2**20:.0f} are allowed")
    if sum(sizes.values()) > WHOLE:
        print(f"more than {WHOLE / 2**20:.0f} MiB")
    if missing:
        print("not there:", ", ".join(missing))


if __name__ == "__main__":
    main()
