"""The same story by several methods: what the judge and the user study show side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from .errors import RunError
from .plan import recorded, story_to_dict
from .runfolder import RunFolder, part_key, read_png_facts

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


def find_cases(paths: Sequence[Path]) -> tuple[list[Case], list[str]]:
    """Every story that all methods have finished, by title; and a line for each that was left out.

    Args:
        paths: run folders, or folders that hold some (such as that of a bench).

    Raises:
        RunError: a path holds no run; fewer than two methods; no story that all have finished.
    """
    by_story: dict[str, Case] = {}
    for path in paths:
        found = [path] if (path / "run.json").is_file() else []
        found = found or sorted(record.parent for record in path.rglob("run.json"))
        if not found:
            raise RunError(f"{path} holds no run (no run.json); make some with identitystory bench")
        for root in found:
            request, folder = recorded(root), RunFolder(root)
            pictures = tuple(folder.frame(n) for n in range(len(request.story.scenes)))
            key = part_key(story_to_dict(request.story))
            texts = tuple(scene.prompt for scene in request.story.scenes)
            case = by_story.setdefault(key, Case(key, request.story.title, texts, {}))
            if all(read_png_facts(picture) is not None for picture in pictures):
                case.frames.setdefault(request.method, pictures)
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


def small_jpeg(picture: Path, side: int) -> bytes:
    """The picture as a JPEG of at most ``side`` pixels, without what it says of itself."""
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def data_url(picture: Path, side: int) -> str:
    """The small JPEG as a ``data:`` URL."""
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(picture, side)).decode()
