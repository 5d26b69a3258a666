"""The painting of an experiment: what lies ahead, and every run that is not finished yet."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ConfigError, IdentityStoryError, RunError, is_out_of_memory
from ..methods.registry import method
from ..protocols import ModelFacts
from ..runs import plan, request
from ..runs.cache import is_there, shared_files
from ..runs.events import Finished, Warned
from ..runs.files import canonical, read, write_whole
from ..runs.folder import RunFolder, read_record
from ..runs.plan import make_plan
from ..runs.request import RunRequest, in_precision
from ..runs.service import Service, one_model
from ..runs.takes import scan
from ..runs.told import finished_parts
from ..runs.ways import model_record
from ..settings import settings
from ..story.plain import plain_json
from .experiment import Experiment, Say, silent
from .workers import Engine, Local

MAX_NOTE = 1 << 24  # bytes
KNOWN = 0.05  # of the work that must be done before anybody is told how long the rest takes


@dataclass(frozen=True)
class Unit:
    """What an engine does at a time: an ordinary run.

    Units share nothing but files, so an engine may spread them.

    Attributes:
        label: of the variant.
        run: see above; without ``paint`` it is the story's identities alone.
        note: see ``Experiment.note``.
        cost: network calls that lie ahead.
    """

    label: str
    run: RunRequest
    note: Path | None = None
    cost: int = 0

    def __str__(self) -> str:
        """``consistory: The pier``."""
        return f"{self.label}: {self.run.story.title}" + ("" if self.run.paint else " (identities)")


def stages(experiment: Experiment) -> list[list[Unit]]:
    """All units, in stages: what runs share is made by the stage before.

    Methods share identities, so these come first. Settings share portraits and templates, which
    the runs of the reference leave behind.
    """
    of = lambda v, s: Unit(v.label, experiment.run(v, s), experiment.note(v, s))
    if experiment.over_methods:
        whole = [of(v, s) for s in experiment.stories for v in experiment.variants]
        return [identities(experiment) if experiment.paint else [], whole]
    first = [v for v in experiment.variants if v == experiment.reference]
    others = [v for v in experiment.variants if v not in first]
    return [[of(v, s) for v in some for s in experiment.stories] for some in (first, others)]


def identities(experiment: Experiment) -> list[Unit]:
    """The identities of each story whose first variant in need of them has none yet."""
    facing = [v for v in experiment.variants if method(v.method, v.preset).needs_identities][:1]
    units = [
        Unit(v.label, replace(experiment.run(v, story), paint=False))
        for story in experiment.stories
        for v in facing
    ]
    found = lambda u, c: RunFolder(u.run.out).identity(c.name).is_file()
    return [u for u in units if not all(found(u, c) for c in u.run.story.faced)]


def ahead(runs: Iterable[RunRequest], model: ModelFacts) -> list[int]:
    """Network calls that finishing each of ``runs`` takes, if everybody is found at once.

    What is there already counts nothing, and what runs share counts for the first of them. A search
    that settles early takes fewer.
    """
    costs, known = [], set()
    for run in runs:
        folder = RunFolder(run.out)
        facts = in_precision(model, run.dtype, run.preset)
        made = make_plan(run, facts, read_record(folder) if run.out.is_dir() else None)
        done = finished_parts(folder, made, scan(folder))
        faces = [name for name in made.cast if made.identities[name].name not in done]
        frames = [n for n in made.wanted if made.frames[n].name not in done]
        costs.append(plan.calls(run, made, faces, frames))
        to_do = [*(made.identities[name] for name in faces), *(made.frames[n] for n in frames)]
        for file, cost in shared_files(run.cache, [part.pieces for part in to_do]).items():
            if file in known or is_there(file):
                costs[-1] -= cost
            known.add(file)
    return costs


def check_settings(runs: Iterable[RunRequest], model: ModelFacts) -> None:
    """Refuses runs that are there already with another seed, preset, model or precision.

    All of their pictures would be painted again.

    Raises:
        ConfigError: names the first, what differs, and what to do.
    """
    for run in runs:
        record = read_record(RunFolder(run.out)) if run.out.is_dir() else None
        if record is None:
            continue
        there = request.recorded(run.out)
        way = partial(model_record, run.out)
        before = {
            "model": way(there.model),
            "dtype": record.get("model", {}).get("dtype"),
            "seed": record.get("seed", 0),
            **settings(there.preset),
        }
        wanted = {
            "model": way(run.model),
            "dtype": in_precision(model, run.dtype, run.preset).dtype,
            "seed": run.seed,
            **settings(run.preset),
        }
        for name, value in wanted.items():
            if before[name] != value:
                same = f"--dtype {before[name]}" if name == "dtype" else "the same settings"
                raise ConfigError(
                    f"{run.out} was painted with {name} {before[name]}, and this command asks for "
                    f"{value}; give another --out, or {same}"
                )


def make_run(run: RunRequest, service: Service, say: Say = silent) -> Finished:
    """Makes what is not there yet of one run; ``say`` hears its warnings."""
    for event in service.run(run):
        if isinstance(event, Warned):
            say(event.message)
        if isinstance(event, Finished):
            finished = event
    return finished


@dataclass
class Once:
    """``say`` that tells the same line once."""

    say: Say
    told: set[str] = field(default_factory=set)

    def __call__(self, line: str) -> None:
        """Tells ``line`` if it is new."""
        if line not in self.told:
            self.told.add(line)
            self.say(line)


def paint(
    experiment: Experiment,
    service: Service,
    say: Say = silent,
    engine: Engine | None = None,
) -> None:
    """Every run that is not finished yet; ``say`` hears what is painted and how long it will take.

    Raises:
        ModelError, ConfigError: a variant cannot be painted with this model, or the folder holds
            these runs with other settings; before any painting.
        RunError: runs failed; names them. The others are finished all the same.
    """
    engine = engine or Local()
    facts = service.describe(experiment.model, experiment.device, experiment.dtype)
    check_settings(experiment.runs(), facts)
    for variant in experiment.variants:
        make_plan(experiment.run(variant, experiment.stories[0]), facts, None)
    units = stages(experiment)
    costs = iter(ahead((unit.run for stage in units for unit in stage), facts))
    units = [[replace(unit, cost=next(costs)) for unit in stage] for stage in units]
    total = sum(unit.cost for stage in units for unit in stage)
    kinds = Counter(unit.run.paint for stage in units for unit in stage)
    one = partial(work, one_model(service), Once(say))
    began, done, told, failed = time.monotonic(), 0, Counter[bool](), []
    for stage in units:
        if not isinstance(engine, Local):  # what is finished, then so that no worker is idle late
            stage = sorted(stage, key=lambda unit: (unit.cost > 0, -unit.cost))
        for unit, wrong in engine.map(one, stage):
            if not wrong and not RunFolder(unit.run.out).record.is_file():
                wrong = (
                    f"its worker wrote elsewhere; {experiment.out} must be a folder that every "
                    "worker sees under this name"
                )
            done += unit.cost
            left = (time.monotonic() - began) / max(done, 1) * (total - done)
            rest = f", about {left / 60:.0f} min left" if left and done >= total * KNOWN else ""
            told[unit.run.paint] += 1
            place = f"{told[unit.run.paint]} of {kinds[unit.run.paint]}"
            say(f"{place}, {unit}" + (f" failed: {wrong}" if wrong else rest))
            failed += [f"{unit}: {wrong}"] if wrong else []
    if failed:
        raise RunError(
            f"{len(failed)} of {kinds.total()} runs failed; the others are finished, and the same "
            f"command tries these again. {'; '.join(failed)}"
        )


def work(service: Service, say: Say, unit: Unit) -> str:
    """Does ``unit``; what went wrong in a line, if it is the user's or the machine's to mend."""
    try:
        reset_peak()
        finished = make_run(unit.run, service, say)
        if unit.note and any(part.startswith("frames/") for part in finished.made):
            note_peak(unit.note, unit.run.out, peak_mib())
    except (IdentityStoryError, OSError) as error:
        return " ".join(str(error).split())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return f"out of memory ({(str(error).splitlines() or [''])[0]})"
    return ""


def reset_peak() -> None:
    """Starts measuring anew, where the system can: Linux, and any GPU."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_mib() -> float:
    """Most memory in use since ``reset_peak``, MiB: of the GPU if there is one, else resident."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return float(line.split()[1]) / 2**10
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def note_peak(file: Path, run: Path, peak: float) -> None:
    """Notes MiB for the frames of ``run`` as they are now; the more of two, if it took several turns."""
    before, keys = _note(file), _frame_keys(run)
    if before.get("frames") == keys:
        peak = max(peak, before["peak_mib"])
    write_whole(file, (canonical({"peak_mib": peak, "frames": keys}) + "\n").encode())


def read_peak(file: Path, run: Path) -> float | None:
    """MiB noted in ``file`` of the frames that ``run`` has; None if there is no such note."""
    note = _note(file)
    return note.get("peak_mib") if note.get("frames") == _frame_keys(run) else None


def _frame_keys(run: Path) -> list[str]:
    parts = (read_record(RunFolder(run)) or {}).get("parts", {})
    return [part["key"] for name, part in parts.items() if name.startswith("frames/")]


def _note(file: Path) -> dict[str, Any]:
    try:
        note = plain_json(read(file, most=MAX_NOTE))
        return {**note, "peak_mib": float(note["peak_mib"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
