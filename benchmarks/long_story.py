"""Does anything grow in a long story? ``python -m benchmarks.long_story --out runs/long``.

Paints one story of ``--frames`` scenes from one cast, with few steps, through the door that the command
line takes, and looks at every frame when it is stored: memory of the process, processor seconds since the
frame before, and how near the picture lies to the identity it was painted with (cosine in the
identity encoder's own space; scenes with two people are left out). The first and the last hundred are
then held against each other. Also: processor seconds of planning 1,000 scenes. Writes long_story.json and,
where matplotlib is installed, long_story.png.

Seconds are the process's own, so that other work on the machine counts little; ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.cost import machine
from identitystory.metrics.intervals import mean_over
from identitystory.models.describe import describe_model
from identitystory.runs.events import FrameReady
from identitystory.runs.folder import RunFolder, read_identity
from identitystory.runs.options import new_request
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service, load_model
from identitystory.settings import Overrides
from identitystory.story.file import inline_story
from identitystory.types import Story

CAST = ["Mara: a young woman with long red hair", "Tom: an old man with a white beard"]
PLACES = (
    "on a beach",
    "in a forest",
    "in a library",
    "in a cafe",
    "in a garden",
    "in snowy mountains",
)
MOODS = ("smiling", "laughing", "sad", "calm", "surprised")
PLANNED = 1000


@dataclass(frozen=True)
class Sample:
    """One frame when it is stored.

    Attributes:
        frame: from 1.
        mebibytes: resident memory of the process.
        seconds: processor time since the frame before.
        near: cosine to the identity of the one who is in it; None with two people.
    """

    frame: int
    mebibytes: float
    seconds: float
    near: float | None


def long_story(count: int) -> Story:
    """``count`` scenes of one cast: portraits of the two in turn, and both together in every tenth."""
    scenes = []
    for n in range(count):
        place, mood = PLACES[n % len(PLACES)], MOODS[n // 7 % len(MOODS)]
        who = (
            "{Mara} and {Tom}"
            if n % 10 == 9
            else ("a portrait of {Mara}", "a portrait of {Tom}")[n % 2]
        )
        scenes.append(f"{who} {mood} {place} at house {n + 1}")
    return inline_story(CAST, scenes, title="A long story")


def planning(out: Path, count: int = PLANNED) -> dict[str, float]:
    """Processor seconds of reading and planning a story of so many scenes."""
    began = time.process_time()
    story = long_story(count)
    read = time.process_time()
    request = new_request(story, out)
    facts = describe_model(request.model, "cpu", "auto")
    known = time.process_time()
    make_plan(request, facts, None)
    return {"read": read - began, "model": known - read, "plan": time.process_time() - known}


def painted(request: RunRequest) -> Iterator[Sample]:
    """A sample of each frame, as they are stored."""
    opened: list[Any] = []
    service = Service(load=lambda *a, **k: opened.append(load_model(*a, **k)) or opened[-1])
    folder, scenes = RunFolder(request.out), request.story.scenes
    spent = time.process_time()
    for event in service.run(request):
        if not isinstance(event, FrameReady):
            continue
        took = time.process_time() - spent
        cast, near = scenes[event.index].cast, None
        if len(cast) == 1:
            image = Image.open(folder.frame(event.index)).convert("RGB")
            e = read_identity(folder.identity(cast[0])).embedding
            with torch.no_grad():
                seen = opened[0].identity.embed([image])[0]
            near = float(torch.nn.functional.cosine_similarity(seen, e, dim=0))
        yield Sample(event.index + 1, _resident(), took, near)
        spent = time.process_time()


def _resident() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def compared(samples: Sequence[Sample], of: int = 100) -> dict[str, Any]:
    """The first and the last ``of`` frames, less where there are fewer than twice as many.

    Which of two sets of scenes is nearer is the interval's matter: the scenes are of the same kinds.
    """
    of = min(of, len(samples) // 2)
    parts = samples[:of], samples[-of:]
    told: dict[str, Any] = {"frames": len(samples), "of": of}
    for name in ("mebibytes", "seconds", "near"):
        values = [[v for s in some if (v := getattr(s, name)) is not None] for some in parts]
        told[name] = [[round(v or 0.0, 4) for v in mean_over(some)[:3]] for some in values]
        told[f"{name}, last by first"] = round(told[name][1][0] / told[name][0][0], 4)
    first, last = told["near"]
    told["identity flat"] = first[1] <= last[0] <= first[2] or last[1] <= first[0] <= last[2]
    told["memory flat"] = abs(told["mebibytes, last by first"] - 1) <= 0.05
    return told


def draw(samples: Sequence[Sample], file: Path) -> None:
    """Memory, seconds and nearness by frame, each with a running mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.6), layout="constrained")
    names = {
        "mebibytes": "memory, MiB",
        "seconds": "processor s a frame",
        "near": "cosine to identity",
    }
    for axis, (name, label) in zip(figure.subplots(1, 3), names.items(), strict=True):
        known = [(s.frame, v) for s in samples if (v := getattr(s, name)) is not None]
        x, y = (list(some) for some in zip(*known, strict=True))
        axis.plot(x, y, ".", markersize=1.5, color="#b8b8b8")
        wide = max(1, len(y) // 20)
        means = [sum(y[k : k + wide]) / wide for k in range(len(y) - wide + 1)]
        axis.plot(x[wide // 2 :][: len(means)], means, color="#1f5fbf", linewidth=1.2)
        axis.set(xlabel="frame", title=label, ylim=(min(0, *y), 1.15 * max(y)))
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100, metadata={"Software": None})


def main() -> None:
    """Paints, tells, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument(
        "--model", help="default: the miniature; a folder of random weights tells of all but faces"
    )
    parser.add_argument("--minutes", type=float, help="stop after so many minutes of the clock")
    given = parser.parse_args()
    torch.set_num_threads(1)
    told: dict[str, Any] = {
        "machine": machine(torch.device("cpu")),
        "planning": planning(given.out),
    }
    print(json.dumps(told["planning"]), flush=True)
    few = Overrides(steps=given.steps, portraits=32)
    story, where = long_story(given.frames), {"model": given.model, "device": "cpu"}
    request = new_request(story, given.out / "run", few, **where)
    samples: list[Sample] = []
    began, frames = time.monotonic(), painted(request)
    try:
        for sample in frames:
            samples.append(sample)
            if given.minutes and time.monotonic() - began > 60 * given.minutes:
                break
    except KeyboardInterrupt:
        pass
    finally:
        frames.close()  # type: ignore[attr-defined]
    told |= {"steps": given.steps, **compared(samples)}
    print(json.dumps(told, indent=2))
    told["samples"] = [asdict(sample) for sample in samples]
    (given.out / "long_story.json").write_text(json.dumps(told, indent=1) + "\n")
    draw(samples, given.out / "long_story.png")


if __name__ == "__main__":
    main()
