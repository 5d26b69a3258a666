"""What a window around each character saves and costs: ``python -m benchmarks.windows --out DIR``.

Held-out people alone and two by two. Every scene gets one template, from which its characters are
denoised again in the whole picture and in windows (`injection.window`); and another as ``fast`` has it,
which is guided in a part of its steps. All ways are painted in one run, scene by scene, so that processor
seconds compare: a plain picture is what the full template took. Quality is held against the whole picture's from the same
template, story by story: faces by the recogniser of drawn people, CLIP, attributes read. The masks are
the templates'. Broken off, it goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
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
from benchmarks.options import hold
from identitystory.attempts import find_template
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
from identitystory.pipeline import asked_template, find_identity, inject
from identitystory.protocols import Backend
from identitystory.sampling import sized
from identitystory.seeds import attempt_seed, derived_seed
from identitystory.settings import Overrides, overridden
from identitystory.story.file import inline_story
from identitystory.types import Identity, Story, Template

PAIRS = (
    "a portrait of {%s} and {%s} smiling on a beach by day",
    "a portrait of {%s} and {%s} laughing in an office",
    "a portrait of {%s} and {%s} happy in the forest by day",
)
WIDE = "384x256"  # of a picture of two
TRIES = 3  # templates a scene
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
    """Each held-out person alone, and after every fourth one four pairs of the four."""
    entries, made = json.loads(STORIES.read_text(encoding="utf-8"))[:count], []
    line = lambda k: f"P{k}: {entries[k]['description']}"
    name = lambda k: "{P%d}" % k  # noqa: UP031  (braces of a scene, not of an f-string)
    for k, entry in enumerate(entries):
        own = [scene.replace("{Person}", name(k)) for scene in entry["scenes"][:scenes]]
        made.append(Told(f"{k:02d}", (k,), inline_story([line(k)], own)))
        pairs = ((k - 3, k - 2), (k - 1, k), (k - 3, k - 1), (k - 2, k)) if k % 4 == 3 else ()
        for a, b in pairs:
            both = [scene % (f"P{a}", f"P{b}") for scene in PAIRS[:scenes]]
            told = inline_story([line(a), line(b)], both)
            wide = tuple(replace(scene, shape=WIDE) for scene in told.scenes)
            made.append(Told(f"{a:02d}+{b:02d}", (a, b), replace(told, scenes=wide)))
    return made


def ways(
    full: InjectionConfig, margins: Sequence[float], *, fast: bool = False
) -> dict[str, InjectionConfig]:
    """What is compared, by name: ``full`` with each margin, and if asked ``fast`` with the last of them."""
    made = {"full": full} | {f"full, {w:g}": replace(full, window=w) for w in margins}
    if not fast:
        return made
    early = replace(full, guidance_interval=preset("fast").injection.guidance_interval)
    return made | {"fast": early, f"fast, {margins[-1]:g}": replace(early, window=margins[-1])}


def whole(way: str) -> str:
    """The way that one with windows is held against."""
    return way.partition(",")[0]


class Painting:
    """The model, and what is painted with it into a folder."""

    def __init__(
        self, out: Path, backend: Backend, base: Preset, made: dict[str, InjectionConfig]
    ) -> None:
        self.out, self.backend, self.base = out, backend, replace(base, attempts=1)
        self.ways = made
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
        rows: dict[str, dict[str, Any]] = {}
        for name, config in self.ways.items():
            key = config.guidance_interval
            if key not in templates:
                templates[key] = self.template(told, n, seed, config)
            template, plain, rest = templates[key]
            file = self.out / name / f"{told.name}-{n}.png"
            file.parent.mkdir(exist_ok=True)
            np.save(file.with_suffix(".npy"), template.masks.numpy())
            seen = windows(sized(self.backend.identity, scene), template, config)
            if whole(name) in rows and not any(seen):  # nothing is left out
                shutil.copy(self.out / whole(name) / file.name, file)
                rows[name] = rows[whole(name)] | {"way": name}
                continue
            began = time.process_time()
            frame = inject(self.backend.identity, told.story, scene, template, faces, config)
            spent = time.process_time() - began
            frame.save(file)
            shares = [w.share(template.image.size) if w else 1.0 for w in seen]
            worth = frame_worth(replace(self.base, injection=config), shares)
            rows[name] = {
                "story": told.name, "scene": n, "way": name, "found": len(present(template)),
                "template s": plain + rest, "faces s": spent, "shares": shares, "worth": worth,
            }  # fmt: skip
        plain = templates[self.base.injection.guidance_interval][1]
        total = lambda row: row["template s"] + row["faces s"]
        return [
            row | {"plain s": plain, "times plain": total(row) / plain} for row in rows.values()
        ]

    def template(
        self, told: Told, n: int, seed: int, config: InjectionConfig
    ) -> tuple[Template, float, float]:
        """The first of three that shows everybody, or the last; seconds of painting it, and of the rest."""
        scene, segmenter = told.story.scenes[n], self.backend.segmenter
        G = sized(self.backend.general, scene)
        base = replace(self.base, injection=config)
        for attempt in range(TRIES):
            own = attempt_seed(seed, attempt)
            began = time.process_time()
            (z,) = kept_latents(G, [asked_template(told.story, scene, own, config)])
            middle = time.process_time()
            made = find_template(G, segmenter, told.story, scene, base, seed=own, latents=z)
            end = time.process_time()
            if not made.missing:
                break
        return made, middle - began, end - middle

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
    windowed = [way for way in looked if whole(way) != way]
    lines = [" | ".join(["measure", *looked, *(f"{way} - {whole(way)}" for way in windowed)])]
    told = lambda m, a, b: f"{m:+.3f}" if a is None or a != a else f"{m:+.3f} [{a:+.3f}, {b:+.3f}]"
    for name in MEASURES:
        of = {way: [row.get(name, float("nan")) for row in rows] for way, rows in scores.items()}
        means = [f"{mean_over(values)[0]:.3f}" for values in of.values()]
        apart = [difference(of[way], of[whole(way)])[:3] for way in windowed]
        lines.append(" | ".join([name, *means, *(told(*d) for d in apart if d[0] is not None)]))
    assert tools.recogniser is not None  # noqa: S101
    areas = {way: area(some, tools.recogniser) for way, some in looked.items()}
    count = len(looked["full"])
    means = [f"{a(torch.ones(count, dtype=torch.float64)):.3f}" for a in areas.values()]
    gains = [gained(areas[way], areas[whole(way)], count) for way in windowed]
    lines.append(" | ".join(["AUC", *means, *(told(*g.values()) for g in gains)]))
    return lines


def sheet(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """``sheet.png``: a line a scene, a column a way."""
    names = list(dict.fromkeys((row["story"], row["scene"]) for row in rows))
    columns = list(dict.fromkeys(row["way"] for row in rows))
    pictures = [[Image.open(out / way / f"{s}-{n}.png") for way in columns] for s, n in names]
    width, height = (max(line[0].size[axis] for line in pictures) for axis in (0, 1))
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
    parser.add_argument(
        "--margins", type=float, nargs="+", default=[0.0, 64.0], help="at 1024 pixels"
    )
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2], help="of a story")
    parser.add_argument("--fast", action="store_true", help="with that preset's guidance, too")
    parser.add_argument("--look", action="store_true", help="at what is there; paint nothing")
    options = parser.parse_args()
    hold(options.out, options, ("out", "stories", "scenes", "people", "look"))
    base, _ = overridden(
        preset("recommended", options.model),
        Overrides(steps=options.steps, portraits=options.portraits),
    )
    told = stories(options.stories, min(options.scenes, len(PAIRS)))
    every = [each for each in told if len(each.people) in options.people]
    made = ways(base.injection, options.margins, fast=options.fast)
    backend = load_backend(
        options.model,
        sampler=base.sampler,
        num_steps=base.num_steps,
        search_steps=base.discovery.search_steps,
    )
    painting = Painting(options.out, backend, base, made)
    with torch.no_grad():
        if not options.look:
            painting.paint(every)
        names = {each.name for each in every}
        rows = [
            row | {"plain calls": 2 * base.num_steps}
            for row in painting.done()
            if row["story"] in names and row["way"] in made
        ]
        there = {(row["story"], row["scene"]) for row in rows}
        for people in options.people:
            print(f"\n{people} found", *costs(rows, people), sep="\n")
        tools = open_tools(
            EvaluationRequest((), faces="little-people"), [options.model]
        ).instruments
        tools = replace(tools, segmenter=None, judge=None)
        for people in options.people:
            some = [told for told in every if len(told.people) == people]
            looked = {way: seen(options.out, way, some, there, tools) for way in painting.ways}
            print(f"\n{people} asked for, {len(looked['full'])} stories", sep="\n")
            print(*quality(looked, tools), sep="\n", flush=True)
    sheet(options.out, rows)


if __name__ == "__main__":
    main()
