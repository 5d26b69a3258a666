"""A checkpoint folder opened as a ``Backend``: the one place that says which parts belong together."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from ..errors import ModelError
from ..protocols import Backend
from .clipseg import load_clipseg
from .diffusion import resolve_device, resolve_dtype
from .photomaker import load_photomaker
from .sdxl import PARTS, check_layout, find_folder, load_sdxl

SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
IDENTITY, SEGMENTER = "photomaker.safetensors", "segmenter"


def load_backend(
    model: str | Path,
    *,
    sampler: str = "ddim",
    num_steps: int = 50,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = True,
) -> Backend:
    """G, G_id and the segmenter of a checkpoint, sharing one U-Net.

    Args:
        model: ``miniature`` (in the package), ``sdxl``, a folder, or a hub id.
        sampler: ``ddim`` or ``euler``.
        num_steps: t.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``, for U-Net, VAE and text encoders.
        offline: whether a hub id must already be in the cache.

    Raises:
        ModelError: a part is missing, broken or of an unsupported kind.
        ConfigError: the sampler, the number of steps, the device or the dtype does not exist.
    """
    where = resolve_device(device)
    precision = resolve_dtype(dtype, where)
    folder = model_folder(model, offline=offline)
    general, text = load_sdxl(
        folder, sampler_name=sampler, num_steps=num_steps, device=where, dtype=precision
    )
    return Backend(
        name=str(model),
        general=general,
        identity=load_photomaker(folder / IDENTITY, general, text),
        segmenter=load_clipseg(folder / SEGMENTER, device=where),
        fingerprint=fingerprint(folder),
    )


def model_folder(model: str | Path, *, offline: bool = True) -> Path:
    """The complete checkpoint folder that ``model`` names.

    Raises:
        ModelError: it is not there, or lacks parts; the sentence names them.
    """
    if str(model) == "miniature":
        folder = Path(str(resources.files("identitystory") / "weights" / "miniature"))
        if not folder.is_dir():
            raise ModelError(f"the miniature's weights are missing from the package: {folder}")
    elif str(model) == "sdxl":
        folder = _cached_sdxl()
    else:
        folder = find_folder(model, local_files_only=offline)
    check_layout(folder)
    missing = [IDENTITY] if not (folder / IDENTITY).is_file() else []
    missing += [SEGMENTER + "/"] if not (folder / SEGMENTER).is_dir() else []
    if missing:
        raise ModelError(f"{folder} lacks {' and '.join(missing)}. {_RECIPE}")
    return folder


_RECIPE = (
    f"A complete folder holds the files of an SDXL checkpoint such as {SDXL}, {IDENTITY} "
    "(PhotoMaker v1's photomaker-v1.bin saved as safetensors, keys id_encoder.* and "
    f"lora_weights.*) and {SEGMENTER}/ (the files of CIDAS/clipseg-rd64-refined); "
    "pass it with --model FOLDER"
)


def _cached_sdxl() -> Path:
    try:
        return find_folder(SDXL, local_files_only=True)
    except ModelError as error:
        raise ModelError(f"'sdxl' is not in the cache of the hub. {_RECIPE}") from error


def fingerprint(folder: Path) -> str:
    """sha256, in hex, over what a checkpoint's pictures depend on: weights, configs, vocabularies.

    File names count relative to ``folder``, so a copy elsewhere has the same fingerprint.
    """
    names = [folder / "model_index.json", folder / IDENTITY]
    for part in (*PARTS, SEGMENTER):
        for pattern in ("*.safetensors", "*.json", "*.txt"):
            names += (folder / part).glob(pattern)
    digest = hashlib.sha256()
    for file in sorted(set(names)):
        with file.open("rb") as stream:
            inner = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {inner}\n".encode())
    return digest.hexdigest()
