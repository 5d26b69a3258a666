"""The commands that ask a vision model or people about pictures: ``judge`` and ``study``."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from ..errors import ConfigError
from .commands import Argument
from .options import Folder, answer, say, tell

Runs = Annotated[Path, Argument("RUNS")]


def judge(
    runs: tuple[Runs, ...],
    endpoint: Annotated[str, "URL"],
    judge_model: Annotated[str, "NAME"],
    out: Folder,
    key_variable: Annotated[str, "NAME"] = "OPENAI_API_KEY",
    seed: int = 0,
    send: bool = False,
    json: bool = False,
) -> int:
    """Let a vision model score the methods (Table 2).

    Sends the finished pictures of every story, blinded and shuffled, to an endpoint that speaks
    OpenAI's chat completions, and averages its scores. Shows first what that takes; sends nothing
    without --send. Answers are kept: the same command goes on.

    Args:
        runs: a bench's folder, or run folders of several methods
        endpoint: like https://host/v1
        judge_model: as the endpoint has it
        out: for the answers
        key_variable: the environment variable that holds the key (default: OPENAI_API_KEY)
        seed: of the shuffling
        send: really ask
        json: print the averages as JSON
    """
    from ..experiments import judge as judging
    from ..experiments.endpoint import Judge

    cases = _cases(runs)
    asked = Judge(endpoint, judge_model, os.environ.get(key_variable, ""), seed=seed)
    takes = judging.cost(cases, asked, out)
    tell_or_say = tell if json else say
    tell_or_say(
        f"{takes.requests} requests with {takes.pictures} pictures ({takes.megabytes} MiB) and "
        f"{takes.characters:,} characters of text to {asked.endpoint}; what they cost is up to the "
        "endpoint"
    )
    if takes.requests and not send:
        tell_or_say("nothing was sent; give --send to ask")
        return 0
    found = judging.ask(cases, asked, out, tell)
    if json:
        return answer(json, judging.averages(found), "")
    judging.table(found).terminal(sys.stdout, above=f"{len(found)} stories, means of 0 to 100")
    return 0


def study_make(
    runs: tuple[Runs, ...],
    out: Annotated[Path, "FILE"],
    groups: int = 20,
    seed: int | None = None,
) -> int:
    """Make the questionnaire.

    Writes the questionnaire, and beside it the key that tells which option is which method. Give
    participants the page only.

    Args:
        runs: a bench's folder, or run folders of several methods
        out: an .html file
        groups: stories asked about (default: 20)
        seed: of the draw and of the options' names, which whoever knows it can then undo (default:
            a draw that is always the same, and names nobody can undo without the key)
    """
    from ..experiments import study

    if out.suffix.lower() != ".html":
        raise ConfigError(f"--out is {str(out)!r}; give a file that ends in .html")
    if groups < 1:
        raise ConfigError("--groups is 0; ask about at least one story")
    key = study.make(_cases(runs), out, groups=groups, seed=seed)
    say(f"{out}: for the participants\n{key}: for you alone")
    return 0


def study_tally(
    key: Annotated[Path, Argument("KEY")],
    answers: tuple[Annotated[Path, Argument("ANSWERS")], ...],
    against: Annotated[str, "METHOD"] | None = None,
    json: bool = False,
) -> int:
    """Count the answers.

    Prints how often each method was chosen, with Wilson's intervals and a test.

    Args:
        key: the .key.json file of the study
        answers: answer files
        against: the method that the others are tested against (default: identitystory if it takes
            part, else the most chosen)
        json: print the rates as JSON
    """
    from ..experiments import study

    people, found = study.tally(key, answers, against)
    if json:
        plain = {name: [asdict(rate) for rate in some] for name, some in found.items()}
        return answer(json, {"participants": people, "rates": plain}, "")
    say(f"{people} participants; Wilson 95 % intervals; p by a sign-flip test (Holm)")
    for criterion, some in found.items():
        reference = next(rate.method for rate in some if rate.p is None)
        above = f"{criterion.replace('_', ' ')}; p against {reference}"
        study.table(some).terminal(sys.stdout, above=above)
    return 0


def _cases(paths: tuple[Path, ...]) -> Any:
    from ..experiments.cases import find_cases

    cases, notes = find_cases(paths)
    for note in notes:
        tell(note)
    return cases
