"""What a safetensors file says of itself in its first bytes, which is read before anything is opened."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError

MOST = 2**25  # bytes of a header; one of 5,000 tensors and all its captions has a few million
WORDS = 5  # that a LoRA listens to, at most


@dataclass(frozen=True)
class Header:
    """Names and shapes of a file's tensors, and its metadata."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(file: Path) -> Header:
    """The header of ``file``, whose tensors are not read.

    Raises:
        ModelError: it is not there, no safetensors file, or longer than `MOST` bytes.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= MOST:
                raise ValueError(f"its header would have {length:,} bytes")
            told = json.loads(stream.read(length))
        metadata = told.pop("__metadata__", {})
        shapes = {name: tuple(map(int, each["shape"])) for name, each in told.items()}
        return Header(shapes, {str(k): str(v) for k, v in metadata.items()})
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror or error}") from None
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        why = error if "header" in str(error) else "its header is broken"
        raise ModelError(f"{file} is not a safetensors file: {why}") from None


def trigger_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The words that a LoRA was taught with: those its makers name, or its most frequent tags.

    Of tags, those that stood in at least half as many pictures as the most frequent.
    """
    if phrase := metadata.get("modelspec.trigger_phrase"):
        return (_tidy(phrase),)
    counts: dict[str, float] = {}
    try:
        for tags in json.loads(metadata.get("ss_tag_frequency", "{}")).values():
            for tag, count in tags.items():
                counts[_tidy(tag)] = counts.get(_tidy(tag), 0) + float(count)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return ()
    enough = max(filter(math.isfinite, counts.values()), default=0) / 2
    often = sorted((tag for tag in counts if tag and counts[tag] >= enough), key=counts.get)  # type: ignore[arg-type]
    return tuple(often[::-1][:WORDS])


def _tidy(words: Any) -> str:
    """``words`` of a stranger on one line of at most 80 printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(words)[:400]).split())[:80]
