"""How far is the miniature from what it should do? ``python benchmarks/targets.py --workers 2``.

Holds stories of ``little_people`` as IdentityStory and the general generator paint them against goals. They are
those of ``make results`` if that is there; broken off, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub, truediv
from pathlib import Path

import torch
from torch import Tensor

from identitystory import preset
from identitystory.cli.main import default_service
from identitystory.errors import IdentityStoryError
from identitystory.experiments import batch, table1
from identitystory.experiments.evaluate import Evaluation, evaluate, group_of
from identitystory.experiments.instruments import EvaluationRequest, open_tools
from identitystory.experiments.tables import Table, plain
from identitystory.experiments.workers import engine
from identitystory.methods.registry import OURS
from identitystory.metrics.intervals import bootstrap, mean_of
from identitystory.settings import Overrides, overridden
from identitystory.story import sets
from identitystory.types import Story

GENERAL = "general"
ONE, TWO = group_of(1), group_of(2)
Joined = Callable[[float, float], float]


@dataclass(frozen=True)
class Target:
    """One goal.

    Attributes:
        what: is measured; group: of stories.
        wanted: the least that it should be; value: what it is.
        interval: of 95 % over stories, as words, or "".
    """

    what: str
    group: str
    wanted: float
    value: float
    interval: str = ""


def targets(by_method: Mapping[str, Evaluation], stories: Sequence[Story]) -> list[Target]:
    """The goals, and what was measured.

    Args:
        by_method: the evaluation of each method's runs, of all ``stories``.
        stories: in the order of the runs.
    """
    ours = by_method[OURS]

    def plain(what: str, group: str, measure: str, wanted: float) -> Target:
        s = next(s for s in ours.groups[group] if s.name == measure)
        interval = "" if s.low is None else f"[{s.low:.3f}, {s.high:.3f}]"
        return Target(what, group, wanted, s.value, interval)

    def beside(what: str, measure: str, other: str, wanted: float, joined: Joined) -> Target:
        """``joined`` of the two methods' means over the stories of one character."""
        single = [k for k, story in enumerate(stories) if len(story.characters) == 1]
        values = [by_story(by_method[name], measure)[single] for name in (OURS, other)]
        there = ~torch.stack(values).isnan().any(0)
        means = [mean_of(some[there]) for some in values]
        both = lambda weights: joined(*(mean(weights) for mean in means))
        count = int(there.sum())
        found = bootstrap(both, count)
        interval = "" if found is None else f"[{found[0]:.3f}, {found[1]:.3f}]"
        value = both(torch.ones(count, dtype=torch.float64))
        return Target(what, ONE, wanted, value, interval)

    return [
        plain("faces found in portraits and half-bodies", ONE, "face detection", 0.98),
        plain("AUC, same person against different", ONE, "AUC", 0.95),
        beside("Face-Sim, times the general generator's", "Face-Sim", GENERAL, 1.5, truediv),
        beside("attributes, less the general generator's", "attributes", GENERAL, -0.02, sub),
        plain("both faces found", TWO, "all faces of a crowd", 0.85),
        plain("faces nearest to their own character", TWO, "nearest to own", 0.95),
    ]


def by_story(found: Evaluation, measure: str) -> Tensor:
    """(stories,) float64: a measure of each story; nan without."""
    values = [s.value for table in found.stories.values() for s in table if s.name == measure]
    return torch.tensor(values, dtype=torch.float64)


def table(found: list[Target]) -> str:
    """Markdown."""
    head = ["what", "stories of", "goal", "measured", "95 % interval", "reached"]
    rows = []
    for t in found:
        reached = "yes" if t.value >= t.wanted else "no"
        rows.append([t.what, t.group, f"{t.wanted:.2f}", f"{t.value:.3f}", t.interval, reached])
    return "\n".join(Table(head, rows).markdown())


def tell(line: str) -> None:
    """What goes on."""
    print(line, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/table1"))
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--preset", default="recommended")
    parser.add_argument(
        "--faces", default="little-people", help="the recogniser, as evaluate has it"
    )
    parser.add_argument("--stories", type=int, default=40)
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--steps", type=int, help="of a frame, as the bench in --out was painted")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    options = parser.parse_args()
    if options.stories < 2:
        parser.error(
            f"--stories must be at least 2, not {options.stories}: one of two characters, too"
        )
    stories = sets.load_stories("little_people", options.stories, options.scenes)
    wanted = EvaluationRequest((), faces=options.faces)
    try:
        base, _ = overridden(preset(options.preset, options.model), Overrides(steps=options.steps))
        open_tools(wanted, [options.model])  # what is not here is known before hours of painting
    except IdentityStoryError as error:
        parser.error(str(error))
    methods = (GENERAL, OURS)
    bench = table1.experiment(stories, options.out, base, methods, model=options.model)
    batch.paint(bench, default_service(), tell, engine("local", options.workers))
    tools = open_tools(wanted, [options.model])
    painted = {
        name: tuple(run.out for run in bench.runs() if run.method == name) for name in methods
    }
    by_method = {
        name: evaluate(EvaluationRequest(runs), tools=tools) for name, runs in painted.items()
    }
    found = targets(by_method, stories)
    file = options.out / "targets.json"
    file.write_text(
        json.dumps([vars(t) | {"value": plain(t.value)} for t in found], indent=1) + "\n"
    )
    print(table(found))
    print(file)


if __name__ == "__main__":
    main()
