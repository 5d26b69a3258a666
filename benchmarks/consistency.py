"""Does each character keep one face? ``python benchmarks/consistency.py --out runs/consistency``.

Paints 20 stories of one character (held-out people and scenes, 4 pictures each) and asks a
recogniser that knows nothing of us, dlib's: in how many pictures is there a face, and are two
pictures of one character more alike than pictures of two? The same is asked of the templates, the
general generator's pictures before the identity is injected. Broken off, it goes on.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch

from identitystory import grid
from identitystory.cli import default_service
from identitystory.engines import engine
from identitystory.evaluation import Wanted, evaluate, read_run
from identitystory.metrics.faces import DLIB_THRESHOLD, load_recogniser
from identitystory.metrics.intervals import Statistic, bootstrap
from identitystory.metrics.suite import Instruments, look, pooled
from identitystory.plan import RunRequest
from identitystory.requests import new_request
from identitystory.service import Service
from identitystory.story import inline_story

STORIES = Path(__file__).with_name("held_out_stories.json")


def paint(service: Service, run: RunRequest) -> str:
    """Paints what is not there yet; an engine's work."""
    grid.paint(run, service)
    return ""


def measure(folders: list[Path], *, templates: bool) -> dict[str, float]:
    """Detection rate, AUC and mean distances; the package's own measures (``metrics/suite.py``).

    ``auc``: every pair of one character against every pair of two, over pictures with a face.
    ``within``, ``between``: mean distances of these pairs, the first averaged story by story.
    """
    wanted = Wanted(tuple(folders), templates=templates, clip="none", faces="dlib")
    result = evaluate(wanted)
    score = {s.name: s.value for s in result.groups["all"]}
    distance = lambda similarity: round((1 - similarity) * 2 * DLIB_THRESHOLD, 3)
    return {
        "frames": result.sizes["all"][1],
        "detection": round(score["face detection"], 3),
        "auc": round(score["AUC"], 3),
        "within": distance(score["Face-Sim"]),
        "between": distance(score["Face-Sim different"]),
    }


def areas(folders: list[Path], *, templates: bool) -> Statistic:
    """The AUC of ``measure`` as a function of how often each story counts."""
    recogniser = load_recogniser("dlib", None)
    instruments = Instruments(recogniser=recogniser)
    seen = [look(read_run(folder, templates=templates), instruments) for folder in folders]
    faces = torch.cat([s.faces for s in seen if len(s.faces)])
    return pooled(recogniser.similarity(faces, faces), seen)[1]


def gained(with_identity: Statistic, without: Statistic, stories: int) -> dict[str, float]:
    """What the AUC gains by the identity, and its 95 % interval over the same drawn stories."""
    gain = lambda weights: with_identity(weights) - without(weights)
    low, high = bootstrap(gain, stories) or (float("nan"), float("nan"))
    value = gain(torch.ones(stories, dtype=torch.float64))
    return {"auc": round(value, 3), "low": round(low, 3), "high": round(high, 3)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/consistency"))
    parser.add_argument("--stories", type=int, default=20)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--preset", default="recommended")
    parser.add_argument("--portraits", type=int)
    parser.add_argument("--distilled", action="store_true", default=None)
    parser.add_argument("--reuse", type=int)
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    options = parser.parse_args()
    runs = [
        new_request(
            inline_story([f"Person: {entry['description']}"], entry["scenes"]),
            options.out / f"{k:02d}",
            model=options.model,
            preset_name=options.preset,
            portraits=options.portraits,
            distilled=options.distilled,
            reuse=options.reuse,
        )
        for k, entry in enumerate(json.loads(STORIES.read_text())[: options.stories])
    ]
    work = partial(paint, grid.one_model(default_service()))
    for run, wrong in engine("local", options.workers).map(work, runs):
        if wrong:
            raise SystemExit(f"{run.out}: {wrong}; the same command goes on")
        print(f"{run.out}: {run.story.characters[0].description}", flush=True)
    folders = [run.out for run in runs]
    result = {
        "with identity": measure(folders, templates=False),
        "without (template)": measure(folders, templates=True),
        "gained": gained(
            areas(folders, templates=False), areas(folders, templates=True), len(folders)
        ),
    }
    (options.out / "consistency.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, numbers in result.items():
        print(f"{name:20s}", "  ".join(f"{k} {v}" for k, v in numbers.items()))


if __name__ == "__main__":
    main()
