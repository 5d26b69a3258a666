"""Put the trained parts together: ``python -m miniature.pack``.

Writes ``src/identitystory/weights/miniature`` in SDXL's layout on the hub, with
``photomaker.safetensors`` (PhotoMaker v1's layout), ``segmenter/``, ``attributes/``,
``vocabulary.json`` and ``card.toml``. Weights are float16.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTokenizer

from identitystory.metrics.attributes import FOLDER as ATTRIBUTES
from identitystory.metrics.attributes import TABLE
from identitystory.models.pixels import CLIP_MEAN, CLIP_STD
from identitystory.models.sdxl.identity_encoder import IdentityEncoder

from .paths import BUILD, TARGET
from .pictures.dataset import PLACES_V0, POSES_V0, PictureSet
from .pictures.portraits import PICTURE
from .pictures.training_set import HELD_OUT_SCENES, LATENTS
from .stages import few_steps, ip_adapter
from .stages.identity import ACTIVATION, WIDTH, load_encoder
from .stages.identity_lora import NAME as IDENTITY_LORA
from .stages.identity_lora import load_painter
from .stages.painter import LORA, Painter, new_unet, scheduler
from .stages.reader import save_reader
from .stages.segmenter import MEAN, SIZE, STD, new_segmenter
from .stages.text import TOKENIZERS, load_encoders
from .stages.vae import DECODER, load_vae
from .training.loop import CHECKPOINTS, load_trained, trained
from .world.captions import grammar_words


def fold_normalisation(vae: AutoencoderKL, mean: Tensor, std: Tensor) -> None:
    """Make latents of mean 0 and deviation 1 part of the 1 x 1 convolutions around them.

    The stock pipeline knows per-channel statistics for four channels only; folded, the VAE needs
    none and its scaling factor is 1.
    """
    c = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    with torch.no_grad():
        quant.weight[:c] /= std.view(-1, 1, 1, 1)
        quant.bias[:c] = (quant.bias[:c] - mean) / std
        quant.bias[c:] -= 2 * std.log()
        post.bias += post.weight[:, :, 0, 0] @ mean
        post.weight *= std.view(1, -1, 1, 1)


def save_photomaker(painter: Painter, encoder: IdentityEncoder, path: Path) -> None:
    """PhotoMaker v1's file: ``id_encoder.*`` and ``lora_weights.*``."""
    encoder.fuse_module.load_state_dict(painter.fuse.state_dict())
    tensors = {
        f"id_encoder.{k}": v for k, v in encoder.state_dict().items() if "position_ids" not in k
    }
    lora = get_peft_model_state_dict(painter.unet, adapter_name=LORA)
    tensors |= {f"lora_weights.unet.{k}": v for k, v in lora.items()}
    half = {k: v.detach().half().contiguous() for k, v in tensors.items()}
    metadata = dict(
        num_attention_heads=str(WIDTH // 64), hidden_act=ACTIVATION,
        image_mean=json.dumps(CLIP_MEAN), image_std=json.dumps(CLIP_STD),
        shortest_edge=str(PICTURE),
    )  # fmt: skip
    save_file(half, path, metadata)
    sort_metadata(path)


def sort_metadata(path: Path) -> None:
    """Put a safetensors file's metadata in order: equal weights are equal files.

    The library writes it in a random order, and runs know a checkpoint by its files' bytes.
    """
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    path.write_bytes(raw[:8] + text.ljust(size) + raw[8 + size :])


def base_state(painter: Painter) -> dict[str, Tensor]:
    """The U-Net's weights without the LoRA, under their own names."""
    state = painter.unet.state_dict()
    return {k.replace(".base_layer", ""): v for k, v in state.items() if "lora_" not in k}


def save_segmenter(folder: Path) -> None:
    """CLIPSeg, with the CLIP inside it that measures pictures against texts."""
    vocabulary = len(CLIPTokenizer.from_pretrained(TOKENIZERS[0]))
    load_trained("segmenter", new_segmenter(vocabulary)).half().save_pretrained(folder)
    shutil.copytree(TOKENIZERS[0], folder, dirs_exist_ok=True)
    content = dict(
        size=dict(height=SIZE, width=SIZE), resample=2, image_mean=MEAN, image_std=STD,
        do_resize=True, do_normalize=True, do_rescale=True, rescale_factor=1 / 255,
        image_processor_type="ViTImageProcessor",
    )  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2))


def training_facts(known: dict) -> dict:
    """Steps and minutes of each stage, as its checkpoint says, or else as is ``known``."""
    stages = {}
    parts = (
        "vae",
        DECODER,
        "text",
        "teacher",
        "tower",
        "segmenter",
        "perception",
        "unet",
        IDENTITY_LORA,
        "reader",
        "ip_adapter",
        "few_steps",
    )
    for name in parts:
        if trained(name):
            state = torch.load(CHECKPOINTS / f"{name}.pt", weights_only=True, mmap=True)
            stages[name] = (state["step"], round(state["spent"] / 60, 1))
        elif name in known:
            stages[name] = (known[name]["steps"], known[name]["minutes"])
    return stages


SUITS = """\
[suits]  # what presets that the paper does not fix are used with
# Faces come apart above 3 and without new noise; with new noise 20 steps show more faces, and more
# alike, than 50 (dev/log.md). Portraits of 8 steps are as near to a full search as another seed is.
guidance = 3.0
steps = 20
search_steps = 8
sampler = "ancestral"
negative = ""  # an empty prompt, which it was trained with
identity_words = "scene"  # keeps expressions and clothes, see dev/log.md
stories = "little_people"
caveats = [
    "The miniature paints rendered people at a small size. It shows whether a method works as written and how methods compare on one and the same model; its values say nothing about SDXL's, and cannot be held against the paper's.",
    "Each measure is that of the checkpoint's own small CLIP where none other is installed.",
    "Story-Adapter sees pictures through the miniature's identity tower, which knows people better than CLIP does. That flatters it.",
]

"""


