"""The folders and LoRAs of a model's name as a run records them: by the way to them from its folder.

So no file says where this machine keeps things, and a run that is moved with its model still finds it.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..models.files.catalogue import BUILT_IN, split_name
from ..models.files.names import split_loras, with_files


def model_record(out: Path, model: str) -> str:
    """``model`` as run.json has it: folders and LoRAs by the way to them from the run's, not from the root."""
    bundle, base = split_name(model)
    name = base or split_loras(model)[0]
    folder = Path(name).expanduser()
    if name not in BUILT_IN and (base or not bundle) and folder.is_dir():
        name = _way(out, folder)
    return with_files(model, f"{bundle}:{name}" if base else name, lambda file: _way(out, file))


def model_here(out: Path, model: str) -> str:
    """The inverse of `model_record`, as paths are read here."""
    bundle, base = split_name(model)
    name = base or split_loras(model)[0]
    folder = Path(_there(out, name))
    if name.startswith("..") and folder.is_dir():
        name = str(folder)
    name = f"{bundle}:{name}" if base else name
    return with_files(model, name, lambda file: _there(out, file))


def _way(out: Path, there: str | Path) -> str:
    return os.path.relpath(Path(there).expanduser().resolve(), out.resolve())


def _there(out: Path, way: str) -> str:
    """The inverse of `_way`: whole where ``out`` is, else from where we are."""
    place = os.path.normpath(out.resolve() / way)
    return place if out.is_absolute() else os.path.relpath(place)
