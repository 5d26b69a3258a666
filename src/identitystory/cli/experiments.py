"""The commands that paint, measure and compare many runs: bench, ablate and evaluate."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..settings import Overrides
from .commands import Argument
from .options import Folder, Instruments, MakeService, ManyRuns, Model, answer, tell

if TYPE_CHECKING:
    from ..experiments.experiment import Experiment
    from ..experiments.workers import Engine
    from ..runs.service import Service

Python = Annotated[str, "PYTHON"]


def bench(
    *,
    runs: ManyRuns,
    methods: Annotated[str, "NAMES"] = "all",
    limit: int | None = None,
    scenes: int | None = None,
    engine: Literal["local", "ray"] = "local",
    model: Model,
    overrides: Overrides,
    measured: Instruments,
    qalign: Python | None = None,
    results: Annotated[Path, "FILE"] | None = None,
    json: bool = False,
    service: MakeService,
) -> int:
    """Paint stories by several methods and compare them (Table 1).

    Paints every story by every method, scores them, and prints the paper's Table 1. What is
    finished is kept: the same command goes on where it was cut off.

    Args:
        qalign: the Python of an environment with pyiqa, to measure Q-Align (non-commercial terms)
        methods: all (default), or names with commas
        limit: only N stories: the first of one character, the first of two, and so on in turn
        scenes: only the first N scenes of each story
        engine: where to paint: here (default), or on the workers of the Ray cluster that runs
            (extra: ray); all of them must see --out under the same name
        results: also write the page of results here
        json: print the table as JSON
    """
    from ..experiments import results as page
    from ..experiments import table1, workers
    from ..experiments.instruments import EvaluationRequest
    from ..runs.files import check_writable
    from ..story import sets

    where = model.where()
    runs = replace(runs, stories=runs.chosen_stories(where.get("model")))
    configuration, notes = model.chosen_preset(overrides)
    for note in notes:
        tell(note)
    request = table1.experiment(
        sets.load_stories(str(runs.stories), limit, scenes),
        runs.out,
        configuration,
        table1.chosen_methods(methods),
        seed=runs.seed,
        **where,
    )
    if runs.shard is not None:
        return _paint_share(request, runs.shard, service(), workers.engine(engine, runs.workers))
    if results:
        check_writable(results.parent)
    asked = EvaluationRequest((), device=request.device, qalign=qalign, **vars(measured))
    by = workers.engine(engine, runs.workers)
    outcome, files = table1.compare(request, service(), asked, by, tell)
    if results:
        given = {"stories": runs.stories, "methods": methods, "limit": limit, "scenes": scenes}
        given |= {"seed": runs.seed, **asdict(model), "offline": False, **asdict(overrides)}
        line = _command_line("bench", {**given, **asdict(measured), "qalign": qalign})
        files.append(page.write_page(request, outcome, results, f"{line} --out DIR"))
    if json:
        return answer(json, table1.as_json(request, outcome), "")
    return answer(json, None, table1.markdown(request, outcome), *files)


def _paint_share(request: Experiment, given: str, service: Service, by: Engine) -> int:
    """Paints one share of the stories, and measures nothing."""
    from ..experiments.batch import paint
    from ..runs.shards import shard

    share = shard(given)
    mine = share.of(request.stories)
    if mine:
        paint(replace(request, stories=mine), service, tell, by)
    done = f"share {share}, {len(mine)} of {len(request.stories)} stories, is painted"
    return answer(
        False, None, f"{done}; after all shares, the same command without --shard measures"
    )


def _command_line(name: str, given: Mapping[str, Any]) -> str:
    """The command with these options; those at None, False or auto are left out."""
    words = ["identitystory", name]
    for option, value in given.items():
        word = f"--{option.replace('_', '-')}"
        if isinstance(value, bool):
            words += [word] if value else []
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [w for v in values if v not in (None, "auto") for w in (word, str(v))]
    return shlex.join(words)


def ablate(
    *,
    ablation: Annotated[str, Argument("NAME")],
    runs: ManyRuns,
    sets: int | None = None,
    scenes: int | None = None,
    model: Model,
    overrides: Overrides,
    measured: Instruments,
    json: bool = False,
    service: MakeService,
) -> int:
    """Compare the method with itself, a part changed (Figs. 2, 5, 7, 8, 10a).

    Paints stories with one part of the method changed, scores every variant with intervals over
    stories, and writes NAME.csv, NAME.json, a figure (extra: figures) and a page of pictures for
    each story. Says first what it costs. What is finished is kept: the same command goes on where
    it was cut off, and other ablations in the same folder share portraits, templates and the
    unchanged variant.

    Args:
        ablation: space (Fig. 2a), discovery (2b), start (5a), masking (5b), components (7),
            iterations (8a), mechanism (8b), pose (10a), rank (k of Eq. 2), averaged (its E) or
            price (fewer network calls)
        sets: the first N stories (default: 10; price: 40), or descriptions (discovery, iterations,
            rank and averaged: 20; space and pose: 6)
        scenes: the first N scenes of each (default: 10; price: 2), or pictures of each description
            (15; pose: 7, an angle each)
        json: print the outcome as JSON
    """
    from ..experiments import ablate as ablating
    from ..experiments import ablations
    from ..experiments.instruments import EvaluationRequest
    from ..experiments.workers import engine
    from ..story.sets import load_stories

    made, where = ablations.ablation(ablation), model.where()
    base, notes = model.chosen_preset(overrides)
    if made.faces:
        base = replace(base, seed_per_frame=True)  # one prompt, so only the noise tells them apart
    variants, left_out = ablations.variants(made, base)
    stories = ablating.chosen_stories(
        made,
        load_stories(runs.chosen_stories(where.get("model"))),
        base,
        made.sets if sets is None else sets,
        made.scenes if scenes is None else scenes,
    )
    request = ablating.experiment(made, variants, stories, runs.out, seed=runs.seed, **where)
    for note in (*notes, *left_out):
        tell(note)
    by = engine("local", runs.workers)
    if runs.shard is not None:
        return _paint_share(request, runs.shard, service(), by)
    asked = EvaluationRequest((), device=request.device, **vars(measured))
    outcome, files = ablating.compare(request, service(), asked, by, tell)
    plain, text = ablating.as_json(request, outcome), ablating.markdown(request, outcome)
    return answer(json, plain, text, *files)


def evaluate(
    *,
    run: tuple[Annotated[Path, Argument("RUN")], ...],
    out: Folder = Path("runs/evaluation"),
    measures: Annotated[str, "NAMES"] = "all",
    templates: bool = False,
    measured: Instruments,
    qalign: Python | None = None,
    device: Annotated[str, "D"] = "auto",
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Measure the pictures of runs.

    Measures the pictures of runs as the paper does (CLIP-T, CLIP-T-C, CLIP-I, Face-Sim, Q-Align),
    and what keeps Face-Sim honest: missing faces, different characters, pasted faces. Prints a
    table and writes metrics.json and metrics.csv. Nothing is downloaded.

    Args:
        run: a run folder, or a folder that holds some
        out: where metrics.json and metrics.csv go (default: runs/evaluation)
        measures: all (default), or names with commas, such as CLIP-I,AUC: no others are taken, and
            only what these need is opened
        templates: measure the templates, the general generator's pictures without identity
        qalign: the Python of an environment with pyiqa, to measure Q-Align (non-commercial terms)
        device: auto, cpu, cuda or mps
        json: print the result as one JSON object
        quiet: print only where the files are
    """
    from ..experiments import evaluate as evaluating
    from ..experiments.instruments import EvaluationRequest
    from ..metrics.measures import chosen_measures
    from ..runs.files import check_writable

    check_writable(out)
    asked = EvaluationRequest(
        run,
        templates=templates,
        qalign=qalign,
        device=device,
        measures=chosen_measures(measures),
        **vars(measured),
    )
    result = evaluating.evaluate(asked, lambda line: None if quiet or json else tell(line))
    files = evaluating.write(result, out)
    if not quiet and not json:
        evaluating.show(result, sys.stdout)
    return answer(json, evaluating.as_json(result), "\n".join(map(str, files)))
