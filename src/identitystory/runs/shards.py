"""A share of many stories, for one of several commands that work side by side on one folder.

Each command is given the same stories and another share. Stories have nothing in common but files
that appear whole and are the same whoever makes them, so what the shares leave behind together are
the bytes of one command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ConfigError, shown

T = TypeVar("T")

MAX_SHARDS = 100_000
AUTO = "auto"
# What a scheduler tells each of its tasks: its number, how many there are, the first, the stride.
_SCHEDULERS = {
    "Slurm": (
        "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT",
        "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
    ),
    "Kubernetes": ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "", ""),
    "SkyPilot": ("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES", "", ""),
}  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """Share ``number`` of ``count``, counted from 1.

    Raises:
        ConfigError: there is no such share.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        """See above."""
        if not 1 <= self.number <= self.count <= MAX_SHARDS:
            raise ConfigError(
                f"--shard is {self}; it must be I/N, the first 1/N and the last N/N, with N at most "
                f"{MAX_SHARDS}"
            )

    def __str__(self) -> str:
        """``2/4``, as it is typed."""
        return f"{self.number}/{self.count}"

    def of(self, things: Sequence[T]) -> tuple[T, ...]:
        """Every ``count``-th, from the ``number``-th on: kinds that follow each other are dealt out evenly."""
        return tuple(things[self.number - 1 :: self.count])


def shard(text: str, told: Mapping[str, str] = os.environ) -> Shard:
    """The share that ``2/4`` names; or, of ``auto``, that a scheduler ``told`` this task to take.

    Args:
        text: as it is typed.
        told: the environment: ``SLURM_ARRAY_TASK_ID`` and ``_COUNT``; ``JOB_COMPLETION_INDEX`` of an
            indexed job of Kubernetes, with ``JOB_COMPLETIONS``, which its manifest has to say;
            ``SKYPILOT_NODE_RANK`` and ``SKYPILOT_NUM_NODES``.

    Raises:
        ConfigError: it is no share, or ``auto`` and not told by one scheduler alone.
    """
    if text != AUTO:
        if not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", text):
            raise ConfigError(f"--shard is {shown(text)}; it must be I/N, as in 2/4, or {AUTO}")
        return Shard(*map(int, text.split("/")))
    there = [name for name, (index, *_) in _SCHEDULERS.items() if index in told]
    if len(there) != 1:
        found = f"{' and '.join(there)} do" if there else "no scheduler does"
        names = ", ".join(index for index, *_ in _SCHEDULERS.values())
        raise ConfigError(
            f"--shard auto asks a scheduler, and {found} say ({names}); give --shard I/N"
        )
    index, count, first, stride = _SCHEDULERS[there[0]]
    low = _number(told, first) if first in told else 0
    step = max(1, _number(told, stride)) if stride in told else 1
    return Shard((_number(told, index) - low) // step + 1, _number(told, count))


def _number(told: Mapping[str, str], name: str) -> int:
    value = told.get(name, "")
    if not re.fullmatch(r"[0-9]{1,9}", value):
        what = f"is {shown(value)}" if value else "is not set"
        raise ConfigError(
            f"{name} {what}; --shard auto needs a whole number there, or give --shard I/N"
        )
    return int(value)
