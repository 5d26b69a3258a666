"""What the files of the user's library say of themselves, each read once for every change of it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..runs.characters import archive
from ..runs.characters.form import Told


class Said(NamedTuple):
    """What a file tells, the sha256 of all of it, and whose face it is (`CharacterFile.face`)."""

    told: Told
    sha256: str
    face: str


def said(file: Path) -> Said:
    """What the character file tells.

    Raises:
        OSError: it is not there.
        RunError: it is damaged.
    """
    return _said(file, *stamp(file))


def stamp(file: Path) -> tuple[int, ...]:
    """Another one after every change of a file."""
    status = file.lstat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(1000)
def _said(file: Path, *_: int) -> Said:
    person = archive.open_file(file, file.parent, whole=False)
    return Said(person.told, person.sha256, person.face)
