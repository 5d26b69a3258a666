"""The U-Net, with the identity LoRA and the fuse module beside it: ``python -m miniature.stages.unet``.

One training for both generators. In every step half of the pictures are denoised by the plain
U-Net from their caption; the other half with the LoRA on, the embedding of *another* picture of the
same person fused into the caption's class word. The base weights learn from both halves, the LoRA
and the fuse module from the second alone. Of pictures of two people the second half is told of one,
and held to that one's part, as re-denoising uses it. The clean face that the network believes in must look right to ``perception`` too, and ``looking`` says which
words each part of a picture should look at.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..paths import BUILD
from ..pictures.dataset import add_training_options, open_sets
from ..pictures.training_set import (
    CAPTIONS,
    LATENTS,
    WORDINGS,
    Ready,
    bare_captions,
    companions,
    portraits_of,
    prepare,
)
from ..training.attention_loss import inattention
from ..training.loop import CPU, DEVICE, Run, load_trained, mixed, moved, spawn
from ..training.noise import min_snr
from .painter import Painter, new_optimizers, scheduler
from .perception import Perception, cut, distance, load_perception
from .unet_batches import Batch, Draw
from .vae import LATENT_CHANNELS, SIZE, load_vae, to_images

CLEAR, HEARD = 0.3, 0.02  # signal from which a face's look, and who it is, can be judged
UNLIKE, OTHER = 0.5, 0.8  # weights of a face's look and of who it is
LOOK = 0.1  # weight of looking at the right words


def velocity(painter: Painter, batch: Batch) -> Tensor:
    """What the generator of this batch predicts, (B, C, h, w)."""
    states = batch.states
    if batch.e is not None:
        states = painter.with_identity(states, batch.where, batch.e)
    identity = batch.e is not None
    return painter(batch.x, batch.t, states, batch.pooled, identity=identity).float()


@torch.no_grad()
def visibility(ready: Ready, count: int = 32) -> Tensor:
    """(C, 1, 1) how much each latent channel changes the pixels of faces, of mean one.

    Latents are normalised channel by channel, and some channels hardly show: without this the
    network spends itself on those.
    """
    vae, rng = load_vae(), torch.Generator().manual_seed(0)
    scale = [x.view(-1, 1, 1) for x in (ready.std, ready.mean)]
    pixels = lambda z: vae.decode(torch.addcmul(scale[1], z, scale[0])).sample
    of = torch.linspace(0, len(ready.people) - 1, count).long()
    z = ready.latents[0, of].float()
    weight = F.interpolate(ready.weight[of, None], scale_factor=8)
    weight, before = weight - weight.amin((1, 2, 3), keepdim=True), pixels(z)
    changed = []
    for c in range(z.shape[1]):
        other = z.clone()
        other[:, c] += 0.3 * torch.randn(z[:, c].shape, generator=rng)
        changed.append(((pixels(other) - before).square() * weight).mean())
    shown = torch.stack(changed) ** 0.75  # a little for the finest, which are eyes and glasses
    return (shown / shown.mean()).view(-1, 1, 1)


def squared_error(v: Tensor, batch: Batch, alpha_bar: Tensor, visible: Tensor) -> Tensor:
    """(B,) weighted by channel, cell and noise; ``visible`` of `visibility`."""
    error = (((v - batch.target).square() * visible).mean(1) * batch.weight).mean((1, 2))
    return error * min_snr(batch.t, alpha_bar)


def unlikeness(
    v: Tensor, batch: Batch, perception: Perception, alpha_bar: Tensor
) -> tuple[Tensor, Tensor]:
    """How unlike the clean faces those are that the network believes in, and in how far they are
    of another person.

    What a face looks like is asked only where enough of the picture shows through the noise, for
    before it can only be guessed. Who it is has been said by the identity, whatever the noise.
    """
    a = alpha_bar[batch.t][batch.one]
    corner, level = batch.corner[batch.one], a.view(-1, 1, 1, 1)
    believed = level.sqrt() * batch.x[batch.one] - (1 - level).sqrt() * v[batch.one]
    *seen, who = perception(cut(believed, corner))
    with torch.no_grad():
        *wanted, person = perception(cut(batch.clean[batch.one], corner))
    unlike = distance(tuple(seen), tuple(wanted))[a > CLEAR].sum() / len(v)
    other = 1 - F.cosine_similarity(who.float(), person.float())
    return unlike, other[a > HEARD].sum() / len(v)


def loss_of(
    painter: Painter, b: Batch, perception: Perception, alpha_bar: Tensor, visible: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """What a generator is held to on its half of a batch, and its parts by name."""
    with mixed():
        v = velocity(painter, b)
        unlike, other = unlikeness(v, b, perception, alpha_bar)
    error = squared_error(v, b, alpha_bar, visible).mean()
    looked = inattention(painter.looking, b.about, b.cells)
    loss = error + UNLIKE * unlike + LOOK * looked
    if b.e is None:
        return loss, {"plain": float(error.detach()), "looked plain": float(looked.detach())}
    shown = dict(faced=error, looked=looked, unlike=unlike, other=other)
    return loss + OTHER * other, {k: float(x.detach()) for k, x in shown.items()}


def train(minutes: float, ready: Ready, *, batch: int, name: str = "unet") -> None:
    """Both halves in every step, for ``minutes``."""
    painter, perception = Painter(), load_perception().to(DEVICE)
    optimizers = new_optimizers(painter)
    run = Run(name, painter, optimizers, minutes=minutes, ema=0.995, decay_from=0.85, warmup=100)
    torch.manual_seed(run.step * 16 + run.rank)
    draw, (visible,) = Draw(ready, bare_captions(ready)), moved(visibility(ready))
    drawn = time.time()
    for _ in run:
        losses, shown = [], {}
        for identity in (False, True):
            b = draw(batch // 2, identity=identity)
            loss, told = loss_of(painter, b, perception, draw.alpha_bar, visible)
            losses.append(loss)
            shown |= told
        run.update(sum(losses) / 2, **shown)
        if time.time() - drawn > 600 and not run.rank:
            run.save()
            sheet(ready, BUILD / f"{name}_{run.step:05d}.png")
            drawn = time.time()


@torch.inference_mode()
def sample(
    painter: Painter,
    states: Tensor,
    pooled: Tensor,
    *,
    identity: bool,
    guidance: float,
    steps: int,
    seed: int,
) -> Tensor:
    """Ancestral samples (B, C, h, w) from rows [conditions..., empty]."""
    s, rng = scheduler(), torch.Generator().manual_seed(seed)
    s.set_timesteps(steps)
    n = len(states) - 1
    z = torch.randn(n, LATENT_CHANNELS, SIZE // 8, SIZE // 8, generator=rng)
    h = torch.cat([states[-1:].expand(n, -1, -1), states[:-1]])
    p = torch.cat([pooled[-1:].expand(n, -1), pooled[:-1]])
    for t in s.timesteps:
        with mixed(CPU):
            u, c = (
                painter(torch.cat([z, z]), t.expand(2 * n), h, p, identity=identity)
                .float()
                .chunk(2)
            )
        z = s.step(u + guidance * (c - u), t, z, eta=1.0, generator=rng).prev_sample
    return z


@torch.inference_mode()
def sheet(
    ready: Ready,
    out: Path,
    name: str = "unet",
    *,
    columns: int = 8,
    guidance: float = 2.0,
) -> None:
    """Four rows: training pictures as the autoencoder gives them back; the general generator from
    their captions; the identity generator from these and other pictures of the person; two people
    from the general generator."""
    painter, vae = load_trained(name, Painter()), load_vae()
    others = companions(ready.people, among=portraits_of(ready))
    k = torch.arange(columns) * 997 % len(others)
    k = torch.tensor([next(j for j in range(j, len(others)) if len(others[j])) for j in k.tolist()])
    rows = torch.cat([k * WORDINGS, torch.tensor([len(ready.states) - 1])])
    states, pooled, where = ready.states[rows].float(), ready.pooled[rows], ready.where[rows]
    draw = lambda h, p, identity: sample(
        painter, h, p, identity=identity, guidance=guidance, steps=25, seed=1
    )
    plain = draw(states, pooled, False)
    e = torch.stack([ready.embeddings[torch.from_numpy(others[j])].mean(0) for j in k.tolist()])
    every = torch.arange(columns)
    fused = torch.cat([painter.with_identity(states[:-1], where[:-1], e), states[-1:]])
    rendered = ready.latents[0, k].float()
    pages = [rendered, plain, draw(fused, pooled, True)]
    if len(ready.rows) > len(others):
        pairs = torch.cat([(len(others) + every * 97) * WORDINGS, rows[-1:]])
        pages.append(draw(ready.states[pairs].float(), ready.pooled[pairs], False))
    m, s = ready.mean.view(-1, 1, 1), ready.std.view(-1, 1, 1)
    rows_of_pixels = []
    for z in pages:
        with mixed(CPU):
            y = vae.decode(z * s + m).sample.float().clamp(-1, 1)
        rows_of_pixels.append(np.concatenate(list(to_images(y)), 1))
    Image.fromarray(np.concatenate(rows_of_pixels)).save(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_training_options(parser, minutes=180)
    parser.add_argument("--sheet", type=Path, help="only draw samples")
    parser.add_argument("--guidance", type=float, default=2.0)
    options = parser.parse_args()
    sets = open_sets(options)
    if options.sheet or not (LATENTS.exists() and CAPTIONS.exists()):
        torch.set_num_threads(options.threads)
        ready = prepare(*sets)
        if options.sheet:
            sheet(ready, options.sheet, guidance=options.guidance)
            return
    spawn(options.threads)
    train(options.minutes, prepare(*sets), batch=options.batch)


if __name__ == "__main__":
    main()
