"""The autoencoder: 128 px pictures to 16 x 16 latents and back. ``python -m miniature.stages.vae``.

A plain three-channel ``AutoencoderKL``. Faces weigh more than background, colour differences more
than luminance (an L1 loss on RGB learns green against magenta last), and edges count at three scales.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image

from ..paths import BUILD
from ..pictures.dataset import PictureSet
from ..training.loop import CPU, Run, load_trained, mixed, moved, spawn, trained
from ..training.muon import Muon

SIZE, LATENT_CHANNELS = 128, 12
CROP, BATCH = 64, 16  # a batch is of each process
DECODER = "vae_decoder"


def new_vae() -> AutoencoderKL:
    """The autoencoder, factor 8. Channels first: group norm's backward pass is slow otherwise."""
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=LATENT_CHANNELS, sample_size=SIZE,
        block_out_channels=(16, 32, 96, 128), layers_per_block=1, norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        mid_block_add_attention=False, scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """(n, S, S, 3) uint8 to (n, 3, S, S) in [-1, 1]."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2) / 127.5 - 1
    return x.float().contiguous()


def to_images(x: torch.Tensor) -> np.ndarray:
    """The way back: (n, 3, S, S) in [-1, 1] to (n, S, S, 3) uint8."""
    return ((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def rendered(data: PictureSet) -> np.ndarray:
    """Numbers of the pictures that are rendered already."""
    return np.array([row["n"] for row in data.facts])


def face_box(row: dict, size: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) in pixels from above the brows to below the mouth."""
    x, y = np.clip(row["eyes_at"][0], 0, size - 1)
    r = (24 if row["framing"] == "portrait" else 18) * size / 128
    top, bottom, left, right = y - 0.6 * r, y + 1.6 * r, x - r, x + r
    return max(0, int(top)), min(size, int(bottom)), max(0, int(left)), min(size, int(right))


