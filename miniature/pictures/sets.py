"""A drawn set: memory-mapped pictures with their marks, and the records that they show.

A set is a folder: ``rgb.u8`` (N, H, W, 3), ``marks.u8`` (N, H, W) and ``records/``, one file for each
block of 64 pictures, which is there when its pictures are. A mark holds what the world knows of a
pixel: its part (5 bits, ``spec["parts"]`` names them), which person (2 bits), and whether it is a
head (1 bit).
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import paths
from ..world.records import Record

BLOCK = 64  # pictures
# Parts of a face, from the finest on; names that a world does not have are left out.
FINE = ("eye", "eyes", "iris", "brow", "brows", "mouth", "teeth", "lips")
FACE = (*FINE, "nose", "skin", "glasses", "beard", "face")


def packed(part: np.ndarray, person: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Marks of (H, W) parts (below 32), person numbers (0 for nobody, at most 3) and heads."""
    marks = part.astype(np.uint8) & 31 | (person.astype(np.uint8) & 3) << 5
    return marks | (head.astype(bool).astype(np.uint8) << 7)


def part_of(marks: np.ndarray) -> np.ndarray:
    """The part at each pixel."""
    return marks & 31


def person_of(marks: np.ndarray) -> np.ndarray:
    """The person at each pixel: 0 for nobody, 1 for the leftmost."""
    return marks >> 5 & 3


def head_of(marks: np.ndarray) -> np.ndarray:
    """Whether each pixel is of a head, hair included."""
    return marks >= 128


@dataclass(frozen=True)
class Shot:
    """What a picture shows: its record, the numbers of its people, and their key points."""

    record: Record
    people: tuple[int, ...]
    keypoints: np.ndarray


@dataclass(frozen=True)
class PictureSet:
    """A set opened for reading; more pictures may be drawn meanwhile (``refreshed``)."""

    folder: Path

    @cached_property
    def spec(self) -> dict[str, Any]:
        """kind, count, height, width, parts."""
        return json.loads((self.folder / "spec.json").read_text(encoding="utf-8"))

    @cached_property
    def blocks(self) -> list[int]:
        """The blocks that are drawn."""
        return sorted(int(f.stem) for f in (self.folder / "records").glob("*.pkl"))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers of the pictures that are drawn."""
        parts = [np.arange(b * BLOCK, (b + 1) * BLOCK) for b in self.blocks]
        every = np.concatenate(parts) if parts else np.zeros(0, int)
        return every[every < self.spec["count"]]

    @cached_property
    def rgb(self) -> np.ndarray:
        """(N, H, W, 3) uint8, memory-mapped."""
        return self._map("rgb.u8", (3,))

    @cached_property
    def marks(self) -> np.ndarray:
        """(N, H, W) uint8, memory-mapped."""
        return self._map("marks.u8", ())

    def _map(self, name: str, last: tuple[int, ...], mode: str = "r") -> np.ndarray:
        s = self.spec
        shape = (s["count"], s["height"], s["width"], *last)
        return np.memmap(self.folder / name, np.uint8, mode, shape=shape)

    @cached_property
    def shots(self) -> dict[int, Shot]:
        """Number -> ``Shot`` of every picture that is drawn."""
        found: dict[int, Shot] = {}
        for block in self.blocks:
            text = (self.folder / "records" / f"{block:05d}.pkl").read_bytes()
            found |= pickle.loads(text)  # our own file
        return found

    def refreshed(self) -> PictureSet:
        """The same set with what is drawn by now."""
        return PictureSet(self.folder)

    def table(self, names: tuple[str, ...], value: float) -> np.ndarray:
        """(32,) float32: ``value`` at the parts of these names, 0 elsewhere."""
        own = self.spec["parts"]
        return np.array([value * (k < len(own) and own[k] in names) for k in range(32)], np.float32)

    def centre(self, number: int) -> tuple[int, int]:
        """Row and column of the middle of a face of picture ``number``, or of the picture."""
        part = part_of(self.marks[number])
        y, x = np.nonzero(self.table(FINE, 1)[part])
        if not len(y):
            return part.shape[0] // 2, part.shape[1] // 2
        return int(np.median(y)), int(np.median(x))


def open_set(name: str) -> PictureSet:
    """The set of this name in the state."""
    folder = paths.pictures(name)
    if not (folder / "spec.json").exists():
        raise SystemExit(f"{folder} is not there: python -m miniature.pictures.draw")
    return PictureSet(folder)


def open_held_out(*more: str) -> list[PictureSet]:
    """The held-out pictures, which reports measure on, then those of ``more`` that are there.

    Raises:
        SystemExit: no held-out picture is drawn; those that were trained on are no measure.
    """
    found = open_there("held_out", *more)
    if not found or found[0].folder.name != "held_out":
        raise SystemExit(
            f"{paths.pictures('held_out')} has no pictures to measure with: "
            "python -m miniature.pictures.draw held_out --count 1024"
        )
    return found


def open_there(*names: str) -> list[PictureSet]:
    """Those of these sets that are there and have pictures."""
    found = [PictureSet(paths.pictures(n)) for n in names]
    return [s for s in found if (s.folder / "spec.json").exists() and s.blocks]
