"""How far is the miniature from what it should do? ``python benchmarks/targets.py --workers 2``.

Paints stories of ``little_people`` twice, from two seeds, so that each description has two characters,
by three methods: IdentityStory, the general generator and the identity generator alone. Then it
holds dlib's and the attribute reader's numbers against goals. Seed 0 is the bench of ``make results``
if that is there; broken off, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from identitystory import bench, grid
from identitystory.ablation import DIRECT
from identitystory.baselines.registry import OURS
from identitystory.cli import default_service
from identitystory.config import preset
from identitystory.engines import engine
from identitystory.evaluation import Evaluation, Wanted, evaluate, open_tools
from identitystory.metrics.suite import Score

GENERAL = "general"
ONE, TWO = "1 character", "2 characters"


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


def targets(by_method: Mapping[str, Evaluation]) -> list[Target]:
    """The goals, and what was measured of each method's stories."""
    scores: dict[str, dict[str, dict[str, Score]]] = {
        name: {group: {s.name: s for s in table} for group, table in e.groups.items()}
        for name, e in by_method.items()
    }
    ours = scores[OURS]
    of = lambda name, group, measure: scores[name][group][measure].value

    def plain(what: str, group: str, measure: str, wanted: float) -> Target:
        s = ours[group][measure]
        interval = "" if s.low is None else f"[{s.low:.3f}, {s.high:.3f}]"
        return Target(what, group, wanted, s.value, interval)

    return [
        plain("faces found in portraits and half-bodies", ONE, "face detection", 0.97),
        plain("AUC, other characters of the same description", ONE, "AUC alike", 0.95),
        Target(
            "Face-Sim, times the general generator's", ONE, 2.0,
            of(OURS, ONE, "Face-Sim") / of(GENERAL, ONE, "Face-Sim"),
        ),
        Target(
            "attributes, less the general generator's", ONE, -0.02,
            of(OURS, ONE, "attributes") - of(GENERAL, ONE, "attributes"),
        ),
        Target(
            "attributes, less the identity generator's alone", ONE, 0.02,
            of(OURS, ONE, "attributes") - of(DIRECT, ONE, "attributes"),
        ),
        plain("both faces found", TWO, "all faces of a crowd", 0.80),
        plain("faces nearest to their own character", TWO, "nearest to own", 0.90),
    ]  # fmt: skip


def table(found: list[Target]) -> str:
    """Markdown."""
    lines = [
        "| what | stories of | goal | measured | 95 % interval | reached |",
        "| --- " * 6 + "|",
    ]
    for t in found:
        reached = "yes" if t.value >= t.wanted else "no"
        lines.append(
            f"| {t.what} | {t.group} | {t.wanted:.2f} | {t.value:.3f} | {t.interval} | {reached} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/table1"), help="seed 0; others beside"
    )
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--preset", default="recommended")
    parser.add_argument("--stories", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2, help="characters of each description")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    options = parser.parse_args()
    stories = grid.load_stories("little_people", options.stories, options.scenes)
    service = default_service()
    methods = (GENERAL, DIRECT, OURS)
    benches = [
        bench.BenchRequest(
            stories,
            options.out if seed == 0 else options.out.with_name(f"{options.out.name}-seed{seed}"),
            preset(options.preset, options.model),
            methods,
            model=options.model,
            seed=seed,
        )
        for seed in range(options.seeds)
    ]
    for request in benches:
        say = lambda line, seed=request.seed: print(f"seed {seed}: {line}", flush=True)
        bench.paint(request, service, say, engine("local", options.workers))
    tools = open_tools(Wanted(()), [options.model])
    by_method = {
        name: evaluate(
            Wanted(tuple(b.run(name, s).out for b in benches for s in stories)), tools=tools
        )
        for name in methods
    }
    found = targets(by_method)
    file = options.out / "targets.json"
    file.write_text(json.dumps([vars(t) for t in found], indent=1) + "\n")
    print(table(found))
    print(file)


if __name__ == "__main__":
    main()