def crops(data: PictureSet, pool: np.ndarray, rows: dict, rng: np.random.Generator, size: int):
    """A batch of crops, most around a face, and the weight of each pixel."""
    images, weights = [], []
    for n in rng.choice(pool, BATCH):
        image, mask = data.images[n], data.masks[n]
        s = image.shape[0]
        weight = 1.0 + 3.0 * ((mask == 2) | (mask == 3) | (mask == 5))
        top, bottom, left, right = face_box(rows[n], s)
        weight[top:bottom, left:right] += 3.0
        y, x = rng.integers(0, s - size + 1, 2)
        if rng.random() < 0.8 and size < s:
            centre = np.array([top + bottom, left + right]) // 2 + rng.integers(-20, 21, 2)
            y, x = np.clip(centre - size // 2, 0, s - size)
        image, weight = image[y : y + size, x : x + size], weight[y : y + size, x : x + size]
        mirrored = rng.random() < 0.5
        images.append(image[:, ::-1] if mirrored else image)
        weights.append(weight[:, ::-1] if mirrored else weight)
    weight = torch.from_numpy(np.stack(weights)).float()[:, None]
    return to_tensor(np.stack(images)), weight / weight.mean()


def opponent(x: torch.Tensor) -> torch.Tensor:
    """RGB to luminance, red-green, yellow-blue; the two differences enlarged."""
    r, g, b = x.unbind(1)
    return torch.stack([0.3 * r + 0.6 * g + 0.1 * b, 1.2 * (r - g), 0.8 * (b - 0.5 * (r + g))], 1)


def reconstruction_loss(y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """L1 in opponent colours + gradients at three scales + colours of 8 x 8 blocks."""
    d = opponent(y) - opponent(x)
    loss = (d.abs() * weight).mean() + 0.3 * F.avg_pool2d(d, 8).abs().mean()
    d = (y - x) * weight.sqrt()
    for _ in range(3):
        loss = loss + 0.35 * (d.diff(dim=-1).abs().mean() + d.diff(dim=-2).abs().mean())
        d = F.avg_pool2d(d, 2)
    return loss


def train(minutes: float, data: PictureSet, *, kl: float) -> None:
    """Train the autoencoder on what is rendered, for ``minutes``."""
    vae = new_vae()
    run = Run("vae", vae, new_optimizers(vae, 1.0), minutes=minutes, ema=0.995, decay_from=0.35)
    for _, (x, weight) in zip(run, batches(run, data), strict=False):
        with mixed():
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample()).sample
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        loss = reconstruction_loss(y.float(), x, weight)
        sigma, spread = float(posterior.std.detach().float().mean()), float(mean.detach().std())
        run.update(loss + kl * divergence, recon=float(loss.detach()), sigma=sigma, spread=spread)


def train_decoder(minutes: float, data: PictureSet) -> None:
    """Go on with the decoder alone: latents stay what they are, and the U-Net with them."""
    vae = load_trained("vae", new_vae())
    decoder = vae.decoder.requires_grad_(True)
    run = Run(DECODER, vae, new_optimizers(decoder, 0.5), minutes=minutes, ema=0.995, decay_from=0)
    for _, (x, weight) in zip(run, batches(run, data), strict=False):
        with mixed():
            with torch.no_grad():
                posterior = vae.encode(x).latent_dist
                # Some of its noise: what the U-Net paints is not exact either.
                z = (
                    posterior.mean
                    + torch.rand(len(x), 1, 1, 1, device=x.device)
                    * torch.randn_like(posterior.std)
                    * posterior.std
                )
            y = vae.decode(z).sample
        loss = reconstruction_loss(y.float(), x, weight)
        run.update(loss, recon=float(loss.detach()))


def new_optimizers(model: torch.nn.Module, scale: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner convolutions, AdamW for the rest."""
    names = {n: p for n, p in model.named_parameters() if p.requires_grad}
    outer = ("conv_in", "conv_out", "quant")
    hidden = [p for n, p in names.items() if p.ndim == 4 and not any(k in n for k in outer)]
    chosen = set(map(id, hidden))
    rest = [p for p in names.values() if id(p) not in chosen]
    return [
        Muon(hidden, 0.02 * scale),
        torch.optim.AdamW(rest, 1.5e-3 * scale, betas=(0.9, 0.99), fused=True),
    ]


def batches(run: Run, data: PictureSet) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Crops and pixel weights without end, of whatever is rendered by now."""
    rng = np.random.default_rng([run.step, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    for k in itertools.count():
        if k % 200 == 0:
            data = PictureSet(data.folder)
            pool = rendered(data)
            pool = pool[pool < data.held_out_from]
            rows = {r["n"]: r for r in data.facts}
        yield moved(*crops(data, pool, rows, rng, CROP))


def load_vae() -> AutoencoderKL:
    """The trained autoencoder, with the decoder that was trained on where there is one."""
    return load_trained(DECODER if trained(DECODER) else "vae", new_vae())


@torch.inference_mode()
def report(data: PictureSet, out: Path) -> dict:
    """PSNR over held-out pictures, whole and face, and a page of originals above reconstructions."""
    vae = load_vae()
    numbers = rendered(data)
    held = numbers[numbers >= data.held_out_from]
    held = (held if len(held) >= 64 else numbers)[-64:]
    x = to_tensor(data.images[held])
    with mixed(CPU):
        y = vae.decode(vae.encode(x).latent_dist.mean).sample.float().clamp(-1, 1)
    error = ((y - x) ** 2).mean(1)
    face = torch.from_numpy((data.masks[held] >= 1) & (data.masks[held] <= 3))
    decibel = lambda mse: round(float(10 * np.log10(4 / float(mse))), 2)
    result = dict(psnr=decibel(error.mean()), face_psnr=decibel(error[face].mean()))
    shown = to_images(x), to_images(y)
    rows = [np.concatenate(list(a[k : k + 8]), 1) for k in (0, 8, 16, 24) for a in shown]
    Image.fromarray(np.concatenate(rows)).save(out)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=34)
    parser.add_argument("--threads", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--kl", type=float, default=1e-3)
    parser.add_argument("--decoder", action="store_true", help="go on with the decoder alone")
    parser.add_argument("--report", action="store_true", help="only measure")
    options = parser.parse_args()
    data = PictureSet(options.data)
    rank = 0
    if not options.report:
        rank = spawn(options.threads)
        if options.decoder:
            train_decoder(options.minutes, data)
        else:
            train(options.minutes, data, kl=options.kl)
    if rank == 0:
        print(report(data, BUILD / "vae.png"))


if __name__ == "__main__":
    main()
