"""The same story by several methods: what the judge and the user study show side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import RunError
from ..methods.registry import REGISTRY
from ..runs.files import part_key, read, read_picture, read_png_facts
from ..runs.folder import RunFolder, find_runs, read_record, told_frames
from ..runs.request import recorded, story_to_dict
from ..settings import settings

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Case:
    """One story painted by every method.

    Attributes:
        key: sha256 over the story.
        title: of the story.
        texts: what each frame was to show.
        frames: method -> its pictures, in the order of ``texts``.
    """

    key: str
    title: str
    texts: tuple[str, ...]
    frames: dict[str, tuple[Path, ...]]

    @property
    def methods(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.frames))

    @property
    def hashes(self) -> dict[str, list[str]]:
        """Method -> sha256 of each of its pictures' files."""
        return {
            method: [sha256(read(frame)).hexdigest() for frame in frames]
            for method, frames in self.frames.items()
        }


@dataclass(frozen=True)
class _Run:
    """What a run folder has to show.

    Attributes:
        root: the folder.
        method: its name.
        case: the run's story, without pictures.
        frames: its pictures; None while one is missing, or not the one that run.json tells of.
        alike: what runs must have in common to be compared, by name.
    """

    root: Path
    method: str
    case: Case
    frames: tuple[Path, ...] | None
    alike: dict[str, Any]


def find_cases(paths: Sequence[Path]) -> tuple[list[Case], list[str]]:
    """Every story that all methods have finished, by title; and a line for each that was left out.

    Args:
        paths: run folders, or folders that hold some (such as that of a bench).

    Raises:
        RunError: a path holds no run, or a broken one; fewer than two methods; no story that all have
            finished; two finished runs of a story are of the same method, or were painted with
            different models, seeds or configurations.
    """
    by_story: dict[str, Case] = {}
    shown: dict[str, dict[str, _Run]] = {}
    for run in map(_read, _folders(paths)):
        case = by_story.setdefault(run.case.key, run.case)
        if run.frames is not None:
            beside = shown.setdefault(case.key, {})
            _check_beside(run, beside)
            beside[run.method] = run
            case.frames[run.method] = run.frames
    methods = {name for case in by_story.values() for name in case.frames}
    if len(methods) < 2:
        raise RunError(
            f"finished runs of {len(methods)} method are there; comparing takes two or more"
        )
    cases, notes = [], []
    for case in sorted(by_story.values(), key=lambda c: (c.title, c.key)):
        missing = sorted(methods - case.frames.keys())
        if missing:
            notes.append(f"{case.title!r} is left out: not finished by {', '.join(missing)}")
        else:
            cases.append(case)
    if not cases:
        raise RunError(f"no story is finished by all of {', '.join(sorted(methods))}")
    return cases, notes


def _folders(paths: Sequence[Path]) -> list[Path]:
    """The run folders at and in ``paths``, each once; in a bench's those of its methods.

    An ablation in the same folder leaves its variants beside them.
    """
    roots: dict[Path, Path] = {}
    methods = REGISTRY.names()
    for path in paths:
        for root in find_runs([path], "make some with identitystory bench"):
            if root.parent.name in methods or not (path / "runs").is_dir():
                roots.setdefault(root.resolve(), root)
    return list(roots.values())


def _read(root: Path) -> _Run:
    folder = RunFolder(root)
    try:
        request, record = recorded(root), read_record(folder) or {}
        story = request.story
        texts = tuple(scene.prompt for scene in story.scenes)
        for text in (request.method, story.title, *texts):
            if not isinstance(text, str):
                raise TypeError(f"{text!r} is no text")
        frames = told_frames(folder)
        if len(frames) != len(texts):
            raise ValueError(f"{len(texts)} scenes and {len(frames)} frames")
        model = record["model"]
        alike = {
            "weights": model["fingerprint"],
            "dtype": model["dtype"],
            "seed": record["seed"],
            **settings(request.preset),
        }
        case = Case(part_key(story_to_dict(story)), story.title, texts, {})
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"{folder.record} is broken: {error!r}; choose another folder") from None
    found = [(read_png_facts(frame, root) or {}).get("key") for frame in frames]
    whole = tuple(frames) if found == list(frames.values()) else None
    return _Run(root, request.method, case, whole, alike)


def _check_beside(run: _Run, beside: Mapping[str, _Run]) -> None:
    """Nothing, if ``run`` can be compared with the runs of other methods over its story."""
    if run.method in beside:
        raise RunError(
            f"{beside[run.method].root} and {run.root} both hold {run.case.title!r} by {run.method}; "
            "give folders that hold it once, such as BENCH/runs/METHOD for each method"
        )
    for other in beside.values():
        for name, theirs in other.alike.items():
            ours = run.alike.get(name)
            if theirs != ours:
                raise RunError(
                    f"{other.root} and {run.root} differ in {name} ({theirs!r}, {ours!r}); "
                    "compare runs that were painted alike, as identitystory bench does"
                )


def small_jpeg(picture: Path, side: int) -> bytes:
    """The picture as a JPEG of at most ``side`` pixels, without what it says of itself."""
    image = read_picture(picture).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def data_url(picture: Path, side: int) -> str:
    """The small JPEG as a ``data:`` URL."""
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(picture, side)).decode()
