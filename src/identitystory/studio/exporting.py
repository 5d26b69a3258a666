"""The one place that hands a run to the exporters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Exporter = Callable[[Path, str, Path], Path]  # run, kind, a folder to write into -> the file
EXPORTER: Exporter | None = None


class MissingError(Exception):
    """A part that is not in this installation; ``args[0]`` says so."""


def exported(run: Path, kind: str, folder: Path) -> Path:
    """The run at ``run`` as one file of ``kind`` in ``folder``.

    Raises:
        MissingError: this installation has no exporter.
    """
    if EXPORTER is None:
        raise MissingError(f"this installation cannot export {kind!r} yet")
    return EXPORTER(run, kind, folder)
