"""What the U-Net paints: ``python -m miniature.checks.painting``.

Fixed captions of held-out people and one noise. The reader says in how many pictures it sees what the
records say; the believed picture's error says how near the U-Net comes to the drawings. A sheet: the
drawings through the autoencoder above what is painted from their captions.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import paths
from ..pictures.labels import NOBODY
from ..pictures.latents import Latents, load_norm
from ..pictures.sets import open_held_out
from ..pictures.views import to_images
from ..training.captioning import Speaker
from ..training.loop import CPU, mixed, trained
from ..training.noise import GUIDANCE, believed, noised, scheduler
from ..world.captions import caption

SEED = 1


@torch.inference_mode()
def sample(
    unet: nn.Module, states: Tensor, pooled: Tensor, *, size: tuple[int, int] = (16, 16),
    guidance: float = GUIDANCE, steps: int = 20, seed: int = SEED,
) -> Tensor:  # fmt: skip
    """Ancestral samples (n, C, h, w) from rows [conditions..., empty]."""
    from ..stages.unet import predicted
    from ..stages.vae import CHANNELS

    s, rng = scheduler(), torch.Generator().manual_seed(seed)
    s.set_timesteps(steps)
    n = len(states) - 1
    z = torch.randn(n, CHANNELS, *size, generator=rng)
    h = torch.cat([states[-1:].expand(n, -1, -1), states[:-1]])
    p = torch.cat([pooled[-1:].expand(n, -1), pooled[:-1]])
    for t in s.timesteps:
        with mixed(CPU):
            both = predicted(unet, torch.cat([z, z]), t.expand(2 * n), h, p)
        u, c = both.float().chunk(2)
        z = s.step(u + guidance * (c - u), t, z, eta=1.0, generator=rng).prev_sample
    return z


@torch.inference_mode()
def decoded(vae: nn.Module, z: Tensor) -> Tensor:
    """Pictures (n, 3, H, W) of normalised latents."""
    mean, std = load_norm()
    with mixed(CPU):
        parts = [vae.decode(k * std + mean).sample.float() for k in z.split(8)]
    return torch.cat(parts).clamp(-1, 1)


@torch.inference_mode()
def belief(unet: nn.Module, z: Tensor, states: Tensor, pooled: Tensor) -> dict[str, float]:
    """Squared error of the believed latents at three noise levels."""
    from ..stages.unet import predicted

    alpha_bar, found = scheduler().alphas_cumprod, {}
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(z.shape, generator=rng)
    for level in (300, 500, 700):
        t = torch.full((len(z),), level)
        x, _ = noised(z, noise, t, alpha_bar)
        with mixed(CPU):
            v = predicted(unet, x, t, states, pooled).float()
        error = (believed(x, v, t, alpha_bar) - z).square().mean()
        found[f"error at {level}"] = round(float(error), 4)
    return found


@torch.inference_mode()
def right_words(x: Tensor, truth: Tensor) -> dict[str, float]:
    """How often the reader sees in pictures what is true, by attribute."""
    from ..stages.reader import VALUES, load_reader, read

    guess, there = read(load_reader(), x), truth != NOBODY
    rate = ((guess == truth) & there).sum(0) / there.sum(0).clamp(min=1)
    return {k: round(float(r), 2) for k, r in zip(VALUES, rate, strict=True) if there.any()}


def report(name: str = "unet", count: int = 32, steps: int = 20) -> dict[str, object]:
    """The measures, and sheets ``NAME.png`` and ``NAME_pairs.png``."""
    from ..stages.reader import NAME as READER
    from ..stages.reader import truth_of
    from ..stages.unet import load_unet
    from ..stages.vae import CHANNELS, load_vae

    unet, vae, speaker, result = load_unet(name), load_vae(), Speaker(), {}
    for data in open_held_out("held_out_pairs"):
        latents, wide = Latents(data), data.spec["width"] > data.spec["height"]
        numbers = latents.numbers[:: 3 if not wide else 1][: count // 4 if wide else count]
        if not len(numbers):
            continue
        z = torch.from_numpy(latents.arrays(CHANNELS)[0][numbers]).float()
        rng = np.random.default_rng(0)
        texts = [caption(data.shots[int(n)].record, rng) for n in numbers]
        said = speaker.encode([*texts, ""])
        painted = sample(unet, said.states, said.pooled, size=z.shape[-2:], steps=steps)
        drawn, shown = decoded(vae, z), decoded(vae, painted)
        if not wide:
            result |= belief(unet, z, said.states[:-1], said.pooled[:-1])
            if trained(READER):
                truth = torch.tensor([truth_of(data, int(n)) for n in numbers])
                result["drawn"] = right_words(drawn, truth)
                result["painted"] = right_words(shown, truth)
        columns = 4 if wide else 8
        rows = [
            np.concatenate(list(to_images(x[k : k + columns])), 1)
            for k in range(0, len(numbers) // columns * columns, columns)
            for x in (drawn, shown)
        ]
        if rows:
            tag = f"{name}_pairs" if wide else name
            Image.fromarray(np.concatenate(rows[:8])).save(paths.sheet(tag))
            paths.sheet(tag).with_suffix(".txt").write_text("\n".join(texts))
    (paths.state() / "sheets" / f"{name}.json").write_text(json.dumps(result))
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--name", default="unet")
    parser.add_argument("--count", type=int, default=32)
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    print(json.dumps(report(options.name, options.count), indent=1))


if __name__ == "__main__":
    main()
