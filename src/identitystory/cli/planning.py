"""What ``generate --plan`` shows: what would be painted and kept, why, and what it would take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .options import Output, answer, tell

if TYPE_CHECKING:
    from ..runs.outlook import Outlook
    from ..runs.request import RunRequest
    from ..runs.service import Service


def show_plan(request: RunRequest, output: Output, service: Service) -> int:
    """Shows what making what is asked for would do; exit code 0. Nothing is painted or written."""
    told = service.outlook(request)
    for line in () if output.json else told.warnings:
        tell(f"warning: {line}")
    return answer(output.json, _plain(request, told), "\n".join(_lines(request, told)))


def _plain(request: RunRequest, told: Outlook) -> dict[str, Any]:
    """The same for programs: each part with its reasons, each of a kind and in words."""
    parts = [
        asdict(fate) | {"why": [reason._asdict() for reason in fate.why]} for fate in told.parts
    ]
    whole = asdict(told) | {"parts": parts}
    return {"title": request.story.title, "out": str(request.out), **whole}


def _lines(request: RunRequest, told: Outlook) -> Iterable[str]:
    new = [fate for fate in told.parts if fate.paints]
    work = f"{len(new)} of {len(told.parts)} parts would be made" if new else "all parts are there"
    cost = f", {told.calls:,} network calls" if new else ""
    time = "" if told.seconds is None else f", about {_time(told.seconds)}"
    yield f"{request.story.title} -> {request.out}: {work}{cost}{time}"
    for fate in new:
        why = "; ".join(reason.words for reason in fate.why)
        yield f"  paint  {fate.part}: {why} ({fate.calls:,} calls)"
    kept = [n for n, fate in enumerate(told.parts) if not fate.paints]
    for line in _spans(kept, [fate.part for fate in told.parts]):
        yield f"  keep   {line}"


def _spans(numbers: Sequence[int], names: Sequence[str]) -> Iterable[str]:
    """The parts with these numbers, neighbours of one folder in one line."""
    at = {n: n - k for k, n in enumerate(numbers)}
    for _, some in groupby(numbers, lambda n: (at[n], names[n].split("/")[0])):
        span = [names[n] for n in some]
        yield span[0] if len(span) == 1 else f"{span[0]} to {span[-1]}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
