"""The one place that hands a story to the exporters: as the board shows it, not as it was painted last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..runs.files import MAX_PICTURE, read, write_whole
from ..runs.folder import RunFolder
from ..runs.request import story_to_dict
from . import pictures
from .board import Board

NEEDS = {"mp4": "av", "otio": "opentimelineio", "edl": "opentimelineio"}


class MissingError(Exception):
    """A part that is not in this installation; ``args[0]`` says so."""


def there(kind: str) -> bool:
    """Whether this installation has what files of ``kind`` are made with."""
    return find_spec(NEEDS.get(kind, "reportlab")) is not None


def exported(board: Board, kind: str, folder: Path) -> Path:
    """The story of ``board`` as one file of ``kind`` in ``folder``.

    Raises:
        MissingError: a library is not installed.
        ConfigError: nothing is painted yet.
        RunError: see `pages.export.export`.
    """
    if not there(kind):
        raise MissingError(f"{kind} needs the extra: pip install 'identitystory[pages]'")
    from ..pages.export import MAKERS, Wanted, export

    run = shown(board, folder / "run")
    made, _ = export(run, Wanted(kind, out=folder / MAKERS[kind].name))  # type: ignore[index,arg-type]
    return made[0]


def shown(board: Board, folder: Path) -> Path:
    """A run at ``folder`` with the board's order, its words, and the pictures that it shows.

    Words that no model reads, and the order, change without painting; so they are in what is handed
    out at once, and no run is written to.

    Raises:
        ConfigError: nothing is painted yet.
    """
    frames: Sequence[dict[str, Any]] = board.frames()
    if board.story is None or board.record is None or not any(f["picture"] for f in frames):
        raise ConfigError("nothing is painted yet; paint the story, then export it")
    left = {k: v for k, v in board.record.items() if k not in ("places", "chosen", "frame_seeds")}
    record = left | {"story": story_to_dict(board.story, folder), "parts": {}}
    write_whole(folder / "run.json", json.dumps(record).encode(), folder)
    into, run = RunFolder(folder), board.entry.run
    for n, frame in enumerate(frames):
        if key := frame["picture"]:
            own = pictures.found(run, key, "frame")
            write_whole(into.frame(n), read(own.path, run, most=MAX_PICTURE), folder)
            masks = board.index.get((key, ".masks"))
            if masks and own.facts["scene"].get("cast") == frame["cast"]:
                write_whole(into.masks(n), read(masks.path, run, most=MAX_PICTURE), folder)
    return folder
