"""The command ``ablate``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cli_options import (
    chosen_preset,
    command,
    default_stories,
    instrument_options,
    model_options,
    say,
    tell,
    where,
    whole,
    workers_option,
)

if TYPE_CHECKING:
    from .service import Service

MakeService = Callable[[], "Service"]


def add_command(commands: Any) -> None:
    """Adds ``ablate``."""
    made = command(
        commands,
        ablate_command,
        "ablate",
        "compare the method with itself, a part changed (Figs. 2, 5, 7, 8)",
        "Paints stories with one part of the method changed, scores every variant with intervals "
        "over stories, and writes NAME.csv, NAME.json, a figure (extra: figures) and a page of "
        "pictures for each story. Says first what it costs. What is finished is kept: the same "
        "command goes on where it was cut off, and other ablations in the same folder share "
        "portraits, templates and the unchanged variant.",
    )
    made.add_argument(
        "ablation",
        metavar="NAME",
        help="space (Fig. 2a), discovery (2b), start (5a), masking (5b), components (7), "
        "iterations (8a), mechanism (8b) or rank (k of Eq. 2)",
    )
    made.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder")
    made.add_argument(
        "--stories",
        metavar="WHERE",
        help="a story file, a folder of them, little_people (default for the miniature) or "
        "consistory_human (default for other models)",
    )
    made.add_argument(
        "--sets",
        metavar="N",
        type=whole,
        help="the first N stories (default: 10), or descriptions (discovery, iterations, rank: 20; "
        "space: 6)",
    )
    made.add_argument(
        "--scenes",
        metavar="N",
        type=whole,
        help="the first N scenes of each (default: 10), or pictures of each description (15)",
    )
    model_options(made)
    workers_option(made)
    made.add_argument("--seed", metavar="N", type=whole, default=0, help="of every run")
    instrument_options(made)
    made.add_argument("--json", action="store_true", help="print the outcome as JSON")


def ablate_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory ablate``."""
    from . import ablation_figures, ablation_runs, ablation_scores, identity_space
    from .engines import engine
    from .evaluation import Wanted, open_tools

    request, notes = _request(arguments)
    for note in notes:
        tell(note)
    found, made = service(), request.ablation
    options = {key: getattr(arguments, key) for key in ("clip", "faces", "face_models")}
    options["device"] = request.device
    tell(ablation_runs.told_cost(request, found))
    # Opened before anything is painted: what is not here is known at once.
    tools = open_tools(Wanted((), **options), [request.model]) if made.paint else None
    ablation_runs.paint(request, found, tell, engine("local", arguments.workers))
    drawn = ablation_figures.can_draw()
    if tools is None:
        clouds = identity_space.clouds(request)
        outcome = identity_space.measure_space(clouds)
        files = ablation_scores.write(request, outcome)
        files.append(identity_space.write_points(request, clouds))
        files += ablation_figures.draw_space(request, clouds) if drawn else []
    else:
        outcome = ablation_scores.measure(request, tools, tell)
        files = ablation_scores.write(request, outcome)
        files += ablation_figures.draw(request, outcome) if drawn else []
    if not drawn:
        tell(ablation_figures.MISSING)
    if arguments.json:
        say(json.dumps(ablation_scores.as_json(request, outcome), ensure_ascii=False))
    else:
        say(ablation_scores.markdown(request, outcome))
        say("\n".join(map(str, files)))
    return 0


def _request(arguments: argparse.Namespace) -> tuple[Any, list[str]]:
    """What is asked for, and a line for each thing that had to be changed or left out."""
    from dataclasses import replace

    from . import ablation, ablation_runs, grid

    made = ablation.ablation(arguments.ablation)
    chosen = where(arguments)
    base, notes = chosen_preset(arguments, chosen.get("model"))
    if made.faces:
        base = replace(base, seed_per_frame=True)  # one prompt, so only the noise tells them apart
    variants, left_out = ablation.variants(made, base)
    source = arguments.stories
    if source is None:
        source = default_stories(chosen.get("model"))
    stories = ablation_runs.chosen_stories(
        made,
        grid.load_stories(source),
        base,
        made.sets if arguments.sets is None else arguments.sets,
        made.scenes if arguments.scenes is None else arguments.scenes,
    )
    request = ablation_runs.AblationRequest(
        made,
        tuple(variants),
        stories,
        arguments.out,
        seed=arguments.seed,
        **chosen,
    )
    return request, [*notes, *left_out]
