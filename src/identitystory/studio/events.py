"""What happens, as server-sent events: a run's own lines, how far the work is, what changed.

Nobody is told anything by anybody: each stream looks at the files and at the queue, so that what a
command in a terminal paints is seen as well, and a server that was killed has nothing to forget.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi.sse import ServerSentEvent

from ..runs.audition import FOLDER as CANDIDATES
from ..runs.folder import RunFolder
from .board import at
from .library import Entry, Library, NothingError
from .queue import Queue
from .scoring import FILE

LOOK = 0.1  # seconds between looks
SILENCE = 10.0  # seconds after which a comment keeps the line open
MOST = 1 << 20  # bytes of events.jsonl that are sent at one look


async def stream(
    library: Library,
    queue: Queue,
    queue_told: Callable[[], dict[str, Any]],
    story: str | None,
    since: int | None,
    hello: dict[str, Any],
    *,
    look: float = LOOK,
    ended: Callable[[], bool] = lambda: False,
) -> AsyncIterator[ServerSentEvent]:
    """What happens from now on, or in the run of ``story`` since byte ``since`` of its events.

    Args:
        library, queue: what is looked at.
        queue_told: the queue as pages get it.
        story: whose run is told, if any; of one that was deleted nothing is, until it is back.
        since: where the reader stopped; None is now.
        hello: the first event.
        look: seconds between looks.
        ended: whether the server is about to end; the stream ends at its next look.
    """
    yield ServerSentEvent(event="hello", data=hello, retry=1000)
    log: Log | None = None
    watched: dict[str, Any] = {}
    spoke = time.monotonic()
    while not ended():
        if log is None and story is not None:
            with suppress(NothingError):  # it was deleted, and may come back
                log = Log(library.entry(story).run, since)
        some = await asyncio.to_thread(_look, library, queue, queue_told, story, log, watched)
        for event in some:
            yield event
        if some:
            spoke = time.monotonic()
        elif time.monotonic() - spoke > SILENCE:
            spoke = time.monotonic()
            yield ServerSentEvent(comment="")
        await asyncio.sleep(look)


class Log:
    """events.jsonl of a run, read from byte ``at`` on."""

    def __init__(self, run: Path, since: int | None) -> None:
        self.run, end = run, at(run)
        self.at = end if since is None or since > end else since

    def lines(self) -> list[tuple[int, str]]:
        """The whole lines that are new, each with the byte after it."""
        end = at(self.run)
        if end < self.at:
            self.at = 0  # another run
        if end == self.at:
            return []
        found = []
        with suppress(OSError), open(RunFolder(self.run).events, "rb") as file:
            file.seek(self.at)
            for line in file.read(MOST).splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self.at += len(line)
                found.append((self.at, line.decode("utf-8", "replace").strip()))
        return found


def _look(
    library: Library,
    queue: Queue,
    queue_told: Callable[[], dict[str, Any]],
    story: str | None,
    log: Log | None,
    watched: dict[str, Any],
) -> list[ServerSentEvent]:
    """The events since the last look; ``watched`` is what was seen then."""
    some = []
    for end, line in log.lines() if log else ():
        with suppress(ValueError):
            some.append(ServerSentEvent(event="run", id=str(end), data=json.loads(line)))
    if _new(watched, "stamp", queue.stamp()) or time.monotonic() > watched.get("due", 0.0):
        watched["due"] = time.monotonic() + 1.0  # two changes may have one time
        some += _queue(queue, queue_told, watched)
    if _new(watched, "stories", os.stat(library.root / "stories").st_mtime_ns):
        some.append(ServerSentEvent(event="stories", data={}))
    if story is not None:
        with suppress(NothingError):  # it was deleted, and may come back
            some += _story(library.entry(story), watched)
    return some if watched.get("begun") else _begin(watched, some)


def _story(entry: Entry, watched: dict[str, Any]) -> list[ServerSentEvent]:
    """That a story is to be read again, where its files or its jobs changed."""
    own = [job for job in watched["queue"]["jobs"] if job["story"] == entry.id]
    jobs = [(job["id"], job["state"]) for job in own]
    if not _new(watched, "story", (_state(entry), jobs)):
        return []
    return [ServerSentEvent(event="story", data={"id": entry.id, "revision": entry.revision})]


def _queue(
    queue: Queue, queue_told: Callable[[], dict[str, Any]], watched: dict[str, Any]
) -> list[ServerSentEvent]:
    """How far the work is, and the queue where it changed."""
    some = []
    for told in queue.live().values():
        if told.get("job") and _new(watched, ("live", told["job"]), told):
            some.append(ServerSentEvent(event="live", data=told))
    told_queue = queue_told()
    for job in told_queue["jobs"]:
        job.pop("live", None)
    if _new(watched, "queue", told_queue):
        some.append(ServerSentEvent(event="queue", data=told_queue))
    return some


def _begin(watched: dict[str, Any], some: list[ServerSentEvent]) -> list[ServerSentEvent]:
    """At the first look everything is new; the lists of a page that has just loaded them are not."""
    watched["begun"] = True
    return [event for event in some if event.event in ("run", "live", "queue")]


def _new(watched: dict[str, Any], name: Any, value: Any) -> bool:
    if name in watched and watched[name] == value:
        return False
    watched[name] = value
    return True


def _state(entry: Entry) -> tuple[Any, ...]:
    """What tells whether the page of a story is out of date."""
    run = RunFolder(entry.run)
    found: list[Any] = [entry.revision, entry.settings]
    cast = run.identity("_").parent, run.face_takes
    beside = entry.run / FILE, run.checked, RunFolder(entry.run / CANDIDATES).frame(0).parent
    for path in (run.record, run.takes, run.frame(0).parent, *cast, *beside):
        try:
            found.append(os.stat(path).st_mtime_ns)
        except OSError:
            found.append(None)
    return tuple(found)
