"""Pictures of a run to give away: their pixels, their mark, and no word of how they were made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..marks.manifest import Certificate, handed_out
from ..marks.mark import kind_of, packet_in
from ..marks.packet import PLAIN
from ..types import png
from . import faces
from .events import Warned, log_line
from .files import append_line, read, read_picture, read_png_facts, write_whole
from .folder import RunFolder
from .request import RunRequest, recorded

UNMARKED = (
    "--no-marks: these pictures do not say that a trained algorithm made them, which the law asks "
    "for in some places"
)
# By which a run finds its files finished, and those of a face whose consent has ended.
KEPT = ("part", "key", "frame_seed", "consent")


def told_of(request: RunRequest, told: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Of what a file would tell of itself, what ``request`` wants it to: no word of the story, no mark."""
    kept = told()
    if not request.metadata:
        found = {"search": it} if (it := faces.search(kept)) else {}
        kept = {k: v for k, v in kept.items() if k in KEPT} | found
    return kept if request.marks else kept | {"marks": False}


def check_free(file: Path) -> None:
    """Nothing, if a copy may be put at ``file``: nothing is there, or what bears our mark.

    Raises:
        RunError: it lies in a run, whose pictures are its own, or something else is there.
    """
    for folder in file.resolve().parents:
        if (folder / "run.json").is_file() and (folder / "frames").is_dir():
            raise RunError(f"{file} is inside the run {folder}; choose another folder with --out")
    if not os.path.lexists(file):
        return
    try:
        content = read(file.resolve())
        kind = kind_of(content, file.name)
        ours = kind is not None and packet_in(content, kind) is not None
    except (RunError, ValueError):
        ours = False
    if not ours:
        raise RunError(f"{file} is there already; choose another place with --out, or delete it")


def strip(
    root: Path, out: Path, *, marks: bool = True, signer: Certificate | None = None
) -> list[Path]:
    """Copies the finished frames of the run at ``root`` into ``out``, without metadata; the copies.

    They keep the mark of what a trained algorithm made, and are signed if there is a ``signer``.
    Without ``marks`` they say nothing, which the run's log tells.

    Raises:
        RunError: there is no run, it has no picture, or ``out`` cannot be written, lies in a run, or
            holds other files of these names.
    """
    count, folder = len(recorded(root).story.scenes), RunFolder(root)
    frames = [path for path in map(folder.frame, range(count)) if read_png_facts(path, root)]
    if not frames:
        raise RunError(f"{root} has no finished picture; paint them with identitystory generate")
    copies = [out / path.name for path in frames]
    for copy in copies:
        check_free(copy)
    for path, copy in zip(frames, copies, strict=True):
        picture = read_picture(path, root)
        picture.info.clear()
        write_whole(copy, handed_out(png(picture, None), "png", PLAIN if marks else None, signer))
    if not marks:
        append_line(folder.events, log_line(Warned(UNMARKED), {}), root)
    return copies
