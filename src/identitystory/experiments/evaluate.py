"""``identitystory evaluate``: run folders in, the paper's measures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import RunError
from ..metrics.evidence import Member, Picture, Rates, MeasuredStory, look, rate
from ..metrics.measures import Score, attribute_scores, score
from ..runs import files
from ..runs.files import canonical
from ..runs.folder import RunFolder, find_runs
from ..runs.request import recorded
from .instruments import Tools, EvaluationRequest, open_tools


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Attributes:
        groups: "all", and where they differ "1 character" and so on -> the scores of those stories.
        stories: a story's name -> its scores.
        attributes: how often each attribute was right, over all stories.
        sizes: group or story -> (stories, pictures).
        measured_with: instrument -> what it is.
        not_measured: instrument -> why.
        pictures: ``frames`` or ``templates``.
        samples: drawings of the bootstrap.
        notes: what else the reader should know.
    """

    groups: dict[str, list[Score]]
    stories: dict[str, list[Score]]
    attributes: list[Score]
    sizes: dict[str, tuple[int, int]]
    measured_with: dict[str, dict[str, Any]]
    not_measured: dict[str, str]
    pictures: str
    samples: int
    notes: list[str] = field(default_factory=list)


def evaluate(
    wanted: EvaluationRequest,
    say: Callable[[str], None] = lambda line: None,
    *,
    tools: Tools | None = None,
) -> Evaluation:
    """Looks at every picture of the runs and scores them; ``say`` hears what goes on.

    ``tools`` are opened by `open_tools` if they are not given.

    Raises:
        RunError: a folder holds no run, or a run no picture, or the runs are not of one method.
        ConfigError, ModelError: an instrument that was asked for is not here.
    """
    folders = find_runs(wanted.runs)
    check_comparable(folders)
    notes: list[str] = []
    told = [read_run(folder, templates=wanted.templates, notes=notes) for folder in folders]
    tools = tools or open_tools(wanted, sorted({recorded(folder).model for folder in folders}))
    instruments, measured_with = tools.instruments, dict(tools.measured_with)
    rates: list[Rates | None] = [None] * len(told)
    if instruments.judge is not None:  # first, for what is wrong with it shows at once
        say(f"Q-Align: {sum(len(story.pictures) for story in told)} pictures")
        rates = [*rate(told, instruments.judge)]
        measured_with["Q-Align"] = {"name": instruments.judge.name, "scale": "1 to 5"}
    seen = []
    for number, (story, rated) in enumerate(zip(told, rates, strict=True), 1):
        say(f"{number} of {len(told)}: {story.name}, {len(story.pictures)} pictures")
        seen.append(look(story, instruments, rated))
    if len(told) > 1:
        say(f"intervals from {wanted.samples} drawings of {len(told)} stories")
    groups = {"all": seen}
    counts = sorted({s.story.people for s in seen})
    if len(counts) > 1:
        for count in counts:
            groups[group_of(count)] = [s for s in seen if s.story.people == count]
    sizes = {name: (len(g), sum(len(s.story.pictures) for s in g)) for name, g in groups.items()}
    sizes |= {s.story.name: (1, len(s.story.pictures)) for s in seen}
    return Evaluation(
        groups={name: score(g, instruments, samples=wanted.samples) for name, g in groups.items()},
        stories={s.story.name: score([s], instruments) for s in seen},
        attributes=attribute_scores(seen, samples=wanted.samples),
        sizes=sizes,
        measured_with=measured_with,
        not_measured=dict(tools.not_measured),
        pictures="templates" if wanted.templates else "frames",
        samples=wanted.samples,
        notes=notes,
    )


def group_of(people: int) -> str:
    """The name of the group of stories with so many characters: ``1 character``."""
    return f"{people} character{'s' * (people != 1)}"


def check_comparable(folders: Sequence[Path]) -> None:
    """Refuses runs of several methods: the mean of two methods is nobody's.

    Raises:
        RunError: names the methods.
    """
    methods = sorted({recorded(folder).method for folder in folders})
    if len(methods) > 1:
        raise RunError(
            f"the runs are of several methods ({', '.join(methods)}); evaluate the runs of one at a "
            "time, or compare them with identitystory bench"
        )


def read_run(
    root: Path, *, templates: bool = False, notes: list[str] | None = None
) -> MeasuredStory:
    """The finished pictures of a run, each with what its own metadata says of it.

    Args:
        root: the run folder.
        templates: the templates' files instead of the frames'.
        notes: gets a line if frames are missing.

    Raises:
        RunError: there is no run, or no finished picture in it.
    """
    folder, story = RunFolder(root), recorded(root).story
    made = []
    for index in range(len(story.scenes)):
        facts = files.read_png_facts(folder.frame(index))
        file = folder.template(index) if templates else folder.frame(index)
        if facts is not None and file.is_file() and folder.masks(index).is_file():
            made.append(_picture(root, file, folder.masks(index), facts))
    if not made:
        raise RunError(f"{root} has no finished picture; paint it with identitystory generate")
    if len(made) < len(story.scenes) and notes is not None:
        notes.append(f"{root}: {len(made)} of {len(story.scenes)} frames are there")
    people = len({member.identity for picture in made for member in picture.cast})
    told = [[s.prompt, [story.character(n).description for n in s.cast]] for s in story.scenes]
    return MeasuredStory(str(root), tuple(made), people, origin=canonical(told))


def _picture(root: Path, file: Path, masks: Path, facts: dict[str, Any]) -> Picture:
    try:
        characters = {c["name"]: c for c in facts["characters"]}
        cast = tuple(
            Member(
                name,
                characters[name]["description"],
                characters[name].get("identity") or f"{root.resolve()}/{name}",
            )
            for name in facts["scene"]["cast"]
        )
        return Picture(file, facts["scene"]["prompt"], cast, read_masks(masks, len(cast)))
    except (KeyError, TypeError, OSError) as error:
        raise RunError(f"{file}: what it says of itself is broken: {error!r}") from None


def read_masks(path: Path, count: int) -> Tensor:
    """(count, H, W) bool of a masks picture, in cast order; see ``pages.masks_picture``."""
    with Image.open(path) as image:
        numbers = torch.from_numpy(np.array(image))
    return torch.stack([numbers == k + 1 for k in range(count)]) if count else numbers[None][:0] > 0
