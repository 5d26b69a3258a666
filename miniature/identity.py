"""The identity tower of PhotoMaker's encoder: ``python -m miniature.identity``.

Two pictures of one person must lie close, two persons of one description apart. The tower learns it
from two sides: told what makes the face (it predicts the person's shape, tone and features, which the world
knows) and told who is who (supervised contrast between pictures of many people in a batch, half of whom
share sex, skin and hair). Contrast alone, and among anybody, is content with skin and hair: what a recogniser
goes by is then not in the embedding, and no generator can paint it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPVisionConfig

from identitystory.models.photomaker import IdentityEncoder
from identitystory.models.pixels import CLIP_MEAN, CLIP_STD

from .data import PictureSet
from .loop import Run, load_trained, mixed, moved
from .muon import muon_and_adam
from .paths import BUILD
from .text import WIDTHS
from .vae import rendered
from .world.people import draw_person, face_targets

SIZE, PATCH, WIDTH, LAYERS = 128, 8, 192, 6
PEOPLE_IN_BATCH, TEMPERATURE = 64, 0.08
TOLD = 10.0  # weight of the person's numbers


def new_encoder() -> IdentityEncoder:
    """PhotoMaker v1's class at small size."""
    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 64, image_size=SIZE, patch_size=PATCH,
        projection_dim=WIDTHS[0], hidden_act="quick_gelu", attn_implementation="eager",
    )  # fmt: skip
    return IdentityEncoder(config, WIDTHS)


class Tower(nn.Module):
    """The encoder with a head that predicts the person's own numbers."""

    def __init__(self, numbers: int):
        super().__init__()
        self.encoder = new_encoder()
        self.encoder.fuse_module.requires_grad_(False)  # learns with the U-Net
        self.head = nn.Linear(sum(WIDTHS), numbers)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """E (B, d) and the predicted numbers (B, k)."""
        e = self.encoder.embed(pixels)
        return e, self.head(e)


def vectors(data: PictureSet) -> np.ndarray:
    """(people, k) standardised numbers of every person of the set; cached beside it."""
    path = data.folder / "vectors.npy"
    if path.exists() and len(v := np.load(path)) == data.spec["people"]:
        return v
    from .world.body import Body

    body = Body(BUILD / "world")
    names = face_targets(body)
    rows = [
        draw_person(body, data.spec["seed"], i).vector(names) for i in range(data.spec["people"])
    ]
    v = np.stack(rows)
    v = (v - v.mean(0)) / np.maximum(v.std(0), 0.05)
    np.save(path, v)
    return v


