"""Where a checkpoint's files lie, whether they are all there, and what they hash to.

Nothing is loaded here, neither diffusers nor transformers is imported and the network is not used,
so that a run whose parts are all finished returns at once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import ModelError
from .catalogue import BUNDLES, ENTRIES, Entry, entry_of, is_hub_id, split_name
from .catalogue import SDXL_PARTS as PARTS
from .store import content_hash, located

IDENTITY, SEGMENTER = "photomaker.safetensors", "segmenter"
FEW_STEPS = "few_steps.safetensors"  # a distilled LoRA of the U-Net; a checkpoint may do without
# As in the hub's h94/IP-Adapter; a checkpoint may do without.
ADAPTER = "sdxl_models/ip-adapter_sdxl.safetensors"
ADAPTER_ENCODER = "sdxl_models/image_encoder"
DETECTOR, MASKS = "detector", "sam"  # the folders in SEGMENTER where it is Grounding DINO + SAM


@dataclass(frozen=True)
class Checkpoint:
    """The files of a whole model, in one folder or in several.

    Attributes:
        base: a folder in SDXL's layout.
        identity: PhotoMaker v1's weights, one safetensors file.
        segmenter: (CLIPSeg's folder,) or (Grounding DINO's, SAM's).
        few_steps: a LoRA for portraits in few steps without guidance, or None.
    """

    base: Path
    identity: Path
    segmenter: tuple[Path, ...]
    few_steps: Path | None = None


def find_checkpoint(model: str | Path) -> Checkpoint:
    """The complete checkpoint that ``model`` names; the network is never used.

    Args:
        model: ``miniature``; ``sdxl`` or ``sdxl-light``, with ``:BASE`` (a folder or hub id) for
            another base in SDXL's layout; a complete folder; or the hub id of a complete one.

    Raises:
        ModelError: it is not there, or lacks parts; the sentence names them and the command that
            gets them.
    """
    bundle, base = split_name(str(model))
    if bundle is not None:
        return _assembled(bundle, base)
    if str(model) == "miniature":
        folder = Path(str(resources.files("identitystory") / "weights" / "miniature"))
        if not folder.is_dir():
            raise ModelError(f"the miniature's weights are missing from the package: {folder}")
    else:
        folder = find_folder(model)
    check_layout(folder)
    missing = [IDENTITY] if not (folder / IDENTITY).is_file() else []
    missing += [SEGMENTER + "/"] if not (folder / SEGMENTER).is_dir() else []
    if missing:
        raise ModelError(
            f"{folder} lacks {' and '.join(missing)}; to use it as the base of the full-size "
            f"model give --model sdxl --base {model}"
        )
    segmenter = folder / SEGMENTER
    pair = (segmenter / DETECTOR, segmenter / MASKS)
    both = all(part.is_dir() for part in pair)
    few_steps = folder / FEW_STEPS if (folder / FEW_STEPS).is_file() else None
    return Checkpoint(folder, folder / IDENTITY, pair if both else (segmenter,), few_steps)


def _assembled(bundle: str, base: str) -> Checkpoint:
    entries = [ENTRIES[name] for name in BUNDLES[bundle]]
    found: dict[str, Path] = {}
    lacking: list[Entry] = []
    for entry in entries:
        role = entry.role
        if role == "base" and base:
            if not is_hub_id(base) or Path(base).expanduser().exists():
                found["base"] = find_folder(base)
                continue
            entry = entry_of(base)
        try:
            found[role] = located(entry)
        except ModelError:
            lacking.append(entry)
    if lacking:
        size = sum(entry.size for entry in lacking) / 1e9
        whole = f"{bundle}:{base}" if any(entry.repo == base for entry in lacking) else bundle
        raise ModelError(
            f"{bundle!r} lacks {', '.join(entry.repo for entry in lacking)} on this machine. "
            f"Get them with: identitystory models fetch {whole} ({size:.1f} GB)"
        )
    check_layout(found["base"])
    roles = ("segmenter",) if "segmenter" in found else ("detector", "masks")
    segmenter = tuple(found[role] for role in roles)
    return Checkpoint(found["base"], found["identity"], segmenter, _few_steps())


def _few_steps() -> Path | None:
    try:
        return located(ENTRIES["sdxl-lightning"])
    except ModelError:
        return None


def fingerprint(checkpoint: Checkpoint) -> str:
    """sha256, in hex, over what a checkpoint's pictures depend on: weights, configs, vocabularies.

    Files count by their places in a complete folder, so a copy elsewhere, or the same parts in
    several folders, have the same fingerprint.
    """
    files = {
        "model_index.json": checkpoint.base / "model_index.json",
        IDENTITY: checkpoint.identity,
    }
    folders = {part: checkpoint.base / part for part in PARTS}
    if len(checkpoint.segmenter) == 1:
        folders[SEGMENTER] = checkpoint.segmenter[0]
    else:
        detector, masks = checkpoint.segmenter
        folders |= {f"{SEGMENTER}/{DETECTOR}": detector, f"{SEGMENTER}/{MASKS}": masks}
    for label, folder in folders.items():
        for pattern in ("*.safetensors", "*.json", "*.txt"):
            files |= {f"{label}/{file.name}": file for file in folder.glob(pattern)}
    digest = hashlib.sha256()
    for label, file in sorted(files.items(), key=lambda item: Path(item[0])):
        digest.update(f"{label} {content_hash(file)}\n".encode())
    return digest.hexdigest()


def adapter_fingerprint(folder: Path) -> str:
    """sha256, in hex, over the checkpoint's IP-Adapter and its picture encoder.

    Without an encoder of its own the adapter reads the embeddings of the checkpoint's PhotoMaker,
    which is part of the checkpoint's own fingerprint.

    Raises:
        ModelError: it holds none.
    """
    weights, encoder = folder / ADAPTER, folder / ADAPTER_ENCODER
    seeing = encoder.is_dir() or (weights.is_file() and (folder / IDENTITY).is_file())
    missing = [
        name
        for name, there in ((ADAPTER, weights.is_file()), (f"{ADAPTER_ENCODER}/", seeing))
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


def short_digest(*folders: Path, files: str = "*.safetensors") -> str:
    """12 hex digits of the sha256 over the weights in ``folders``: a version, for results."""
    digest = hashlib.sha256()
    for file in (file for folder in folders for file in sorted(folder.glob(files))):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:12]


def find_folder(model: str | Path, role: str = "base") -> Path:
    """The folder of a model given by path, or by the hub id of one that is in the hub's cache.

    Args:
        model: the path or the id.
        role: what an id is that stands in no table, see ``catalogue.Entry``.

    Raises:
        ModelError: there is no such folder, and no such id on this machine.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ModelError(
            f"{model} is a file; give a folder in SDXL's layout (diffusers' "
            "StableDiffusionXLPipeline.from_single_file and save_pretrained make one of a file)"
        )
    if not is_hub_id(str(model)):
        raise ModelError(
            f"there is no folder {str(model)!r}; give a folder or a hub id like owner/name"
        )
    return located(entry_of(str(model), role))


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
