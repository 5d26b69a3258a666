"""Seeds and scenes as they are typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ..errors import ConfigError

MAX_SCENES = 1000  # of a story, see `story.schema`, whose import takes long


def read_seed(given: str | None) -> int | Literal["random"] | None:
    """A seed as it is typed: a number, or ``random`` or -1.

    Raises:
        ConfigError: it is neither.
    """
    if given is None:
        return None
    if given in ("random", "-1"):
        return "random"
    if not given.isascii() or not given.isdigit() or len(given) > 19:
        raise ConfigError(f"--seed {given!r} is not a whole number of at least 0, random or -1")
    return int(given)


def read_scenes(given: Sequence[str]) -> tuple[int, ...]:
    """Scenes as they are typed, ``3-5,7``, as indexes from 0: 2, 3, 4 and 6.

    Raises:
        ConfigError: it is no such list, a range goes backwards, or no story has the scene.
    """
    found: list[int] = []
    for item in ",".join(given).split(",") if given else ():
        typed = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", item)
        if typed is None:
            raise ConfigError(f"--only {item!r} is no scene; give numbers and ranges: 3-5,7")
        first, last = int(typed[1]), int(typed[2] or typed[1])
        if last < first:
            raise ConfigError(f"--only {item.strip()} goes backwards; give {last}-{first}")
        if first < 1 or last > MAX_SCENES:
            raise ConfigError(
                f"there is no scene {last if first else 0}; scenes are numbered from 1, and a story "
                f"has {MAX_SCENES:,} at most"
            )
        found += range(first - 1, last)
    return tuple(found)
