"""What the worker does where a story is checked: looks at every finished frame, and paints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..runs.events import Emit, Event, StepDone, stream
from ..runs.looking import check, eyes
from ..runs.service import Service
from .library import Entry


def look(service: Service, entry: Entry, device: str) -> Iterator[Event]:
    """Looks at the pictures that were not looked at yet, as `identitystory check` does.

    Each look is told as a step of the part ``check``, of as many as the run has scenes.

    Raises:
        BusyError: the run is being written.
        IdentityStoryError: as `runs.looking.eyes` and `runs.looking.check`.
    """

    def work(emit: Emit) -> None:
        by = eyes(service, entry.run)
        by = replace(by, request=replace(by.request, device=device))
        looks = iter(range(1, len(by.request.story.scenes) + 1))
        total = len(by.request.story.scenes)
        check(by, say=lambda line: emit(StepDone("check", next(looks), total)))

    return stream(work)
