"""JSON that a stranger may have written: what runs, pictures, caches and locks say of themselves."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

MAX_DEPTH = 32  # of tables and lists
MAX_NUMBER = 2**64  # what a whole number stays below


def plain_json(content: bytes | str) -> Any:
    """What a JSON text of a run, a picture or a lock holds: nothing that a stranger could hide in it.

    Raises:
        ValueError: it is no JSON, is nested deeper than 32, or holds a number that is not finite or
            not below 2^64, a control character or half a character.
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    _check_plain(value, MAX_DEPTH)
    return value


def _check_plain(value: Any, depth: int) -> None:
    if isinstance(value, str):
        bad = next(
            (c for c in value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), ""
        )
        if bad:
            raise ValueError(f"it holds the control character U+{ord(bad):04X}")
    elif isinstance(value, float | int):
        if not (math.isfinite(value) if isinstance(value, float) else abs(value) < MAX_NUMBER):
            raise ValueError("a number in it is too large")
    elif isinstance(value, dict | list):
        if not depth:
            raise ValueError("it is nested too deep")
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_plain(part, depth - 1)
