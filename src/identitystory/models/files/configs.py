"""The JSON files beside weights, which may be a stranger's: what they say, or one line about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, cast

from ...errors import ModelError

_Kind = TypeVar("_Kind", int, list[Any])
_KINDS = {int: "a whole number above 0", list: "a list that is not empty"}


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        ModelError: the file is missing, or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ModelError(f"{path} cannot be read: it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object")
    return content


def told(path: Path, key: str, kind: type[_Kind], otherwise: _Kind | None = None) -> _Kind:
    """What the JSON object in ``path`` says of ``key``, a number above 0 or a list with something in it.

    Args:
        path: the file.
        key: what is looked up.
        kind: ``int`` or ``list``.
        otherwise: what holds where the file does not say; without it the file must.

    Raises:
        ModelError: as `read_json`; or it says nothing, or something else.
    """
    value: Any = read_json(path).get(key, otherwise)
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or (value < 1 if isinstance(value, int) else not value):
        raise ModelError(
            f"{path} says {str(value)[:40]} of {key}, which must be {_KINDS[kind]}; "
            "the file is broken or another model's, get it again"
        )
    return cast(_Kind, value)
