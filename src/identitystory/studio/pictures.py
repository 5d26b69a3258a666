"""The pictures of a run by what they were made from, so that nobody outside needs a path."""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from PIL import Image

from ..errors import RunError
from ..runs.audition import FOLDER as CANDIDATES
from ..runs.files import MAX_PICTURE, read, read_picture, read_png_facts
from ..runs.folder import RunFolder
from ..runs.takes import KINDS
from ..story.plain import plain_json
from .library import NothingError

WIDTHS = (160, 320, 640)
_OF = {"frame": "", "template": ".template", "masks": ".masks"}
MOST_RUNS = 2000  # of which pictures are remembered
GONE = 16  # runs after which it is looked for those that were deleted
_LOCK = Lock()
_SETTLED = 10**8  # nanoseconds after which no second change has the same time as the first
Index = Mapping[tuple[str, str], "Picture"]  # by key and what follows the name: "", ".masks", ...


@dataclass(frozen=True)
class Picture:
    """A file of a run, and what it says of itself.

    Attributes:
        path: where it was when it was looked at; it may be a take by now.
        key: of what it was made from.
        facts: what it says of itself.
        size: width and height in pixels.
        written: when, in nanoseconds since 1970.
    """

    path: Path
    key: str
    facts: Mapping[str, Any]
    size: tuple[int, int]
    written: int


@dataclass
class _Seen:
    """What is known of a run.

    Attributes:
        looked: when its folders had changed last, and the index of then.
        files: path -> when it was written, its size and number, and the picture it was.
    """

    looked: tuple[tuple[int, ...], Index] = ((), MappingProxyType({}))
    files: dict[Path, tuple[tuple[int, ...], Picture | None]] = field(default_factory=dict)


_runs: OrderedDict[Path, _Seen] = OrderedDict()


def _seen(run: Path) -> _Seen:
    """What is known of a run. Of runs that are gone, and beyond ``MOST_RUNS``, little is kept."""
    with _LOCK:
        if run not in _runs:
            if len(_runs) % GONE == GONE - 1:
                for gone in [each for each in _runs if not each.is_dir()]:
                    del _runs[gone]
            _runs[run] = _Seen()
        _runs.move_to_end(run)
        while len(_runs) > MOST_RUNS:
            _runs.popitem(last=False)
        return _runs[run]


def index(run: Path) -> Index:
    """Every finished picture of the run at ``run``; none if there is no run."""
    folder, seen = RunFolder(run), _seen(run)
    frames, cast = folder.frame(0).parent, folder.identity("_").parent
    stamps = tuple(map(_changed, (frames, folder.takes, cast, folder.face_takes)))
    settled = time.time_ns() - max(stamps) >= _SETTLED
    before, known = seen.looked
    if settled and before == stamps:
        return known
    files = [
        *(p for p in frames.glob("*.png") if p.name[:3].isdigit()),
        *folder.takes.glob("*.png"),
    ]
    sheets = [*cast.glob("*.png"), *folder.face_takes.glob("*.png")]
    found = {(p.key, Path(p.path.stem).suffix): p for f in files if (p := picture(f, run))}
    found |= {(p.key, ".portraits"): p for f in sheets if (p := picture(f, run))}
    for path in {*list(seen.files)} - {*files, *sheets}:  # others may look meanwhile
        seen.files.pop(path, None)
    seen.looked = (stamps if settled else ()), found
    return found


def _changed(folder: Path) -> int:
    """When something came into a folder or left it; 0 if there is none."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def picture(path: Path, run: Path) -> Picture | None:
    """What a file says of itself, read once; None if it is no whole picture of ours."""
    files = _seen(run).files
    try:
        status = path.lstat()
    except OSError:
        return None
    now = status.st_mtime_ns, status.st_size, status.st_ino  # a file that changes is another
    before, known = files.get(path, ((), None))
    if before != now:
        known = _read(path, run, status.st_mtime_ns)
        files[path] = now, known
    return known


def _read(path: Path, run: Path, written: int) -> Picture | None:
    try:
        facts = read_png_facts(path, run)
        if facts is None or "key" not in facts:
            return None
        content = read(path, run, most=MAX_PICTURE)
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            return Picture(path, str(facts["key"]), facts, image.size, written)
    except (RunError, OSError):
        return None


def found(run: Path, key: str, kind: str) -> Picture:
    """A picture of the run, or of its candidates; NothingError if there is none of that key and kind."""
    suffix = _OF.get(kind, f".{kind}")
    it = index(run).get((key, suffix)) or index(run / CANDIDATES).get((key, suffix))
    if it is None or (suffix not in KINDS and suffix != ".portraits"):
        raise NothingError
    return it


def content(run: Path, key: str, kind: str, width: int) -> tuple[bytes, str]:
    """A picture as it is (``width`` 0), or a WebP of at most that width; and its media type.

    Raises:
        NothingError: there is no such picture.
    """
    for _ in range(2):  # it may become a take while it is looked for
        with suppress(NothingError, RunError, OSError):
            it = found(run, key, kind)
            if not width:
                return read(it.path, run, most=MAX_PICTURE), "image/png"
            return _small(it.path, run, width, it.written), "image/webp"
    raise NothingError


@lru_cache(500)
def _small(path: Path, run: Path, width: int, *_: int) -> bytes:
    return small(read_picture(path, run), width)


def small(image: Image.Image, width: int) -> bytes:
    """A picture as a WebP of at most that width, with its mark."""
    masks, mark = image.mode == "P", image.info.get("xmp") or b""
    image = image.convert("RGB")
    if image.width > width:
        size = (width, max(1, round(image.height * width / image.width)))
        how = Image.Resampling.NEAREST if masks else Image.Resampling.LANCZOS
        image = image.resize(size, how)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85, lossless=masks, method=2, xmp=mark)
    return buffer.getvalue()


def portraits(path: Path, run: Path) -> tuple[int, int]:
    """How many portraits a character's identity was made of, and how many were painted; (0, 0) if none."""
    try:
        status = path.lstat()
        return _portraits(path, run, status.st_mtime_ns, status.st_ino)
    except (RunError, OSError, ValueError, KeyError, TypeError):
        return 0, 0


@lru_cache(1000)
def _portraits(path: Path, run: Path, *_: int) -> tuple[int, int]:
    raw = read(path, run)
    header = plain_json(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return int(header["kept"]["shape"][0]), int(header["E"]["shape"][0])
