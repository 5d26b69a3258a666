"""Whether a LoRA's file is one for a base in SDXL's layout, told from its header alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import ModelError, shown
from ..files.configs import told
from ..files.header import Header

# Marks in the keys of what is no plain LoRA, and in the names of layers of other families.
KINDS = {
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "oft_": "an OFT",
    "lora_mid": "a LoCon in Tucker's form",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    ".on_input": "an (IA)3",
}
OTHERS = {
    "double_blocks": "FLUX",
    "single_transformer_blocks": "FLUX",
    "joint_blocks": "SD 3",
    "lora_transformer_": "SD 3",
    "joint_attention": "SD 3",
    "lora_te_": "SD 1.5",
}
WIDTHS = {768: "SD 1.5", 1024: "SD 2", 1280: "SDXL's refiner", 2048: "SDXL"}  # numbers of a word
SAID = {  # in the metadata
    "flux": "FLUX",
    "sd3": "SD 3",
    "stable-diffusion-3": "SD 3",
    "sd_v1": "SD 1.5",
    "stable-diffusion-v1": "SD 1.5",
    "sd_v2": "SD 2",
    "stable-diffusion-v2": "SD 2",
}
FRONTS = ("unet.", "text_encoder.", "text_encoder_2.")  # of keys in diffusers' files


def check_sdxl_lora(folder: Path, file: Path, header: Header) -> None:
    """Nothing, if ``file`` is a LoRA that reads words as long as the base in ``folder`` gives.

    Raises:
        ModelError: it is of another family, a LoHa or another kind, a whole model, or no LoRA; or its
            metadata tells no scale that is taken here.
    """
    keys = header.shapes
    if kind := _marked(KINDS, keys):
        raise ModelError(f"{file} is {kind}, and plain LoRAs alone are taken; leave it out")
    downs = {k: v for k, v in keys.items() if "lora_down." in k or ".lora_A." in k or ".down." in k}
    if not downs or "model.diffusion_model.input_blocks.0.0.weight" in keys:
        raise ModelError(
            f"{file} is not a LoRA ({len(keys)} tensors, the first {shown(next(iter(keys), ''))}); "
            "a whole model is given with --base"
        )
    other = _marked(OTHERS, keys)
    if not other and any(k.startswith(("transformer.", "diffusion_model.")) for k in keys):
        other = "a transformer, FLUX or a later family"
    if other:
        raise ModelError(f"{file} is a LoRA of {other}; the base is SDXL's, leave it out")
    wanted = told(folder / "unet" / "config.json", "cross_attention_dim", int)
    reads = {v[1] for k, v in downs.items() if _reads_words(k) and len(v) > 1}
    if strange := sorted(reads - {wanted}):
        of = WIDTHS.get(strange[0], "another model")
        raise ModelError(
            f"{file} is a LoRA of {of}: it reads {strange[0]} numbers a word, and the base gives "
            f"{wanted}; leave it out"
        )
    said = " ".join(
        header.metadata.get(k, "") for k in ("modelspec.architecture", "ss_base_model_version")
    )
    if of := next((name for mark, name in SAID.items() if mark in said.lower()), ""):
        raise ModelError(f"{file} is a LoRA of {of}, as its metadata says; leave it out")
    told_scales(header.metadata, str(file))


def told_scales(metadata: Mapping[str, str], file: str) -> Callable[[str, int], float]:
    """The scale of a LoRA of some rank by its key: what diffusers writes into a file's metadata.

    Each network has its own alpha, and the scale is alpha over rank, or over the root of the rank
    (``use_rslora``); it is 1 where nothing is said.

    Raises:
        ModelError: what is said is broken, or single layers have an alpha of their own.
    """
    scales: dict[str, tuple[float, bool]] = {}
    try:
        said = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        for front in (*FRONTS, ""):
            if said.get(f"{front}alpha_pattern"):
                raise ModelError(
                    f"{file} has an alpha for single layers in its metadata (alpha_pattern), which "
                    "is not taken; save it with one alpha for all of them, or leave it out"
                )
            if (alpha := said.get(f"{front}lora_alpha")) is not None:
                scales[front] = float(alpha), bool(said.get(f"{front}use_rslora"))
                if not math.isfinite(scales[front][0]):
                    raise ValueError
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ModelError(
            f"{file}: lora_adapter_metadata, in its metadata, is broken; get the file again"
        ) from None

    def scale(key: str, rank: int) -> float:
        front = next((front for front in FRONTS if key.startswith(front)), "")
        alpha, by_root = scales.get(front, (float(rank), False))
        return alpha / (math.sqrt(rank) if by_root else rank)

    return scale


def _marked(marks: Mapping[str, str], keys: Mapping[str, object]) -> str:
    return next((name for mark, name in marks.items() if any(mark in key for key in keys)), "")


def _reads_words(key: str) -> bool:
    return "attn2" in key and ("to_k" in key or "to_v" in key)
