"""A story and a toy backend for the compared methods, and what their tests ask of all of them."""

import numpy as np
import pytest
import torch

from identitystory.methods.method import Notes, Work
from identitystory.models.backend import load_backend
from identitystory.story.file import inline_story
from tests.toy import toy_checkpoint  # noqa: F401

STEPS = 4
STORY = inline_story(
    ["Mara: a woman with dark curly hair", "Tom: an old man with a grey beard"],
    [
        "{Mara} reads a letter",
        "{Mara} and {Tom} on the pier",
        "{Tom} in the snow",
        "the lighthouse at dawn",
        "{Mara} by the sea",
    ],
    title="The pier",
)
ALL = tuple(range(len(STORY.scenes)))


@pytest.fixture(scope="session", name="backend")
def toy_backend(toy):
    return load_backend(toy, num_steps=STEPS, device="cpu", dtype="float32")


def paint(
    method, backend, *, story=STORY, wanted=None, seed=3, folder=None, identities=None, notes=None
):
    """The frames asked for, (number -> picture)."""
    numbers = range(len(story.scenes))
    seeds = tuple(method.seed(seed, n, per_frame=True) for n in numbers)
    wanted = tuple(numbers) if wanted is None else wanted
    work = Work(story, seeds, wanted, identities or {}, folder, notes or Notes())
    with torch.no_grad():
        return {n: frame.image for n, frame in method.paint(backend, work)}


def far(one, two):
    """The largest difference of two pictures, in steps of 255."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(two, dtype=int)).max())


def naive_attention(q, keys, values):
    """softmax(q k / sqrt(d)) v of one head, number by number: q (d,), keys and values lists."""
    scores = [float((q * k).sum()) / len(q) ** 0.5 for k in keys]
    top = max(scores)
    weights = [np.exp(s - top) for s in scores]
    total = sum(weights)
    return sum((w / total) * v for w, v in zip(weights, values, strict=True))
