"""Many ordinary runs side by side: what a bench and an ablation have in common.

Each run has its own folder, so what is finished is never made again, wherever it was cut off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .. import plan, shared
from ..config import settings
from ..errors import ConfigError, RunError
from ..events import Finished, Warned
from ..plan import RunRequest, make_plan
from ..protocols import Backend, ModelFacts
from ..runfolder import RunFolder, canonical, read_record
from ..service import Load, Service, finished_parts
from ..story_sets import load_sets
from ..types import Scene, Story

TILE = 192  # pixels a side of a picture on the page
NAMES = 170  # pixels for a row's name
HEAD = 13  # pixels of the letters above a column

Say = Callable[[str], None]


def load_stories(
    where: str | Path, limit: int | None = None, scenes: int | None = None
) -> tuple[Story, ...]:
    """Stories of a file, a folder or the package; see ``story_sets.load_sets``.

    Args:
        where: see above.
        limit: how many at most: the first of one character, the first of two and so on in turn, so
            that few stories still have every split.
        scenes: how many scenes of each at most, the first ones.

    Raises:
        StoryError: none is there, one is broken, or two would share a folder.
        ConfigError: there is nothing to paint with ``limit`` or ``scenes`` of 0.
    """
    if 0 in (limit, scenes):
        raise ConfigError("--limit and --scenes must be at least 1")
    stories = load_sets(where)
    splits: dict[int, list[Story]] = {}
    for story in stories:
        splits.setdefault(len(story.characters), []).append(story)
    turns = zip_longest(*(splits[size] for size in sorted(splits)))
    chosen = [story for turn in turns for story in turn if story is not None][:limit]
    return tuple(
        story if scenes is None else shortened(story, scenes)
        for story in stories
        if story in chosen
    )


def shortened(story: Story, scenes: int) -> Story:
    """``story`` with its first ``scenes`` scenes, and who is in them."""
    kept: tuple[Scene, ...] = story.scenes[:scenes]
    cast = {name for scene in kept for name in scene.cast}
    characters = tuple(c for c in story.characters if c.name in cast)
    return replace(story, characters=characters, scenes=kept)


class Kept:
    """``load`` that keeps the model it opened last, for runs that follow with the same options.

    Generators are pure and every method puts back what it changes, so that a run is the same on a
    fresh model. Sent to another process it starts empty.
    """

    def __init__(self, load: Load) -> None:
        self.load, self.asked = load, ""
        self.model: Backend | None = None

    def __call__(self, model: str, **options: Any) -> Backend:
        """The model, opened if it is not the last one."""
        asked = canonical({"model": model, **options})
        if self.model is None or self.asked != asked:
            self.model = None  # never two in memory
            self.asked, self.model = asked, self.load(model, **options)
        return self.model

    def __reduce__(self) -> tuple[type[Kept], tuple[Load]]:
        """Without the model."""
        return Kept, (self.load,)


def one_model(service: Service) -> Service:
    """``service``, keeping the last model it opened for the next run that asks for the same."""
    return Service(load=Kept(service.load), describe=service.describe)


def ahead(runs: Iterable[RunRequest], model: ModelFacts) -> list[int]:
    """U-Net evaluations that finishing each of ``runs`` takes, if everybody is found at once.

    What is there already counts nothing, and what runs share counts for the first of them. A search
    that settles early takes fewer.
    """
    costs, known = [], set()
    for run in runs:
        folder = RunFolder(run.out)
        made = make_plan(run, model, read_record(folder) if run.out.is_dir() else None)
        done = finished_parts(folder, made)
        asked = [made.identities[name] for name in made.cast]
        asked += [made.frames[index] for index in made.wanted]
        to_do = [part for part in asked if part.name not in done]
        costs.append(plan.evaluations(run, made, to_do))
        for file, cost in shared.pieces(run, made, model, to_do).items():
            if file in known or shared.is_there(file):
                costs[-1] -= cost
            known.add(file)
    return costs


def check_settings(runs: Iterable[RunRequest]) -> None:
    """Refuses runs that are there already with another seed, preset or model: they would be lost.

    Raises:
        ConfigError: names the first, what differs, and what to do.
    """
    for run in runs:
        record = read_record(RunFolder(run.out)) if run.out.is_dir() else None
        if record is None:
            continue
        there = plan.recorded(run.out)
        before = {"model": there.model, "seed": record["seed"], **settings(there.preset)}
        wanted = {"model": run.model, "seed": run.seed, **settings(run.preset)}
        for name, value in wanted.items():
            if before[name] != value:
                raise ConfigError(
                    f"{run.out} was painted with {name} {before[name]}, and this command asks for "
                    f"{value}; give another --out, or the same settings"
                )


def paint(run: RunRequest, service: Service, say: Say = lambda line: None) -> Finished:
    """Makes what is not there yet of one run; ``say`` hears its warnings."""
    for event in service.run(run):
        if isinstance(event, Warned):
            say(event.message)
        if isinstance(event, Finished):
            finished = event
    return finished


def check_finished(runs: Iterable[RunRequest], command: str) -> None:
    """Refuses runs that lack a frame.

    Raises:
        RunError: says which run, and to give the same ``command`` again.
    """
    for run in runs:
        frames = [RunFolder(run.out).frame(n) for n in range(len(run.story.scenes))]
        if run.paint and not all(frame.is_file() for frame in frames):
            raise RunError(f"{run.out} is not finished; give the same {command} command again")


def page(rows: Sequence[tuple[str, RunRequest]], heads: Sequence[str] = ()) -> Image.Image:
    """A row of pictures for each run with its name in front, a column for each frame.

    ``heads`` are texts above the columns, as high as the longest needs; names lose their braces.
    """
    columns = max(len(run.story.scenes) for _, run in rows)
    font, small = ImageFont.load_default(14), ImageFont.load_default(HEAD)
    texts = [wrapped(re.sub(r"[{}]", "", head), small, TILE - 8) for head in heads]
    line = HEAD + 4
    top = max((len(lines) * line + 8 for lines in texts), default=0)
    made = Image.new("RGB", (NAMES + TILE * columns, top + TILE * len(rows)), "white")
    draw = ImageDraw.Draw(made)
    for column, lines in enumerate(texts):
        for n, words in enumerate(lines):
            place = NAMES + column * TILE + 4, 4 + n * line
            draw.text(place, words, fill="black", font=small)
    for row, (name, run) in enumerate(rows):
        draw.text((6, top + row * TILE + TILE // 2), name, fill="black", font=font)
        for column in range(len(run.story.scenes)):
            with Image.open(RunFolder(run.out).frame(column)) as opened:
                tile = opened.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
            made.paste(tile, (NAMES + column * TILE, top + row * TILE))
    return made


def wrapped(text: str, font: Any, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, broken between words; a longer word is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while font.getlength(word) > width:
            word = word[:-1]
        lines[-1] = word
    return lines
