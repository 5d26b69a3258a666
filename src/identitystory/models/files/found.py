"""Parts beside a base, found in its folder by name or by where their files lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from ...errors import ModelError
from ...extensions import Registry
from ..family import IDENTITY_GENERATORS, IdentityPart, SegmenterPart, check_terms
from .catalogue import Entry

_Part = TypeVar("_Part", IdentityPart, SegmenterPart)


@dataclass(frozen=True)
class Found(Generic[_Part]):
    """A part by its name, with its files in the order of ``part.places``."""

    name: str
    part: _Part
    files: tuple[Path, ...]

    def open(self, *given: Any, **options: Any) -> Any:
        """What ``part.open`` makes of the files."""
        return self.part.open(self.files, *given, **options)


def found_in(folder: Path, registry: Registry, named: str | None) -> Found[Any] | None:
    """The part whose files are in a folder, by the name that its card gives, or the first of all.

    Raises:
        ModelError: the card names one that is not there, or another package's part is broken.
    """
    if named is None:
        named = registry.first(
            lambda part: part.places and all(_is_there(folder, place) for place in part.places)
        )
        if named is None:
            return None
    part = registry.get(named)
    lacking = [place for place in part.places if not _is_there(folder, place)]
    if lacking:
        raise ModelError(
            f"{folder} lacks {' and '.join(lacking)}, for its card names the {registry.what} {named!r}"
        )
    return Found(named, part, tuple(folder / place for place in part.places))


def _is_there(folder: Path, place: str) -> bool:
    return (folder / place).is_file() if is_file(place) else (folder / place).is_dir()


def is_file(place: str) -> bool:
    """Whether a part's place is a file; else it is a folder."""
    return "." in Path(place).name


def at_places(entry: Entry, where: Path) -> dict[str, Path]:
    """Where an entry's files lie, by their places in a complete checkpoint."""
    if not entry.files:
        return {entry.place: where}
    names = [place for file in entry.files for place in (file, str(PurePosixPath(file).parent))]
    return {name: where / name for name in names}


def check_entries(entries: Iterable[Entry]) -> None:
    """Nothing, if we may use what ``entries`` are a part of, see `family.check_terms`."""
    for entry in entries:
        if entry.role in ("identity", "identity-net"):
            check_terms(IDENTITY_GENERATORS.get(entry.part))


def plain_places(registry: Registry) -> str:
    """What is missing where no part is found: the files of the one of ours that needs fewest."""
    places = min((p for name in registry.own if (p := registry.get(name).places)), key=len)
    return " and ".join(place if is_file(place) else f"{place}/" for place in places)
