"""Finished frames at twice or four times their size, beside them: ``frames/001.x2.png``.

A frame itself stays as it is. What is enlarged carries the frame's key, so it goes with it among the takes
and comes back with it (`takes.KINDS`), and is not made twice.
"""

from __future__ import annotations

from ..errors import ConfigError
from ..protocols import Enlarger
from . import files
from .events import Emit, Enlarged
from .folder import RunFolder
from .request import RunRequest
from .takes import frame_files

TIMES = (1, 2, 4)


def wanted_enlarger(request: RunRequest) -> Enlarger | None:
    """What doubles pictures, where ``request`` asks for that.

    Raises:
        ConfigError: it asks for another size than twice or four times.
        ModelError: the model has no enlarger.
    """
    if request.enlarge not in TIMES:
        raise ConfigError(f"pictures are enlarged {request.enlarge} times; 2 and 4 are possible")
    if request.enlarge == 1:
        return None
    from ..models.enlarge import open_enlarger

    return open_enlarger(request.model)


def enlarge(folder: RunFolder, enlarger: Enlarger, times: int, emit: Emit) -> None:
    """Writes the larger copy of each frame in ``folder`` that has none."""
    root = folder.root
    for frame in frame_files(folder):
        target = frame.with_name(f"{frame.stem}.x{times}.png")
        facts = files.read_png_facts(frame, root) or {}
        if (files.read_png_facts(target, root) or {}).get("key") != facts.get("key"):
            large = files.read_picture(frame, root)
            for _ in range(times.bit_length() - 1):
                large = enlarger.enlarge(large)
            files.write_png(target, large, facts | {"part": "enlarged"}, root)
        emit(Enlarged(target))
