"""A deadline for the whole of what is asked over the network, however slowly its bytes come."""

from __future__ import annotations

import queue
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """What ``work()`` returns or raises, if it does so within ``seconds``.

    It is done in a thread, which is left behind where it takes longer, and ends with the process.

    Raises:
        TimeoutError: it takes longer.
    """
    done: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    Thread(target=run, name="identitystory network", daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no whole answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
