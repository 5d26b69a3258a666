"""The bench of Table 1, its painting: every story by every method, by one command.

A bench is a folder: ``runs/METHOD/STORY`` are ordinary run folders, so what is finished is never
made again; ``portraits`` are those of all methods, so a character is searched once;
``costs/METHOD/STORY.json`` is the memory it took. ``results`` makes the table of it. Pictures and
scores depend on the inputs alone; seconds and memory are those of the time when a picture was made.

Work comes in units, which an engine may spread: first each story's identities, then each story by
each method. A unit is an ordinary run, so units share nothing but files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..config import Preset
from ..errors import IdentityStoryError, RunError, is_out_of_memory
from ..methods.registry import METHODS, check_method, method
from ..protocols import ModelFacts
from ..runs.cache import PORTRAITS, Cache
from ..runs.files import canonical, write_whole
from ..runs.folder import RunFolder, read_record
from ..runs.plan import make_plan
from ..runs.request import RunRequest
from ..runs.service import Service, one_model
from ..story.file import slug
from ..types import Story
from . import batch as grid
from .memory import _peak_mib, _reset_peak
from .workers import Engine, Local


@dataclass(frozen=True)
class BenchRequest:
    """What to compare, and where.

    Attributes:
        stories: with distinct titles, see ``grid.load_stories``.
        out: the bench's folder.
        preset: the resolved configuration, the same for every method.
        methods: names, in the order of the table.
        model: a built-in name, a folder or a hub id.
        seed: of every run.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``.
    """

    stories: tuple[Story, ...]
    out: Path
    preset: Preset
    methods: tuple[str, ...] = METHODS
    model: str = "miniature"
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def run(self, name: str, story: Story) -> RunRequest:
        """The ordinary run of one method over one story."""
        return RunRequest(
            story,
            self.out / "runs" / name / slug(story.title),
            self.preset,
            model=self.model,
            seed=self.seed,
            device=self.device,
            dtype=self.dtype,
            method=name,
            cache=Cache(self.out, kinds=(PORTRAITS,)),
        )


def chosen_methods(text: str) -> tuple[str, ...]:
    """The methods of ``all`` or ``a,b,c``, each once.

    Raises:
        ConfigError: one does not exist.
    """
    names = METHODS if text == "all" else [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(check_method(name) for name in names))


@dataclass(frozen=True)
class Unit:
    """What an engine does at a time: one story by one method, or only its identities.

    Attributes:
        request: the bench.
        method: its name.
        story: what to paint.
        paint: False stops after the identities.
    """

    request: BenchRequest
    method: str
    story: Story
    paint: bool = True

    @property
    def run(self) -> RunRequest:
        """The ordinary run that this is."""
        return replace(self.request.run(self.method, self.story), paint=self.paint)

    def __str__(self) -> str:
        """``consistory: The pier``."""
        return f"{self.method}: {self.story.title}" + ("" if self.paint else " (identities)")


def paint(
    request: BenchRequest,
    service: Service,
    say: grid.Say = lambda line: None,
    engine: Engine | None = None,
) -> None:
    """Every run that is not finished yet. Identities are searched once for all methods.

    Raises:
        ModelError: a method has weights of its own and the model lacks them; before any painting.
        ConfigError: the folder holds these runs with other settings; before any painting.
        RunError: runs failed; names them. The others are finished all the same.
    """
    grid.check_settings(request.run(name, s) for name in request.methods for s in request.stories)
    facts = service.describe(request.model, request.device, request.dtype)
    for name in request.methods:
        make_plan(request.run(name, request.stories[0]), facts, None)
    one = partial(work, one_model(service))
    whole = [Unit(request, name, story) for story in request.stories for name in request.methods]
    searches = casts(request)
    total = len(searches) + len(whole)
    failed: list[str] = []
    for stage in (searches, whole):
        units = stage if isinstance(engine or Local(), Local) else longest_first(stage, facts)
        for count, (unit, wrong) in enumerate((engine or Local()).map(one, units), 1):
            if not wrong and not RunFolder(unit.run.out).record.is_file():
                wrong = (
                    f"its worker wrote elsewhere; {request.out} must be a folder that every worker "
                    "sees under this name"
                )
            say(f"{count} of {len(units)}, {unit}" + (f" failed: {wrong}" if wrong else ""))
            failed += [f"{unit}: {wrong}"] if wrong else []
    if failed:
        raise RunError(
            f"{len(failed)} of {total} runs failed; the others are finished, and the same "
            f"command tries these again. {'; '.join(failed)}"
        )


def longest_first(units: list[Unit], facts: ModelFacts) -> list[Unit]:
    """``units`` in the order for several workers: finished ones, then so that none is idle late."""
    costs = grid.ahead((unit.run for unit in units), facts)
    order = sorted(range(len(units)), key=lambda n: (costs[n] > 0, -costs[n]))
    return [units[n] for n in order]


def casts(request: BenchRequest) -> list[Unit]:
    """The identities of each story whose first method in need of them has none yet."""
    facing = [n for n in request.methods if method(n, request.preset).needs_identities][:1]
    return [
        unit
        for story in request.stories
        for unit in (Unit(request, name, story, paint=False) for name in facing)
        if not all(RunFolder(unit.run.out).identity(c.name).is_file() for c in story.characters)
    ]


def work(service: Service, unit: Unit) -> str:
    """Does ``unit``; what went wrong in a line, if it is the user's or the machine's to mend."""
    request, run = unit.request, unit.run
    try:
        _reset_peak()
        finished = grid.paint(run, service)
        if any(part.startswith("frames/") for part in finished.made):
            note_peak(request, unit.method, unit.story, _peak_mib())
    except (IdentityStoryError, OSError) as error:
        return " ".join(str(error).split())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"out of memory ({(str(error).splitlines() or [''])[0]})"
    return ""


def peak_file(request: BenchRequest, name: str, story: Story) -> Path:
    """Where the memory that a run took is noted."""
    return request.out / "costs" / name / f"{slug(story.title)}.json"


def note_peak(request: BenchRequest, name: str, story: Story, peak: float) -> None:
    """Notes MiB for the frames as they are now; the more of two, if a run took several turns."""
    file, run = peak_file(request, name, story), request.run(name, story)
    parts = (read_record(RunFolder(run.out)) or {})["parts"]
    keys = [part["key"] for name, part in parts.items() if name.startswith("frames/")]
    before = _peak_note(file)
    if before.get("frames") == keys:
        peak = max(peak, before["peak_mib"])
    write_whole(file, (canonical({"peak_mib": peak, "frames": keys}) + "\n").encode())


def read_peak(file: Path) -> float | None:
    """MiB noted in ``file``; None if there is no such note."""
    return _peak_note(file).get("peak_mib")


def _peak_note(file: Path) -> dict[str, Any]:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        return {**note, "peak_mib": float(note["peak_mib"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


# --- Memory ---------------------------------------------------------------------------------------