def read_card(folder: Path) -> dict:
    """The card that is there, or an empty one."""
    path = folder / "card.toml"
    empty: dict = {"training": {}, "measured": {}}
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else empty


def write_card(folder: Path, data: PictureSet, measured: dict, before: dict) -> None:
    """``card.toml``: data, steps, seed, time, measured quality, sha256 of every weight file.

    What is not known anew is taken from the card ``before``: what was not trained, nor measured, again.
    """
    people, measured = data.spec["people"], before["measured"] | measured
    machine = before["training"].get("machine", "two CPU cores with bfloat16 matrix units")
    lines = [
        "# What the miniature is, made of, and good for. Written by `python -m miniature.pack`.",
        'name = "identitystory miniature, version 0.8"',
        'licence = "Apache-2.0; rendered from CC0 data"',
        "size = 128",
        "",
        *SUITS.splitlines(),
        "[data]",
        'source = "the little people (miniature/world), rendered for this purpose"',
        f"seed = {data.spec['seed']}",
        f"people = {people}",
        f"pictures = {people * data.spec['pictures']}",
        f'held_out_people = "{data.known_people} to {people - 1}"',
        f"held_out_scenes = {json.dumps([' / '.join(s) for s in sorted(HELD_OUT_SCENES)])}",
        f"places = {json.dumps(PLACES_V0)}",
        f"poses = {json.dumps(POSES_V0)}",
        'framings = ["portrait", "half-body"]',
        "people_in_a_picture = 2  # side by side; they still share traits now and then",
        "",
        "[training]  # optimizer steps, minutes on the machine below",
        f"machine = {json.dumps(measured.pop('machine', machine))}",
    ]
    lines += [
        f"{n} = {{ steps = {s}, minutes = {m} }}"
        for n, (s, m) in training_facts(before["training"]).items()
    ]
    lines += ["", "[measured]"]
    lines += [f"{k} = {json.dumps(v)}" for k, v in measured.items()]
    lines += [
        "",
        "[attributes]  # how often attributes/ reads them right off held-out people's pictures",
    ]
    accuracy = json.loads((folder / ATTRIBUTES / TABLE).read_text(encoding="utf-8"))["accuracy"]
    lines += [f"{k} = {v}" for k, v in accuracy.items()]
    lines += ["", "[sha256]"]
    for file in sorted(folder.rglob("*.safetensors")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        lines.append(f'"{file.relative_to(folder).as_posix()}" = "{digest}"')
    (folder / "card.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def pack(folder: Path, data: PictureSet, measured: dict) -> None:
    """Write the whole checkpoint into ``folder``, replacing what is there."""
    before = read_card(folder)
    stored = torch.load(LATENTS, weights_only=True, mmap=True)
    painter = load_painter()
    vae = load_vae()
    fold_normalisation(vae, stored["mean"], stored["std"])
    _, encoders = load_encoders()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unet = new_unet()
    unet.load_state_dict(base_state(painter))
    unet.half().save_pretrained(folder / "unet", max_shard_size="12MB")
    vae.half().save_pretrained(folder / "vae")
    encoders.first.half().save_pretrained(folder / "text_encoder")
    encoders.second.half().save_pretrained(folder / "text_encoder_2")
    scheduler().save_pretrained(folder / "scheduler")
    for source, name in zip(TOKENIZERS, ("tokenizer", "tokenizer_2"), strict=True):
        shutil.copytree(source, folder / name)
    parts = dict(
        scheduler="DDIMScheduler", unet="UNet2DConditionModel", vae="AutoencoderKL",
        text_encoder="CLIPTextModel", text_encoder_2="CLIPTextModelWithProjection",
        tokenizer="CLIPTokenizer", tokenizer_2="CLIPTokenizer",
    )  # fmt: skip
    library = lambda kind: "transformers" if kind.startswith("CLIP") else "diffusers"
    index = {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": False}
    index |= {name: [library(kind), kind] for name, kind in parts.items()}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    save_photomaker(painter, load_encoder(), folder / "photomaker.safetensors")
    save_segmenter(folder / "segmenter")
    save_reader(folder / ATTRIBUTES, data.folder)
    if trained("ip_adapter"):
        ip_adapter.pack(ip_adapter.load_adapter(), folder)
    if trained("few_steps"):
        few_steps.pack(few_steps.load_student(), folder)
    words = sorted({w.strip(",.") for w in grammar_words()})
    (folder / "vocabulary.json").write_text(json.dumps({"words": words}, indent=0))
    write_card(folder, data, measured, before)


def pack_identity(folder: Path, data: PictureSet, measured: dict) -> None:
    """Write ``photomaker.safetensors`` anew, and nothing else but the card."""
    save_photomaker(load_painter(), load_encoder(), folder / "photomaker.safetensors")
    write_card(folder, data, measured, read_card(folder))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--identity", action="store_true", help="only what knows who it is")
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    data, path = PictureSet(options.data), BUILD / "measured.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    (pack_identity if options.identity else pack)(options.out, data, measured)
    size = sum(f.stat().st_size for f in options.out.rglob("*") if f.is_file())
    print(f"{options.out}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
