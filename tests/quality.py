"""How good the shipped miniature is at least, in one place, and on what that is measured.

``.venv/bin/python -m tests.quality`` measures it and prints a line for each number. A new miniature
gets thresholds a little below what it measures: they are there to notice parts that are broken or do
not fit each other, not to rank miniatures.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from identitystory.metrics.attributes import FOLDER as ATTRIBUTES
from identitystory.metrics.attributes import AttributeReader, load_reader
from identitystory.metrics.scores import cosine
from identitystory.models.backend import load_backend
from identitystory.models.clip import load_clip
from identitystory.protocols import Backend
from miniature.world.words import PLACE
from tests.people import PICTURES, captions, facts, masks, portraits

FOLDER = Path(str(resources.files("identitystory") / "weights" / "miniature"))
LEAST = {
    "embeddings nearest to one of the same person": 0.75,
    "overlap of segmented and drawn people": 0.8,
    "autoencoder, decibel": 26.0,
    "place read": 0.95,
    "hour read": 0.95,
    "sex read": 0.87,
    "expression read": 0.66,
    "attributes read": 0.8,
    "true captions confirmed": 0.8,
    "other people's captions refused": 0.4,
    "places named by CLIP": 0.5,
}


@cache
def miniature() -> Backend:
    """The miniature, with few steps."""
    return load_backend("miniature", num_steps=6, dtype="float32")


def recognised() -> dict[str, float]:
    """Share of 24 pictures of 8 unseen people that lie nearest to one of the same person."""
    e = torch.nn.functional.normalize(miniature().identity.embed(portraits()), dim=1)
    similar = (e @ e.T).fill_diagonal_(-2)
    who = torch.arange(len(e)) // PICTURES
    right = (who[similar.argmax(1)] == who).float().mean()
    return {"embeddings nearest to one of the same person": float(right)}


def segmented() -> dict[str, float]:
    """Mean intersection over union with the masks that the pictures were drawn with."""
    segmenter, overlap = miniature().segmenter, []
    for image, truth, row in zip(portraits(), masks(), facts(), strict=True):
        mask = segmenter.segment(image, [f"a {row['sex']}"]).masks[0].numpy()
        overlap.append((mask & truth).sum() / (mask | truth).sum())
    return {"overlap of segmented and drawn people": float(np.mean(overlap))}


def autoencoded() -> dict[str, float]:
    """Decibel between unseen people and what comes back from their latents; the latents' spread."""
    vae = AutoencoderKL.from_pretrained(FOLDER / "vae", torch_dtype=torch.float32)
    pages = np.stack([np.asarray(image) for image in portraits()[::PICTURES]])
    x = torch.from_numpy(pages).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        z = vae.encode(x).latent_dist.mean
        y = vae.decode(z).sample.clamp(-1, 1)
    error = float((x - y).square().mean())
    return {"autoencoder, decibel": 10 * float(np.log10(4 / error)), "spread": float(z.std())}


def reader() -> AttributeReader:
    """The attribute reader that is shipped."""
    found = load_reader(FOLDER / ATTRIBUTES)
    assert found is not None
    return found


def read() -> dict[str, float]:
    """Shares read right of what is true of the 24 pictures."""
    network, rows = reader(), facts()
    right: dict[str, list[bool]] = {}
    for row, image in zip(rows, portraits(), strict=True):
        for attribute, value in network.read(image).items():
            if attribute in row:
                right.setdefault(attribute, []).append(row[attribute] == value)
    shares = {k: float(np.mean(v)) for k, v in right.items()}
    named = {f"{k} read": shares[k] for k in ("place", "hour", "sex", "expression")}
    return {**named, "attributes read": float(np.mean(list(shares.values())))}


def confirmed() -> dict[str, float]:
    """Share of words confirmed in pictures with their own caption; refused, with somebody else's."""
    network, said, images = reader(), captions(), portraits()
    share = {}
    for shift in (0, 5):
        verdicts = [
            right
            for k, image in enumerate(images)
            for right in network.verdicts(image, said[(k + shift) % len(images)], 1).values()
        ]
        assert len(verdicts) > 3 * len(images)
        share[shift] = float(np.mean(verdicts))
    return {"true captions confirmed": share[0], "other people's captions refused": 1 - share[5]}


def named() -> dict[str, float]:
    """Share of pictures whose place is the nearest of the places' texts in the small CLIP."""
    clip = load_clip(FOLDER / "segmenter", name="miniature/segmenter", device=torch.device("cpu"))
    truth = [row["place"] for row in facts()]
    places = sorted(set(truth))
    texts = clip.texts([f"a portrait of a woman {PLACE[place][0]}" for place in places])
    nearest = cosine(clip.pictures(portraits()), texts).argmax(1).tolist()
    right = [places[k] == place for k, place in zip(nearest, truth, strict=True)]
    return {"places named by CLIP": float(np.mean(right))}


MEASURES: tuple[Callable[[], dict[str, float]], ...] = (
    recognised, segmented, autoencoded, read, confirmed, named,
)  # fmt: skip


def main() -> None:
    """Print what is measured beside the least."""
    for measure in MEASURES:
        for name, value in measure().items():
            print(f"{name}: {value:.3f} (at least {LEAST.get(name, '-')})")  # noqa: T201


if __name__ == "__main__":
    main()
