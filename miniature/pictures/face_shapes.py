"""What a face is, in numbers: what the networks that look at faces are taught to tell."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from ..paths import BUILD
from .dataset import PictureSet

SHAPES = 40  # principal components of the faces' shapes; 99 % of their variance


def numbers_of(data: PictureSet) -> np.ndarray:
    """(people, k) standardised numbers of every person of the set; cached beside it."""
    path = data.folder / "numbers.npy"
    if path.exists() and len(v := np.load(path)) == data.spec["people"]:
        return v
    parts = np.array_split(np.arange(data.spec["people"]), 16)
    with ProcessPoolExecutor() as pool:
        done = list(pool.map(partial(_numbers_and_faces, data.spec["seed"]), parts))
    numbers, faces = (np.concatenate(a) for a in zip(*done, strict=True))
    v = np.concatenate([numbers, components(faces.reshape(len(faces), -1), SHAPES)], 1)
    v = (v - v.mean(0)) / np.maximum(v.std(0), 0.05)
    np.save(path, v)
    return v


def _numbers_and_faces(seed: int, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from ..world.body import Body
    from ..world.people import draw_person

    body = Body(BUILD / "world")
    drawn = [draw_person(body, seed, int(i)) for i in people]
    return np.stack([p.numbers() for p in drawn]), np.stack([p.face(body) for p in drawn])


def components(x: np.ndarray, count: int) -> np.ndarray:
    """(n, count) the scores of ``x`` (n, d) on its first principal components, each of variance 1."""
    x = x - x.mean(0)
    values, axes = np.linalg.eigh(x.T @ x / len(x))
    first = slice(None, -count - 1, -1)
    return x @ axes[:, first] / np.sqrt(np.maximum(values[first], 1e-12))
