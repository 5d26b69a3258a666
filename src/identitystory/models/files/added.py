"""Bases that came in one file: made a folder once, beside what was fetched, and found again."""

from __future__ import annotations

import errno
import os
import shutil
from functools import cache
from pathlib import Path

from ...errors import ModelError
from ...story.file import slug
from ..family import plain_family
from .catalogue import ENTRIES
from .header import read_header
from .store import located, sha256, store

_SPARE = 2**28  # bytes that are left free
PICKLES = (".ckpt", ".pt", ".pth", ".bin")


def folders() -> list[Path]:
    """The bases that were added, by name."""
    return sorted(path for path in (store() / "bases").glob("*-*") if path.suffix != ".part")


def add(file: Path, prediction: str = "") -> tuple[Path, bool]:
    """The folder of the base in ``file``, and whether it was made now.

    Args:
        file: a single-file checkpoint.
        prediction: what its U-Net predicts, see `models.family.Family.from_file`; empty is what the
            file says, or what it was added with.

    Raises:
        ModelError: a pickle, another family, a broken file; or the vocabulary is not here.
        OSError: no space on the disk.
    """
    if file.suffix.lower() in PICKLES:
        raise ModelError(
            f"{file} is a pickle, which runs the code that it holds when it is opened; give the "
            ".safetensors file of the model"
        )
    family, header = plain_family(), read_header(file)
    if family.from_file is None or family.check_file is None:
        raise ModelError(f"{family.title} is not read from one file")
    family.check_file(file, header)
    digest = _digest(file.resolve(), file.stat().st_mtime_ns, file.stat().st_size)
    there = next((path for path in folders() if path.name.endswith(f"-{digest[:12]}")), None)
    if there is not None and not prediction:
        return there, False
    folder = there or store() / "bases" / f"{slug(file.stem)}-{digest[:12]}"
    made = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if there is None and file.stat().st_size + _SPARE > free:
        needed, left = file.stat().st_size / 1e9, free / 1e9
        raise OSError(
            errno.ENOSPC,
            f"a folder of {file.name} needs {needed:.1f} GB, and {left:.1f} GB are free; make room, "
            "or set HF_HOME to a larger disk",
        )
    try:
        family.from_file(file, header, there or made, vocabulary(), prediction)
        if there is None:
            os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder, there is None


@cache
def _digest(file: Path, changed: int, size: int) -> str:
    """sha256 of a file, read once in a process while it does not change."""
    return sha256(file)


def vocabulary() -> Path:
    """A folder on this machine with the vocabulary of CLIP's text encoders.

    Raises:
        ModelError: there is none.
    """
    for name, inside in (("sdxl-base", "tokenizer"), ("clip-l14", "")):
        try:
            folder = located(ENTRIES[name]) / inside
        except ModelError:
            continue
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return folder
    raise ModelError(
        "a model in one file brings no vocabulary, and CLIP's is not on this machine. Get it with: "
        "identitystory models fetch clip-l14 (1.7 GB), or fetch sdxl-base, which has it too"
    )
