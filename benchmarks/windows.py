"""What a window around each character saves and costs: ``python -m benchmarks.windows --out DIR``.

Held-out people alone and two by two. Every scene gets one template, from which its characters are
denoised again in the whole picture and in windows (`injection.window`); and another as ``fast`` has it,
which is guided in a part of its steps. Ways take turns, so that processor seconds compare: a plain
picture is what the full template took. Quality is held against the whole picture's from the same
template, story by story: faces by the recogniser of drawn people, CLIP, attributes read. The masks are
the templates'. Broken off, it goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.consistency import STORIES, area, gained
from identitystory.config import InjectionConfig, Preset
from identitystory.cost import frame_worth
from identitystory.experiments.instruments import EvaluationRequest, open_tools
from identitystory.injection import kept_latents, present, windows
from identitystory.metrics.evidence import (
    Evidence,
    Instruments,
    MeasuredStory,
    Member,
    Picture,
    look,
)
from identitystory.metrics.intervals import difference, mean_over
from identitystory.metrics.measures import score
from identitystory.models.backend import load_backend
from identitystory.models.files.suited import preset
from identitystory.pipeline import asked_template, find_identity, find_template, inject
from identitystory.protocols import Backend
from identitystory.seeds import derived_seed
from identitystory.settings import Overrides, overridden
from identitystory.story.file import inline_story
from identitystory.types import Identity, Story, Template

PAIRS = (
    "a photo of {%s} and {%s} smiling on a beach",
    "a photo of {%s} and {%s} in an office",
    "a photo of {%s} and {%s} in the forest by day",
)
MEASURES = (
    "Face-Sim", "Face-Sim strict", "face detection", "nearest to own", "CLIP-T", "CLIP-T-C", "CLIP-I",
    "attributes",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A story to paint.

    Attributes:
        name: of its files.
        people: their numbers among the held-out.
        story: its scenes.
    """

    name: str
    people: tuple[int, ...]
    story: Story


def stories(count: int, scenes: int) -> list[Told]:
    """Each held-out person alone, and after every second one both together."""
    entries, made = json.loads(STORIES.read_text(encoding="utf-8"))[:count], []
    line = lambda k: f"P{k}: {entries[k]['description']}"
    name = lambda k: "{P%d}" % k  # noqa: UP031  (braces of a scene, not of an f-string)
    for k, entry in enumerate(entries):
        own = [scene.replace("{Person}", name(k)) for scene in entry["scenes"][:scenes]]
        made.append(Told(f"{k:02d}", (k,), inline_story([line(k)], own)))
        if k % 2:
            both = [scene % (f"P{k - 1}", f"P{k}") for scene in PAIRS[:scenes]]
            told = inline_story([line(k - 1), line(k)], both)
            made.append(Told(f"{k - 1:02d}+{k:02d}", (k - 1, k), told))
    return made


def ways(full: InjectionConfig, window: float) -> dict[str, InjectionConfig]:
    """What is compared, by name; two of one guidance interval share their templates."""
    fast = replace(full, guidance_interval=preset("fast").injection.guidance_interval)
    both = {"full": full, "fast": fast}
    return both | {f"{k}, window": replace(c, window=window) for k, c in both.items()}


