"""The decoder, sharpened: ``python -m miniature.stages.decoder``. Encoder and latents stay as they are.

From the cooled autoencoder, on windows of stored latents: L1, the look, and a patch judge at full and
at half size with matched features. What keeps the judge from drawing seams and grids (training_2.md,
section 8): spectral norm, a weight of .02, two sizes. With ``--believed`` a third of the latents are
what the U-Net believes in at little noise, so that the decoder knows what it is given in the end.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import paths
from ..pictures.latents import Latents, load_norm
from ..pictures.sets import open_there
from ..pictures.views import windows
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.losses import reconstruction
from ..training.noise import believed, noised, scheduler
from ..training.options import stage_options
from .look import load_look
from .vae import (
    BATCH,
    CHANNELS,
    DECODER,
    FACTOR,
    SETS,
    SHARES,
    WINDOW,
    load_encoder_side,
    noisy,
    optimizers_of,
)

NAME = DECODER
JUDGED, MATCHED = 0.02, 1.0  # weights of the judge's verdict and of its features
RISE = 0.2  # share of the budget over which the verdict's weight rises
BELIEVED = 0.33


class Judge(nn.Module):
    """A patch judge at full and at half size, spectral norm: verdicts and features."""

    def __init__(self) -> None:
        super().__init__()
        normed = nn.utils.parametrizations.spectral_norm
        widths = (3, 32, 64, 96)
        self.nets = nn.ModuleList(
            nn.ModuleList(
                [normed(nn.Conv2d(a, b, 4, 2, 1)) for a, b in pairwise(widths)]
                + [normed(nn.Conv2d(widths[-1], 1, 3, 1, 1))]
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Verdicts of both sizes, and all features."""
        verdicts, features = [], []
        for net in self.nets:
            h = x
            for layer in net[:-1]:
                h = F.leaky_relu(layer(h), 0.2)
                features.append(h)
            verdicts.append(net[-1](h))
            x = F.avg_pool2d(x, 2)
        return verdicts, features


class Decoder(nn.Module):
    """The decoder alone; the 1 x 1 convolution before it stays."""

    def __init__(self) -> None:
        super().__init__()
        vae = load_encoder_side()
        self.decoder, self.before = vae.decoder, vae.post_quant_conv
        self.decoder.requires_grad_(True).train()

    def forward(self, z: Tensor) -> Tensor:
        """(B, 3, H, W) of latents of the encoder's own scale."""
        return self.decoder(self.before(z))


class Source:
    """Windows of stored latents with their pixels; some as the U-Net believes in them."""

    def __init__(self, seed: list[int], *, believes: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.latents = [s for s in map(Latents, open_there(*SETS)) if len(s.numbers)]
        self.shares = [SHARES[SETS.index(s.data.folder.name)] for s in self.latents]
        self.arrays = [s.arrays(CHANNELS)[0] for s in self.latents]
        self.norm = load_norm()
        self.unet = None
        if believes:
            from ..training.captioning import Speaker
            from .unet import load_unet

            self.unet, self.speaker = load_unet().to(DEVICE), Speaker()

    def draw(self, batch: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, C, s, s) of the encoder's own scale, pixels, and pixel weights."""
        sets = [s.data for s in self.latents]
        w = windows(sets, self.shares, batch, size, self.rng, step=FACTOR, mirror=False)
        rows = []
        believing = self.unet is not None and self.rng.random() < BELIEVED
        for k, number, top, left in w.picks:
            z = torch.from_numpy(self.arrays[k][number]).float()
            if believing:
                z = self._believed(z[None], sets[k].shots[number].record)[0]
            i, j, n = top // FACTOR, left // FACTOR, size // FACTOR
            rows.append(z[:, i : i + n, j : j + n])
        mean, std = self.norm
        return torch.stack(rows) * std + mean, w.x, w.weight

    @torch.no_grad()
    def _believed(self, z: Tensor, record) -> Tensor:
        """What the U-Net believes in when a picture has a little noise, told what it shows."""
        from ..world.captions import caption
        from .unet import predicted

        alpha_bar, (z,) = scheduler().alphas_cumprod.to(DEVICE), moved(z)
        t = torch.randint(20, 250, (1,), device=DEVICE)
        x, _ = noised(z, torch.randn_like(z), t, alpha_bar)
        said = self.speaker.encode([caption(record, self.rng)])
        with mixed():
            v = predicted(self.unet, x, t, said.states, said.pooled).float()
        return believed(x, v, t, alpha_bar).cpu()


def train(
    minutes: float, *, batch: int = BATCH, steps: int | None = None, believes: bool = False,
    judged: float = JUDGED,
) -> None:  # fmt: skip
    """Decoder and judge in turn."""
    model, look = Decoder(), load_look().to(DEVICE)
    model.before.requires_grad_(False)
    run = Run(
        NAME, model.decoder, optimizers_of(model.decoder, 0.01, 7e-4), minutes=minutes,
        steps=steps, ema=0.99, decay_from=0.5,
    )  # fmt: skip
    model.to(DEVICE)
    judge, path = Judge().to(DEVICE), paths.checkpoint(f"{NAME}_judge")
    if run.step and path.exists():
        judge.load_state_dict(torch.load(path, weights_only=True))
    judging = torch.optim.Adam(judge.parameters(), 2e-4, betas=(0.5, 0.99))
    source, spread = Source([run.step, run.rank, 8], believes=believes), load_norm()[1].to(DEVICE)
    window = 64 if steps else WINDOW
    for fraction in run:
        z, x, weight = moved(*source.draw(batch, window))
        z = z + spread * (noisy(torch.zeros_like(z), 0.1))
        with mixed():
            y = model(z).float()
        rough, unlike = reconstruction(y, x, weight), look.unlike(y, x)
        judge.requires_grad_(False)
        with mixed():
            (verdicts, seen), (_, wanted) = judge(y), judge(x)
        pairs = zip(seen, wanted, strict=True)
        matched = sum((a - b).float().abs().mean() for a, b in pairs) / len(seen)
        verdict = -sum(v.float().mean() for v in verdicts)
        rising = judged * min(1.0, fraction / RISE)
        run.update(
            rough + unlike + MATCHED * matched + rising * verdict,
            rough=rough, unlike=unlike, matched=matched,
        )  # fmt: skip
        judge.requires_grad_(True)
        with mixed():
            (real, _), (made, _) = judge(x), judge(y.detach())
        both = zip(real, made, strict=True)
        wrong = (
            sum(F.relu(1 - a.float()).mean() + F.relu(1 + b.float()).mean() for a, b in both) / 2
        )
        judging.zero_grad()
        wrong.backward()
        judging.step()
        run.means["judge"] = 0.98 * run.means.get("judge", 2.0) + 0.02 * float(wrong.detach())
        if run.step % 200 == 0 and not run.rank:
            torch.save(judge.state_dict(), path)


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=60, batch=BATCH, flags=("--believed",))
    if not options.report:
        train(options.minutes, batch=options.batch, steps=options.steps, believes=options.believed)
    if options.rank == 0:
        from ..checks.autoencoder import report

        print(report("decoder", 4 if options.tiny else 48))


if __name__ == "__main__":
    main()
