"""The one place that hands a run to the exporters."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

NEEDS = {"mp4": "av", "otio": "opentimelineio", "edl": "opentimelineio"}


class MissingError(Exception):
    """A part that is not in this installation; ``args[0]`` says so."""


def there(kind: str) -> bool:
    """Whether this installation has what files of ``kind`` are made with."""
    return find_spec(NEEDS.get(kind, "reportlab")) is not None


def exported(run: Path, kind: str, folder: Path) -> Path:
    """The run at ``run`` as one file of ``kind`` in ``folder``.

    Raises:
        MissingError: a library is not installed.
        RunError, ConfigError: see `pages.export.export`.
    """
    if not there(kind):
        raise MissingError(f"{kind} needs the extra: pip install 'identitystory[pages]'")
    from ..pages.export import MAKERS, Wanted, export

    made, _ = export(run, Wanted(kind, out=folder / MAKERS[kind].name))  # type: ignore[index,arg-type]
    return made[0]
