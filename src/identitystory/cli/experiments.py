"""The commands that compare methods: ``bench``, ``judge`` and ``study``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..experiments import instruments
from ..story import sets
from .options import (
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
    from ..runs.service import Service

MakeService = Callable[[], "Service"]


def add_commands(commands: Any) -> None:
    """Adds the three commands."""
    bench = command(
        commands,
        bench_command,
        "bench",
        "paint stories by several methods and compare them (Table 1)",
        "Paints every story by every method, scores them, and prints the paper's Table 1. What is "
        "finished is kept: the same command goes on where it was cut off.",
    )
    bench.add_argument(
        "--stories",
        metavar="WHERE",
        help="a story file, a folder of them, little_people (default for the miniature) or "
        "consistory_human (default for other models)",
    )
    bench.add_argument(
        "--methods", metavar="NAMES", default="all", help="all (default), or names with commas"
    )
    bench.add_argument("--out", metavar="DIR", type=Path, required=True, help="the bench's folder")
    bench.add_argument(
        "--limit",
        metavar="N",
        type=whole,
        help="only N stories: the first of one character, the first of two, and so on in turn",
    )
    bench.add_argument(
        "--scenes", metavar="N", type=whole, help="only the first N scenes of each story"
    )
    bench.add_argument("--seed", metavar="N", type=whole, default=0, help="of every run")
    model_options(bench)
    bench.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="where to paint: here (default), or on the workers of the Ray cluster that runs "
        "(extra: ray); all of them must see --out under the same name",
    )
    workers_option(bench)
    instrument_options(bench)
    bench.add_argument("--qalign", metavar="PYTHON", help="as for evaluate")
    bench.add_argument(
        "--results", metavar="FILE", type=Path, help="also write the page of results here"
    )
    bench.add_argument("--json", action="store_true", help="print the table as JSON")

    judge = command(
        commands,
        judge_command,
        "judge",
        "let a vision model score the methods (Table 2)",
        "Sends the finished pictures of every story, blinded and shuffled, to an endpoint that "
        "speaks OpenAI's chat completions, and averages its scores. Shows first what that takes; "
        "sends nothing without --send. Answers are kept: the same command goes on.",
    )
    _runs(judge)
    judge.add_argument("--endpoint", metavar="URL", required=True, help="like https://host/v1")
    judge.add_argument(
        "--judge-model", metavar="NAME", required=True, help="as the endpoint has it"
    )
    judge.add_argument("--out", metavar="DIR", type=Path, required=True, help="for the answers")
    judge.add_argument(
        "--key-variable",
        metavar="NAME",
        default="OPENAI_API_KEY",
        help="the environment variable that holds the key (default: OPENAI_API_KEY)",
    )
    judge.add_argument("--seed", metavar="N", type=whole, default=0, help="of the shuffling")
    judge.add_argument("--send", action="store_true", help="really ask")
    judge.add_argument("--json", action="store_true", help="print the averages as JSON")

    study = command(
        commands,
        None,
        "study",
        "ask people: make a questionnaire, count its answers (Table 3)",
        "Makes a questionnaire as one web page, and counts the answers that people saved with it.",
    )
    inner = study.add_subparsers(dest="part", required=True, metavar="COMMAND")
    make = command(
        inner,
        study_make_command,
        "make",
        "make the questionnaire",
        "Writes the questionnaire, and beside it the key that tells which option is which method. "
        "Give participants the page only.",
    )
    _runs(make)
    make.add_argument("--out", metavar="FILE", type=Path, required=True, help="an .html file")
    make.add_argument(
        "--groups", metavar="N", type=whole, default=20, help="stories asked about (default: 20)"
    )
    make.add_argument(
        "--seed",
        metavar="N",
        type=whole,
        help="of the draw and of the options' names, which whoever knows it can then undo (default: "
        "a draw that is always the same, and names nobody can undo without the key)",
    )
    count = command(
        inner,
        study_tally_command,
        "tally",
        "count the answers",
        "Prints how often each method was chosen, with Wilson's intervals and a test.",
    )
    count.add_argument("key", metavar="KEY", type=Path, help="the .key.json file of the study")
    count.add_argument("answers", metavar="ANSWERS", type=Path, nargs="+", help="answer files")
    count.add_argument(
        "--against",
        metavar="METHOD",
        help="the method that the others are tested against (default: identitystory if it takes "
        "part, else the most chosen)",
    )
    count.add_argument("--json", action="store_true", help="print the rates as JSON")


def bench_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory bench``."""
    from ..experiments import table1, table1_page
    from ..experiments.workers import engine
    from ..runs.files import check_writable

    chosen = where(arguments)
    if arguments.stories is None:
        arguments.stories = default_stories(chosen.get("model"))
    configuration, notes = chosen_preset(arguments, chosen.get("model"))
    for note in notes:
        tell(note)
    request = table1.experiment(
        sets.load_stories(arguments.stories, arguments.limit, arguments.scenes),
        arguments.out,
        configuration,
        table1.chosen_methods(arguments.methods),
        seed=arguments.seed,
        **chosen,
    )
    if arguments.results:
        check_writable(arguments.results.parent)
    options = {name: getattr(arguments, name) for name in _INSTRUMENTS}
    asked = instruments.EvaluationRequest((), device=request.device, **options)
    by = engine(arguments.engine, arguments.workers)
    outcome, files = table1.compare(request, service(), asked, by, tell)
    if arguments.results:
        command_line = _bench_line(arguments)
        files.append(table1_page.write_page(request, outcome, arguments.results, command_line))
    if arguments.json:
        say(json.dumps(table1.as_json(request, outcome), ensure_ascii=False))
    else:
        say(table1.markdown(request, outcome))
        say("\n".join(map(str, files)))
    return 0


