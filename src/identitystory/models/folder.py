"""Where a checkpoint's files lie, whether they are all there, and what they hash to.

Nothing is loaded here and neither diffusers nor transformers is imported, so that a run whose parts
are all finished returns at once.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ModelError

PARTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "unet", "vae", "scheduler")
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
IDENTITY, SEGMENTER = "photomaker.safetensors", "segmenter"
# As in the hub's h94/IP-Adapter; a checkpoint may do without.
ADAPTER = "sdxl_models/ip-adapter_sdxl.safetensors"
ADAPTER_ENCODER = "sdxl_models/image_encoder"


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


def adapter_fingerprint(folder: Path) -> str:
    """sha256, in hex, over the checkpoint's IP-Adapter and its picture encoder.

    Raises:
        ModelError: it holds none.
    """
    weights, encoder = folder / ADAPTER, folder / ADAPTER_ENCODER
    missing = [
        name
        for name, there in ((ADAPTER, weights.is_file()), (f"{ADAPTER_ENCODER}/", encoder.is_dir()))
        if not there
    ]
    if missing:
        raise ModelError(
            f"{folder} holds no IP-Adapter ({' and '.join(missing)} missing), which Story-Adapter "
            "needs; put the files of h94/IP-Adapter there, or choose other methods"
        )
    digest = hashlib.sha256()
    for file in [weights, *sorted(encoder.glob("*.safetensors")), *sorted(encoder.glob("*.json"))]:
        with file.open("rb") as stream:
            inner = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {inner}\n".encode())
    return digest.hexdigest()


def find_folder(model: str | Path, *, local_files_only: bool = True) -> Path:
    """The folder of a checkpoint given by path or by hub id, fetched if that is allowed.

    Raises:
        ModelError: there is no such folder, and no such id in the cache (or on the hub).
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    name = str(model)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(f"there is no folder {name!r}; give a folder or a hub id like owner/name")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["model_index.json", "photomaker.safetensors"]
    for part in (*PARTS, "segmenter"):
        wanted += [f"{part}/*.json", f"{part}/*.txt", f"{part}/*.safetensors"]
    try:
        return Path(
            snapshot_download(name, allow_patterns=wanted, local_files_only=local_files_only)
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        where = "in the cache of the hub" if local_files_only else "on the hub"
        raise ModelError(f"model {name!r} is neither a folder nor {where}") from error


def check_layout(folder: Path) -> None:
    """Nothing, if ``folder`` holds SDXL's layout.

    Raises:
        ModelError: naming every part that is missing, or the pipeline that it is instead.
    """
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if not (folder / "model_index.json").is_file():
        missing = ["model_index.json", *missing]
    if missing:
        raise ModelError(
            f"{folder} is not a checkpoint in SDXL's layout: {', '.join(missing)} missing"
        )
    kind = read_json(folder / "model_index.json").get("_class_name", "")
    if not str(kind).startswith("StableDiffusionXL"):
        raise ModelError(f"{folder} holds a {kind or 'nameless pipeline'}; SDXL is supported")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ModelError: the file is missing, or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return content
