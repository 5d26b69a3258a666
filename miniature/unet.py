"""The U-Net, with the identity LoRA and the fuse module beside it: ``python -m miniature.unet``.

One training for both generators. In every batch half of the pictures are denoised by the plain
U-Net from their caption; the other half with the LoRA on, the embedding of *another* picture of the
same person fused into the caption's class word. The base weights learn from both halves, the LoRA
and the fuse module from the second alone; pictures of two people are in the first alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL import Image
from torch import Tensor, nn

from identitystory.models.photomaker import FuseModule

from .data import add_training_options, open_sets
from .loop import Run, load_trained, spawn
from .muon import Muon
from .paths import BUILD
from .ready import CAPTIONS, LATENTS, WORDINGS, Ready, bare_captions, companions, prepare
from .text import WIDTHS
from .vae import LATENT_CHANNELS, SIZE, load_vae

CHANNELS, RANK = (96, 192), 16
BARE = 0.4  # share of identity samples whose caption is the class word alone
TWO = 0.2  # share of two people in the half without identity
TIME_IDS = (SIZE, SIZE, 0, 0, SIZE, SIZE)


def scheduler() -> DDIMScheduler:
    """A cosine schedule that ends at a signal of 4 %, and velocity prediction.

    SDXL's own schedule is made for 128 x 128 latents; on a 16 x 16 grid it would hide the layout
    from the model for most of the way, and t' = 40 would come before there is one.
    """
    u = np.linspace(0, 1, 1001)
    alpha_bar = np.cos(u * np.pi / 2 * 0.975) ** 2
    betas = np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)
    return DDIMScheduler(
        num_train_timesteps=1000, trained_betas=[float(f"{b:.6g}") for b in betas],
        prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False,
        timestep_spacing="trailing", steps_offset=0,
    )  # fmt: skip


def new_unet() -> UNet2DConditionModel:
    """SDXL's class: two levels, attention at both, text_time conditioning."""
    levels = len(CHANNELS)
    return UNet2DConditionModel(
        sample_size=SIZE // 8, in_channels=LATENT_CHANNELS, out_channels=LATENT_CHANNELS,
        block_out_channels=CHANNELS, layers_per_block=1, transformer_layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        attention_head_dim=tuple(c // 32 for c in CHANNELS), cross_attention_dim=sum(WIDTHS),
        addition_embed_type="text_time", addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 32, use_linear_projection=True,
        norm_num_groups=32,
    )  # fmt: skip


def add_lora(unet: UNet2DConditionModel) -> None:
    """PhotoMaker's LoRA: on every attention projection."""
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets), "photomaker")


def speak_up(fuse: FuseModule) -> None:
    """Start the fuse module so that the identity is half of the fused row.

    By default it would be a tenth of one row of 77, and is never found. A row of several times the
    usual size is worse: the attention learns to avoid it.
    """
    with torch.no_grad():
        fuse.mlp1.fc2.weight *= 4


def calm_attention(unet: UNet2DConditionModel) -> None:
    """Queries of unit size and keys of 2.5 in the cross attention, for words of unit size.

    So a word outweighs the fifty empty rows behind the prompt, whose states are zero. With the
    default start and Muon on these weights the attention saturated within minutes: every pixel
    looked at the first token alone, and neither words nor the identity were heard.
    """
    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            for projection, size in ((module.to_q, 1.0), (module.to_k, 2.5)):
                nn.init.normal_(projection.weight, std=size * projection.in_features**-0.5)


class Painter(nn.Module):
    """The U-Net with its LoRA, and the fuse module."""

    def __init__(self):
        super().__init__()
        self.unet = new_unet()
        # The fused kernel's backward pass is slow on a CPU.
        self.unet.set_attn_processor(AttnProcessor())
        calm_attention(self.unet)
        add_lora(self.unet)
        self.unet.requires_grad_(True)
        self.fuse = FuseModule(sum(WIDTHS), sum(WIDTHS), sum(WIDTHS))
        speak_up(self.fuse)
        self._switches = [m for m in self.unet.modules() if isinstance(m, BaseTunerLayer)]

    def forward(
        self, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor, *, identity: bool
    ) -> Tensor:
        """Predicted velocity; ``identity`` switches the LoRA on."""
        for layer in self._switches:
            layer._disable_adapters = not identity
        ids = torch.tensor([TIME_IDS], dtype=pooled.dtype).expand(len(x), -1)
        extra = dict(text_embeds=pooled, time_ids=ids)
        return self.unet(x, t, states, added_cond_kwargs=extra).sample


