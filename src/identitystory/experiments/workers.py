"""Where units of work are done: one after the other here, in several processes, or on a Ray cluster.

An engine maps a function over units and tells of each, as it gets ready, what went wrong. What a
unit makes it writes to the run folder itself, whole or not at all, so an engine carries no pictures.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

import torch

from ..errors import ConfigError

U = TypeVar("U")

ENGINES = ("local", "ray")
MAX_WORKERS = 256


class Engine(Protocol):
    """Does units of work."""

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """(unit, what went wrong) of every unit, as they get ready; "" where nothing did.

        Args:
            work: does one unit and says what went wrong. What it raises ends everything.
            units: what to do; none depends on another.
        """
        ...


class Local:
    """One unit after the other, in this process."""

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """In order."""
        for unit in units:
            yield unit, work(unit)


class Processes:
    """Several processes on this machine, which share its processors evenly.

    The miniature's operations are small: two processes of one thread paint more than one process of
    two. A process takes the next unit when it is done with one, and keeps the model it opened.
    Where this process ends, however it ends, they end.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """As they get ready. Where a process dies, all units that are left say so."""
        threads = max(1, torch.get_num_threads() // self.workers)
        start: dict[str, Any] = {"initializer": _begin, "initargs": (work, threads)}
        with ProcessPoolExecutor(self.workers, get_context("spawn"), **start) as pool:
            left = {pool.submit(_continue, unit): unit for unit in units}
            try:
                for done in as_completed(left):
                    try:
                        wrong = done.result()
                    except BrokenProcessPool:
                        wrong = "its process died (out of memory?)"
                    yield left[done], wrong
            finally:
                pool.shutdown(cancel_futures=True)


_work: Callable[[Any], str]  # of a process of ``Processes``


def _begin(work: Callable[[Any], str], threads: int) -> None:
    global _work
    _work = work
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # files are written whole or not at all
    Thread(target=_end_with_parent, daemon=True).start()


def _continue(unit: Any) -> str:
    return _work(unit)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def engine(name: str, workers: int = 1) -> Engine:
    """The engine called ``local`` or ``ray``.

    Args:
        name: of it.
        workers: processes of the local one; Ray's cluster has its own.

    Raises:
        ConfigError: none is, or it cannot be used; see ``cluster.Ray``.
    """
    if name not in ENGINES:
        raise ConfigError(f"no engine is called {name!r}; there are: {', '.join(ENGINES)}")
    if not 1 <= workers <= MAX_WORKERS or (workers > 1 and name == "ray"):
        raise ConfigError(
            f"--workers is {workers}; it must be at least 1 and at most {MAX_WORKERS}"
            + (", and a Ray cluster has its own workers" if name == "ray" else "")
        )
    if name == "ray":
        from .cluster import Ray

        return Ray()
    return Processes(workers) if workers > 1 else Local()
