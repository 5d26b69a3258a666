"""Events as a reader sees them: moving bars on a terminal, plain lines elsewhere, JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from ..errors import printable
from ..runs import events as told

SECONDS_BETWEEN_LINES = 5.0


def show_json(events: Iterable[told.Event], out: TextIO) -> None:
    """One JSON object a line, every event but the single steps (one a second of those)."""
    last = 0.0
    for event in events:
        if isinstance(event, told.StepDone):
            now = time.monotonic()
            if now - last < 1.0:
                continue
            last = now
        out.write(json.dumps(told.event_json(event), ensure_ascii=False) + "\n")
        out.flush()


def show_plain(
    events: Iterable[told.Event], out: TextIO, err: TextIO, *, quiet: bool = False
) -> None:
    """A line for what is finished, and one every few seconds in between."""
    rate, last = _Rate(), time.monotonic()
    for event in events:
        if isinstance(event, told.Warned):
            print(printable(f"warning: {event.message}"), file=err, flush=True)
        elif isinstance(event, told.StepDone):
            rate.saw(event)
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES and not quiet:
                last = time.monotonic()
                print(f"{event.part}: {rate.line(event)}", file=out, flush=True)
        elif quiet:
            if isinstance(event, told.Finished):
                print(event.out, file=out, flush=True)
        elif line := line_of(event):
            last = time.monotonic()
            print(printable(line), file=out, flush=True)


def show_rich(events: Iterable[told.Event], out: TextIO, err: TextIO) -> None:
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
            if isinstance(event, told.Started) and event.evaluations:
                task = bars.add_task("loading the model", total=event.evaluations, rate="")
            if isinstance(event, told.StepDone) and task is not None:
                rate.saw(event)
                bars.update(
                    task,
                    description=event.part,
                    completed=event.evaluations,
                    total=event.total,
                    rate=f"{event.evaluations:,} of {event.total:,}, {rate.value:.0f}/s",
                )
            elif isinstance(event, told.Warned):
                bars.console.print(printable(f"warning: {event.message}"), style="yellow")
            elif isinstance(event, told.Finished):
                bars.stop()
                console.print(printable(line_of(event) or ""))
            elif line := line_of(event):
                bars.console.print(printable(line))


_LINES: dict[type, str] = {
    told.Loaded: "{model}: loaded in {seconds:.1f} s",
    told.PortraitsReady: "{name}: {done} of {total} portraits",
    told.IdentityFound: "{name}: identity found, {kept} of {portraits} portraits kept, "
    "{seconds:.1f} s",
    told.FrameReady: "{part}.png: {seconds:.1f} s",
    told.PartKept: "{part}: kept",
    told.Enlarged: "enlarged: {path}",
}


def line_of(event: told.Event) -> str | None:
    """What is said about an event, or None if nothing is."""
    if isinstance(event, told.Started):
        parts, to_do, cost = len(event.parts), len(event.to_do), event.evaluations
        work = f"{to_do} of {parts} parts to make" if to_do else "all parts are there"
        more = f", {cost:,} evaluations" if cost else ""
        return f"{event.title} -> {event.out}: {work}{more}, seed {event.seed}"
    if isinstance(event, told.Finished):
        made, kept = len(event.made), len(event.kept)
        did = f"{made} parts made, {kept} kept"
        did = did if made else f"nothing to do, {kept} parts were there"
        did += f": {event.seconds:.1f} s, {event.evaluations:,} U-Net evaluations\n"
        if event.sheet is None:
            return f"{did}identities: {event.out / 'cast'}"
        return f"{did}pictures: {event.out / 'frames'}\nall on one page: {event.sheet}"
    if isinstance(event, told.Expected):
        wrong = [each for each in event.expected if each["holds"] is False]
        lines = [f"{event.part}.png: {e['line']!r} does not hold: {e['read']}" for e in wrong]
        return "\n".join(lines) or f"{event.part}.png: what is expected of it holds"
    line = _LINES.get(type(event))
    return line and line.format(**vars(event))


class _Rate:
    """Evaluations a second since the first step seen; what stood at that step is not counted."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.value = 0.0

    def saw(self, event: told.StepDone) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = (now, event.evaluations)
        passed = now - self.first[0]
        if passed > 0:
            self.value = (event.evaluations - self.first[1]) / passed

    def line(self, event: told.StepDone) -> str:
        left = (event.total - event.evaluations) / self.value if self.value else 0.0
        return (
            f"{event.evaluations:,} of {event.total:,} evaluations, "
            f"{self.value:.0f} a second, about {left:.0f} s left"
        )


def show(events: Iterable[told.Event], *, as_json: bool = False, quiet: bool = False) -> None:
    """Shows events on standard output in the way that fits it."""
    if as_json:
        show_json(events, sys.stdout)
    elif sys.stdout.isatty() and not quiet:
        show_rich(events, sys.stdout, sys.stderr)
    else:
        show_plain(events, sys.stdout, sys.stderr, quiet=quiet)