_INSTRUMENTS = ("clip", "faces", "face_models", "qalign")


def _bench_line(arguments: argparse.Namespace) -> str:
    """The command that makes the same table again; where to is left open."""
    from ..experiments.instruments import AUTO

    names = ["stories", "methods", "limit", "scenes", "seed", "preset", "model", "base"]
    names += ["device", "dtype", "steps", "portraits", "guidance"]
    given = {name: getattr(arguments, name) for name in names}
    measured = {name.replace("_", "-"): getattr(arguments, name) for name in _INSTRUMENTS}
    given |= {name: value for name, value in measured.items() if value != AUTO}
    words = [
        word for name, value in given.items() if value is not None for word in (f"--{name}", value)
    ]
    return shlex.join(["identitystory", "bench", *map(str, words), "--out", "DIR"])


def judge_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory judge``."""
    from ..experiments import endpoint
    from ..experiments import judge as judging

    cases = _cases(arguments.runs)
    key = os.environ.get(arguments.key_variable, "")
    judge = endpoint.Judge(arguments.endpoint, arguments.judge_model, key, seed=arguments.seed)
    takes = judging.cost(cases, judge, arguments.out)
    _tell_or_say = tell if arguments.json else say
    _tell_or_say(
        f"{takes.requests} requests with {takes.pictures} pictures ({takes.megabytes} MiB) and "
        f"{takes.characters:,} characters of text to {judge.endpoint}; what they cost is up to the "
        "endpoint"
    )
    if takes.requests and not arguments.send:
        _tell_or_say("nothing was sent; give --send to ask")
        return 0
    found = judging.ask(cases, judge, arguments.out, tell)
    if arguments.json:
        say(json.dumps(judging.averages(found), ensure_ascii=False))
    else:
        say(judging.table(found))
    return 0


def study_make_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory study make``."""
    from ..experiments import study

    if arguments.out.suffix.lower() != ".html":
        raise ConfigError(f"--out is {str(arguments.out)!r}; give a file that ends in .html")
    if arguments.groups < 1:
        raise ConfigError("--groups is 0; ask about at least one story")
    key = study.make(
        _cases(arguments.runs), arguments.out, groups=arguments.groups, seed=arguments.seed
    )
    say(f"{arguments.out}: for the participants\n{key}: for you alone")
    return 0


def study_tally_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory study tally``."""
    from dataclasses import asdict

    from ..experiments import study

    people, found = study.tally(arguments.key, arguments.answers, arguments.against)
    if arguments.json:
        plain = {name: [asdict(rate) for rate in some] for name, some in found.items()}
        say(json.dumps({"participants": people, "rates": plain}, ensure_ascii=False))
    else:
        say(study.table(people, found))
    return 0


def _cases(paths: list[Path]) -> Any:
    from ..experiments.cases import find_cases

    cases, notes = find_cases(paths)
    for note in notes:
        tell(note)
    return cases


def _runs(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "runs",
        metavar="RUNS",
        type=Path,
        nargs="+",
        help="a bench's folder, or run folders of several methods",
    )


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
    from ..experiments import ablate
    from ..experiments.workers import engine

    request, notes = _request(arguments)
    for note in notes:
        tell(note)
    options = {key: getattr(arguments, key) for key in ("clip", "faces", "face_models")}
    asked = instruments.EvaluationRequest((), device=request.device, **options)
    by = engine("local", arguments.workers)
    outcome, files = ablate.compare(request, service(), asked, by, tell)
    if arguments.json:
        say(json.dumps(ablate.as_json(request, outcome), ensure_ascii=False))
    else:
        say(ablate.markdown(request, outcome))
        say("\n".join(map(str, files)))
    return 0


def _request(arguments: argparse.Namespace) -> tuple[Any, list[str]]:
    """What is asked for, and a line for each thing that had to be changed or left out."""
    from dataclasses import replace

    from ..experiments import ablate, ablations

    made = ablations.ablation(arguments.ablation)
    chosen = where(arguments)
    base, notes = chosen_preset(arguments, chosen.get("model"))
    if made.faces:
        base = replace(base, seed_per_frame=True)  # one prompt, so only the noise tells them apart
    variants, left_out = ablations.variants(made, base)
    source = arguments.stories
    if source is None:
        source = default_stories(chosen.get("model"))
    stories = ablate.chosen_stories(
        made,
        sets.load_stories(source),
        base,
        made.sets if arguments.sets is None else arguments.sets,
        made.scenes if arguments.scenes is None else arguments.scenes,
    )
    request = ablate.experiment(
        made, variants, stories, arguments.out, seed=arguments.seed, **chosen
    )
    return request, [*notes, *left_out]
