"""Draws sets of pictures: ``python -m miniature.pictures.draw singles --count 20000``.

A set is drawn in blocks of 64 pictures; a block that is there is not drawn again, so the command may
be broken off and given again, with a larger ``--count`` too. ``--worker 0/2`` draws every other block.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import time
from pathlib import Path

import numpy as np

from .. import paths
from ..world import pen
from ..world.pen import PARTS
from ..world.picture import paint
from . import recipe
from .recipe import KINDS, cast_of, record_of
from .sets import BLOCK, PictureSet, Shot, packed

HEIGHT = 256
WORLD = Path(pen.__file__).parent
SPOKEN = ("captions.py", "words.py")  # what is said of pictures; nothing of it is in a set


def sources() -> dict[str, str]:
    """The text of every module that says who and what there is and how it is drawn, by name."""
    every = [*WORLD.glob("*.py"), Path(recipe.__file__)]
    return {f.name: f.read_text(encoding="utf-8") for f in sorted(every) if f.name not in SPOKEN}


def world_mark(kind: str) -> str:
    """Tells one state of the world from another: a digest of its sources, three records and a picture."""
    records = [record_of(kind, n) for n in (0, 1, 60)]
    picture = paint(records[0], height=64, style=KINDS[kind].style)
    seen = repr((sources(), records)).encode() + picture.rgb.tobytes()
    return hashlib.sha256(seen).hexdigest()[:16]


def prepare(kind: str, count: int) -> PictureSet:
    """An empty set, or the one that is there made longer.

    Raises:
        SystemExit: the one that is there shows another state of the world.
    """
    folder = paths.pictures(kind)
    (folder / "records").mkdir(parents=True, exist_ok=True)
    count = -(-count // BLOCK) * BLOCK
    spec = folder / "spec.json"
    mark = world_mark(kind)
    if spec.exists():
        known = json.loads(spec.read_text())
        if known.get("world") != mark:
            raise SystemExit(f"{folder} shows the world as it was once; delete it, and draw anew")
        count = max(count, known["count"])
    width = round(HEIGHT * KINDS[kind].wide)
    for name, channels in (("rgb.u8", 3), ("marks.u8", 1)):
        with (folder / name).open("ab") as file:
            file.truncate(count * HEIGHT * width * channels)
    made = dict(kind=kind, count=count, height=HEIGHT, width=width, parts=list(PARTS), world=mark)
    spec.write_text(json.dumps(made), encoding="utf-8")
    return PictureSet(folder)


def draw_block(data: PictureSet, block: int) -> None:
    """Draw one block; its records are written last."""
    kind = data.spec["kind"]
    rgb, marks = data._map("rgb.u8", (3,), "r+"), data._map("marks.u8", (), "r+")
    shots = {}
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        record = record_of(kind, number)
        picture = paint(record, height=data.spec["height"], style=KINDS[kind].style)
        rgb[number] = picture.rgb
        marks[number] = packed(picture.part, picture.person, picture.head)
        shots[number] = Shot(record, tuple(cast_of(kind, number)[0]), picture.keypoints)
    file = data.folder / "records" / f"{block:05d}.pkl"
    partial = file.with_suffix(".part")
    partial.write_bytes(pickle.dumps(shots))
    partial.rename(file)


def draw(kind: str, count: int, worker: int = 0, workers: int = 1) -> int:
    """Draw what is missing of this worker's blocks; how many pictures that were."""
    data = prepare(kind, count)
    there = set(data.blocks)
    missing = [b for b in range(-(-count // BLOCK)) if b % workers == worker and b not in there]
    began = told = time.time()
    for done, block in enumerate(missing, 1):
        draw_block(data, block)
        if time.time() - told > 30 or done == len(missing):
            rate = done * BLOCK / (time.time() - began)
            print(f"{kind}: block {done} of {len(missing)}, {rate:.0f} pictures/s", flush=True)
            told = time.time()
    return len(missing) * BLOCK


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--worker", default="0/1", help="k/n: only every n-th block")
    parser.add_argument("--state", type=Path)
    options = parser.parse_args()
    paths.use_state(options.state)
    k, n = map(int, options.worker.split("/"))
    np.seterr(all="ignore")
    draw(options.kind, options.count, k, n)


if __name__ == "__main__":
    main()
