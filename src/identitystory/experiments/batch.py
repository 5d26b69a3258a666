"""Many ordinary runs side by side: what a bench and an ablation have in common.

Each run has its own folder, so what is finished is never made again, wherever it was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import ConfigError, RunError
from ..protocols import ModelFacts
from ..runs import plan, request
from ..runs.cache import is_there, shared_files
from ..runs.events import Finished, Warned
from ..runs.folder import RunFolder, read_record
from ..runs.painter import finished_parts
from ..runs.plan import make_plan
from ..runs.request import RunRequest
from ..runs.service import Service
from ..settings import settings

Say = Callable[[str], None]


def ahead(runs: Iterable[RunRequest], model: ModelFacts) -> list[int]:
    """U-Net evaluations that finishing each of ``runs`` takes, if everybody is found at once.

    What is there already counts nothing, and what runs share counts for the first of them. A search
    that settles early takes fewer.
    """
    costs, known = [], set()
    for run in runs:
        folder = RunFolder(run.out)
        made = make_plan(run, model, read_record(folder) if run.out.is_dir() else None)
        done = finished_parts(folder, made)
        asked = [made.identities[name] for name in made.cast]
        asked += [made.frames[index] for index in made.wanted]
        to_do = [part for part in asked if part.name not in done]
        costs.append(plan.calls(run, made, to_do))
        for file, cost in shared_files(run.cache, [part.pieces for part in to_do]).items():
            if file in known or is_there(file):
                costs[-1] -= cost
            known.add(file)
    return costs


def check_settings(runs: Iterable[RunRequest]) -> None:
    """Refuses runs that are there already with another seed, preset or model: they would be lost.

    Raises:
        ConfigError: names the first, what differs, and what to do.
    """
    for run in runs:
        record = read_record(RunFolder(run.out)) if run.out.is_dir() else None
        if record is None:
            continue
        there = request.recorded(run.out)
        before = {"model": there.model, "seed": record["seed"], **settings(there.preset)}
        wanted = {"model": run.model, "seed": run.seed, **settings(run.preset)}
        for name, value in wanted.items():
            if before[name] != value:
                raise ConfigError(
                    f"{run.out} was painted with {name} {before[name]}, and this command asks for "
                    f"{value}; give another --out, or the same settings"
                )


def paint(run: RunRequest, service: Service, say: Say = lambda line: None) -> Finished:
    """Makes what is not there yet of one run; ``say`` hears its warnings."""
    for event in service.run(run):
        if isinstance(event, Warned):
            say(event.message)
        if isinstance(event, Finished):
            finished = event
    return finished


def check_finished(runs: Iterable[RunRequest], command: str) -> None:
    """Refuses runs that lack a frame.

    Raises:
        RunError: says which run, and to give the same ``command`` again.
    """
    for run in runs:
        frames = [RunFolder(run.out).frame(n) for n in range(len(run.story.scenes))]
        if run.paint and not all(frame.is_file() for frame in frames):
            raise RunError(f"{run.out} is not finished; give the same {command} command again")
