"""The U-Net, the general generator alone: ``python -m miniature.stages.unet``.

It learns to paint what captions say, at a constant rate; ``--cool`` goes on from a copy with the rate
to zero, and that one is packed. Identity comes afterwards (``identity_lora``), the U-Net frozen.
Judge it by ``checks.painting``, not by its loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from ..pictures.latents import GROUPS, Latents, load_norm
from ..pictures.sets import PictureSet, open_there
from ..training.captioning import Said, Speaker, worded
from ..training.dense import WEIGHT as DENSE
from ..training.dense import Dense
from ..training.looking import Looking, inattention
from ..training.loop import DEVICE, Run, load_trained, mixed, moved, trained
from ..training.muon import Muon
from ..training.noise import draw_times, min_snr, noised, scheduler
from ..training.options import stage_options
from .text import WIDTHS
from .vae import CHANNELS, FACTOR, SIZE, load_vae

NAME, COOLED = "unet", "unet_cool"
LEVELS = (128, 192)
HEAD = 64  # channels of an attention head
TIME = 256  # numbers that say what time it is, half of the usual: 2 MiB less
BATCH = 64
SETS = {"singles": 0.72, "pairs": 0.23, "threes": 0.05}  # share of the steps
LOOK, LOOK_EVERY = 0.1, 4  # weight of looking at the right words, and in which steps it is asked
RARELY = 200  # steps after which the sets are opened anew


def new_unet() -> UNet2DConditionModel:
    """SDXL's class: two levels, attention at the coarse one, as SDXL has it; text_time conditioning."""
    return UNet2DConditionModel(
        sample_size=SIZE // FACTOR, in_channels=CHANNELS, out_channels=CHANNELS,
        block_out_channels=LEVELS, layers_per_block=1, transformer_layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=tuple(c // HEAD for c in LEVELS), cross_attention_dim=sum(WIDTHS),
        addition_embed_type="text_time", addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 32, use_linear_projection=True,
        norm_num_groups=32, time_embedding_dim=TIME,
    )  # fmt: skip


def calm_attention(unet: UNet2DConditionModel) -> None:
    """Queries of unit size and keys of 2.5 in the cross attention, for words of unit size.

    So a word outweighs the fifty empty rows behind the prompt, whose states are zero. With the
    default start the attention saturated within minutes: every pixel looked at the first token alone.
    """
    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            for projection, size in ((module.to_q, 1.0), (module.to_k, 2.5)):
                nn.init.normal_(projection.weight, std=size * projection.in_features**-0.5)


def watch(unet: UNet2DConditionModel) -> list[Looking]:
    """Plain attention, whose fused kernel's backward pass is slow on a CPU; the cross attentions keep
    their weights."""
    unet.set_attn_processor(AttnProcessor())
    layers = []
    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            module.set_processor(Looking())
            layers.append(module.processor)
    return layers


def conditions(x: Tensor, pooled: Tensor) -> dict[str, Tensor]:
    """What a network hears beside the words: the pooled vector, and that latents x show a whole picture."""
    h, w = (FACTOR * s for s in x.shape[-2:])
    ids = torch.tensor([[h, w, 0, 0, h, w]], dtype=pooled.dtype, device=x.device)
    return dict(text_embeds=pooled, time_ids=ids.expand(len(x), -1))


def predicted(unet: nn.Module, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor) -> Tensor:
    """What ``unet`` says of whole pictures at their own size, (B, C, h, w)."""
    return unet(x, t, states, added_cond_kwargs=conditions(x, pooled)).sample


def new_optimizers(unet: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices; AdamW for the rest, queries and keys among it."""
    outer = ("conv_in", "conv_out", "to_q", "to_k")
    named = dict(unet.named_parameters())
    body = [p for n, p in named.items() if p.ndim >= 2 and not any(k in n for k in outer)]
    chosen = set(map(id, body))
    rest = [p for p in named.values() if id(p) not in chosen]
    return [
        Muon(body, 0.02, weight_decay=0.01),
        torch.optim.AdamW(rest, 8e-4, betas=(0.9, 0.99), fused=True),
    ]


@dataclass(frozen=True)
class Batch:
    """B pictures of one size: clean latents, loss weights of cells (B, h, w), shares of cells
    (B, groups, h, w), what is said of them, and their set and numbers."""

    z: Tensor
    weight: Tensor
    cells: Tensor
    said: Said
    data: PictureSet
    numbers: np.ndarray


def weight_of_cells(cells: Tensor) -> Tensor:
    """(B, h, w) of mean one: skin counts more than a coat, eyes and mouths most."""
    skin, fine = cells[:, GROUPS.index("face")], cells[:, GROUPS.index("fine")]
    weight = 1 + 1.5 * skin + 6 * fine
    return weight / weight.mean((1, 2), keepdim=True)


class Draw:
    """Draws batches, each from one set, so that all of its pictures have one size.

    ``shares`` are the steps' of each set; those that are not there are left out.
    """

    def __init__(self, seed: list[int], shares: Mapping[str, float] = SETS) -> None:
        self.rng, self.speaker = np.random.default_rng(seed), Speaker()
        self.wanted, self.sets = shares, list[Latents]()
        self.count = 0

    def __call__(self, batch: int) -> Batch:
        """``batch`` pictures, or fewer of wider ones."""
        if self.count % RARELY == 0:
            opened = [Latents(s) for s in open_there(*self.wanted)]
            self.sets = [s for s in opened if len(s.numbers)]
            self.arrays = [s.arrays(CHANNELS) for s in self.sets]
            shares = np.array([self.wanted[s.data.folder.name] for s in self.sets])
            self.shares = shares / shares.sum()
        self.count += 1
        k = int(self.rng.choice(len(self.sets), p=self.shares))
        latents, (z, cells) = self.sets[k], self.arrays[k]
        count = max(1, batch * z.shape[2] // z.shape[3])
        numbers = np.sort(self.rng.choice(latents.numbers, count))
        shots = latents.data.shots
        texts = [worded(shots[int(n)].record, self.rng) for n in numbers]
        there = torch.from_numpy(cells[numbers]).float() / 255
        clean = torch.from_numpy(z[numbers]).float()
        clean, there = moved(clean, there)
        said = self.speaker.encode(texts)
        return Batch(clean, weight_of_cells(there), there, said, latents.data, numbers)


@torch.no_grad()
def visibility(count: int = 32, name: str = "singles") -> Tensor:
    """(C, 1, 1) how much each latent channel changes the pixels of faces in a set, of mean one.

    Latents are normalised channel by channel, and some channels hardly show: without this the
    network spends itself on those.
    """
    vae, rng, (mean, std) = load_vae(), torch.Generator().manual_seed(0), load_norm()
    latents = Latents(open_there(name)[0])
    z, cells = latents.arrays(CHANNELS)
    of = latents.numbers[:: max(1, len(latents.numbers) // count)][:count]
    z, cells = torch.from_numpy(z[of]).float(), torch.from_numpy(cells[of]).float() / 255
    weight = weight_of_cells(cells)[:, None].repeat_interleave(FACTOR, 2)
    weight = weight.repeat_interleave(FACTOR, 3)
    pixels = lambda z: vae.decode(z * std + mean).sample.float()
    with mixed(torch.device("cpu")):
        before, changed = pixels(z), []
        for c in range(z.shape[1]):
            other = z.clone()
            other[:, c] += 0.3 * torch.randn(z[:, c].shape, generator=rng)
            changed.append(((pixels(other) - before).square() * weight).mean())
    shown = torch.stack(changed) ** 0.5  # less for the coarse ones: the finest are eyes and glasses
    return (shown / shown.mean()).view(-1, 1, 1)


def squared_error(
    v: Tensor, target: Tensor, t: Tensor, weight: Tensor, alpha_bar: Tensor, visible: Tensor
) -> Tensor:
    """(B,) weighted by channel, cell and noise."""
    error = (((v - target).square() * visible).mean(1) * weight).mean((1, 2))
    return error * min_snr(t, alpha_bar)


def train(
    minutes: float, *, cool: bool = False, batch: int = BATCH, steps: int | None = None,
    dense: bool = False,
) -> None:  # fmt: skip
    """Learn to take the noise from latents, told what they show."""
    unet = new_unet()
    layers = watch(unet)
    calm_attention(unet)
    run = Run(
        COOLED if cool else NAME, unet, new_optimizers(unet), minutes=minutes, steps=steps,
        ema=0.99 if cool else 0.999, decay_from=0.0 if cool else None,
        start=NAME if cool else None, warmup=1 if cool else 100,
    )  # fmt: skip
    torch.manual_seed(run.step * 16 + run.rank)
    draw, parts = Draw([run.step, run.rank]), Dense(unet) if dense else None
    alpha_bar, visible = moved(scheduler().alphas_cumprod, visibility(4 if steps else 32))
    for _ in run:
        b = draw(batch)
        t = draw_times(len(b.z), DEVICE)
        x, target = noised(b.z, torch.randn_like(b.z), t, alpha_bar)
        with mixed():
            v = predicted(unet, x, t, b.said.states, b.said.pooled).float()
        error = squared_error(v, target, t, b.weight, alpha_bar, visible).mean()
        loss, shown = error, {"error": error}
        if run.step % LOOK_EVERY == 0:
            looked = inattention(layers, b.said.about, b.cells)
            loss, shown = loss + LOOK_EVERY * LOOK * looked, shown | {"looked": looked}
        if parts is not None:
            told = parts.untold(b.cells)
            loss, shown = loss + DENSE * told, shown | {"parts": told}
        run.update(loss, **shown)


def load_unet(name: str | None = None) -> UNet2DConditionModel:
    """The trained U-Net: the cooled one, if there is one and no other is asked for."""
    unet = new_unet()
    watch(unet)
    return load_trained(name or (COOLED if trained(COOLED) else NAME), unet)


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=600, batch=BATCH, flags=("--cool", "--dense"))
    if not options.report:
        train(
            options.minutes, cool=options.cool, batch=options.batch, steps=options.steps,
            dense=options.dense,
        )  # fmt: skip
    if options.rank == 0:
        from ..checks.painting import report

        name = COOLED if options.cool else NAME
        print(report(name, count=4 if options.tiny else 32, steps=2 if options.tiny else 20))


if __name__ == "__main__":
    main()