class Painting:
    """The model, and what is painted with it into a folder."""

    def __init__(self, out: Path, backend: Backend, base: Preset, window: float) -> None:
        self.out, self.backend, self.base = out, backend, replace(base, attempts=1)
        self.ways = ways(base.injection, window)
        self.log = out / "painted.jsonl"

    def identity(self, told: Told, k: int) -> Identity:
        """The face of held-out person ``k``, searched once."""
        file = self.out / "faces" / f"{k:02d}.safetensors"
        if not file.is_file():
            G_id, config = self.backend.search or self.backend.identity, self.base.discovery
            found, _, _ = find_identity(G_id, told.story.character(f"P{k}"), config, batch=16)
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({"embedding": found.embedding, "kept": found.kept}, file)
        there = load_file(file)
        return Identity(there["embedding"], there["kept"])

    def scene(self, told: Told, n: int) -> list[dict[str, Any]]:
        """Paints scene ``n`` in every way; what each cost."""
        faces = {f"P{k}": self.identity(told, k) for k in told.people}
        scene, seed = told.story.scenes[n], derived_seed("windows", told.name, n)
        templates: dict[object, tuple[Template, float, float]] = {}
        rows: list[dict[str, Any]] = []
        first = len(self.done()) % len(self.ways)  # another begins each time
        for name in [*self.ways, *self.ways][first : first + len(self.ways)]:
            config = self.ways[name]
            key = config.guidance_interval
            if key not in templates:
                templates[key] = self.template(told, n, seed, config)
            template, plain, rest = templates[key]
            began = time.process_time()
            frame = inject(self.backend.identity, told.story, scene, template, faces, config)
            spent = time.process_time() - began
            seen = windows(self.backend.identity, template, config)
            shares = [w.share(template.image.size) if w else 1.0 for w in seen]
            file = self.out / name / f"{told.name}-{n}.png"
            file.parent.mkdir(exist_ok=True)
            frame.save(file)
            np.save(file.with_suffix(".npy"), template.masks.numpy())
            worth = frame_worth(replace(self.base, injection=config), shares)
            rows.append(
                {
                    "story": told.name, "scene": n, "way": name, "found": len(present(template)),
                    "plain s": plain, "template s": plain + rest, "faces s": spent,
                    "shares": shares, "worth": worth,
                }
            )  # fmt: skip
        plain = templates[self.base.injection.guidance_interval][1]
        return [row | {"times plain": (row["template s"] + row["faces s"]) / plain} for row in rows]

    def template(
        self, told: Told, n: int, seed: int, config: InjectionConfig
    ) -> tuple[Template, float, float]:
        """The template; processor seconds of painting it, and of all that is done with it."""
        scene, G, segmenter = told.story.scenes[n], self.backend.general, self.backend.segmenter
        began = time.process_time()
        (z,) = kept_latents(G, [asked_template(told.story, scene, seed, config)])
        middle = time.process_time()
        base = replace(self.base, injection=config)
        made = find_template(G, segmenter, told.story, scene, base, seed=seed, latents=z)
        return made, middle - began, time.process_time() - middle

    def done(self) -> list[dict[str, Any]]:
        """What was noted so far."""
        if not self.log.is_file():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def paint(self, every: Sequence[Told]) -> None:
        """All that is not there."""
        there = {(row["story"], row["scene"]) for row in self.done()}
        for told in every:
            for n in range(len(told.story.scenes)):
                if (told.name, n) not in there:
                    rows = self.scene(told, n)
                    with self.log.open("a", encoding="utf-8") as file:
                        file.write("".join(json.dumps(row) + "\n" for row in rows))
                    print(told.name, n, rows[0]["found"], flush=True)


def costs(rows: Sequence[Mapping[str, Any]], people: int) -> list[str]:
    """A line a way: what scenes cost in which so many were found."""
    lines = ["way | scenes | window's share | calls' worth | of plain's | seconds, times plain"]
    for way in dict.fromkeys(row["way"] for row in rows):
        mine = [row for row in rows if row["way"] == way and row["found"] == people]
        if not mine:
            continue
        mean = lambda values: statistics.fmean(values)
        times = sorted(row["times plain"] for row in mine)
        worth, plain = mean(row["worth"] for row in mine), rows[0]["plain calls"]
        share = mean(s for row in mine for s in row["shares"])
        quarters = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
        spread = f"{quarters[1]:.2f} ({quarters[0]:.2f}, {quarters[2]:.2f})"
        told = f"{len(mine)} | {share:.2f} | {worth:.1f} | {worth / plain:.2f} | {spread}"
        lines.append(f"{way} | {told}")
    return lines


def seen(
    out: Path, way: str, every: Sequence[Told], there: set[tuple[str, int]], tools: Instruments
) -> list[Evidence]:
    """The pictures of one way, looked at."""
    found = []
    for told in every:
        pictures = []
        for n, scene in enumerate(told.story.scenes):
            file = out / way / f"{told.name}-{n}.png"
            if (told.name, n) in there:
                cast = [
                    Member(name, told.story.character(name).description, name)
                    for name in scene.cast
                ]
                masks = torch.from_numpy(np.load(file.with_suffix(".npy")))
                pictures.append(Picture(file, scene.prompt, tuple(cast), masks))
        if pictures:
            story = MeasuredStory(told.name, tuple(pictures), len(told.people), told.name)
            found.append(look(story, tools))
    return found


