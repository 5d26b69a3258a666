"""The process that paints: one for each device, the queue's jobs one after the other.

It calls the same service as the command line, on the same run folders, and holds no state of its own:
killed at any moment, the next one takes the job up again, and what is finished is not made twice.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import BusyError, IdentityStoryError, is_out_of_memory, one_line
from ..protocols import Backend
from ..runs.events import (
    Event,
    Finished,
    FrameReady,
    IdentityFound,
    PortraitsReady,
    StepDone,
)
from ..runs.inside import lock_file
from ..runs.opening import open_model
from ..runs.request import in_precision
from ..runs.service import Service, one_model
from . import auditions, casting, checking, consents
from .library import Entry, Library, NothingError, Settings
from .preview import shown
from .queue import Job, Queue
from .scoring import measure

PAUSE = 0.1  # seconds between looks at an empty queue, or at a folder that is being written
TOLD = 0.1  # seconds between two lines of how far a job is


# What is done by a job that names it, instead of painting.
_WORK: Mapping[str, Callable[..., Iterator[Event]]] = {
    "find": casting.search,
    "keep": casting.keep,
    "candidates": auditions.people,
    "take": auditions.take,
    "check": checking.look,
}


class Gone(Exception):  # noqa: N818
    """Whoever started this worker is gone, or the job is to stop."""


class Worker:
    """Paints the jobs of ``queue`` on ``device``; ``alive`` says whether it is still wanted."""

    def __init__(
        self, root: Path, device: str, service: Service, alive: Any = lambda: True
    ) -> None:
        self.library, self.queue = Library(root), Queue(root / "queue.sqlite")
        self.root, self.device, self.alive = root, device, alive
        self.job: Job | None = None
        load = service.load

        def watched(model: str, **options: Any) -> Backend:
            return shown(load(model, **options), self._look)

        self.service = one_model(Service(load=watched, describe=service.describe))

    def run(self) -> None:
        """Works until nobody wants it any more."""
        with self._only_one():
            self.queue.recover(self.device)
            while self.alive():
                if not self.one():
                    time.sleep(PAUSE)

    def one(self) -> bool:
        """Paints the next job, if there is one."""
        job = self.job = self.queue.claim(self.device)
        if job is None:
            return False
        calls, began, state, message = 0, time.monotonic(), "done", ""
        try:
            calls, began = self._paint(job)
        except Gone:
            if not self.queue.stopped(job.id):
                return True  # the next worker takes it up
            state = "cancelled"
        except Exception as error:
            state, message = "failed", said_of(error, self.library)
        taken = time.monotonic() - began
        self._score(job)
        consents.forget(
            self.library.root / "stories" / job.story / "run"
        )  # it may have ended meanwhile
        self.queue.finish(job.id, state, message, calls, taken)
        return True

    def _score(self, job: Job) -> None:
        """Measures what was painted; a picture without scores is as good as one that has them."""
        try:
            request = job_entry(self.library, job).request(self.device)
            model = self.service.describe(request.painted_with, request.device, request.dtype)
            model = in_precision(model, request.dtype, request.preset)
            opened = partial(
                open_model, self.service.load, request.painted_with, request.preset, model
            )
            measure(request.out, model, opened)
        except Exception as error:
            said_of(error, self.library)

    def _paint(self, job: Job) -> tuple[int, float]:
        """Every run of a job; its network calls, and when the first began."""
        runs, begun, calls = job.payload["runs"], 0.0, 0
        for number, asked in enumerate(runs):
            progress = _Progress(self.queue, job, number, len(runs))
            for event in self._events(job, asked):
                if isinstance(event, StepDone):
                    begun = begun or time.monotonic()
                if isinstance(event, Finished):
                    calls += event.evaluations
                progress.saw(event)
                self._check(job)
        return calls, begun or time.monotonic()

    def _events(self, job: Job, asked: dict[str, Any]) -> Iterator[Event]:
        """What happens in one run; waits while somebody else is writing to its folder."""
        entry = job_entry(self.library, job)
        while True:
            events = self._begun(job, entry, asked)
            try:
                yield from events
                return
            except BusyError as error:
                self.queue.tell(job.id, _live(job, waits=self.library.said(error)))
            finally:
                events.close()  # type: ignore[attr-defined]
            self._check(job)
            time.sleep(PAUSE)

    def _begun(self, job: Job, entry: Entry, asked: dict[str, Any]) -> Iterator[Event]:
        """One run, or what else the job does."""
        for kind, work in _WORK.items():
            if kind in job.payload:
                return work(self.service, entry, self.device, **job.payload[kind], **asked)
        more = {"seed": asked.get("seed"), "only": tuple(asked.get("only", ()))}
        request = entry.request(self.device, paint=not job.payload.get("cast_only"), **more)
        return self.service.run(request)

    def _check(self, job: Job) -> None:
        if not self.alive() or self.queue.stopped(job.id):
            raise Gone

    def _look(self, preview: bytes) -> None:
        if self.job is not None:
            self.queue.show(self.job.id, preview)

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        """Waits for whoever still works on this device."""
        name = "".join(ch if ch.isalnum() else "-" for ch in self.device)
        with open(lock_file(self.root / f".worker-{name}", self.root), "rb+") as lock:
            while self.alive():
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(PAUSE)
            yield


class _Progress:
    """How far a job is, told now and then."""

    def __init__(self, queue: Queue, job: Job, number: int, runs: int) -> None:
        self.queue, self.job, self.number, self.runs = queue, job, number, runs
        self.told, self.first = 0.0, (0.0, 0)

    def saw(self, event: Event) -> None:
        if isinstance(event, PortraitsReady | IdentityFound | FrameReady):
            self.queue.advanced(self.job.id)
        if not isinstance(event, StepDone):
            return
        now = time.monotonic()
        if not self.told:
            self.first = now, event.evaluations
        if now - self.told < TOLD:
            return
        self.told = now
        passed, made = now - self.first[0], event.evaluations - self.first[1]
        whole = event.total * self.runs
        calls = event.evaluations + event.total * self.number
        left = (whole - calls) * passed / made if made else None
        told = {"part": event.part, "calls": calls, "total": whole}
        told["seconds_left"] = None if left is None else round(left, 1)
        self.queue.tell(self.job.id, _live(self.job, **told))


def _live(job: Job, **told: Any) -> dict[str, Any]:
    nothing = {"part": "", "calls": 0, "total": 0, "seconds_left": None, "waits": ""}
    return {"job": job.id, "story": job.story, **nothing, **told}


def job_entry(library: Library, job: Job) -> Entry:
    """The job's story as it was when the job was given."""
    try:
        entry = library.entry(job.story)
    except NothingError:
        raise IdentityStoryError("the story was deleted") from None
    return replace(entry, text=job.payload["text"], settings=Settings(**job.payload["settings"]))


def said_of(error: Exception, library: Library) -> str:
    """What a user is told of a job that failed, on one line."""
    if isinstance(error, IdentityStoryError):
        return library.said(error)
    if is_out_of_memory(error):
        return "there is not enough memory for this model and size; take a smaller one"
    if isinstance(error, OSError):
        return one_line(f"{error.strerror or error}. What is finished is kept")
    traceback.print_exception(error)
    return one_line(f"a mistake of the program: {type(error).__name__}: {error}")


def main(root: str, device: str) -> None:
    """A worker that ends when whoever started it does."""
    starter = os.getppid()
    Worker(Path(root), device, Service(), lambda: os.getppid() == starter).run()


if __name__ == "__main__":
    main(*sys.argv[1:3])
