"""The most memory that a run took, and a note of it beside the runs."""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..runs.files import canonical, write_whole
from ..runs.folder import RunFolder, read_record


def reset_peak() -> None:
    """Starts measuring anew, where the system can: Linux, and any GPU."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_mib() -> float:
    """Most memory in use since ``reset_peak``, MiB: of the GPU if there is one, else resident."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 2**10
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def note_peak(file: Path, run: Path, peak: float) -> None:
    """Notes MiB for the frames of ``run`` as they are now; the more of two, if it took several turns."""
    parts = (read_record(RunFolder(run)) or {})["parts"]
    keys = [part["key"] for name, part in parts.items() if name.startswith("frames/")]
    before = _note(file)
    if before.get("frames") == keys:
        peak = max(peak, before["peak_mib"])
    write_whole(file, (canonical({"peak_mib": peak, "frames": keys}) + "\n").encode())


def read_peak(file: Path) -> float | None:
    """MiB noted in ``file``; None if there is no such note."""
    return _note(file).get("peak_mib")


def _note(file: Path) -> dict[str, Any]:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        return {**note, "peak_mib": float(note["peak_mib"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