def quality(looked: Mapping[str, Sequence[Evidence]], tools: Instruments) -> list[str]:
    """A line a measure: the mean of each way, and what windows have more than whole pictures."""
    scores = {
        way: [{s.name: s.value for s in score([e], tools, samples=0, only=MEASURES)} for e in some]
        for way, some in looked.items()
    }
    lines = [" | ".join(["measure", *looked, "full", "fast"])]
    told = lambda m, a, b: f"{m:+.3f}" if a is None else f"{m:+.3f} [{a:+.3f}, {b:+.3f}]"
    for name in MEASURES:
        of = {
            way: [table.get(name, float("nan")) for table in tables]
            for way, tables in scores.items()
        }
        means = [f"{mean_over(values)[0]:.3f}" for values in of.values()]
        apart = [difference(of[f"{way}, window"], of[way])[:3] for way in ("full", "fast")]
        lines.append(" | ".join([name, *means, *(told(*d) for d in apart if d[0] is not None)]))
    assert tools.recogniser is not None  # noqa: S101
    areas = {way: area(some, tools.recogniser) for way, some in looked.items()}
    count = len(looked["full"])
    means = [f"{a(torch.ones(count, dtype=torch.float64)):.3f}" for a in areas.values()]
    gains = [gained(areas[f"{way}, window"], areas[way], count) for way in ("full", "fast")]
    lines.append(" | ".join(["AUC", *means, *(told(*g.values()) for g in gains)]))
    return lines


def sheet(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """``sheet.png``: a line a scene, a column a way."""
    names = list(dict.fromkeys((row["story"], row["scene"]) for row in rows))
    columns = sorted({row["way"] for row in rows}, key=lambda way: (way[:4] == "fast", way))
    pictures = [[Image.open(out / way / f"{s}-{n}.png") for way in columns] for s, n in names]
    width, height = pictures[0][0].size
    made = Image.new("RGB", (width * len(columns), height * len(names)))
    for y, line in enumerate(pictures):
        for x, picture in enumerate(line):
            made.paste(picture, (x * width, y * height))
    made.save(out / "sheet.png")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--stories", type=int, default=8)
    parser.add_argument("--scenes", type=int, default=3, help="of each story, 3 at most")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--portraits", type=int, default=16)
    parser.add_argument("--window", type=float, default=0.0, help="margin, of a picture of 1024")
    parser.add_argument("--look", action="store_true", help="at what is there; paint nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    base, _ = overridden(
        preset("recommended", options.model),
        Overrides(steps=options.steps, portraits=options.portraits),
    )
    every = stories(options.stories, min(options.scenes, len(PAIRS)))
    backend = load_backend(
        options.model,
        sampler=base.sampler,
        num_steps=base.num_steps,
        search_steps=base.discovery.search_steps,
    )
    painting = Painting(options.out, backend, base, options.window)
    with torch.no_grad():
        if not options.look:
            painting.paint(every)
        rows = [row | {"plain calls": 2 * base.num_steps} for row in painting.done()]
        there = {(row["story"], row["scene"]) for row in rows}
        for people in (1, 2):
            print(f"\n{people} found", *costs(rows, people), sep="\n")
        tools = open_tools(
            EvaluationRequest((), faces="little-people"), [options.model]
        ).instruments
        tools = replace(tools, segmenter=None, judge=None)
        order = ["full", "full, window", "fast", "fast, window"]
        for people in (1, 2):
            some = [told for told in every if len(told.people) == people]
            looked = {way: seen(options.out, way, some, there, tools) for way in order}
            print(f"\n{people} asked for, {len(looked['full'])} stories", sep="\n")
            print(*quality(looked, tools), sep="\n", flush=True)
    sheet(options.out, rows)


if __name__ == "__main__":
    main()
