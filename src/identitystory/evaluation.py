"""``identitystory evaluate``: run folders in, the paper's measures out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import runfolder
from .errors import ConfigError, IdentityStoryError, RunError
from .metrics.attributes import FOLDER, AttributeReader, load_reader
from .metrics.crops import HOW
from .metrics.faces import load_recogniser
from .metrics.intervals import HOW as INTERVAL
from .metrics.intervals import SAMPLES
from .metrics.quality import QAlign
from .metrics.suite import (
    Instruments,
    Member,
    Picture,
    Rates,
    Score,
    Told,
    attribute_scores,
    instrument_of,
    look,
    rate,
    score,
)
from .models.catalogue import ENTRIES
from .plan import recorded, versions
from .protocols import FaceRecogniser, PictureEncoder, Segmenter
from .runfolder import RunFolder, canonical, find_runs

CLIP = "openai/clip-vit-base-patch32"  # where a checkpoint brings none: the level of the paper's
CLIPSEG = ENTRIES["clipseg"].repo
AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class Wanted:
    """What to evaluate, and with what.

    Attributes:
        runs: run folders, or folders that hold some.
        templates: measure the general generator's templates instead of the frames.
        clip: a folder or a hub id in the cache; ``auto`` is the checkpoint's own, ``none`` no CLIP.
        faces: ``dlib``, ``sface``, ``arcface``; ``auto`` is dlib if it is installed, ``none`` none.
        face_models: the folder with a recogniser's weights.
        qalign: the Python of an environment with pyiqa, or None.
        device: where CLIP runs.
        samples: drawings of the bootstrap.
    """

    runs: tuple[Path, ...]
    templates: bool = False
    clip: str = AUTO
    faces: str = AUTO
    face_models: Path | None = None
    qalign: str | None = None
    device: str = "auto"
    samples: int = SAMPLES


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


@dataclass(frozen=True)
class Tools:
    """The instruments once opened, what each is, and why another is not there."""

    instruments: Instruments
    measured_with: dict[str, dict[str, Any]]
    not_measured: dict[str, str]


def evaluate(
    wanted: Wanted,
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
    counts = sorted({s.told.people for s in seen})
    if len(counts) > 1:
        for count in counts:
            groups[group_of(count)] = [s for s in seen if s.told.people == count]
    sizes = {name: (len(g), sum(len(s.told.pictures) for s in g)) for name, g in groups.items()}
    sizes |= {s.told.name: (1, len(s.told.pictures)) for s in seen}
    return Evaluation(
        groups={name: score(g, instruments, samples=wanted.samples) for name, g in groups.items()},
        stories={s.told.name: score([s], instruments) for s in seen},
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


def read_run(root: Path, *, templates: bool = False, notes: list[str] | None = None) -> Told:
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
        facts = runfolder.read_png_facts(folder.frame(index))
        file = folder.template(index) if templates else folder.frame(index)
        if facts is not None and file.is_file() and folder.masks(index).is_file():
            made.append(_picture(root, file, folder.masks(index), facts))
    if not made:
        raise RunError(f"{root} has no finished picture; paint it with identitystory generate")
    if len(made) < len(story.scenes) and notes is not None:
        notes.append(f"{root}: {len(made)} of {len(story.scenes)} frames are there")
    people = len({member.identity for picture in made for member in picture.cast})
    told = [[s.prompt, [story.character(n).description for n in s.cast]] for s in story.scenes]
    return Told(str(root), tuple(made), people, origin=canonical(told))


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


def open_tools(wanted: Wanted, models: Sequence[str]) -> Tools:
    """What there is to measure pictures of ``models`` with, opened.

    Raises:
        ConfigError, ModelError: an instrument that was asked for is not here.
    """
    used: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    encoder = _encoder(wanted, models, missing)
    if encoder is not None:
        used["CLIP"] = {"name": encoder.name, "characters": HOW}
    recogniser = _recogniser(wanted, missing)
    if recogniser is not None:
        used["faces"] = {
            "name": recogniser.name,
            "licence": recogniser.licence,
            "scale": recogniser.scale,
        }
    reader = _reader(models, missing)
    if reader is not None:
        used["attributes"] = {"name": reader.name, "held-out accuracy": dict(reader.accuracy)}
    judge = QAlign(wanted.qalign) if wanted.qalign else None
    if judge is None:
        missing["Q-Align"] = "no --qalign given"
    segmenter = None
    if encoder is not None or recogniser is not None:
        segmenter, name = _segmenter(wanted, models)
        used["masks"] = {"name": name}
    return Tools(Instruments(encoder, recogniser, reader, judge, segmenter), used, missing)


def _segmenter(wanted: Wanted, models: Sequence[str]) -> tuple[Segmenter | None, str]:
    """The checkpoint's own, which looks for the characters in every picture; and what it is."""
    from .models.backend import load_segmenter
    from .models.folder import find_checkpoint, short_digest
    from .models.hardware import Room, resolve_device

    if len(models) != 1:
        return None, f"those of the runs, which are of different models ({', '.join(models)})"
    try:
        folders = find_checkpoint(models[0]).segmenter
        found = load_segmenter(folders, room=Room(resolve_device(wanted.device)))
    except IdentityStoryError as error:
        return None, f"those of the runs, for {models[0]} has no segmenter here ({error})"
    names, weights = " and ".join(f.name for f in folders), short_digest(*folders)
    return found, f"found in each picture by {models[0]}/{names} (sha256 {weights})"


