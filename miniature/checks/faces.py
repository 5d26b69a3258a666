"""Are there faces, and are they the right people's? ``python -m miniature.checks.faces``.

Pictures of held-out people from both generators, judged by dlib's recogniser, which had no part in the
training. The general generator has a caption of the person; the identity generator has the same
caption and the embedding of a portrait of them. No discovery, no scenes put together: this
is the generators alone, in a minute, so that a change in training can be told from none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from identitystory.metrics.faces import Dlib

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..pictures.portraits import other_portraits
from ..pictures.training_set import LATENTS, place_of_class_word, wording
from ..stages.identity import auc, embed_all, load_encoder
from ..stages.painter import Painter
from ..stages.text import load_encoders, tokens
from ..stages.unet import sample
from ..stages.vae import load_vae, to_images, to_tensor
from ..training.loop import CPU, load_trained, mixed


def paint(painter: Painter, rows: list[dict], e: torch.Tensor | None, **options) -> torch.Tensor:
    """(n, 3, S, S) in [-1, 1]: one picture of each row's first wording, with its identity or without."""
    tokenizers, encoders = load_encoders()
    texts = [wording(row, 0) for row in rows] + [""]
    ids = [tokens(t, texts) for t in tokenizers]
    states, pooled, _ = encoders(*ids)
    if e is not None:
        where = place_of_class_word(ids[0], tokenizers[0])[:-1]
        states = torch.cat([painter.with_identity(states[:-1], where, e), states[-1:]])
    z = sample(painter, states, pooled, identity=e is not None, **options)
    stored = torch.load(LATENTS, weights_only=True, mmap=True)
    return decoded(z * stored["std"].view(-1, 1, 1) + stored["mean"].view(-1, 1, 1))


def decoded(z: torch.Tensor) -> torch.Tensor:
    """(n, 3, S, S) in [-1, 1]."""
    with mixed(CPU):
        return load_vae().decode(z).sample.float().clamp(-1, 1)


def recognised(images: np.ndarray, dlib: Dlib) -> list[np.ndarray | None]:
    """dlib's 128 numbers of the surest face of each picture, None where it finds none."""
    found = [dlib.faces(Image.fromarray(image)) for image in images]
    return [max(f, key=lambda face: face.score).embedding.numpy() if f else None for f in found]


def likeness(painted: list, real: list) -> dict[str, float]:
    """Detection rate; AUC and mean distances of a painted picture to the real ones of the same place
    in the list against those of the others."""
    distance = np.array(
        [
            [np.nan if a is None or b is None else np.linalg.norm(a - b) for b in real]
            for a in painted
        ]
    )
    own = np.eye(len(painted), dtype=bool)
    same, different = distance[own], distance[~own]
    same, different = same[~np.isnan(same)], different[~np.isnan(different)]
    return dict(
        detection=float(np.mean([a is not None for a in painted])),
        auc=auc(-same, -different) if len(same) else float("nan"),
        same=float(same.mean()), different=float(different.mean()),
    )  # fmt: skip


@torch.inference_mode()
def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--name", default="unet", help="checkpoint")
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=BUILD / "likeness.png")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data, dlib = PictureSet(options.data), Dlib()
    per = data.spec["pictures"]
    portrait = {w: n for w, n in other_portraits(data).items() if w >= data.known_people}
    first = np.array(list(portrait.values())[: options.people])
    rows = {r["n"]: r for r in data.facts}
    painter = load_trained(options.name, Painter())
    other = first // per * per + 1
    shown, known = data.images[other], data.images[first]
    e = embed_all(data, first, load_encoder())
    how = dict(guidance=options.guidance, steps=options.steps, seed=3)
    wanted = [rows[n] for n in other]
    made = {
        "rendered": shown,
        "autoencoder": to_images(decoded(load_vae().encode(to_tensor(shown)).latent_dist.mean)),
        "general": to_images(paint(painter, wanted, None, **how)),
        "identity": to_images(paint(painter, wanted, e, **how)),
    }
    real = recognised(known, dlib)
    for name, images in made.items():
        found = likeness(recognised(images, dlib), real)
        print(f"{name:12s}", "  ".join(f"{k} {v:.3f}" for k, v in found.items()), flush=True)
    columns = min(12, options.people)
    page = [np.concatenate(list(a[:columns]), 1) for a in (known, *made.values())]
    Image.fromarray(np.concatenate(page)).save(options.out)


if __name__ == "__main__":
    main()
