"""Are a child's pictures nearer to its parents than to strangers? ``python -m benchmarks.families [--out DIR]``.

Without a folder families are drawn, and ``little-people`` is asked; then portraits of drawn children are
searched for the one most like two parents. With a folder couples are found there by ``discover
--candidates``, a child of each by ``--like`` twice ``--as child``, and the same is asked of the pictures, of their
templates (inherited words and no face), and of children found with ``--no-words`` (the face alone).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.casting import by_faces
from identitystory.cli.main import main as identitystory
from identitystory.metrics.intervals import mean_over
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.photomaker import load_identity_encoder
from identitystory.runs import audition
from identitystory.runs.characters.making import from_run
from identitystory.runs.files import read_picture
from identitystory.runs.folder import RunFolder
from identitystory.runs.service import Service, one_model
from miniature.pictures.recipe import HELD_OUT
from miniature.world.picture import paint
from miniature.world.records import RANGES, Person
from miniature.world.sampling import draw_person, draw_record

MIXED = tuple(n for n in RANGES if n not in {
    "age", "masc", "build", "lash", "bags", "lipstick", "wrinkles", "blush", "grey", "volume", "length",
    "fringe", "parting", "hairline", "beard_len", "glasses_size",
})  # fmt: skip
FROM_ONE = (("iris",), ("freckles",), ("melanin", "red"))  # colours of one parent
NOISE = 0.05  # of a number's range
SHOTS, POOL = 3, 24  # pictures of a drawn person; children among whom one is searched for
FEW = ["--portraits", "16", "--set", "discovery.search_steps=4"]  # for each child's search
SERVICE = one_model(Service())
WORLD = ["--device", "cpu", "--dtype", "float32", "--quiet"]


@cache
def typical(age: int, masc: float) -> dict[str, float]:
    """The mean numbers of people of an age and a sex."""
    some = [draw_person(10**7 + n, age=age, masc=masc) for n in range(120)]
    return {name: float(np.mean([getattr(p, name) for p in some])) for name in MIXED}


def family(number: int) -> tuple[Person, Person, Person]:
    """The mother, the father and their child (6 to 12) of a held-out number.

    What is a parent's own, beyond age and sex, is mixed in another share for each number; a little is new.
    """
    rng, seed = np.random.default_rng([number, 27]), HELD_OUT + 9000 + 3 * number
    mother = draw_person(seed, age=float(rng.uniform(24, 44)), masc=0.15)
    father = draw_person(seed + 1, age=float(rng.uniform(24, 44)), masc=0.85)
    age, masc = rng.uniform(6, 12), rng.choice([0.15, 0.85])
    own = lambda p, name: getattr(p, name) - typical(round(p.age), p.masc)[name]
    numbers = {"age": age, "masc": masc, "grey": 0.0}
    for name in MIXED:
        (low, high), share = RANGES[name], rng.random()
        mixed = share * own(mother, name) + (1 - share) * own(father, name)
        new = NOISE * (high - low) * rng.normal()
        numbers[name] = float(np.clip(typical(round(age), masc)[name] + mixed + new, low, high))
    for names in FROM_ONE:
        parent = (mother, father)[rng.integers(2)]
        numbers |= {name: getattr(parent, name) for name in names}
    numbers["tone"] = mother.tone + (father.tone - mother.tone) * rng.random()
    return mother, father, draw_person(seed + 2, glasses="none", **numbers)


def shots(person: Person, count: int, kind: int) -> list[Image.Image]:
    """Portraits of somebody, in other places and moods; another ``kind`` has others."""
    rng = np.random.default_rng([person.seed, kind])
    records = [draw_record(rng, [person], "portrait") for _ in range(count)]
    return [Image.fromarray(paint(record).rgb) for record in records]


def nearer(alike: Tensor) -> Tensor:
    """(families,) the share of strangers less like a child than its own, of (children, parents)."""
    return (alike.diag()[:, None] > alike).double().sum(dim=1) / (len(alike) - 1)


def rated(alike: Sequence[Tensor]) -> str:
    """Cells: nearer to the mother, the father, both than to strangers; 95 % over families."""
    cells, (mother, father) = [], alike
    for some in (mother, father, mother + father):
        middle, low, high, *_ = mean_over(nearer(some).tolist())
        cells.append(f"{middle:.3f} [{low:.3f}, {high:.3f}]")
    return " | ".join(cells)


def between(images: list[list[Image.Image]]) -> list[Tensor]:
    """(children, mothers) and (children, fathers), of ``images`` of mother, father, child in turn.

    Mean similarities of pictures of different numbers; those without a face are left out.
    """
    each = len(images[0])
    alike = by_faces("little-people", None)([image for some in images for image in some])
    same = torch.eye(each, dtype=torch.bool)[None, :, None, :]
    pairs = alike.view(len(images), each, len(images), each).masked_fill(same, torch.nan)
    means = pairs.nanmean(dim=(1, 3)).nan_to_num(0.0)
    return [means[2::3, 0::3], means[2::3, 1::3]]


def drawn(count: int) -> list[str]:
    """Lines: of drawn children, then of those chosen from `POOL` that have the family's colours."""
    encoder = load_identity_encoder(find_checkpoint("miniature").base / "photomaker.safetensors")
    ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "any of them": lambda E, parents: torch.zeros(len(E)),
        "nearest to the parents' mean (what it does)": lambda E, parents: E @ parents.mean(dim=0),
        "nearest by the smaller cosine": lambda E, parents: (E @ parents.mT).amin(dim=1),
    }

    @torch.inference_mode()
    def embed(images: list[Image.Image]) -> Tensor:
        parts = [images[a : a + 16] for a in range(0, len(images), 16)]
        E = torch.cat([encoder.embed(encoder.pixels(part)) for part in parts])
        return normalize(E.double(), dim=1)

    images: dict[str, list[list[Image.Image]]] = {"drawn children": [], **{way: [] for way in ways}}
    for *couple, own in map(family, range(count)):
        parents = torch.stack([embed(shots(who, 4, 2)).mean(dim=0) for who in couple])
        colours = {n: getattr(own, n) for names in (*FROM_ONE, ("tone", "grey")) for n in names}
        fixed = colours | {"age": own.age, "masc": own.masc, "glasses": "none"}
        pool = [draw_person(own.seed + 10**6 * (n + 1), **fixed) for n in range(POOL)]
        E = embed([shots(who, 1, 3)[0] for who in pool])
        chosen = {name: pool[int(way(E, parents).argmax())] for name, way in ways.items()}
        there = [shots(who, SHOTS, 1) for who in couple]
        for name, who in {"drawn children": own, **chosen}.items():
            images[name] += [*there, shots(who, SHOTS, 1)]
    return [f"| {name} | {rated(between(some))} |" for name, some in images.items()]


