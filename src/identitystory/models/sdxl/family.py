"""SDXL as a family, PhotoMaker v1, IP-Adapters and InstantID beside it: which files they are.

The networks are imported when they are opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...protocols import IdentityGenerator, ImageGenerator
from ...sizes import Size
from ..face_pack import TERMS, check_installed, pack
from ..family import Family, IdentityPart
from ..files.configs import told
from ..files.header import Header
from ..files.store import content_hash
from .file_kind import PREDICTIONS, check_sdxl_file, prediction_of
from .lora_file import check_sdxl_lora
from .tokens import check_lengths

PHOTOMAKER_FILE = "photomaker.safetensors"
# As in the hub's h94/IP-Adapter; a checkpoint may do without.
ADAPTER = "sdxl_models/ip-adapter_sdxl.safetensors"
ADAPTER_ENCODER = "sdxl_models/image_encoder"
# Likewise; what sees for it is the repository's other tower.
PLUS_FACE_FILE = "sdxl_models/ip-adapter-plus-face_sdxl_vit-h.safetensors"
PLUS_FACE_ENCODER = "models/image_encoder"
# As in InstantX/InstantID, the adapter converted; and of InsightFace's pack what finds and knows a face.
INSTANTID_FILE, IDENTITY_NET = "ip-adapter.safetensors", "ControlNetModel"
FACES, FACE_FILES = "antelopev2", ("scrfd_10g_bnkps.onnx", "glintr100.onnx")


def _open(folder: Path, **how: Any) -> ImageGenerator:
    from .load import load_sdxl

    return load_sdxl(folder, **how)


def _max_steps(folder: Path) -> int:
    return told(folder / "scheduler" / "scheduler_config.json", "num_train_timesteps", int, 1000)


def _size(folder: Path) -> tuple[Size, int]:
    unet, vae = (folder / part / "config.json" for part in ("unet", "vae"))
    levels, deeper = (len(told(part, "block_out_channels", list)) - 1 for part in (vae, unet))
    side = told(unet, "sample_size", int) * 2**levels
    return (side, side), 2 ** (levels + deeper)


def _open_adapter(folder: Path, general: Any) -> Any:
    from .ip_adapter import load_ip_adapter

    return load_ip_adapter(folder, general)


def _open_control(folder: Path, general: Any) -> Callable[[], Any]:
    unet, room = general.unet, general.room  # not general itself, which keeps what is returned

    @cache
    def opened() -> Any:
        from .control_net import load_control

        return load_control(folder, unet, room)

    return opened


def _open_photomaker(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .photomaker import load_photomaker

    return load_photomaker(files[0], general)


def _open_photomaker_adapter(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .photomaker_adapter import load_photomaker_adapter

    file, adapter = files
    return load_photomaker_adapter(file, adapter, general)


def _open_plus_face(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .plus_face import load_plus_face

    file, encoder = files
    return load_plus_face(file, encoder, general)


def _open_instantid(files: tuple[Path, ...], general: Any) -> IdentityGenerator:
    from .instantid import load_instantid

    file, net, detector, _ = files
    return load_instantid(file, net, detector.parent, general)


def _from_file(file: Path, header: Header, folder: Path, words: Path, prediction: str) -> None:
    from .single_file import convert, write_schedule

    if prediction and prediction not in PREDICTIONS:
        raise ModelError(f"no prediction is called {prediction!r}; {', '.join(PREDICTIONS)}")
    prediction = prediction or prediction_of(file, header)
    if folder.is_dir():
        write_schedule(folder, prediction)
    else:
        convert(file, folder, words, prediction)


SDXL = Family(
    name="sdxl",
    title="SDXL",
    pipeline="StableDiffusionXL",
    others=("Inpaint", "Pix2Pix"),  # their U-Nets read a picture beside the latents
    parts={
        "tokenizer": False,
        "tokenizer_2": False,
        "text_encoder": True,
        "text_encoder_2": True,
        "unet": True,
        "vae": True,
        "scheduler": False,
    },
    open=_open,
    max_steps=_max_steps,
    size=_size,
    check_prompts=check_lengths,
    few_steps=True,
    adapter=ADAPTER,
    open_adapter=_open_adapter,
    check_lora=check_sdxl_lora,
    check_file=check_sdxl_file,
    from_file=_from_file,
    open_control=_open_control,
)
PHOTOMAKER = IdentityPart(
    title="PhotoMaker v1",
    places=(PHOTOMAKER_FILE,),
    families=("sdxl",),
    open=_open_photomaker,
)
# Its adapter reads PhotoMaker's embeddings, which the hub's does not: it is found by name alone.
PHOTOMAKER_ADAPTER = IdentityPart(
    title="PhotoMaker v1 with an IP-Adapter",
    places=(PHOTOMAKER_FILE, ADAPTER),
    families=("sdxl",),
    open=_open_photomaker_adapter,
    scaled=True,
)
PLUS_FACE = IdentityPart(
    title="IP-Adapter Plus Face",
    places=(PLUS_FACE_FILE, PLUS_FACE_ENCODER),
    families=("sdxl",),
    open=_open_plus_face,
    embeddings=("tokens", "states"),
    scaled=True,
)
INSTANTID = IdentityPart(
    title="InstantID",
    places=(INSTANTID_FILE, IDENTITY_NET, *(f"{FACES}/{file}" for file in FACE_FILES)),
    families=("sdxl",),
    open=_open_instantid,
    scaled=True,
    noncommercial=TERMS,
    check=check_installed,
    elsewhere=partial(pack, FACES, FACE_FILES),
)


def adapter_fingerprint(folder: Path) -> str:
    """sha256, in hex, over the checkpoint's IP-Adapter and its picture encoder.

    Without an encoder of its own the adapter reads the embeddings of the checkpoint's PhotoMaker,
    which is part of the checkpoint's own fingerprint.

    Raises:
        ModelError: it holds none.
    """
    weights, encoder = folder / ADAPTER, folder / ADAPTER_ENCODER
    seeing = encoder.is_dir() or (weights.is_file() and (folder / PHOTOMAKER_FILE).is_file())
    missing = [
        name
        for name, there in ((ADAPTER, weights.is_file()), (f"{ADAPTER_ENCODER}/", seeing))
        if not there
    ]
    if missing:
        raise ModelError(
            f"{folder} holds no IP-Adapter ({' and '.join(missing)} missing), which Story-Adapter "
            "needs; with --model sdxl get it with: identitystory models fetch ip-adapter; else put "
            "the files of h94/IP-Adapter there, or choose other methods"
        )
    digest = hashlib.sha256()
    for file in [weights, *sorted(encoder.glob("*.safetensors")), *sorted(encoder.glob("*.json"))]:
        digest.update(f"{file.relative_to(folder).as_posix()} {content_hash(file)}\n".encode())
    return digest.hexdigest()