def new_optimizers(painter: Painter) -> list[torch.optim.Optimizer]:
    """Muon for the matrices; AdamW for the rest, slower for queries and keys."""
    names = dict(painter.named_parameters())
    by_adam = ("conv_in", "conv_out", "lora", "fuse", "to_q", "to_k")
    body = [p for n, p in names.items() if p.ndim >= 2 and not any(k in n for k in by_adam)]
    looking = [p for n, p in names.items() if ("to_q" in n or "to_k" in n) and "lora" not in n]
    chosen = {id(p) for p in (*body, *looking, *painter.fuse.parameters())}
    rest = [p for p in names.values() if id(p) not in chosen]
    fuse = list(painter.fuse.parameters())
    groups = [dict(params=rest), dict(params=looking, lr=1e-3), dict(params=fuse, lr=3e-3)]
    return [
        Muon(body, 0.02, weight_decay=0.01),
        torch.optim.AdamW(groups, 1e-3, betas=(0.9, 0.99), fused=True),
    ]


def train(minutes: float, ready: Ready, *, batch: int, name: str = "unet") -> None:
    """Both halves of every batch, for ``minutes``."""
    painter = Painter()
    optimizers = new_optimizers(painter)
    run = Run(name, painter, optimizers, minutes=minutes, ema=0.995, decay_from=0.4, warmup=100)
    alpha_bar = scheduler().alphas_cumprod
    bare_states, bare_pooled, bare_where, fitting = bare_captions(ready)
    others = companions(ready.people)
    singles, half, empty = len(others), batch // 2, len(ready.states) - 1
    rng = np.random.default_rng([run.step, 5, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    drawn = time.time()
    for _ in run:
        i = rng.integers(0, singles, batch)
        two = np.flatnonzero(rng.random(half) < TWO) if len(ready.rows) > singles else []
        i[two] = rng.integers(singles, len(ready.rows), len(two))
        i = torch.from_numpy(i)
        # Pairs as they are: who is named first stands on the left.
        mirrored = torch.from_numpy(rng.integers(0, 2, batch)) * (i < singles)
        z = ready.latents[mirrored, i].float()
        noise = torch.randn_like(z)
        u = (torch.arange(batch) + torch.rand(batch)) / batch
        t = (1000 * u**0.75).long()  # the noisier half decides what the picture is of
        t = t[torch.from_numpy(rng.permutation(batch))]
        a = alpha_bar[t].view(-1, 1, 1, 1)
        x, target = a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z
        which = rng.integers(0, WORDINGS, batch)
        which[half:][rng.random(batch - half) < 0.2] = WORDINGS - 1
        text = i * WORDINGS + torch.from_numpy(which)
        dropped = torch.from_numpy(rng.random(batch) < 0.1)
        text[dropped] = empty
        states, pooled = ready.states[text].float(), ready.pooled[text]
        where = ready.where[text]
        bare = ~dropped & torch.from_numpy(rng.random(batch) < BARE) & (torch.arange(batch) >= half)
        if bare.any():
            said = fitting[i[bare]] + torch.from_numpy(rng.integers(0, 3, int(bare.sum())))
            states[bare], pooled[bare] = bare_states[said], bare_pooled[said]
            where[bare] = bare_where[said]

        e = []
        for k in i[half:].tolist():
            count = min(len(others[k]), int(rng.integers(1, 4)))
            pick = rng.choice(others[k], count, replace=False)
            e.append(ready.embeddings[torch.from_numpy(pick)].mean(0))
        e = torch.stack(e)
        e = e + 0.1 * e.std() * torch.randn_like(e)
        with torch.autocast("cpu", torch.bfloat16):
            plain = painter(x[:half], t[:half], states[:half], pooled[:half], identity=False)
            rows = torch.arange(half, batch)
            class_rows = states[rows, where[half:]]
            fused = painter.fuse(class_rows, e).float()
            worded = (~dropped[half:] & (where[half:] > 0))[:, None]
            mixed = states.clone()
            mixed[rows, where[half:]] = torch.where(worded, fused, class_rows)
            faced = painter(x[half:], t[half:], mixed[half:], pooled[half:], identity=True)
        snr = (alpha_bar / (1 - alpha_bar))[t]
        w = ready.weight[i]
        w = torch.where(mirrored.bool()[:, None, None], w.flip(2), w)
        w = w / w.mean((1, 2), keepdim=True)
        error = ((torch.cat([plain, faced]).float() - target).square().mean(1) * w).mean((1, 2))
        error = error * (5 / (snr + 1)).clamp(max=1)
        run.update(
            error.mean(),
            plain=float(error[:half].detach().mean()),
            faced=float(error[half:].detach().mean()),
        )
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
    """DDIM samples (B, C, h, w) from rows [conditions..., empty]."""
    s = scheduler()
    s.set_timesteps(steps)
    n = len(states) - 1
    z = torch.randn(
        n, LATENT_CHANNELS, SIZE // 8, SIZE // 8, generator=torch.Generator().manual_seed(seed)
    )
    h = torch.cat([states[-1:].expand(n, -1, -1), states[:-1]])
    p = torch.cat([pooled[-1:].expand(n, -1), pooled[:-1]])
    for t in s.timesteps:
        with torch.autocast("cpu", torch.bfloat16):
            u, c = (
                painter(torch.cat([z, z]), t.expand(2 * n), h, p, identity=identity)
                .float()
                .chunk(2)
            )
        z = s.step(u + guidance * (c - u), t, z).prev_sample
    return z


@torch.inference_mode()
def sheet(
    ready: Ready,
    out: Path,
    name: str = "unet",
    *,
    columns: int = 8,
    guidance: float = 4.0,
) -> None:
    """Four rows: training pictures as the autoencoder gives them back; the general generator from
    their captions; the identity generator from these and other pictures of the person; two people
    from the general generator."""
    painter, vae = load_trained(name, Painter()), load_vae()
    others = companions(ready.people)
    k = torch.arange(columns) * 997 % len(others)
    rows = torch.cat([k * WORDINGS, torch.tensor([len(ready.states) - 1])])
    states, pooled, where = ready.states[rows].float(), ready.pooled[rows], ready.where[rows]
    draw = lambda h, p, identity: sample(
        painter, h, p, identity=identity, guidance=guidance, steps=25, seed=1
    )
    plain = draw(states, pooled, False)
    e = torch.stack([ready.embeddings[torch.from_numpy(others[j])].mean(0) for j in k.tolist()])
    fused, every = states.clone(), torch.arange(columns)
    fused[every, where[:-1]] = painter.fuse(states[every, where[:-1]], e)
    rendered = ready.latents[0, k].float()
    pages = [rendered, plain, draw(fused, pooled, True)]
    if len(ready.rows) > len(others):
        pairs = torch.cat([(len(others) + every * 97) * WORDINGS, rows[-1:]])
        pages.append(draw(ready.states[pairs].float(), ready.pooled[pairs], False))
    m, s = ready.mean.view(-1, 1, 1), ready.std.view(-1, 1, 1)
    rows_of_pixels = []
    for z in pages:
        with torch.autocast("cpu", torch.bfloat16):
            y = vae.decode(z * s + m).sample.float().clamp(-1, 1)
        rows_of_pixels.append(torch.cat(list(((y + 1) * 127.5).byte().permute(0, 2, 3, 1)), 1))
    Image.fromarray(torch.cat(rows_of_pixels, 0).numpy()).save(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_training_options(parser, minutes=70)
    parser.add_argument("--sheet", type=Path, help="only draw samples")
    parser.add_argument("--guidance", type=float, default=4.0)
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
