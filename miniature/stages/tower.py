"""The identity tower: ``python -m miniature.stages.tower`` trains it, with ``teacher`` as its teacher.

PhotoMaker's encoder is a CLIP vision transformer with two projections. It learns to say of a
portrait what the teacher says: the embedding, and cell by cell what that sees on its way there.
A picture's embedding E is what U-Net and fuse module learn to paint from.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig

from ..package import IdentityEncoder
from ..pictures.faces import SIZE, Pairs, middles, portraits
from ..pictures.sets import PictureSet, open_held_out, open_set
from ..pictures.views import to_tensor
from ..training.loop import CPU, Run, load_trained, mixed, moved
from ..training.losses import contrast
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from .teacher import GRID, load_teacher
from .teacher import WIDTH as SEEN
from .text import WIDTHS

NAME = "tower"
PATCH, WIDTH, HIDDEN, LAYERS, ACTIVATION = SIZE // GRID, 192, 512, 4, "gelu"
LOOKED = 3  # the layer after which a patch's token says what the teacher sees there
SAID, APART = 10.0, 0.3  # weights: what the teacher says, who is who
BATCH = 48  # people


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


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """Two portraits each of many people a step."""
    tower, (teacher,) = Tower(), moved(load_teacher())
    matrices = [p for n, p in tower.named_parameters() if p.ndim == 2 and "encoder.layers" in n]
    optimizers = muon_and_adam(matrices, tower.parameters(), muon=0.02, adam=2e-3)
    run = Run(
        NAME, tower, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.3, clip=10.0
    )  # fmt: skip
    rng, pairs = np.random.default_rng([run.step, run.rank, 2]), Pairs(open_set("singles"))
    for _ in run:
        x, _, who, _ = moved(*pairs.draw(batch, rng))
        with mixed():
            with torch.no_grad():
                wanted, there, _ = teacher(x)
            e, seen = tower(x)
        said = (e.float() - wanted.float()).square().mean() / wanted.float().var()
        looked = (seen.float() - there.float()).square().mean() / there.float().var()
        apart = contrast(e, who)
        run.update(
            SAID * said + looked + APART * apart, said=said, looked=looked, apart=apart
        )  # fmt: skip


def load_encoder() -> IdentityEncoder:
    """The trained encoder; its fuse module is still untrained."""
    return load_trained(NAME, Tower()).encoder


@torch.inference_mode()
def embed_all(data: PictureSet, numbers: np.ndarray, encoder: IdentityEncoder) -> Tensor:
    """E of pictures, (len(numbers), d) float32."""
    parts = []
    for some in np.array_split(numbers, max(1, len(numbers) // 64)):
        with mixed(CPU):
            parts.append(encoder.embed(middles(to_tensor(data.rgb[some]))).float())
    return torch.cat(parts)


def auc(same: np.ndarray, different: np.ndarray) -> float:
    """Probability that a pair of one person is more alike than a pair of two."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(same, different).statistic / len(same) / len(different))


@torch.inference_mode()
def verified(e: Tensor, who: np.ndarray) -> dict[str, float]:
    """AUC, equal error rate and at which cosine, over all pairs of embeddings (n, d) of people ``who`` (n,)."""
    e = F.normalize(e, dim=1)
    i, j = np.triu_indices(len(e), 1)
    cosine, same = (e @ e.T).numpy()[i, j], who[i] == who[j]
    if not same.any() or same.all():
        return {}
    ends = np.linspace(cosine.min(), cosine.max(), 2000)
    missed = np.searchsorted(np.sort(cosine[same]), ends) / same.sum()
    taken = 1 - np.searchsorted(np.sort(cosine[~same]), ends) / (~same).sum()
    k = int(np.abs(missed - taken).argmin())
    return dict(
        auc=round(auc(cosine[same], cosine[~same]), 4),
        equal_error=round(float(missed[k] + taken[k]) / 2, 4), at=round(float(ends[k]), 3),
        same=round(float(cosine[same].mean()), 3), different=round(float(cosine[~same].mean()), 3),
    )  # fmt: skip


def report() -> dict[str, float]:
    """Verification over portraits of held-out people."""
    (data,) = open_held_out()
    of = portraits(data)
    who = np.array([w for w, its in of.items() for _ in its])
    return verified(embed_all(data, np.concatenate(list(of.values())), load_encoder()), who)


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=40, batch=BATCH)
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    if options.rank == 0:
        print(report())


if __name__ == "__main__":
    main()