def _encoder(
    wanted: Wanted, models: Sequence[str], missing: dict[str, str]
) -> PictureEncoder | None:
    from .models.clip import is_clipseg, load_clip
    from .models.folder import find_checkpoint, find_folder

    if wanted.clip == NONE:
        missing["CLIP"] = "--clip none"
        return None
    if wanted.clip != AUTO:
        folder, name = find_folder(wanted.clip, role="clip"), wanted.clip
    elif len(models) > 1:
        raise ConfigError(
            f"the runs are of different models ({', '.join(models)}); say which CLIP measures "
            "them, with --clip FOLDER"
        )
    else:
        checkpoint = find_checkpoint(models[0])
        own, segmenter = checkpoint.base / "clip", checkpoint.segmenter[0]
        if own.is_dir():
            folder, name = own, f"{models[0]}/clip"
        elif is_clipseg(segmenter):
            folder, name = segmenter, f"{models[0]}/segmenter"
        else:
            folder, name = _cached_clip(models[0])
    from .models.hardware import resolve_device

    return load_clip(folder, name=name, device=resolve_device(wanted.device))


def _cached_clip(model: str) -> tuple[Path, str]:
    """Folder and name of a CLIP in the hub's cache: one of the paper's level, or CLIPSeg's."""
    from .models.folder import find_folder

    for name in (CLIP, CLIPSEG):
        try:
            return find_folder(name, role="clip"), name
        except IdentityStoryError:
            continue
    raise ConfigError(
        f"{model} brings no CLIP of its own, and neither {CLIP} nor {CLIPSEG}, which has one "
        "inside, is in the cache of the hub; get the latter with: identitystory models fetch "
        "clipseg, or give a CLIP with --clip FOLDER, or --clip none"
    )


def _recogniser(wanted: Wanted, missing: dict[str, str]) -> FaceRecogniser | None:
    if wanted.faces == NONE:
        missing["faces"] = "--faces none"
        return None
    try:
        name = "dlib" if wanted.faces == AUTO else wanted.faces
        return load_recogniser(name, wanted.face_models)
    except ConfigError as error:
        if wanted.faces != AUTO:
            raise
        missing["faces"] = str(error)
        return None


def _reader(models: Sequence[str], missing: dict[str, str]) -> AttributeReader | None:
    from .models.folder import find_checkpoint

    reader = None
    if len(models) == 1:
        try:
            reader = load_reader(find_checkpoint(models[0]).base / FOLDER)
        except IdentityStoryError as error:
            missing["attributes"] = str(error)
            return None
    if reader is None:
        missing["attributes"] = "the checkpoint has no attribute reader"
    return reader


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """metrics.json: every number as a fraction (Q-Align: 1 to 5), null where nothing was measured."""
    e = evaluation
    return {
        "format": 1,
        "pictures": e.pictures,
        "measured_with": e.measured_with,
        "not_measured": e.not_measured,
        "interval": f"{INTERVAL}, {e.samples} drawings, seed 0",
        "notes": e.notes,
        "groups": {name: _group(e, name, table) for name, table in e.groups.items()},
        "attributes": {s.name: _values(s) for s in e.attributes},
        "stories": {
            name: {"pictures": e.sizes[name][1], "scores": {s.name: _number(s.value) for s in t}}
            for name, t in e.stories.items()
        },
        "versions": versions(),
    }


def _group(e: Evaluation, name: str, table: Sequence[Score]) -> dict[str, Any]:
    stories, pictures = e.sizes[name]
    return {
        "stories": stories,
        "pictures": pictures,
        "scores": {s.name: _values(s) for s in table},
    }


def _values(s: Score) -> dict[str, Any]:
    return {"value": _number(s.value), "low": s.low, "high": s.high, "stories": s.stories}


def _number(value: float) -> float | None:
    return None if value != value else value


def as_csv(evaluation: Evaluation) -> str:
    """metrics.csv: a line for each measure of each group and story, with what measured it."""
    import csv
    import io

    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["level", "name", "measure", "value", "low", "high", "stories", "measured_with"])
    levels = [("group", evaluation.groups), ("story", evaluation.stories)]
    levels.append(("attribute", {"all": evaluation.attributes}))
    for level, tables in levels:
        for name, table in tables.items():
            for s in table:
                numbers = [_number(s.value), s.low, s.high]
                shown = ["" if n is None else f"{n:.6f}" for n in numbers]
                instrument = "attributes" if level == "attribute" else instrument_of(s.name)
                used = evaluation.measured_with.get(instrument, {}).get("name", instrument)
                rows.writerow([level, name, s.name, *shown, s.stories, used])
    return text.getvalue()


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """metrics.json and metrics.csv in ``out``, whole or not at all.

    Raises:
        RunError: ``out`` cannot be written.
    """
    content = json.dumps(as_json(evaluation), indent=2, ensure_ascii=False) + "\n"
    files = {out / "metrics.json": content, out / "metrics.csv": as_csv(evaluation)}
    for path, text in files.items():
        runfolder.write_whole(path, text.encode())
    return list(files)
