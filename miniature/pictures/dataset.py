"""The training pictures: ``python -m miniature.pictures.dataset`` renders people into memory-mapped arrays.

A set is a folder: ``images.u8`` (N, S, S, 3), ``masks.u8`` (N, S, S) part numbers of the world's
render, and ``facts.jsonl``, one object a picture: who, in which moment, in which view. It is drawn
from (seed, index) alone, so any part of it can be made again, and a broken-off rendering goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..paths import BUILD, add_world_options, open_world

PLACES_V0 = (
    "studio", "beach", "forest", "kitchen", "city street", "library", "snowy mountains",
    "meadow", "harbour", "cafe",
)  # fmt: skip
POSES_V0 = ("stand", "wave", "lean")
CHUNK = 20  # people written at a time
HELD_OUT_PEOPLE, HELD_OUT_PAIRS = 200, 25  # the last of a set; nothing is ever trained on them


@dataclass(frozen=True)
class PictureSet:
    """A rendered set, opened for reading."""

    folder: Path

    @cached_property
    def spec(self) -> dict:
        """What it was drawn from: people, pictures, size, seed."""
        return json.loads((self.folder / "spec.json").read_text())

    @property
    def known_people(self) -> int:
        """How many people may be trained on; all after them are held out."""
        return self.spec["people"] - (HELD_OUT_PAIRS if self.spec["two"] else HELD_OUT_PEOPLE)

    @property
    def held_out_from(self) -> int:
        """The number of the first picture of held-out people; the pictures after it are theirs too."""
        return self.spec["pictures"] * self.known_people

    @cached_property
    def facts(self) -> list[dict]:
        """One object a picture, in order."""
        files = sorted(self.folder.glob("facts.*.jsonl"))
        rows = [json.loads(line) for f in files for line in f.read_text().splitlines()]
        return sorted(rows, key=lambda r: r["n"])

    @cached_property
    def images(self) -> np.ndarray:
        """(N, S, S, 3) uint8, memory-mapped."""
        return self._map("images.u8", 3)

    @cached_property
    def masks(self) -> np.ndarray:
        """(N, S, S) uint8: 0 background, 1 skin, 2 eye, 3 teeth, 4 cloth, 5 glasses, 6 hair; + 8 for the second person."""
        return self._map("masks.u8", None)

    def _map(self, name: str, channels: int | None, mode: str = "r") -> np.ndarray:
        s = self.spec
        shape = (s["people"] * s["pictures"], s["size"], s["size"])
        return np.memmap(
            self.folder / name,
            np.uint8,
            mode,
            shape=shape if channels is None else (*shape, channels),
        )


def describe(person, moment, view) -> dict:
    """The facts of one person in one picture: everything that a caption may say."""
    return dict(
        index=person.index, sex=person.sex, age=person.age, ancestry=person.ancestry,
        skin=person.skin, hair=person.hair, hair_colour=person.hair_colour, eyes=person.eyes,
        beard=person.beard, glasses=person.glasses, freckles=person.freckles > 0,
        expression=moment.expression, pose=moment.pose, outfit=moment.outfit,
        colour=moment.colour, place=view.place, hour=view.hour, framing=view.framing,
    )  # fmt: skip


def draw_alone(body, seed: int, index: int, number: int):
    """Person ``index``'s picture ``number``: cast and view."""
    from ..world.people import draw_moment, draw_person

    key = (seed * 7919 + index * 64 + number) % (2**31)
    view = _view(key)
    person = draw_person(body, seed, index)
    return [(person, draw_moment(person, key, poses=POSES_V0))], view


def draw_together(body, spec: dict, index: int, number: int):
    """Picture ``number`` of pair ``index``: cast, from left to right, and view.

    The two are people of the set of ``spec["of"]`` people: held-out ones in the held-out pairs,
    known ones in the others. They change places from picture to picture and share an expression.
    """
    from ..world.people import draw_moment, draw_person

    known, of = spec["of"] - HELD_OUT_PEOPLE, spec["of"]
    new = index >= spec["people"] - HELD_OUT_PAIRS
    rng = np.random.default_rng([spec["seed"], index, 12])
    chosen = rng.choice(np.arange(known, of) if new else known, 2, replace=False)
    key = ((spec["seed"] + 6) * 7919 + index * 64 + number) % (2**31)
    view = _view(key)
    left, right = (draw_person(body, spec["seed"], int(k)) for k in np.roll(chosen, number))
    gap = 1.2 if view.framing == "portrait" else 1.7
    at = lambda x: dict(poses=("stand",), offset=(x, 0.0, 0.0))
    first = draw_moment(left, key, **at(-gap))
    second = draw_moment(right, key + 1, expression=first.expression, **at(gap))
    return [(left, first), (right, second)], view


