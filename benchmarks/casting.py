"""Are several people of one description several people? ``python -m benchmarks.casting [RUN ...]``.

Without runs: people of one description are drawn, three portraits of each are searched by the paper's
filter and by ways to find six people, and the other three tell whether these are six, and which.
With runs, whose candidates ``identitystory discover --candidates 6`` painted: how well the candidates
are told apart from scene to scene, by their pictures and by the templates alone, which know their words
and no face; and what words leave free, in portraits, candidates and people drawn at random.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn.functional import normalize

from identitystory import preset
from identitystory.casting import people
from identitystory.discovery import cohesion, discover, mean
from identitystory.metrics.attributes import load_reader, said
from identitystory.metrics.faces import load_recogniser
from identitystory.metrics.intervals import bootstrap
from identitystory.metrics.scores import auc, cosine
from identitystory.models.describe import describe_model
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.photomaker import load_identity_encoder
from identitystory.runs import audition
from identitystory.runs.files import read_picture, silent
from identitystory.runs.folder import RunFolder, read_record
from identitystory.runs.plan import make_plan
from identitystory.runs.portraits import batches
from identitystory.runs.request import RunRequest, recorded
from miniature.pictures.recipe import HELD_OUT
from miniature.world.picture import paint
from miniature.world.records import categories
from miniature.world.sampling import draw_person, draw_record

COUNT, PORTRAITS, PERSONS = 6, 6, 20  # people looked for; portraits of each drawn person; persons
CONFIG = preset("recommended").discovery
KINDS: Mapping[str, tuple[tuple[int, int], dict[str, object]]] = {
    "young women": ((20, 38), {"masc": 0.15}),
    "old men with beards": ((64, 84), {"masc": 0.9, "beard": "full beard"}),
    "girls": ((6, 12), {"masc": 0.2}),
}
FREE = ("skin", "hair colour", "hair", "eyes", "age")
Groups = list[Tensor]  # the rows of each person
Alike = Callable[[list[Image.Image]], Tensor]  # similarities (n, n), nan where no face is


# --- Drawn people ------------------------------------------------------------------------------------


def by_kmeans(E: Tensor) -> Groups:
    """Clusters of the directions."""
    _, label = kmeans2(normalize(E.double(), dim=1).numpy(), COUNT, minit="++", seed=0)
    return [torch.tensor(np.flatnonzero(label == k)) for k in range(COUNT) if (label == k).any()]


def by_mean_shift(E: Tensor, width: float = 0.75) -> Groups:
    """The most populated modes of a flat kernel on the sphere."""
    rows = normalize(E.double(), dim=1)
    modes = rows
    for _ in range(50):
        near = (modes @ rows.mT > width).double()
        modes = normalize(near @ rows, dim=1)
    groups = {tuple(np.flatnonzero(row)) for row in (modes @ rows.mT > width).numpy()}
    return [torch.tensor(g) for g in sorted(groups, key=lambda g: (-len(g), g))[:COUNT]]


def by_joint_choice(E: Tensor, near: int) -> Groups:
    """`people`, then any of them exchanged as long as the two most alike get less alike."""
    rows = normalize(E.double(), dim=1)
    every = people(E, COUNT, CONFIG, near=near)
    company = (rows @ rows.mT).argsort(dim=1, descending=True)[:, :near]
    middles = normalize(torch.stack([mean(E[some]) for some in company]).double(), dim=1)
    cosines = middles @ middles.mT - 2 * torch.eye(len(E))
    chosen = [
        next(n for n, c in enumerate(company) if set(c.tolist()) == set(w.kept.tolist()))
        for w in every
    ]
    floor = cohesion(E[discover(E, CONFIG).kept])
    may = [n for n, some in enumerate(rows @ rows.mT) if some.topk(2).values[1] >= floor]
    most = lambda some: float(cosines[some][:, some].max())
    better = True
    while better:
        better = False
        for place in range(COUNT):
            for n in set(may) - set(chosen):
                other = [*chosen[:place], n, *chosen[place + 1 :]]
                if most(other) < most(chosen) - 1e-9:
                    chosen, better = other, True
    return [company[n] for n in chosen]


WAYS: dict[str, Callable[[Tensor], Groups]] = {
    "clusters (k-means)": by_kmeans,
    "mean shift": by_mean_shift,
    **{
        f"one after the other, {near} portraits each": lambda E, near=near: [
            who.kept for who in people(E, COUNT, CONFIG, near=near)
        ]
        for near in (1, 2, 3, 4)
    },
    "joint choice, 1 portrait each": partial(by_joint_choice, near=1),
    "joint choice, 3 portraits each": partial(by_joint_choice, near=3),
}


@dataclass(frozen=True)
class Crowd:
    """E (n, d) of portraits of drawn people, and who each shows; half of them are searched."""

    E: Tensor
    who: Tensor

    @property
    def searched(self) -> Tensor:
        """(n,) bool: three portraits of each person."""
        return torch.arange(len(self.who)) % PORTRAITS < PORTRAITS // 2


def crowd(kind: str, first: int) -> Crowd:
    """Twenty people of a kind, from the held-out person ``first`` on."""
    encoder = load_identity_encoder(find_checkpoint("miniature").base / "photomaker.safetensors")
    (young, old), fixed = KINDS[kind]
    images = []
    for number in range(HELD_OUT + first, HELD_OUT + first + PERSONS):
        age = float(np.random.default_rng(number).uniform(young, old))
        person = draw_person(number, age=age, **fixed)
        rng = np.random.default_rng([number, 5])
        records = [draw_record(rng, [person], "portrait") for _ in range(PORTRAITS)]
        images += [Image.fromarray(paint(record).rgb) for record in records]
    with torch.inference_mode():
        E = [encoder.embed(encoder.pixels(images[a : a + 16])) for a in range(0, len(images), 16)]
    return Crowd(torch.cat(E).clone(), torch.arange(PERSONS).repeat_interleave(PORTRAITS))


def measured(found: Groups, made: Crowd) -> list[float]:
    """Persons found, share of a person's rows that are theirs, AUC and cosine of held-out portraits, most alike."""
    E, who = made.E[made.searched], made.who[made.searched]
    whose = [int(who[rows].mode().values) for rows in found]
    pure = [float((who[rows] == w).double().mean()) for rows, w in zip(found, whose, strict=True)]
    identities = torch.stack([mean(E[rows]) for rows in found])
    alike = cosine(made.E[~made.searched], identities)
    own = made.who[~made.searched][:, None] == torch.tensor(whose)
    other = torch.isin(made.who[~made.searched], torch.tensor(whose))[:, None] & ~own
    most = cosine(identities, identities) - 2 * torch.eye(len(found))
    between = auc(alike[own], alike[other])
    return [
        len(set(whose)),
        float(np.mean(pure)),
        between,
        float(alike[own].mean()),
        float(most.max()),
    ]


