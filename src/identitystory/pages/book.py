"""A finished run as what is handed out: each scene's picture, where its people stand, its words, its time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import RunError
from ..runs.files import read_picture, read_png_facts
from ..runs.folder import RunFolder
from ..runs.request import recorded
from ..story.text import names_in
from ..types import Scene
from .fonts import wide

Order = Literal["ltr", "rtl"]
Masks = dict[str, NDArray[np.bool_]]
SHORTEST = 2.5  # seconds of a scene without words
WORDS_A_SECOND = 2.5
RATE = 24  # pictures a second in a film
FINEST = 256  # squares along a picture, in which people are told from the rest


@dataclass(frozen=True)
class Panel:
    """One scene that is painted.

    Attributes:
        number: as files and pages count, from 1.
        scene: its words.
        root: the run folder.
        times: 2 or 4 for the larger copy of its picture; 1 is the picture itself.
        seed: its frame's.
        key: of what it was made from.
        given: seconds that an editor gave it; 0 is none.
    """

    number: int
    scene: Scene
    root: Path
    times: int = 1
    seed: int = 0
    key: str = ""
    given: float = 0.0

    def picture(self) -> Image.Image:
        """Its pixels, in RGB. Read anew each time, so that long stories need no more memory."""
        kind = "" if self.times == 1 else f".x{self.times}"
        frame = RunFolder(self.root).frame(self.number - 1, kind)
        picture = read_picture(frame, self.root).convert("RGB")
        picture.info.clear()
        return picture

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, of the frame as it was painted."""
        return read_picture(RunFolder(self.root).frame(self.number - 1), self.root).size

    @property
    def aspect(self) -> float:
        """Width to height."""
        return self.size[0] / self.size[1]

    @cached_property
    def masks(self) -> Masks | None:
        """By name, (h, w) bool, where everybody is; None if it is not known of everybody.

        In pixels, or where the picture is large in squares of them that somebody has a part in.
        """
        named = set(names_in(self.scene.text)) | set(self.scene.cast)
        if not named:
            return {}
        path = RunFolder(self.root).masks(self.number - 1)
        facts = read_png_facts(path, self.root)
        if facts is None or facts.get("key") != self.key or named - set(self.scene.cast):
            return None
        picture = read_picture(path, self.root)
        if picture.size != self.size or picture.mode != "P":
            return None
        times = max(1, max(self.size) // FINEST)
        masks = {
            name: np.asarray(picture.point(_only(j + 1), "L").reduce(times)) > 0
            for j, name in enumerate(self.scene.cast)
        }
        return masks if all(mask.any() for mask in masks.values()) else None

    @property
    def action(self) -> str:
        """What the picture shows, in the writer's words: its alternative text."""
        return re.sub(r"[{}]", "", self.scene.text or self.scene.prompt)

    @property
    def spoken(self) -> tuple[tuple[str, str], ...]:
        """Its words in order, (who, what); the caption is nobody's."""
        caption = (("", self.scene.caption),) if self.scene.caption else ()
        return caption + tuple((who, says) for who, says in self.scene.dialogue if says)

    @property
    def seconds(self) -> float:
        """How long it stands: as an editor says, or the story, or as long as reading it takes."""
        words = sum(_words(says) for _, says in self.spoken)
        reading = round(SHORTEST + words / WORDS_A_SECOND, 1)
        return self.given or self.scene.seconds or reading

    @property
    def label(self) -> str:
        """What it is called in an editor: its scene's id, or ``003``."""
        return self.scene.id or f"{self.number:03d}"


def _words(text: str) -> float:
    """How many words it takes to read: of letters that are written wide, two are one."""
    broad = sum(map(wide, text))
    others = "".join(" " if wide(ch) else ch for ch in text).split()
    return max(1.0, len(others) + broad / 2)


def frame_count(panel: Panel, rate: int = RATE) -> int:
    """Pictures that a panel stands for in a film of ``rate`` a second."""
    return max(1, round(panel.seconds * rate))


def _only(index: int) -> list[int]:
    """The table that makes ``index`` white and everything else black."""
    return [255 * (value == index) for value in range(256)]


@dataclass(frozen=True)
class Book:
    """A story to hand out.

    Attributes:
        title: the story's.
        panels: the scenes that are painted, in order; at least one.
        order: how it is read, from left to right or from right to left.
        language: of its words, a BCP 47 tag.
        missing: numbers of the scenes that are not painted.
        made_by: the model, as pictures call it.
    """

    title: str
    panels: Sequence[Panel]
    order: Order = "ltr"
    language: str = "en"
    missing: tuple[int, ...] = ()
    made_by: str = ""

    @property
    def texts(self) -> list[str]:
        """Everything that a page may say, for the choice of fonts."""
        told = [self.title]
        for p in self.panels:
            s = p.scene
            told += [p.action, s.shot, s.camera, s.notes, *(t for pair in p.spoken for t in pair)]
        return [text for text in told if text]


def read_book(
    root: Path,
    *,
    order: Order = "ltr",
    language: str = "en",
    times: int = 1,
    timings: Mapping[int, float] | None = None,
) -> Book:
    """The finished scenes of the run at ``root``.

    Args:
        root: the run folder.
        order: how it is read.
        language: of its words.
        times: 2 or 4 for the larger copies of its pictures, which must be there.
        timings: seconds by scene number, instead of the story's.

    Raises:
        RunError: there is no run, or no picture in it.
    """
    request, folder = recorded(root), RunFolder(root)
    panels, missing = [], []
    for index, scene in enumerate(request.story.scenes):
        facts = read_png_facts(folder.frame(index), root)
        if facts is None:
            missing.append(index + 1)
            continue
        seed, key = int(facts.get("frame_seed", 0)), str(facts.get("key", ""))
        given = (timings or {}).get(index + 1, 0.0)
        panels.append(Panel(index + 1, scene, root, times, seed, key, given))
    if not panels:
        raise RunError(f"{root} has no finished picture; paint them with identitystory generate")
    title = request.story.title or root.resolve().name
    return Book(title, panels, order, language, tuple(missing), request.called)