def painted(out: Path, count: int) -> Iterator[str]:
    """Lines of ``count`` couples and their children, who are found and painted in ``out`` where they are not yet."""
    couples = out / "couples"
    _discover(couples, ["Ann: a young woman", "Ben: a young man"], "--candidates", str(count))
    parents = pictures(couples, "", 2 * count)
    facts = SERVICE.describe("miniature", "cpu", "float32")
    for name, n in product(("Ann", "Ben"), range(1, count + 1)):
        if not (file := out / f"{name}{n}.character").exists():
            person = from_run(couples / audition.FOLDER, f"{name} {n}", facts, SERVICE.load)
            file.write_bytes(person.content)
    for kind, more in {"words and face": [], "face alone": ["--no-words"]}.items():
        runs = [out / f"{kind.replace(' ', '-')}-{n}" for n in range(1, count + 1)]
        for n, run in enumerate(runs):
            who = ("Tom: a boy", "Ida: a girl")[n % 2]
            like = [f"--like={out / name}{n + 1}.character" for name in ("Ann", "Ben")]
            like += ["--as", "child", "--who", who[:3], "--candidates", "1", *FEW]
            if more and n > 1 and not run.exists():  # one search for all boys, one for all girls
                shutil.copytree(audition.shared(runs[n % 2]).folder, audition.shared(run).folder)
            _discover(run, [who], *like, *more)
        for label, frame in {kind: "", f"{kind}: templates, without the face": ".template"}.items():
            families = zip(parents[:count], parents[count:], runs, strict=True)
            images = [each for a, b, run in families for each in (a, b, pictures(run, frame, 1)[0])]
            yield f"| {label} | {rated(between(images))} |"


def _discover(out: Path, people: Sequence[str], *argv: str) -> None:
    story = [word for who in people for word in ("--character", who)]
    story += ["--scene", " and ".join(f"{{{who[:3]}}}" for who in people), *WORLD]
    argv = ("discover", *story, "--out", str(out), *argv)
    if code := identitystory(argv, service=lambda: SERVICE):
        raise SystemExit(code)


def pictures(run: Path, kind: str, people: int) -> list[list[Image.Image]]:
    """The pictures of each candidate of a run, scene by scene."""
    folder, rows = RunFolder(run / audition.FOLDER), len(audition.SCENES)
    read = lambda n: read_picture(folder.frame(n, kind), folder.root).convert("RGB")
    return [[read(rows * who + row) for row in range(rows)] for who in range(people)]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where families are painted, and kept")
    parser.add_argument("--families", type=int, default=40)
    given, WORLD[:0] = parser.parse_known_args()  # the rest is for `discover`: --steps 10, say
    print("| nearer than strangers | mother | father | both |\n| --- | --- | --- | --- |")
    of = drawn if given.out is None else partial(painted, given.out)
    for line in of(given.families):
        print(line, flush=True)


if __name__ == "__main__":
    main()
