"""The command ``doctor``: looks at this machine, and paints a small story to see that all works."""

from __future__ import annotations

import json as to_json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ..models.files.catalogue import DEFAULT_MODEL
from ..settings import Overrides
from .options import Folder, Instruments, MakeService, Model, say, tell

if TYPE_CHECKING:
    from ..experiments.checkup import Check
    from ..runs.events import Event


def doctor(
    *,
    paint: bool = False,
    out: Folder | None = None,
    model: Model,
    overrides: Overrides,
    measured: Instruments,
    json: bool = False,
    service: MakeService,
) -> int:
    """Look whether this machine is ready.

    Shows versions, cores, memory, disk and weights, and tries one step of the U-Net. With --paint it
    also paints a small standard story of two people and three pictures, measures it, and says in
    words whether the installation does what it should. What it prints then can be pasted into an
    issue: no folder and no name of this machine is in it. The exit code is 1 if something failed.

    Args:
        paint: paint the standard story too, with 16 portraits a character unless --portraits says
            otherwise; presets, settings and what measures are for this alone
        out: of --paint, a new folder for the pictures (default: runs/doctor, or runs/doctor-2, ...)
        json: print one JSON object a line
    """
    from ..experiments.checkup import checkup

    found = []
    made, where = service(), model.where()
    options = {"model": DEFAULT_MODEL, **where}

    def show(check: Check) -> None:
        found.append(check)
        if json:
            say(to_json.dumps(asdict(check)))
        elif paint:
            tell(str(check))
        else:
            say(str(check))

    for check in checkup(made, **options):
        show(check)
    well = all(check.well is not False for check in found)
    if not paint or not well:
        return 0 if well else 1

    from ..errors import ConfigError
    from ..experiments import trial
    from ..experiments.instruments import EvaluationRequest
    from ..runs.request import RunRequest
    from .progress import line_of

    def hear(event: Event) -> None:
        if line := line_of(event):
            tell(line)

    folder = out or trial.new_folder()
    if folder.exists():
        raise ConfigError(f"{folder} is there already; --out of doctor takes a new folder")
    few = overrides.portraits is None
    overrides = replace(overrides, portraits=trial.PORTRAITS) if few else overrides
    preset, notes = model.chosen_preset(overrides)
    request = RunRequest(trial.story(), folder, preset, notes=notes, **options)
    painted = trial.paint(request, made, hear)
    asked = EvaluationRequest((), device=request.device, **vars(measured))
    for check in trial.checks(painted, asked):
        show(check)
    tell(f"pictures: {folder / 'sheet.png'}")
    if not json:
        say(trial.report(found))
    return 0 if all(check.well is not False for check in found) else 1
