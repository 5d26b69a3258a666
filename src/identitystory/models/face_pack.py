"""InsightFace's package and packs: whether they are here; nothing of them is imported for that.

The package is the extra ``faces-arcface``. Its packs of weights are for non-commercial research only,
are never fetched here, and lie where InsightFace itself puts them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, ModelError
from ..extensions import needed, not_installed

PACKS = "~/.insightface/models"
TERMS = "InsightFace's face models: non-commercial research only"
_FOR = "faces-arcface", "arcface"  # the extra, and what it is for


def insightface(module: str) -> Any:
    """A module of the package.

    Raises:
        ConfigError: it is not installed; the sentence has the extra that brings it.
    """
    return needed(module, *_FOR)


def check_installed() -> None:
    """Nothing, if the package can be found, which is not imported; else a ConfigError as `insightface`."""
    for package in ("insightface", "onnxruntime"):
        try:
            there = importlib.util.find_spec(package) is not None
        except ValueError:  # a stand-in without a specification
            there = True
        if not there:
            extra, name = _FOR
            raise ConfigError(not_installed(name, extra, package))


def pack(name: str, files: Sequence[str]) -> dict[str, Path]:
    """By ``NAME/FILE``, each of the ``files`` of a pack in InsightFace's own place.

    Raises:
        ModelError: one is not there.
    """
    folder = Path(PACKS).expanduser() / name
    if lacking := [file for file in files if not (folder / file).is_file()]:
        raise ModelError(
            f"{folder} lacks {' and '.join(lacking)}: put InsightFace's pack {name} there by hand "
            "(non-commercial research only), the .onnx files in that folder itself"
        )
    return {f"{name}/{file}": folder / file for file in files}
