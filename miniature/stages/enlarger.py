"""The enlarger: ``python -m miniature.stages.enlarger``. Twice the size, and twice for four times.

The package's own network (`PixelShuffle`), trained on pieces of the world
drawn at 256 and at 512 pixels, the small ones softened as the decoder softens them.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..package import PixelShuffle
from ..pictures.recipe import record_of
from ..pictures.views import to_tensor
from ..training.loop import Run, load_trained, mixed, moved
from ..training.losses import opponent
from ..training.muon import muon_and_adam
from ..training.options import stage_options
from ..world.picture import paint

NAME, WIDTH, DEPTH = "enlarger", 48, 6
BATCH, PIECE, RECORDS = 16, 48, 24  # pieces, their side at the small size, pictures drawn at a time
FIRST_RECORD = 60_000_000  # numbers of pictures that no set has


def new_enlarger() -> PixelShuffle:
    """The untrained network: a bicubic enlargement."""
    return PixelShuffle(WIDTH, DEPTH)


def pieces(count: int, drawn: list[tuple[Tensor, Tensor]], rng: np.random.Generator):
    """Small pieces and the large ones they are of."""
    small, large = [], []
    for _ in range(count):
        s, big = drawn[int(rng.integers(len(drawn)))]
        y, x = (int(rng.integers(0, n - PIECE + 1)) for n in s.shape[1:])
        a, b = s[:, y : y + PIECE, x : x + PIECE], big[:, 2 * y : 2 * (y + PIECE)]
        b = b[:, :, 2 * x : 2 * (x + PIECE)]
        flip = rng.random() < 0.5
        small.append(a.flip(2) if flip else a)
        large.append(b.flip(2) if flip else b)
    return torch.stack(small), torch.stack(large)


def softened(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of the pieces a little out of focus and with a little noise, as decoded pictures are."""
    amount = torch.from_numpy(rng.uniform(0, 1, (len(x), 1, 1, 1)).clip(0.5) * 2 - 1).float()
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x.lerp(blurred, 0.7 * amount) + 0.02 * amount * torch.randn_like(x)


def draw_both(start: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """Pictures at 256 and at 512 pixels."""
    found = []
    for n in range(start, start + count):
        record = record_of("singles", FIRST_RECORD + n)
        found.append(tuple(to_tensor(paint(record, height=h).rgb[None])[0] for h in (256, 512)))
    return found


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """L1 of colours and edges."""
    model = new_enlarger()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 4 and "middle" in n]
    optimizers = muon_and_adam(matrices, model.parameters(), muon=0.005, adam=1e-3, decay=0.0)
    run = Run(NAME, model, optimizers, minutes=minutes, steps=steps, ema=0.99, decay_from=0.5)
    rng, drawn = np.random.default_rng([run.step, 2]), []
    for _ in run:
        if (run.step - run.first) % 60 == 0:
            few = 2 if steps else RECORDS
            drawn = [*draw_both(run.step * 10, few), *drawn][: 8 * RECORDS]
        small, large = pieces(batch, drawn, rng)
        small, large = moved(softened(small, rng), large)
        with mixed():
            y = model(small).float()
        d = y - large
        edges = d.diff(dim=-1).abs().mean() + d.diff(dim=-2).abs().mean()
        error = d.square().mean().detach()
        run.update(opponent(d).abs().mean() + 0.5 * edges, psnr=-10 * (error / 4).log10())


def load_enlarger() -> PixelShuffle:
    """The trained network, frozen."""
    return load_trained(NAME, new_enlarger())


@torch.inference_mode()
def report(count: int = 12) -> dict[str, float]:
    """PSNR of twice-enlarged drawings, and of bicubic ones."""
    model, ours, theirs = load_enlarger(), [], []
    for small, large in draw_both(10_000_000, count):
        x = small[None]
        smooth = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        ours.append((model(x)[0] - large).square().mean())
        theirs.append((smooth[0] - large).square().mean())
    decibel = lambda e: round(float(-10 * (torch.stack(e).mean() / 4).log10()), 2)
    return dict(psnr=decibel(ours), bicubic=decibel(theirs))


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=10, batch=BATCH)
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps)
    print(report(2 if options.tiny else 12))


if __name__ == "__main__":
    main()
