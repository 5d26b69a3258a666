"""Which control nets a model has, and what they hash to; none is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ...errors import ModelError
from .catalogue import ENTRIES, split_name
from .checkpoint import Checkpoint
from .names import split_loras
from .store import content_hash, located

CONTROLS = "controlnet"  # of a checkpoint's folder; in it a folder a kind, ``openpose``, ``depth``


def find_controls(model: str | Path, checkpoint: Checkpoint) -> dict[str, Path]:
    """What each control net reads -> its folder.

    Those in the checkpoint's own ``controlnet/``; with a bundle such as ``sdxl`` also those of the table
    that are on this machine.
    """
    if checkpoint.family.open_control is None:
        return {}
    files = sorted((checkpoint.base / CONTROLS).glob("*/config.json"))
    found = {file.parent.name: file.parent for file in files}
    if split_name(split_loras(str(model))[0])[0] is not None:
        for entry in ENTRIES.values():
            if entry.role == "control" and entry.part not in found:
                with suppress(ModelError):
                    found[entry.part] = located(entry)
    return found


def control_weights(controls: Mapping[str, Path], kind: str) -> str:
    """sha256, in hex, over the control net that reads ``kind``.

    Raises:
        ModelError: there is none.
    """
    if kind not in controls:
        there = f"only for {' and '.join(sorted(controls))}" if controls else "none"
        known = [name for name, e in ENTRIES.items() if (e.role, e.part) == ("control", kind)]
        get = f" With --model sdxl get one: identitystory models fetch {known[0]}." if known else ""
        raise ModelError(
            f"the checkpoint has no control net for {kind} ({there}), which the pose of a scene "
            f"needs.{get} Or paint without poses: --set control.strength=0"
        )
    folder, digest = controls[kind], hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        digest.update(f"{file.name} {content_hash(file)}\n".encode())
    return digest.hexdigest()
