"""What does mending gain? ``python -m benchmarks.repair --stories 40 --scenes 2 --steps 8 --portraits 8``.

Paints every story once. Then two copies of it get the same budget in network calls: one is mended
(`identitystory repair`), in the other each frame is painted with as many other seeds as the budget
allows, and the best is chosen, by the same check. Beside what the check says of both stands what it
does not know of: CLIP's scores, and face detection and Face-Sim of another recogniser than the check's,
``--faces``. Intervals are over stories. Broken off, it goes on with the same command.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.options import hold
from identitystory.cli.main import default_service
from identitystory.cost import frame_evaluations
from identitystory.errors import ConfigError
from identitystory.experiments.batch import make_run
from identitystory.experiments.evaluate import read_run
from identitystory.experiments.instruments import EvaluationRequest, open_tools
from identitystory.metrics.evidence import Instruments, look
from identitystory.metrics.intervals import difference
from identitystory.metrics.measures import score
from identitystory.runs import repair
from identitystory.runs.looking import Eyes, Frame, check, eyes
from identitystory.runs.options import new_request
from identitystory.runs.service import Service, one_model
from identitystory.runs.shards import shard
from identitystory.runs.tries import Best, Templates
from identitystory.seeds import derived_seed
from identitystory.settings import Overrides
from identitystory.story.sets import load_stories
from identitystory.types import Story, Template

ARMS = ("once", "seeds", "mended")
OTHERS = ("CLIP-T", "CLIP-T-C", "CLIP-I", "face detection", "Face-Sim", "Face-Sim strict")


class BestOf(repair.Repair):
    """The other arm: every frame gets other seeds, whole pictures, whatever is wrong with it."""

    def _suspects(self) -> list[Best]:
        """All frames."""
        seen = ((n, key, self.looked.frames[key]) for n, key in self.ready.items())
        return [Best(n, key, found) for n, key, found in seen]

    def work(self) -> dict[int, Best]:
        """One seed a frame in turn, while the budget lasts."""
        every = self._suspects()
        while every:
            one = min(every, key=lambda best: (best.seeds, best.index))
            if self._cost(one.index) > self.budget - self.calls:
                break
            self._try(one)
        return {best.index: best for best in every}

    def _try(self, best: Best) -> None:
        seed = derived_seed("best of", self.places[best.index], best.seeds)
        best.seeds += 1
        self._paint(best, seed, self.request.preset, Templates(), "another seed")

    def _look(self, best: Best, index: int, template: Template) -> None:
        """No template is thrown away."""


def measured(frames: Sequence[Frame], run: Path, others: Instruments) -> dict[str, float]:
    """What the check says of a run's frames, and what ``others`` do."""
    n = len(frames)
    own = [mark == "own" for f in frames for mark in f.found.marks.values()]
    found = {
        "suspicion": sum(f.found.suspicion for f in frames) / n,
        "frames without a fault": sum(not f.found.faults for f in frames) / n,
        "marked as their own": sum(own) / max(1, len(own)),
        "likeness": -sum(f.found.rank[1] for f in frames) / n,
    }
    scores = score([look(read_run(run), others)], others, samples=0, only=OTHERS)
    return found | {s.name: s.value for s in scores}


def arm(name: str, by: Eyes, service: Service, budget: int) -> tuple[list[Frame], int]:
    """The frames of a run after mending, or after the other arm's seeds; and the calls spent."""
    if name == "once":
        return check(by), 0
    kind = repair.Repair if name == "mended" else BestOf
    done = repair.repair(by, service, budget, kind=kind)
    return done.frames, done.calls


def table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A line a measure: the mean of each arm, and what mending has more than seeds."""
    names = list(next(iter(results.values()))["once"])
    lines = [f"{len(results)} stories", "measure | once | seeds | mended | mended - seeds [95 %]"]
    for name in names:
        columns = {a: [r[a][name] for r in results.values()] for a in ARMS}
        means = [torch.tensor(columns[a], dtype=torch.float64).nanmean().item() for a in ARMS]
        gain, low, high, _ = difference(columns["mended"], columns["seeds"])
        between = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        shown = "none" if gain is None else f"{gain:.3f}{between}"
        lines.append(" | ".join([name, *(f"{mean:.3f}" for mean in means), shown]))
    return "\n".join(lines)


def chosen(count: int, scenes: int) -> list[tuple[str, Story]]:
    """So many stories of ``little_people``, those of two characters spread among those of one."""
    splits: dict[int, list[Story]] = {}
    for story in load_stories("little_people", None, scenes):
        splits.setdefault(len(story.characters), []).append(story)
    placed = [((n + 0.5) / len(some), s) for some in splits.values() for n, s in enumerate(some)]
    order = [story for _, story in sorted(placed, key=lambda pair: pair[0])]
    return [(f"{n:02d}", story) for n, story in enumerate(order[:count])]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/repair"))
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--stories", type=int, default=40)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--portraits", type=int, default=8)
    parser.add_argument(
        "--times", type=float, default=2.0, help="budget, in paintings of the frames"
    )
    parser.add_argument("--faces", default="little-people", help="as evaluate's")
    parser.add_argument("--shard", default="1/1", help="every Nth story from the Ith on, as I/N")
    options = parser.parse_args()
    hold(options.out, options, ("out", "stories", "shard"))
    service = one_model(default_service())
    tools = open_tools(EvaluationRequest((), faces=options.faces, measures=OTHERS), [options.model])
    for what, why in tools.not_measured.items():
        print(f"not measured: {what}: {why}")
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, story in shard(options.shard).of(chosen(options.stories, options.scenes)):
        kept = options.out / f"{name}.json"
        if kept.is_file():
            results[name] = json.loads(kept.read_text())
            continue
        once, found = options.out / "once" / name, {}
        few = Overrides(steps=options.steps, portraits=options.portraits)
        make_run(new_request(story, once, few, model=options.model), service)
        for which in ARMS:
            run = options.out / which / name
            if run != once:  # what a broken-off arm has spent is not known
                shutil.rmtree(run, ignore_errors=True)
                shutil.copytree(once, run)
            by = eyes(service, run)
            if by.marks is None:
                raise ConfigError(f"{options.model} is not calibrated; see benchmarks/marks.py")
            people = sum(len(scene.cast) for scene in story.scenes)
            price = frame_evaluations(by.request.preset, people, templates=len(story.scenes))
            frames, calls = arm(which, by, service, round(options.times * price))
            found[which] = measured(frames, run, tools.instruments) | {"calls": float(calls)}
        kept.write_text(json.dumps(found))
        results[name] = found
        print(table(results), flush=True)


if __name__ == "__main__":
    main()
