"""Where the workshop keeps what it makes.

Everything that training makes lies in one folder, the state: drawn pictures in ``pictures/``,
checkpoints in ``checkpoints/``, sheets to look at in ``sheets/``. It is ``build/miniature`` unless
``--state`` or the variable MINIATURE_STATE says otherwise.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "identitystory" / "weights" / "miniature"
VARIABLE = "MINIATURE_STATE"


def use_state(folder: Path | str | None) -> None:
    """Keep the state in ``folder``, in this process and those that it starts."""
    if folder is not None:
        os.environ[VARIABLE] = str(Path(folder).resolve())


def state() -> Path:
    """The folder of everything that training makes."""
    return Path(os.environ.get(VARIABLE) or ROOT / "build" / "miniature")


def pictures(name: str) -> Path:
    """The folder of a drawn set."""
    return state() / "pictures" / name


def checkpoint(name: str) -> Path:
    """The file of a stage's checkpoint."""
    return state() / "checkpoints" / f"{name}.pt"


def sheet(name: str) -> Path:
    """The file of a sheet to look at; its folder is made."""
    folder = state() / "sheets"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
