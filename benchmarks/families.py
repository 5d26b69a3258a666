"""Are a child's pictures nearer to its parents than to strangers? ``python -m benchmarks.families [--out DIR]``.

Without a folder: families are drawn, a child's numbers mixed from its parents', and the recogniser
``little-people`` is asked, which sets what can be asked of it. Then portraits of drawn children are
searched for the one most like two parents, by several ways to compare.
With a folder, couples are found there by ``discover --candidates``, a child of each couple by ``--like``
twice ``--as child``, and the same is asked of the pictures, of their templates (which know the inherited
words and no face), and of a child found with ``--no-words`` (which has the face alone).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.casting import by_faces
from identitystory.cli.main import main as identitystory
from identitystory.metrics.intervals import bootstrap
from identitystory.models.describe import describe_model
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.photomaker import load_identity_encoder
from identitystory.runs import audition
from identitystory.runs.characters.making import from_run
from identitystory.runs.files import read_picture
from identitystory.runs.folder import RunFolder
from identitystory.runs.request import recorded
from identitystory.runs.service import load_model
from miniature.pictures.recipe import HELD_OUT
from miniature.world.picture import paint
from miniature.world.records import RANGES, Person
from miniature.world.sampling import draw_person, draw_record

MIXED = tuple(n for n in RANGES if n not in {
    "age", "masc", "build", "lash", "bags", "lipstick", "wrinkles", "blush", "grey", "volume", "length",
    "fringe", "parting", "hairline", "beard_len", "glasses_size",
})  # fmt: skip
FROM_ONE = (
    ("iris",),
    ("freckles",),
    ("melanin", "red"),
)  # colours of a parent's; the rest is mixed
NOISE = 0.05  # of a number's range
SHOTS, POOL = 3, 48  # pictures of a drawn person; children among whom one is searched for
WORLD = ["--device", "cpu", "--dtype", "float32", "--quiet"]


# --- Drawn families ----------------------------------------------------------------------------------


@cache
def typical(age: int, masc: float) -> dict[str, float]:
    """The mean numbers of people of an age and a sex."""
    some = [draw_person(10**7 + n, age=age, masc=masc) for n in range(120)]
    return {name: float(np.mean([getattr(p, name) for p in some])) for name in MIXED}


def child(mother: Person, father: Person, seed: int, rng: np.random.Generator) -> Person:
    """A child of 6 to 12: what is a parent's own, beyond age and sex, mixed in a share of its own for each number."""
    age, masc = float(rng.uniform(6, 12)), float(rng.choice([0.15, 0.85]))
    own = lambda p, name: getattr(p, name) - typical(round(p.age), p.masc)[name]
    numbers = {}
    for name, share in zip(MIXED, rng.random(len(MIXED)), strict=True):
        mixed = share * own(mother, name) + (1 - share) * own(father, name)
        low, high = RANGES[name]
        value = typical(round(age), masc)[name] + mixed + NOISE * (high - low) * rng.normal()
        numbers[name] = float(np.clip(value, low, high))
    for names in FROM_ONE:
        parent = (mother, father)[int(rng.integers(2))]
        numbers |= {name: getattr(parent, name) for name in names}
    share = rng.random()
    numbers["tone"] = share * mother.tone + (1 - share) * father.tone
    return draw_person(seed, age=age, masc=masc, glasses="none", grey=0.0, **numbers)


def family(number: int) -> tuple[Person, Person, Person]:
    """The mother, the father and their child of a held-out number."""
    rng, seed = np.random.default_rng([number, 27]), HELD_OUT + 9000 + 3 * number
    mother = draw_person(seed, age=float(rng.uniform(24, 44)), masc=0.15, glasses="none")
    father = draw_person(seed + 1, age=float(rng.uniform(24, 44)), masc=0.85, glasses="none")
    return mother, father, child(mother, father, seed + 2, rng)


def shots(person: Person, count: int, kind: int) -> list[Image.Image]:
    """Portraits of somebody, in other places and moods; another ``kind`` has others."""
    rng = np.random.default_rng([person.seed, kind])
    return [
        Image.fromarray(paint(draw_record(rng, [person], "portrait")).rgb) for _ in range(count)
    ]


def nearer(alike: Tensor) -> Tensor:
    """(families,) the share of strangers who are less like a child than its own: (children, others) in one order."""
    own = alike.diag()[:, None]
    mine = (own > alike).double() + 0.5 * (own == alike).double()
    return (mine.sum(dim=1) - 0.5) / (len(alike) - 1)


def rated(children_parents: Sequence[Tensor]) -> str:
    """Cells: nearer to mother, to father, to both than to strangers; 95 % over families."""
    mother, father = children_parents
    cells = []
    for alike in (mother, father, mother + father):
        each = nearer(alike)
        interval = bootstrap(lambda w, each=each: float((each * w).sum() / w.sum()), len(each))
        low, high = interval or (float("nan"),) * 2
        cells.append(f"{each.mean():.3f} [{low:.3f}, {high:.3f}]")
    return " | ".join(cells)


def drawn(count: int) -> list[str]:
    """Lines: the recogniser on drawn families, then children that were searched for in drawn portraits."""
    families = [family(n) for n in range(count)]
    look = by_faces("little-people", None)
    images = [shots(who, SHOTS, 1) for each in families for who in each]
    return [f"| drawn children | {rated(between(look, images))} |", *searched(families, look)]


