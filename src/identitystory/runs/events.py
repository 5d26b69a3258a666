"""What a run tells while it goes on: frozen values, the same for the terminal, JSON and the studio.

A *part* is one identity (``cast/Mara``) or one frame (``frames/003``), named after its files; an
``index`` is the place of a scene in its story, from 0: that of ``frames/003`` is 2.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Started:
    """The run folder is open and the work is known.

    Attributes:
        title: of the story.
        out: the run folder.
        parts: every part asked for, in order.
        to_do: those that are not there yet.
        evaluations: U-Net evaluations that lie ahead (finished portraits not counted again).
        seed: of the run, or the one that was given to some of its frames.
    """

    title: str
    out: Path
    parts: tuple[str, ...]
    to_do: tuple[str, ...]
    evaluations: int
    seed: int


@dataclass(frozen=True)
class PartKept:
    """A part was there already, made from the same inputs."""

    part: str


@dataclass(frozen=True)
class Loaded:
    """The model is in memory."""

    model: str
    seconds: float


@dataclass(frozen=True)
class StepDone:
    """One sampling step of one part; ``evaluations`` of the run's ``total`` are done."""

    part: str
    evaluations: int
    total: int


@dataclass(frozen=True)
class PortraitsReady:
    """A chunk of portraits is stored: ``done`` of ``total`` for this character."""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class IdentityFound:
    """A character's identity is stored; ``kept`` of ``portraits`` survived the filter."""

    name: str
    part: str
    kept: int
    portraits: int
    seconds: float


@dataclass(frozen=True)
class TemplateReady:
    """The layout of a frame is painted and its characters looked for."""

    index: int
    part: str
    seed: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class FrameReady:
    """A frame is stored.

    Attributes:
        index: of its scene.
        part: its name.
        seed: its own.
        missing: names of the characters who were not found.
        seconds: that it took.
        people: how many heads are in it; None if nobody counted.
        meant: how many there may be; more than one number where some are painted from words alone.
        bare: names of the characters who seem to wear nothing, where the checkpoint has a reader.
    """

    index: int
    part: str
    seed: int
    missing: tuple[str, ...]
    seconds: float
    people: int | None = None
    meant: tuple[int, ...] = ()
    bare: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """A finished picture was held against what its scene expects.

    ``expected`` has for each line ``line``, ``holds`` (None where nothing here can tell) and ``read``,
    what was read instead.
    """

    index: int
    part: str
    expected: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Warned:
    """Something is worse than asked for, or probably not meant."""

    message: str


@dataclass(frozen=True)
class Finished:
    """Everything asked for is in ``out``.

    Attributes:
        out: the run folder.
        sheet: the page with all frames, or None if no frames were asked for.
        made: parts made now; ``kept``: parts that were there already.
        seconds: wall time.
        evaluations: U-Net evaluations done now, one for each sample of a batch.
    """

    out: Path
    sheet: Path | None
    made: tuple[str, ...]
    kept: tuple[str, ...]
    seconds: float
    evaluations: int


@dataclass(frozen=True)
class Enlarged:
    """A frame's larger copy is at ``path``; these come after everything else."""

    path: Path


Event = (
    Started
    | PartKept
    | Loaded
    | StepDone
    | PortraitsReady
    | IdentityFound
    | TemplateReady
    | FrameReady
    | Expected
    | Warned
    | Finished
    | Enlarged
)


def event_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object: ``event`` is its name, paths are text."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(event).items()}
    return {"event": type(event).__name__, **values}


def log_line(event: Event, names: Mapping[str, str]) -> str:
    """`event_json` and when, for a file that others may read: each place of this machine by its name."""
    told = event_json(event)
    for place, name in names.items():
        told |= {k: v.replace(place, name) for k, v in told.items() if isinstance(v, str)}
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": at, **told}, ensure_ascii=False)


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
