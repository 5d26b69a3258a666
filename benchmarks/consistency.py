"""Does each character keep one face? ``python benchmarks/consistency.py --out runs/consistency``.

Paints 20 stories of one character (held-out people and scenes, 4 pictures each) and asks two
recognisers, dlib's, which knows nothing of us, and the one of drawn people, which knows little else:
in how many pictures is there a face, and are two pictures of one character more alike than pictures
of two? The same is asked of the templates, the general generator's pictures before the identity is
injected. Broken off, it goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from identitystory.cli.main import default_service
from identitystory.errors import IdentityStoryError
from identitystory.experiments.batch import make_run
from identitystory.experiments.evaluate import read_run
from identitystory.experiments.instruments import EvaluationRequest, open_tools
from identitystory.experiments.workers import engine
from identitystory.metrics.evidence import Evidence, Instruments, look
from identitystory.metrics.intervals import Statistic, bootstrap, difference
from identitystory.metrics.measures import score
from identitystory.metrics.pooling import pooled
from identitystory.protocols import FaceRecogniser
from identitystory.runs.options import new_request
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service, one_model
from identitystory.settings import Overrides
from identitystory.story.file import inline_story

STORIES = Path(__file__).with_name("held_out_stories.json")


def paint(service: Service, run: RunRequest) -> str:
    """Paints what is not there yet; an engine's work."""
    make_run(run, service)
    return ""


def measure(seen: Sequence[Evidence], instruments: Instruments) -> dict[str, float]:
    """Detection rate, AUC and mean similarities; the package's own measures (``metrics/measures.py``).

    ``AUC``: every pair of one character against every pair of two, over pictures with a face.
    ``Face-Sim``, ``Face-Sim different``: mean similarities of these pairs on the recogniser's scale.
    """
    found = {s.name: round(s.value, 3) for s in score(seen, instruments)}
    names = ("face detection", "AUC", "Face-Sim", "Face-Sim different")
    return {"frames": sum(len(s.story.pictures) for s in seen)} | {n: found[n] for n in names}


def area(seen: Sequence[Evidence], recogniser: FaceRecogniser) -> Statistic:
    """The AUC of ``measure`` as a function of how often each story counts."""
    faces = torch.cat([s.faces for s in seen if len(s.faces)])
    return pooled(recogniser.similarity(faces, faces), seen)[1]


def gained(with_identity: Statistic, without: Statistic, stories: int) -> dict[str, float]:
    """What the AUC gains by the identity, and its 95 % interval over the same drawn stories."""
    gain = lambda weights: with_identity(weights) - without(weights)
    low, high = bootstrap(gain, stories) or (float("nan"), float("nan"))
    value = gain(torch.ones(stories, dtype=torch.float64))
    return {"auc": round(value, 3), "low": round(low, 3), "high": round(high, 3)}


def gains(
    frames: Sequence[Evidence], templates: Sequence[Evidence], instruments: Instruments
) -> dict[str, list[float | None]]:
    """What frames have more than their templates, story by story: (mean, low, high)."""
    by_story = [[score([s], instruments) for s in seen] for seen in (frames, templates)]
    found: dict[str, list[float | None]] = {}
    for name in ("Face-Sim", "Face-Sim strict", "face detection"):
        values = [
            [s.value for table in tables for s in table if s.name == name] for tables in by_story
        ]
        *numbers, _ = difference(*values)
        found[name] = [None if v is None else round(v, 3) for v in numbers]
    return found


def compared(runs: Sequence[RunRequest], instruments: Instruments) -> dict[str, dict[str, Any]]:
    """Frames and templates of finished runs, and what the first have more."""
    frames, templates = (
        [look(read_run(run.out, templates=which), instruments) for run in runs]
        for which in (False, True)
    )
    with_identity, without = (area(seen, instruments.recogniser) for seen in (frames, templates))
    return {
        "with identity": measure(frames, instruments),
        "without (template)": measure(templates, instruments),
        "gained": gained(with_identity, without, len(runs)) | gains(frames, templates, instruments),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/consistency"))
    parser.add_argument("--stories", type=int, default=20)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--preset", default="recommended")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--portraits", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--distilled", action="store_true", default=None)
    parser.add_argument("--reuse", type=int)
    parser.add_argument("--faces", nargs="+", default=["dlib", "little-people"])
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    options = parser.parse_args()
    try:  # what is not here is known before the painting
        instruments = {
            name: open_tools(
                EvaluationRequest((), clip="none", faces=name), [options.model]
            ).instruments
            for name in options.faces
        }
    except IdentityStoryError as error:
        parser.error(str(error))
    runs = [
        new_request(
            inline_story([f"Person: {entry['description']}"], entry["scenes"]),
            options.out / f"{k:02d}",
            Overrides(
                steps=options.steps,
                portraits=options.portraits,
                distilled=options.distilled,
                reuse=options.reuse,
            ),
            model=options.model,
            preset_name=options.preset,
            seed=options.seed,
        )
        for k, entry in enumerate(json.loads(STORIES.read_text())[: options.stories])
    ]
    work = partial(paint, one_model(default_service()))
    for run, wrong in engine("local", options.workers).map(work, runs):
        if wrong:
            raise SystemExit(f"{run.out}: {wrong}; the same command goes on")
        print(f"{run.out}: {run.story.characters[0].description}", flush=True)
    result = {name: compared(runs, replace(i, reader=None)) for name, i in instruments.items()}
    (options.out / "consistency.json").write_text(json.dumps(result, indent=1) + "\n")
    for recogniser, rows in result.items():
        print(recogniser)
        for name, numbers in rows.items():
            print(f"  {name:20s}", "  ".join(f"{k} {v}" for k, v in numbers.items()))


if __name__ == "__main__":
    main()