def drawn_table() -> str:
    """Markdown: each way over the three kinds, two crowds of each; then the filter's two searches."""
    crowds = {(kind, n): crowd(kind, 5000 * n) for kind in KINDS for n in (0, 1)}
    lines = ["| | persons of 6 | rows of one person | AUC | cosine, held out | most alike two |"]
    lines += ["| --- " * 6 + "|"]
    for name, way in WAYS.items():
        each = [measured(way(made.E[made.searched]), made) for made in crowds.values()]
        middle, low, high = np.mean(each, 0), np.min(each, 0), np.max(each, 0)
        cells = [f"{m:.3f} [{a:.3f}, {b:.3f}]" for m, a, b in zip(middle, low, high, strict=True)]
        lines.append(" | ".join([f"| {name}", *cells]) + " |")
    for kind in KINDS:
        two = [discover(crowds[kind, n].E, CONFIG) for n in (0, 1)]
        kept = [cohesion(crowds[kind, n].E[found.kept]) for n, found in enumerate(two)]
        same = float(cosine(two[0].embedding[None], two[1].embedding[None]))
        lines.append(
            f"\nfilter, {kind}: cosine of two searches {same:.3f}, of kept portraits {np.mean(kept):.3f}"
        )
    return "\n".join(lines)


# --- Painted candidates ------------------------------------------------------------------------------


def pairs(run: RunRequest, kind: str, alike: Alike) -> tuple[Tensor, Tensor]:
    """Similarities of pictures of different scenes: of one candidate, and of two. nan where no face is."""
    folder, rows = RunFolder(run.out), len(audition.SCENES)
    count = len(run.story.scenes)
    similarity = alike(
        [read_picture(folder.frame(n, kind), run.out).convert("RGB") for n in range(count)]
    )
    i, j = torch.triu_indices(count, count, offset=1)
    across = i % rows != j % rows
    of = lambda n: n // rows
    one = across & (of(i) == of(j))
    two = across & (of(i) != of(j))
    return similarity[i[one], j[one]], similarity[i[two], j[two]]


def _auc_of(one: Tensor, others: Tensor, weights: Tensor) -> float:
    """The AUC with pairs of one candidate, nan without faces, counted as often as ``weights`` say."""
    there = ~one.isnan()
    return auc(one[there], others, weights[there])


def told_apart(runs: Sequence[RunRequest], alike: Alike) -> list[str]:
    """A line for pictures and one for templates: faces found, similarities, AUC with its interval over candidates."""
    lines = []
    for label, kind in (("pictures", ""), ("templates, words alone", ".template")):
        found = [pairs(run, kind, alike) for run in runs]
        one, two = (torch.cat(some) for some in zip(*found, strict=True))
        there, others = ~one.isnan(), two[~two.isnan()]
        statistic = partial(_auc_of, one, others)
        interval = bootstrap(statistic, len(one)) or (float("nan"),) * 2
        value = statistic(torch.ones(len(one), dtype=torch.float64))
        lines.append(
            f"| {label} | {int(there.sum())} of {len(one)} | {one[there].mean():.3f} | {others.mean():.3f} "
            f"| {value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}] |"
        )
    return lines