def _view(key: int):
    from ..world.places import draw_view

    rng = np.random.default_rng([key, 9])
    framing = "portrait" if rng.random() < 0.55 else "half-body"
    return draw_view(key, framing=framing, places=PLACES_V0)


def render_share(folder: Path, worker: int, workers: int, world) -> None:
    """Render every ``workers``-th chunk of people, going on where an earlier call broke off."""
    store = PictureSet(folder)
    spec = store.spec
    images, masks = store._map("images.u8", 3, "r+"), store._map("masks.u8", None, "r+")
    start, made = time.time(), 0
    chunks = range(worker, -(-spec["people"] // CHUNK), workers)
    for chunk in chunks:
        path = folder / f"facts.{chunk:05d}.jsonl"
        if path.exists():
            continue
        rows = []
        for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, spec["people"])):
            for k in range(spec["pictures"]):
                n = index * spec["pictures"] + k
                if spec["two"]:
                    cast, view = draw_together(world.body, spec, index, k)
                else:
                    cast, view = draw_alone(world.body, spec["seed"], index, k)
                picture = world.render(cast, view)
                images[n] = picture.image
                masks[n] = picture.mask[..., 1] + 8 * (picture.mask[..., 0] == 2)
                people = [describe(p, m, view) for p, m in cast]
                eyes = picture.eyes.round(1).tolist()
                rows.append(json.dumps(dict(n=n, **people[0], eyes_at=eyes, others=people[1:])))
                made += 1
        partial = path.with_suffix(".part")
        partial.write_text("\n".join(rows) + "\n")
        partial.rename(path)
        print(f"worker {worker}: {made} pictures, {made / (time.time() - start):.1f}/s", flush=True)


def render_set(folder: Path, options: argparse.Namespace) -> PictureSet:
    """Make the set in ``folder`` with ``options.workers`` single-threaded processes."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = dict(
        people=options.people,
        pictures=options.pictures,
        size=options.size,
        seed=options.seed,
        two=options.two,
        **(dict(of=options.of) if options.two else {}),
    )
    path = folder / "spec.json"
    if path.exists() and json.loads(path.read_text()) != spec:
        raise SystemExit(f"{folder} holds another set ({path.read_text()}); give another --out")
    if not path.exists():
        for name, channels in (("images.u8", 3), ("masks.u8", 1)):
            with open(folder / name, "wb") as f:
                f.truncate(spec["people"] * spec["pictures"] * spec["size"] ** 2 * channels)
        path.write_text(json.dumps(spec))
    environment = {
        **os.environ,
        "LP_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "miniature.pictures.dataset", *sys.argv[1:]]
    workers = [
        subprocess.Popen([*command, "--worker", str(k)], env=environment)
        for k in range(options.workers)
    ]
    if any(w.wait() for w in workers):
        raise SystemExit("a rendering process failed; what is rendered is kept, start it again")
    return PictureSet(folder)


def add_set_options(parser: argparse.ArgumentParser) -> None:
    """--data and --pairs: the sets that the U-Net is trained on."""
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--pairs", type=Path, default=BUILD / "pairs")


def add_training_options(parser: argparse.ArgumentParser, *, minutes: float) -> None:
    """The sets, and --minutes, --batch, --threads."""
    add_set_options(parser)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--batch", type=int, default=32, help="of each process")
    parser.add_argument("--threads", type=int, default=2, help="processes of one thread each")


def open_sets(options: argparse.Namespace) -> tuple[PictureSet, PictureSet | None]:
    """The pictures of one person, and those of two if they were rendered."""
    pairs = PictureSet(options.pairs) if options.pairs.exists() else None
    return PictureSet(options.data), pairs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "people")
    parser.add_argument("--people", type=int, default=6400, help="or pairs of people, with --two")
    parser.add_argument("--pictures", type=int, default=4, help="pictures of each person")
    parser.add_argument("--two", action="store_true", help="two people in every picture")
    parser.add_argument("--of", type=int, default=6400, help="how many people the two are from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    add_world_options(parser)
    options = parser.parse_args()
    if options.worker is None:
        render_set(options.out, options)
    else:
        render_share(options.out, options.worker, options.workers, open_world(options))


if __name__ == "__main__":
    main()
