"""The one door to making pictures: a request goes in, events come out, files lie in the run folder.

The command line and the studio both stand in front of this; nothing else writes to a run folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..models.describe import describe_model
from ..protocols import Backend, ModelFacts
from . import expect, faces, plan, takes, timing
from . import folder as runfolder
from .checks import check_prompts, check_safe, other_weights, warnings, with_faces
from .enlarge import enlarge, wanted_enlarger
from .events import (
    Emit,
    Event,
    stream,
)
from .folder import RunFolder
from .opening import Kept, Load
from .outlook import Outlook, last_facts, outlook
from .painter import Run
from .places import by_place
from .plan import Plan
from .request import RunRequest, in_precision
from .told import finished_parts, model_told

Describe = Callable[[str, str, str], ModelFacts]


def load_model(model: str, **options: Any) -> Backend:
    """``models.backend.load_backend``, imported when it is needed."""
    from ..models.backend import load_backend

    return load_backend(model, **options)


class Service:
    """Makes runs. ``load`` opens a model, ``describe`` tells what it is without opening it."""

    def __init__(self, *, load: Load = load_model, describe: Describe = describe_model) -> None:
        self.load = load
        self.describe = describe

    def run(self, request: RunRequest, whose: Sequence[str] = ()) -> Iterator[Event]:
        """Makes what ``request`` asks for and is not there yet, telling about it.

        Closing the iterator stops the work at its next step; finished parts stay.

        Args:
            request: what is asked for.
            whose: faces are looked for, of those it asks for; all, if it is empty.

        Raises:
            IdentityStoryError: the user can mend it; nothing half-written is left.
        """
        return stream(lambda emit: self._work(request, whose, emit))

    def _work(self, request: RunRequest, whose: Sequence[str], emit: Emit) -> None:
        enlarger = wanted_enlarger(request)  # what is not there is said before the painting
        request, model, record, made = self._planned(request)  # a mistake leaves no folder behind
        with runfolder.opened(request.out) as folder, torch.no_grad():
            found = takes.scan(folder)
            now = runfolder.read_record(folder)
            if now != record:
                request = _as_locked(request, now)
                made = plan.make_plan(request, model, now)
            request, now, made = _still(request, model, now, made, found)
            keys = [part.key for part in made.frames]
            frames = takes.settle(folder, found, keys, request.max_takes)
            faces.settle(folder, made)
            made = replace(made, cast=tuple(n for n in made.cast if n in (whose or made.cast)))
            run = Run(self.load, request, model, made, folder, frames, emit, now)
            run.work()
            if enlarger is not None:
                enlarge(folder, enlarger, request.enlarge, run.emit)

    def check(self, request: RunRequest) -> None:
        """Nothing, if `run` would start to paint ``request``, as far as can be told without a model.

        Raises:
            IdentityStoryError: it would not.
        """
        self._planned(request)
        wanted_enlarger(request)

    def outlook(self, request: RunRequest) -> Outlook:
        """What `run` would paint and keep now, why, and what it would take; nothing is written.

        Raises:
            IdentityStoryError: as `check`.
        """
        wanted_enlarger(request)
        request, model, record, made = self._planned(request)
        folder = RunFolder(request.out)
        found = takes.scan(folder)
        request, record, made = _still(request, model, record, made, found)
        keys = [part.key for part in made.frames]
        _, _, frames = takes.settled(folder, found, keys)
        done = finished_parts(folder, made, frames) | faces.aside(folder, made)
        told = outlook(request, made, done, last_facts(folder, made, record))
        rate = timing.seconds_a_call(request.out, model_told(model)) if told.calls else None
        return replace(
            told,
            seconds=None if rate is None else round(rate * told.calls, 1),
            warnings=tuple(warnings(request, made, model, folder)),
        )

    def _planned(
        self, request: RunRequest
    ) -> tuple[RunRequest, ModelFacts, dict[str, Any] | None, Plan]:
        """The request as its folder has it, what the model is, run.json, and the plan, all checked.

        Nothing is written.
        """
        check_safe(request)
        model = self.describe(request.painted_with, request.device, request.dtype)
        model = in_precision(model, request.dtype, request.preset)
        record = runfolder.read_record(RunFolder(request.out)) if request.out.is_dir() else None
        request = _as_locked(request, record)
        made = plan.make_plan(request, model, record)
        request = with_faces(request, made)
        check_prompts(request, made, model)
        expect.check(request, made, model)
        return request, model, record, made


def _as_locked(request: RunRequest, record: Mapping[str, Any] | None) -> RunRequest:
    """``request`` with the locks of ``record``, which may be newer than it."""
    asked = (record or {}).get("request", {})
    return replace(request, locked=by_place(asked.get("locked", {}), str))


def _still(
    request: RunRequest,
    model: ModelFacts,
    record: dict[str, Any] | None,
    made: Plan,
    found: takes.Found,
) -> tuple[RunRequest, dict[str, Any] | None, Plan]:
    """The three without chosen and locked pictures that are not there; ``found`` is a scan."""
    folder, asked = RunFolder(request.out), request
    chosen = record.get("chosen", {}) if record else {}
    still = takes.there(folder, chosen, found)
    if record and still != chosen:
        record = record | {"chosen": still}
    if (locked := takes.there(folder, request.locked, found)) != request.locked:
        request = replace(request, locked=locked)
    if still != chosen or request is not asked:
        made = plan.make_plan(request, model, record)
    weights = other_weights(request, model, record)
    return replace(request, notes=(*request.notes, *weights)), record, made


def one_model(service: Service) -> Service:
    """``service``, keeping the last model it opened for the next run that asks for the same."""
    return Service(load=Kept(service.load), describe=service.describe)


__all__ = ["ModelFacts", "RunRequest", "Service", "describe_model", "load_model"]