def by_faces(name: str, models: Path | None) -> Alike:
    """Similarities (n, n) by a recogniser of `metrics.faces`: of the surest face in each picture."""
    recogniser = load_recogniser(name, models)

    def alike(images: list[Image.Image]) -> Tensor:
        faces = [max(recogniser.faces(i), key=lambda f: f.score, default=None) for i in images]
        there = [n for n, face in enumerate(faces) if face is not None]
        made = torch.full((len(images), len(images)), torch.nan, dtype=torch.float64)
        if there:
            E = torch.stack([face.embedding for face in faces if face is not None])
            made[torch.tensor(there)[:, None], torch.tensor(there)] = recogniser.similarity(E, E)
        return made

    return alike


def by_encoder(images: list[Image.Image]) -> Tensor:
    """Cosines (n, n) by the identity encoder that also found the candidates: no judge from outside."""
    encoder = load_identity_encoder(find_checkpoint("miniature").base / "photomaker.safetensors")
    with torch.inference_mode():
        E = encoder.embed(encoder.pixels(images))
    return cosine(E, E)


def portraits(run: Path, name: str) -> tuple[Tensor, Tensor]:
    """E (m, d) and thumbnails (m, h, w, 3) of the search that candidates of somebody were found in."""
    request = replace(recorded(run / audition.FOLDER), cache=audition.shared(run), seed=None)
    facts = describe_model(request.model, "cpu", "float32")
    made = make_plan(request, facts, read_record(RunFolder(request.out)))
    parts = batches(request, RunFolder(request.out), name, made.identities[name])
    stored = [part.read(silent) for part in parts]
    both = [(s["E"], s["thumbnails"]) for s in stored if s is not None]
    return torch.cat([E for E, _ in both]), torch.cat([small for _, small in both])


def coverage(run: Path, drawn: int = 400) -> list[str]:
    """A line for each attribute that a description leaves free: how portraits, candidates and drawn people have it.

    ``drawn`` people of the world whom the description fits are the renderer's own spread. A distance
    is the share that would have to change (total variation); the reader's mistakes are in it.
    """
    reader = load_reader(find_checkpoint("miniature").base / "attributes")
    request = recorded(run / audition.FOLDER)
    if reader is None:
        raise SystemExit("the checkpoint reads no attributes")
    cast = request.story.characters
    who, rng = cast[0].searched, np.random.default_rng(0)
    E, small = portraits(run, cast[0].name)
    read = [reader.read(Image.fromarray(picture.numpy())) for picture in small]
    told = said(who.description, reader.phrases)
    found, kept = people(E, len(cast), CONFIG), discover(E, CONFIG).kept.tolist()
    world = []
    for number in range(10**6):
        record = draw_record(rng, [draw_person(HELD_OUT + number)], "portrait")
        true = categories(record, 0)
        world += [true] if all(true[k] in v for k, v in told.items() if k in true) else []
        if len(world) == drawn:
            break
    lines = []
    for name in [name for name in FREE if name not in told]:
        truth, seen = [w[name] for w in world], [r[name] for r in read]
        six = lambda some: float(np.mean([len({*rng.choice(some, len(cast))}) for _ in range(500)]))
        chosen = [seen[int(p.kept[0])] for p in found]
        lines.append(
            f"| {who.description}: {name} | {distance(seen, truth):.2f} | {distance([seen[n] for n in kept], truth):.2f} "
            f"| {len({*chosen})} | {six(seen):.1f} | {six(truth):.1f} | {', '.join(chosen)} |"
        )
    return lines


def distance(some: Sequence[str], others: Sequence[str]) -> float:
    """The total variation distance of two lists of values, in [0, 1]."""
    a, b = Counter(some), Counter(others)
    return sum(abs(a[v] / len(some) - b[v] / len(others)) for v in {*a, *b}) / 2


def painted_tables(runs: Sequence[Path], judges: Mapping[str, Alike]) -> str:
    """Markdown: who is told apart by whom, and what the words leave free."""
    asked = [recorded(run / audition.FOLDER) for run in runs]
    lines = []
    for name, alike in judges.items():
        lines += [
            f"| {name} | pairs with faces | one person | two people | AUC |",
            "| --- " * 5 + "|",
        ]
        lines += told_apart(asked, alike)
    lines += ["\n| free | portraits from drawn | the filter's from drawn | values of six candidates "
              "| of six portraits | of six drawn | candidates |", "| --- " * 7 + "|"]  # fmt: skip
    lines += [line for run in runs for line in coverage(run)]
    return "\n".join(lines)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="story runs that hold candidates")
    parser.add_argument("--faces", default="little-people", help="a recogniser of metrics.faces")
    parser.add_argument("--face-models", type=Path, help="the folder of its weights")
    options = parser.parse_args()
    if not options.runs:
        return print(drawn_table())
    judges = {options.faces: by_faces(options.faces, options.face_models), "encoder": by_encoder}
    print(painted_tables(options.runs, judges))


if __name__ == "__main__":
    main()