def view_of(image: np.ndarray, eyes, rng: np.random.Generator | None) -> np.ndarray:
    """(S, S, 3): a loose crop around the eyes, mirrored and shifted at random; whole without rng."""
    picture = Image.fromarray(image)
    if rng is None:
        return np.asarray(picture.resize((SIZE, SIZE), Image.BICUBIC))
    s = image.shape[0]
    side = s * rng.uniform(0.65, 1.0)
    x, y = np.clip(eyes, 0, s) + rng.uniform(-0.12, 0.12, 2) * side
    left, top = np.clip(x - side / 2, 0, s - side), np.clip(y - side * 0.42, 0, s - side)
    blur = rng.random() < 0.3  # generated pictures are softer than rendered ones
    small = (3 * SIZE // 4, 3 * SIZE // 4) if blur else (SIZE, SIZE)
    picture = picture.resize(small, Image.BICUBIC, box=(left, top, left + side, top + side))
    a = np.asarray(picture.resize((SIZE, SIZE), Image.BICUBIC) if blur else picture)
    return a[:, ::-1] if rng.random() < 0.5 else a


def pixels(views: list[np.ndarray], rng: np.random.Generator | None = None) -> Tensor:
    """(B, 3, S, S) as the encoder wants them; with rng, light and colour vary."""
    x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    if rng is not None:
        gain = torch.from_numpy(rng.uniform(0.75, 1.25, (len(x), 1, 1, 1)).astype(np.float32))
        tint = torch.from_numpy(rng.uniform(0.93, 1.07, (len(x), 3, 1, 1)).astype(np.float32))
        x = (x * gain * tint).clamp(0, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (x - mean) / std


def contrast(e: Tensor, groups: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) over cosine similarities."""
    e = F.normalize(e.float(), dim=1)
    logits = e @ e.T / TEMPERATURE
    logits.fill_diagonal_(-1e9)
    same = groups[:, None] == groups[None]
    same.fill_diagonal_(False)
    return -(logits.log_softmax(1)[same]).mean()


def train(minutes: float, data: PictureSet) -> None:
    """Two pictures each of many people a step."""
    (numbers,) = moved(torch.from_numpy(vectors(data)))
    tower = Tower(numbers.shape[1])
    matrices = [p for n, p in tower.named_parameters() if p.ndim == 2 and "encoder.layers" in n]
    optimizers = muon_and_adam(matrices, tower.parameters(), muon=0.02, adam=2e-3)
    run = Run("tower", tower, optimizers, minutes=minutes, ema=0.99, decay_from=0.3)
    rng = np.random.default_rng(run.step + 1)
    eyes = {row["n"]: row["eyes_at"][0] for row in data.facts}
    per, known = (
        data.spec["pictures"],
        min(data.known_people, len(rendered(data)) // data.spec["pictures"]),
    )
    kinds = kinds_of(data, known)
    for _ in run:
        chosen_people = look_alikes(kinds, PEOPLE_IN_BATCH, rng)
        views, groups = [], []
        for who in chosen_people:
            for k in rng.choice(per, 2, replace=False):
                n = int(who * per + k)
                views.append(view_of(data.images[n], eyes[n], rng))
                groups.append(int(who))
        groups, x = moved(torch.tensor(groups), pixels(views, rng))
        with mixed():
            e, guess = tower(x)
        told = F.smooth_l1_loss(guess.float(), numbers[groups])
        size = (e.float().square().mean(1) - 1).square().mean()  # rows of a size that fusing likes
        who_loss = contrast(e, groups)
        run.update(
            who_loss + TOLD * told + 0.02 * size,
            who=float(who_loss.detach()),
            told=float(told.detach()),
        )


def kinds_of(data: PictureSet, known: int) -> np.ndarray:
    """(known,) a number for each person's sex, skin and hair."""
    of = {row["index"]: (row["sex"], row["skin"], row["hair"]) for row in data.facts}
    return np.unique([" ".join(of[i]) for i in range(known)], return_inverse=True)[1]


def look_alikes(kinds: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) people of whom half are of somebody's kind, if there are so many, the others anybody."""
    everybody = rng.permutation(len(kinds))
    alike = everybody[kinds[everybody] == kinds[everybody[0]]][: count // 2]
    others = everybody[~np.isin(everybody, alike)][: count - len(alike)]
    return np.concatenate([alike, others])


def load_encoder() -> IdentityEncoder:
    """The trained encoder; its fuse module is still untrained."""
    numbers = np.load(BUILD / "people" / "vectors.npy").shape[1]
    return load_trained("tower", Tower(numbers)).encoder


@torch.inference_mode()
def embed_all(data: PictureSet, numbers: np.ndarray, encoder: IdentityEncoder) -> Tensor:
    """E of whole pictures, (len(numbers), d) float32."""
    parts = []
    for k in range(0, len(numbers), 256):
        views = [view_of(data.images[n], None, None) for n in numbers[k : k + 256]]
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(encoder.embed(pixels(views)).float())
    return torch.cat(parts)


def auc(same: np.ndarray, different: np.ndarray) -> float:
    """Probability that a pair of one person is more alike than a pair of two."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(same, different).statistic / len(same) / len(different))


def report(data: PictureSet) -> dict:
    """AUC over held-out people: all pairs, and among people who share a coarse description."""
    numbers = rendered(data)
    held = numbers[numbers >= data.held_out_from]
    rows = {r["n"]: r for r in data.facts}
    e = F.normalize(embed_all(data, held, load_encoder()), dim=1)
    cosine = (e @ e.T).numpy()
    who = np.array([rows[n]["index"] for n in held])
    kind = np.array([hash(tuple(rows[n][k] for k in ("sex", "age", "skin"))) for n in held])
    i, j = np.triu_indices(len(held), 1)
    same, alike = who[i] == who[j], kind[i] == kind[j]
    c = cosine[i, j]
    result = dict(
        people=len(set(who)), auc=auc(c[same], c[~same]), auc_alike=auc(c[same], c[~same & alike])
    )
    for framing in ("portrait", "half-body"):
        f = np.array([rows[n]["framing"] == framing for n in held])
        both = f[i] & f[j]
        result[f"auc_{framing}"] = auc(c[same & both], c[~same & both])
    return {k: round(v, 4) for k, v in result.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="only measure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = PictureSet(options.data)
    if not options.report:
        train(options.minutes, data)
    print(report(data))


if __name__ == "__main__":
    main()
