"""Events as a reader sees them: moving bars on a terminal, plain lines elsewhere, JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from ..runs.events import (
    Event,
    Finished,
    FrameReady,
    IdentityFound,
    Loaded,
    PartKept,
    PortraitsReady,
    Started,
    StepDone,
    Warned,
    event_json,
)

SECONDS_BETWEEN_LINES = 5.0


def show_json(events: Iterable[Event], out: TextIO) -> None:
    """One JSON object a line, every event but the single steps (one a second of those)."""
    last = 0.0
    for event in events:
        if isinstance(event, StepDone):
            now = time.monotonic()
            if now - last < 1.0:
                continue
            last = now
        out.write(json.dumps(event_json(event), ensure_ascii=False) + "\n")
        out.flush()


def show_plain(events: Iterable[Event], out: TextIO, err: TextIO, *, quiet: bool = False) -> None:
    """A line for what is finished, and one every few seconds in between."""
    rate, last = _Rate(), time.monotonic()
    for event in events:
        if isinstance(event, Warned):
            print(f"warning: {event.message}", file=err, flush=True)
        elif isinstance(event, StepDone):
            rate.saw(event)
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES and not quiet:
                last = time.monotonic()
                print(f"{event.part}: {rate.line(event)}", file=out, flush=True)
        elif (line := line_of(event)) and (not quiet or isinstance(event, Finished)):
            last = time.monotonic()
            print(line, file=out, flush=True)


def show_rich(events: Iterable[Event], out: TextIO, err: TextIO) -> None:
    """A bar over all evaluations of the run with rate and time left, lines above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=out, highlight=False, markup=False, soft_wrap=True)
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    rate = _Rate()
    holding: AbstractContextManager[object] = bars if out.isatty() else nullcontext()
    with holding:
        task = None
        for event in events:
            if isinstance(event, Started) and event.evaluations:
                task = bars.add_task("loading the model", total=event.evaluations, rate="")
            if isinstance(event, StepDone) and task is not None:
                rate.saw(event)
                bars.update(
                    task,
                    description=event.part,
                    completed=event.evaluations,
                    total=event.total,
                    rate=f"{event.evaluations:,} of {event.total:,}, {rate.value:.0f}/s",
                )
            elif isinstance(event, Warned):
                bars.console.print(f"warning: {event.message}", style="yellow")
            elif isinstance(event, Finished):
                bars.stop()
                console.print(line_of(event))
            elif line := line_of(event):
                bars.console.print(line)


def line_of(event: Event) -> str | None:
    """What is said about an event, or None if nothing is."""
    match event:
        case Started(title=title, out=out, parts=parts, to_do=to_do, evaluations=cost):
            work = f"{len(to_do)} of {len(parts)} parts to make" if to_do else "all parts are there"
            return f"{title} -> {out}: {work}" + (f", {cost:,} evaluations" if cost else "")
        case Loaded(model=model, seconds=seconds):
            return f"{model}: loaded in {seconds:.1f} s"
        case PortraitsReady(name=name, done=done, total=total):
            return f"{name}: {done} of {total} portraits"
        case IdentityFound(name=name, kept=kept, portraits=portraits, seconds=seconds):
            return f"{name}: identity found, {kept} of {portraits} portraits kept, {seconds:.1f} s"
        case FrameReady(part=part, seconds=seconds):
            return f"{part}.png: {seconds:.1f} s"
        case PartKept(part=part):
            return f"{part}: kept"
        case Finished():
            return _end(event)
    return None


def _end(event: Finished) -> str:
    made, kept = len(event.made), len(event.kept)
    did = f"{made} parts made, {kept} kept" if made else f"nothing to do, {kept} parts were there"
    cost = f"{event.seconds:.1f} s, {event.evaluations:,} U-Net evaluations"
    if event.sheet is None:
        return f"{did}: {cost}\nidentities: {event.out / 'cast'}"
    return f"{did}: {cost}\npictures: {event.out / 'frames'}\nall on one page: {event.sheet}"


class _Rate:
    """Evaluations a second since the first step seen; what stood at that step is not counted."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.value = 0.0

    def saw(self, event: StepDone) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = (now, event.evaluations)
        passed = now - self.first[0]
        if passed > 0:
            self.value = (event.evaluations - self.first[1]) / passed

    def line(self, event: StepDone) -> str:
        left = (event.total - event.evaluations) / self.value if self.value else 0.0
        return (
            f"{event.evaluations:,} of {event.total:,} evaluations, "
            f"{self.value:.0f} a second, about {left:.0f} s left"
        )


def show(events: Iterable[Event], *, as_json: bool = False, quiet: bool = False) -> None:
    """Shows events on standard output in the way that fits it."""
    if as_json:
        show_json(events, sys.stdout)
    elif sys.stdout.isatty() and not quiet:
        show_rich(events, sys.stdout, sys.stderr)
    else:
        show_plain(events, sys.stdout, sys.stderr, quiet=quiet)