def between(
    look: Callable[[list[Image.Image]], Tensor], images: list[list[Image.Image]]
) -> list[Tensor]:
    """(families, families) how like children are to mothers, and to fathers; ``images`` of mother, father, child in turn.

    A mean over pairs of pictures of different numbers; those without a face are left out.
    """
    each = len(images[0])
    alike = look([image for some in images for image in some])
    alike = alike.view(len(images), each, len(images), each).masked_fill(
        torch.eye(each, dtype=torch.bool)[None, :, None, :], torch.nan
    )
    alike = alike.nanmean(dim=(1, 3)).nan_to_num(0.0)
    return [alike[2::3, parent::3] for parent in (0, 1)]


def searched(
    families: Sequence[tuple[Person, Person, Person]], look: Callable[..., Tensor]
) -> list[str]:
    """A line for each way to compare: the child chosen of `POOL` drawn ones, whose colours are the family's."""
    encoder = load_identity_encoder(find_checkpoint("miniature").base / "photomaker.safetensors")

    def embed(images: list[Image.Image]) -> Tensor:
        with torch.inference_mode():
            some = [
                encoder.embed(encoder.pixels(images[a : a + 16])) for a in range(0, len(images), 16)
            ]
        return normalize(torch.cat(some).double(), dim=1)

    ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "any": lambda E, parents: torch.zeros(len(E)),
        "the cosine to the parents' mean: what it does": lambda E, parents: E @ parents.mean(dim=0),
        "the smaller of both cosines": lambda E, parents: (E @ parents.mT).amin(dim=1),
        "the cosine, both without their kind's mean": lambda E, parents: (
            normalize(E - E.mean(dim=0), dim=1) @ (parents - middle).mean(dim=0)
        ),
    }
    chosen: dict[str, list[Person]] = {name: [] for name in ways}
    parents = torch.stack(
        [torch.stack([embed(shots(p, 4, 2)).mean(dim=0) for p in f[:2]]) for f in families]
    )
    middle = parents.mean(dim=0)
    for (*_, real), both in zip(families, parents, strict=True):
        colours = {
            name: getattr(real, name) for names in (*FROM_ONE, ("tone", "grey")) for name in names
        }
        pool = [
            draw_person(
                real.seed + 10**6 * (n + 1), age=real.age, masc=real.masc, glasses="none", **colours
            )
            for n in range(POOL)
        ]
        E = embed([shots(who, 1, 3)[0] for who in pool])
        for name, way in ways.items():
            chosen[name].append(pool[int(way(E, both).argmax())])
    lines = []
    for name, children in chosen.items():
        images = [
            shots(w, SHOTS, 1) for f, c in zip(families, children, strict=True) for w in (*f[:2], c)
        ]
        lines.append(f"| chosen by: {name} | {rated(between(look, images))} |")
    return lines


# --- Painted families --------------------------------------------------------------------------------


def painted(out: Path, count: int) -> list[str]:
    """Lines of ``count`` couples and their children, who are found and painted in ``out`` where they are not yet."""
    typed = ["--character", "Ann: a young woman", "--character", "Ben: a young man"]
    typed += ["--scene", "{Ann} and {Ben}", *WORLD]
    couples = out / "couples"
    said = identitystory(["discover", *typed, "--out", str(couples), "--candidates", str(count)])
    if said:
        raise SystemExit(said)
    made: dict[str, list[Path]] = {"words and face": [], "face": []}
    facts = describe_model("miniature", "cpu", "float32")
    for n in range(1, count + 1):
        files = [out / f"{name}{n}.character" for name in ("Ann", "Ben")]
        for name, file in zip(("Ann", "Ben"), files, strict=True):
            if not file.exists():
                person = from_run(couples / audition.FOLDER, f"{name} {n}", facts, load_model)
                file.write_bytes(person.content)
        who = ("Ida: a girl", "Tom: a boy")[n % 2]
        name = who.partition(":")[0]
        for kind, more in (("words and face", []), ("face", ["--no-words"])):
            run, first = out / f"{kind.replace(' ', '-')}{n}", out / f"face{2 - n % 2}"
            if (
                kind == "face" and not run.exists() and run != first
            ):  # one search for all of a description
                shutil.copytree(audition.shared(first).folder, audition.shared(run).folder)
            like = [word for file in files for word in ("--like", str(file))]
            argv = ["--character", who, "--scene", f"{{{name}}} reads", *WORLD, *more, *like]
            argv += ["--out", str(run), "--as", "child", "--who", name, "--candidates", "1"]
            if said := identitystory(["discover", *argv]):
                raise SystemExit(said)
            made[kind].append(run)
    look, lines = by_faces("little-people", None), []
    for label, runs, kind in (
        ("inherited words and face", made["words and face"], ""),
        ("inherited words alone (templates)", made["words and face"], ".template"),
        ("face alone (`--no-words`)", made["face"], ""),
    ):
        parents = pictures(couples, "")
        images = []
        for n, run in enumerate(runs):
            images += [parents[n], parents[count + n], pictures(run, kind)[0]]
        lines.append(f"| {label} | {rated(between(look, images))} |")
    return lines


def pictures(run: Path, kind: str) -> list[list[Image.Image]]:
    """The pictures of each candidate of a run, scene by scene."""
    folder, rows = RunFolder(run / audition.FOLDER), len(audition.SCENES)
    count = len(recorded(folder.root).story.scenes)
    images = [read_picture(folder.frame(n, kind), folder.root).convert("RGB") for n in range(count)]
    return [images[a : a + rows] for a in range(0, count, rows)]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where families are painted, and kept")
    parser.add_argument("--families", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| nearer than strangers | to the mother | to the father | to both |\n| --- | --- | --- | --- |"
    )
    lines = drawn(given.families) if given.out is None else painted(given.out, given.families)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
