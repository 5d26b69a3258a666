"""The identity tower: ``python -m miniature.stages.identity`` trains it, with who the people are as teacher.

PhotoMaker's encoder is a CLIP vision transformer with two projections. It learns to say of a
portrait what ``teacher`` says: the embedding, and cell by cell what that sees on its way there.
A picture's embedding E is what U-Net and fuse module learn to paint from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig

from identitystory.models.sdxl.identity_encoder import IdentityEncoder

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..pictures.portraits import SIZE, Pairs, pixels
from ..training.loop import CPU, Run, load_trained, mixed, moved, spawn
from ..training.muon import muon_and_adam
from .teacher import GRID, PEOPLE_IN_BATCH, contrast, load_teacher
from .teacher import WIDTH as SEEN
from .text import WIDTHS

PATCH, WIDTH, HIDDEN, LAYERS, ACTIVATION = SIZE // GRID, 192, 512, 6, "gelu"
LOOKED = 4  # the layer after which a patch's token says what the teacher sees there
SAID, APART = 10.0, 0.3  # weights: what the teacher says, who is who


def new_encoder() -> IdentityEncoder:
    """An untrained tower with the text encoders' widths."""
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 64, image_size=SIZE, patch_size=PATCH,
        projection_dim=WIDTHS[0], hidden_act=ACTIVATION,
    )  # fmt: skip
    encoder = IdentityEncoder(vision, WIDTHS)
    # The fused kernel's backward pass is slow on a CPU.
    encoder.vision_model.set_attn_implementation("eager")
    return encoder


class Tower(nn.Module):
    """The encoder with a head that says of each patch what the teacher sees there."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = new_encoder()
        self.encoder.fuse_module.requires_grad_(False)  # learns with the U-Net
        self.seen = nn.Linear(WIDTH, SEEN)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """E (B, d), and the teacher's map (B, SEEN, 8, 8) as the tower has it."""
        vision = self.encoder.vision_model(pixels, output_hidden_states=True)
        seen = self.seen(vision.hidden_states[LOOKED][:, 1:])
        return self.encoder.project(vision.pooler_output), seen.mT.unflatten(2, (GRID, GRID))


def train(minutes: float, data: PictureSet) -> None:
    """Two portraits each of many people a step."""
    tower, (teacher,) = Tower(), moved(load_teacher(data))
    matrices = [p for n, p in tower.named_parameters() if p.ndim == 2 and "encoder.layers" in n]
    optimizers = muon_and_adam(matrices, tower.parameters(), muon=0.02, adam=2e-3)
    run = Run("tower", tower, optimizers, minutes=minutes, ema=0.99, decay_from=0.3, clip=10.0)
    rng, pairs = np.random.default_rng([run.step, run.rank, 2]), Pairs(data)
    for _ in run:
        x, _, who = moved(*pairs.draw(PEOPLE_IN_BATCH, rng))
        with mixed():
            with torch.no_grad():
                wanted, there, _ = teacher(x)
            e, seen = tower(x)
        said = (e.float() - wanted).square().mean() / wanted.float().var()
        looked = (seen.float() - there).square().mean() / there.float().var()
        apart = contrast(e, who)
        run.update(
            SAID * said + looked + APART * apart,
            said=float(said.detach()),
            looked=float(looked.detach()),
            apart=float(apart.detach()),
        )


def load_encoder() -> IdentityEncoder:
    """The trained encoder; its fuse module is still untrained."""
    return load_trained("tower", Tower()).encoder


@torch.inference_mode()
def embed_all(data: PictureSet, numbers: np.ndarray, encoder: IdentityEncoder) -> Tensor:
    """E of pictures, (len(numbers), d) float32."""
    parts = []
    for k in range(0, len(numbers), 256):
        with mixed(CPU):
            parts.append(encoder.embed(pixels(data.images[numbers[k : k + 256]])).float())
    return torch.cat(parts)


def auc(same: np.ndarray, different: np.ndarray) -> float:
    """Probability that a pair of one person is more alike than a pair of two."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(same, different).statistic / len(same) / len(different))


@torch.inference_mode()
def report(data: PictureSet) -> dict[str, float]:
    """AUC over portraits of held-out people: all pairs, and among those of one sex, age and skin."""
    rows = [r for r in data.facts if r["n"] >= data.held_out_from and r["framing"] == "portrait"]
    e = F.normalize(embed_all(data, np.array([r["n"] for r in rows]), load_encoder()), dim=1)
    who = np.array([r["index"] for r in rows])
    kind = np.array([" ".join(r[k] for k in ("sex", "age", "skin")) for r in rows])
    i, j = np.triu_indices(len(rows), 1)
    same, alike = who[i] == who[j], kind[i] == kind[j]
    cosine = (e @ e.T).numpy()[i, j]
    return dict(
        auc=round(auc(cosine[same], cosine[~same]), 4),
        alike=round(auc(cosine[same], cosine[~same & alike]), 4),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="only measure")
    options = parser.parse_args()
    data = PictureSet(options.data)
    if not options.report:
        rank = spawn(options.threads)
        train(options.minutes, data)
        if rank:
            return
    torch.set_num_threads(options.threads)
    print(report(data))


if __name__ == "__main__":
    main()
