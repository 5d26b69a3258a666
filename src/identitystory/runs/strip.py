"""Pictures of a run to give away: their pixels, and no word of how they were made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..types import png
from .files import read_picture, read_png_facts, write_whole
from .folder import RunFolder
from .request import recorded

KEPT = ("part", "key", "frame_seed")  # by which a run finds its files finished


def bare(told: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Of what a file would tell of itself, nothing that has a word of the story in it."""
    return {name: value for name, value in told().items() if name in KEPT}


def strip(root: Path, out: Path) -> list[Path]:
    """Copies the finished frames of the run at ``root`` into ``out``, without metadata; the copies.

    Raises:
        RunError: there is no run, it has no picture, or ``out`` lies in it or cannot be written.
    """
    count, folder = len(recorded(root).story.scenes), RunFolder(root)
    if out.resolve().is_relative_to(root.resolve()):
        raise RunError(f"{out} is inside the run {root}; choose another folder with --out")
    frames = [path for path in map(folder.frame, range(count)) if read_png_facts(path, root)]
    if not frames:
        raise RunError(f"{root} has no finished picture; paint them with identitystory generate")
    copies = [out / path.name for path in frames]
    for path, copy in zip(frames, copies, strict=True):
        picture = read_picture(path, root)
        picture.info.clear()
        write_whole(copy, png(picture))
    return copies
