"""Is the face in the embedding? ``python -m miniature.checks.embedding``.

A generator can paint of a face only what the embedding holds. So dlib's descriptor of *another* picture of a
held-out person is predicted, by ridge regression, from what the tower says of a portrait, from what its teacher
and ``perception`` say, and from the person's own numbers, which hold everything; and it is asked whose descriptor
the prediction comes nearest to. dlib has no part in any training: it only tells what is missing.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..pictures.face_shapes import numbers_of
from ..pictures.portraits import other_portraits, pixels
from ..pictures.training_set import LATENTS
from ..stages.identity import auc, embed_all, load_encoder
from ..stages.perception import corners, cut, load_perception
from ..stages.teacher import load_teacher
from ..stages.vae import load_vae, to_tensor
from ..training.loop import trained
from .faces import recognised

RIDGE = 30.0


def descriptors(data: PictureSet, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dlib's descriptors of the first two pictures of each person, (n, 2, 128); nan where there is
    no face. Kept in a file beside the set, for they take 40 ms each."""
    file = data.folder / "dlib.npz"
    known = dict(np.load(file)) if file.exists() else {}
    missing = np.setdiff1d(people, known.get("people", np.zeros(0, dtype=int)))
    if len(missing):
        numbers = data.spec["pictures"] * missing[:, None] + np.arange(2)
        parts = np.array_split(numbers.ravel(), max(1, len(missing) // 50))
        with ProcessPoolExecutor() as pool:
            found = [
                d for part in pool.map(partial(_descriptors, data.folder), parts) for d in part
            ]
        new = np.stack(found).reshape(-1, 2, 128)
        known = dict(
            people=np.concatenate([known["people"], missing]) if known else missing,
            found=np.concatenate([known["found"], new]) if known else new,
        )
        np.savez(file, **known)
    place = {p: k for k, p in enumerate(known["people"].tolist())}
    return people, known["found"][[place[p] for p in people.tolist()]]


def _descriptors(folder: Path, numbers: np.ndarray) -> list[np.ndarray]:
    from identitystory.metrics.faces import Dlib

    torch.set_num_threads(1)
    found = recognised(PictureSet(folder).images[numbers], Dlib())
    return [np.full(128, np.nan) if f is None else f for f in found]


def ridge(x: Tensor, y: Tensor, of: Tensor, strength: float = RIDGE) -> Tensor:
    """``y`` (n, k) predicted from ``x`` (n, d) by ridge regression, for the rows ``of`` (m, d).

    Columns of x are standardised, those of y centred.
    """
    x, y, of = x.double(), y.double(), of.double()
    mean, spread, centre = x.mean(0), x.std(0) + 1e-6, y.mean(0)
    x, of = (x - mean) / spread, (of - mean) / spread
    weights = torch.linalg.solve(
        x.T @ x + strength * torch.eye(x.shape[1], dtype=x.dtype), x.T @ (y - centre)
    )
    return of @ weights + centre


def told_apart(predicted: Tensor, true: Tensor, kinds: np.ndarray) -> dict[str, float]:
    """AUC of own against others' distances, (n, d) both; and among people of one of ``kinds`` (n,)."""
    distance = torch.cdist(predicted.double(), true.double()).numpy()
    own = np.eye(len(distance), dtype=bool)
    alike = (kinds[:, None] == kinds[None]) & ~own
    return dict(
        auc=auc(-distance[own], -distance[~own]), alike=auc(-distance[own], -distance[alike])
    )


def perceived(data: PictureSet, numbers: np.ndarray) -> Tensor:
    """``perception``'s vectors (n, 192) of pictures, as the autoencoder encodes them."""
    vae, perception = load_vae(), load_perception()
    stored = torch.load(LATENTS, weights_only=True, mmap=True)
    mean, std = (stored[k].view(-1, 1, 1) for k in ("mean", "std"))
    eyes_at = {row["n"]: row["eyes_at"][0] for row in data.facts}
    parts = []
    for k in range(0, len(numbers), 100):
        some = numbers[k : k + 100]
        z = (vae.encode(to_tensor(data.images[some])).latent_dist.mean - mean) / std
        eyes = torch.tensor([eyes_at[n] for n in some])
        parts.append(perception(cut(z, corners(eyes, torch.zeros(len(z)))))[2])
    return torch.cat(parts)


def taught(data: PictureSet, numbers: np.ndarray) -> Tensor:
    """What the tower's teacher says of pictures, (n, d)."""
    teacher, some = load_teacher(data), np.array_split(numbers, max(1, len(numbers) // 100))
    return torch.cat([teacher(pixels(data.images[n]))[0] for n in some])


def _towered(data: PictureSet, numbers: np.ndarray) -> Tensor:
    return embed_all(data, numbers, load_encoder())


@torch.inference_mode()
def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--people", type=int, default=3000, help="to learn the regression from")
    options = parser.parse_args()
    data = PictureSet(options.data)
    known, portrait = data.known_people, other_portraits(data)
    some = np.arange(known - options.people, data.spec["people"])
    people, found = descriptors(data, np.intersect1d(some, list(portrait)))
    there = ~np.isnan(found).any((1, 2))
    people, found = people[there], torch.from_numpy(found[there])
    new = people >= known
    first = np.array([portrait[p] for p in people.tolist()])
    rows = {row["n"]: row for row in data.facts}
    kinds = np.array([f"{rows[n]['sex']} {rows[n]['skin']}" for n in first[new]])
    sources = {"numbers": torch.from_numpy(numbers_of(data))[people]}
    for name, look in dict(tower=_towered, teacher=taught, perception=perceived).items():
        if trained(name):
            sources[name] = look(data, first)
    print(f"{(~new).sum()} people known, {new.sum()} held out")
    results = {"dlib": found[new, 0]}
    for name, x in sources.items():
        results[name] = ridge(x[~new], found[~new].mean(1), x[new])
    for name, predicted in results.items():
        numbers = told_apart(predicted, found[new, 1], kinds)
        print(f"{name:12s}", "  ".join(f"{k} {v:.3f}" for k, v in numbers.items()), flush=True)


if __name__ == "__main__":
    main()
