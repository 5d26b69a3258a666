"""The options that every stage's command shares."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import paths
from .loop import spawn

TINY_STEPS = 3


def stage_options(
    description: str | None,
    *,
    minutes: float,
    batch: int = 0,
    flags: tuple[str, ...] = (),
    choices: Mapping[str, Sequence[str]] | None = None,
) -> argparse.Namespace:
    """The command line of a stage; starts the processes that train together.

    ``choices`` are arguments that must be given, and what each may be. ``rank`` is this process's number among them, ``steps`` a limit for rehearsals or None.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state", type=Path, help="folder of everything that training makes")
    parser.add_argument("--minutes", type=float, default=minutes, help="of training, in all")
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal of a few steps")
    parser.add_argument("--report", action="store_true", help="only measure")
    if batch:
        parser.add_argument("--batch", type=int, default=batch, help="in each process")
    for name, may in (choices or {}).items():
        parser.add_argument(name, choices=may)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    paths.use_state(options.state)
    options.steps = TINY_STEPS if options.tiny else None
    if options.tiny and batch:
        options.batch = min(batch, 8)
    options.rank = 0 if options.report else spawn(options.processes)
    return options
