"""Work in a thread of its own, told as an iterator of events."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from .events import Event

Emit = Callable[[Event], None]


class StoppedError(Exception):
    """Nobody listens any more; raised inside the work at its next event."""


def stream(work: Callable[[Emit], None]) -> Iterator[Event]:
    """The events that ``work(emit)`` emits, as they come; its exception, if it raises one.

    When the iterator is closed, or the consumer is interrupted, the work ends at its next event.
    """
    told: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def emit(event: Event) -> None:
        if stop.is_set():
            raise StoppedError
        told.put(event)

    def whole() -> None:
        try:
            work(emit)
        except StoppedError:
            pass
        except BaseException as error:
            told.put(error)
        told.put(None)

    thread = threading.Thread(target=whole, name="identitystory", daemon=True)
    thread.start()
    try:
        while (item := told.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
