"""Whether one file holds all of SDXL, and how its U-Net predicts, told from the file's header alone."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ModelError, shown
from ..files.header import Header

UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT, TEXT_2 = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
EPSILON, V, V_ZERO = "epsilon", "v", "v-zero-snr"
PREDICTIONS = (EPSILON, V, V_ZERO)
# Marks in the keys of what is something else, first that fits.
OTHERS = {
    "lora_": "a LoRA, which is given with --lora",
    "edm_mean": "an EDM model such as Playground 2.5",
    "double_blocks.": "FLUX",
    "joint_blocks.": "SD 3",
    "cond_stage_model.transformer.": "SD 1.5",
    "cond_stage_model.model.": "SD 2",
    "conditioner.embedders.0.model.": "SDXL's refiner",
}
WHOLE = {UNET: "the U-Net", VAE: "the VAE", TEXT: "a text encoder", TEXT_2: "a text encoder"}


def check_sdxl_file(file: Path, header: Header) -> None:
    """Nothing, if ``file`` has the names of a whole SDXL in the layout of its first release.

    Raises:
        ModelError: it is of another family, lacks a network, or paints into pictures.
    """
    keys = header.shapes
    for mark, name in OTHERS.items():
        if any(mark in key for key in keys):
            raise ModelError(f"{file} is {name}; a whole SDXL is needed as a base")
    if lacking := [mark for mark in WHOLE if not any(key.startswith(mark) for key in keys)]:
        raise ModelError(
            f"{file} lacks {' and '.join(dict.fromkeys(WHOLE[mark] for mark in lacking))} "
            f"({lacking[0]}...; its first tensor is {shown(next(iter(keys), ''))}): it is not a whole SDXL in one file"
        )
    first = keys.get(f"{UNET}input_blocks.0.0.weight", ())
    if len(first) == 4 and first[1] == 9:
        raise ModelError(f"{file} paints into given pictures (inpainting); a plain SDXL is needed")


def prediction_of(file: Path, header: Header) -> str:
    """What the U-Net predicts, one of `PREDICTIONS`, as keys or metadata say; epsilon if neither does.

    Raises:
        ModelError: the file's name says v, and nothing in it.
    """
    told = {k: v.lower() for k, v in header.metadata.items()}
    if "ztsnr" in header.shapes or told.get("ss_zero_terminal_snr") == "true":
        return V_ZERO
    said = told.get("modelspec.prediction_type", "")
    if "v_pred" in header.shapes or said in ("v", "v_prediction", "v-prediction"):
        return V
    if told.get("ss_v_parameterization") == "true":
        return V
    if not said and re.search(r"v[-_ ]?pred", file.stem.lower()):
        raise ModelError(
            f"{file} is called v-prediction, and nothing in it says so: add it with identitystory "
            f"models add {file} --prediction {V} (or {V_ZERO}, {EPSILON})"
        )
    return EPSILON
