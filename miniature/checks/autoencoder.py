"""What the autoencoder keeps: ``python -m miniature.checks.autoencoder``.

PSNR of held-out pictures, whole and by part, clean and with noise on the latents; how much detail a
face has; and a sheet, drawings above what becomes of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import paths
from ..pictures.sets import FACE, FINE, PictureSet, open_held_out, part_of
from ..pictures.views import to_images, to_tensor
from ..training.loop import CPU, mixed

COUNT = 48


def held_out(count: int) -> tuple[PictureSet, np.ndarray]:
    """Pictures of people that nothing was trained on."""
    (data,) = open_held_out()
    return data, data.numbers[-count:]


def detail(x: Tensor, mask: Tensor) -> float:
    """Mean absolute Laplacian of (B, 3, H, W) where ``mask`` (B, H, W) is."""
    centre = 4 * x[:, :, 1:-1, 1:-1]
    around = x[:, :, 2:, 1:-1] + x[:, :, :-2, 1:-1] + x[:, :, 1:-1, 2:] + x[:, :, 1:-1, :-2]
    laplacian = (centre - around).abs().mean(1) / 4
    return round(float(laplacian[mask[:, 1:-1, 1:-1]].mean()), 4)


def decibel(squared: Tensor) -> float:
    """PSNR of squared errors of values in [-1, 1]."""
    return round(float(-10 * (squared.mean() / 4).log10()), 2)


@torch.inference_mode()
def report(name: str = "autoencoder", count: int = COUNT) -> dict[str, float]:
    """The measures, and ``sheets/NAME.png``: rows of eight drawings and their reconstructions."""
    from ..stages.vae import CHANNELS, load_vae

    vae = load_vae()
    data, numbers = held_out(count)
    count = len(numbers)
    x = to_tensor(data.rgb[numbers])
    part = part_of(data.marks[numbers])
    face, fine = (torch.from_numpy(data.table(k, 1)[part] > 0) for k in (FACE, FINE))
    with mixed(CPU):
        z = torch.cat([vae.encode(k).latent_dist.mean.float() for k in x.split(16)])
        decode = lambda z: torch.cat(
            [vae.decode(k).sample.float().clamp(-1, 1) for k in z.split(16)]
        )
        y = decode(z)
        spread = z.std((0, 2, 3), keepdim=True)
        noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
        noisy = decode(z + 0.2 * spread * noise)
        few = z.clone()
        few[:, CHANNELS // 2 :] = 0
        half = decode(few)
    error = (y - x).square().mean(1)
    result = dict(
        psnr=decibel(error), face=decibel(error[face]), eyes_mouth=decibel(error[fine]),
        noise=decibel((noisy - x).square()), half_of_the_channels=decibel((half - x).square()),
        detail=detail(y, face), detail_drawn=detail(x, face),
        least_spread=round(float(spread.min()), 3), most_spread=round(float(spread.max()), 3),
    )  # fmt: skip
    shown = [data.rgb[numbers], to_images(y), to_images(half)]
    rows = [
        np.concatenate(list(s[k : k + 8]), 1) for k in range(0, min(24, count), 8) for s in shown
    ]
    Image.fromarray(np.concatenate(rows)).save(paths.sheet(name))
    (paths.state() / "sheets" / f"{name}.json").write_text(json.dumps(result))
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    options = parser.parse_args()
    paths.use_state(options.state)
    print(report())


if __name__ == "__main__":
    main()
