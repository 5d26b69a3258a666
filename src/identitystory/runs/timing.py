"""How long this machine takes for a network call, by what earlier runs tell."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..story.plain import plain_json
from . import folder as runfolder
from . import inside
from .folder import RunFolder

MAX_BESIDE = 50  # runs that are asked
MAX_LOG = 1 << 26  # bytes


def seconds_a_call(out: Path, model: Mapping[str, str]) -> float | None:
    """Wall seconds of a network call, of the run at ``out``, or the newest beside it of the same model.

    ``model`` is run.json's: fingerprint, device and dtype. None if no such run was painted to its end.
    """
    beside = sorted(out.parent.glob("*/run.json"), key=_age)[:MAX_BESIDE]
    for root in [out, *(file.parent for file in beside)]:
        folder = RunFolder(root)
        with suppress(RunError, OSError):
            told = runfolder.read_record(folder)
            if told and told.get("model") == model and (rate := _rate(folder)):
                return rate
    return None


def _age(file: Path) -> int:
    try:
        return -file.stat().st_mtime_ns
    except OSError:
        return 0


def _rate(folder: RunFolder) -> float | None:
    """Of the last time that something was painted in it."""
    lines = inside.read(folder.events, folder.root, most=MAX_LOG).splitlines()
    for line in reversed([line for line in lines if b'"Finished"' in line]):
        told: Any = None
        with suppress(ValueError):
            told = plain_json(line)
        calls, seconds = (_number(told, key) for key in ("evaluations", "seconds"))
        if calls > 0 and seconds > 0:
            return seconds / calls
    return None


def _number(told: Any, key: str) -> float:
    value = told.get(key) if isinstance(told, dict) else None
    return float(value) if isinstance(value, int | float) else 0.0
