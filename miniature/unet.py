"""The U-Net, with the identity LoRA and the fuse module beside it: ``python -m miniature.unet``.

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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL import Image
from torch import Tensor, nn

from identitystory.models.photomaker import FuseModule

from .data import add_training_options, open_sets
from .looking import Looking, inattention
from .loop import CPU, DEVICE, Run, load_trained, mixed, moved, spawn
from .muon import Muon
from .noising import min_snr, noised
from .paths import BUILD
from .perception import Perception, corners, cut, distance, eyes_of, load_perception
from .ready import (
    CAPTIONS,
    LATENTS,
    WORDINGS,
    Ready,
    bare_captions,
    companions,
    portraits_of,
    prepare,
)
from .text import WIDTHS
from .vae import LATENT_CHANNELS, SIZE, load_vae, to_images

CHANNELS, LORA, RANK = (96, 192), "photomaker", 16
BARE = 0.4  # share of identity samples whose caption is the class word alone
TWO = 0.3  # share of pictures of two people in either half
DEAF = 0.2  # share of identity samples without the pooled vector, so that the rows must be heard
CLEAR, HEARD = 0.3, 0.02  # signal from which a face's look, and who it is, can be judged
UNLIKE, OTHER = 0.5, 0.8  # weights of a face's look and of who it is
LOOK = 0.1  # weight of looking at the right words
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
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets), LORA)


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
        named = self.unet.named_modules()
        words = [module for name, module in named if name.endswith("attn2")]
        self.looking = [Looking() for _ in words]
        for module, looking in zip(words, self.looking, strict=True):
            module.set_processor(looking)
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
        return predicted(self.unet, x, t, states, pooled)

    def with_identity(self, states: Tensor, where: Tensor, e: Tensor) -> Tensor:
        """``states`` (B, L, D) with ``e`` (B, D) fused into the class word's row ``where`` (B,).

        Where there is no class word (0) the states stay as they are.
        """
        every = torch.arange(len(states), device=states.device)
        rows = states[every, where]
        mixed_states = states.clone()
        fused = self.fuse(rows, e).to(states)
        mixed_states[every, where] = torch.where((where > 0)[:, None], fused, rows)
        return mixed_states


def predicted(unet: nn.Module, x: Tensor, t: Tensor, states: Tensor, pooled: Tensor) -> Tensor:
    """What ``unet`` says of whole pictures at their own size, (B, C, h, w)."""
    ids = torch.tensor([TIME_IDS], dtype=pooled.dtype, device=x.device).expand(len(x), -1)
    extra = dict(text_embeds=pooled, time_ids=ids)
    return unet(x, t, states, added_cond_kwargs=extra).sample


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


@dataclass(frozen=True)
class Batch:
    """Noised latents with what is said of them; ``e`` is empty for the plain generator.

    Attributes:
        x, target: (B, C, h, w) noised latents and the velocity; clean: what they were.
        t: (B,); weight: (B, h, w) of each cell, of mean one.
        states, pooled, where: of the captions; where is 0 without a class word.
        e: (B, D) the person's embedding from other pictures, or None.
        corner: (B, 2) of the window around the face; one: (B,) whether one person is spoken of.
        about, cells: what the tokens speak of, and where that is (``looking``).
    """

    x: Tensor
    target: Tensor
    clean: Tensor
    t: Tensor
    weight: Tensor
    states: Tensor
    pooled: Tensor
    where: Tensor
    e: Tensor | None
    corner: Tensor
    one: Tensor
    about: Tensor
    cells: Tensor


class Draw:
    """Draws batches, with captions of ``bare_captions`` now and then.

    On an accelerator everything that is drawn from lies there.
    """

    def __init__(self, ready: Ready, bare: tuple[Tensor, ...]):
        eyes, alpha_bar = eyes_of(ready), scheduler().alphas_cumprod
        others = companions(ready.people, ready.whom, portraits_of(ready))
        most, singles = max(map(len, others)), len(ready.people)
        seen = torch.tensor([len(o) > 0 for o in others])
        table = torch.tensor([[*o, *[-1] * (most - len(o))] for o in map(list, others)])
        tensors = {k: v for k, v in vars(ready).items() if isinstance(v, Tensor)}
        on_device = dict(zip(tensors, moved(*tensors.values()), strict=True))
        self.ready = replace(ready, **on_device)
        self.bare = moved(*bare)
        self.others, self.eyes, self.alpha_bar = moved(table, eyes, alpha_bar)
        # Pictures of one, and sides, of people of whom there is a portrait to paint them from.
        self.known, self.beside = moved(*(s.nonzero()[:, 0] for s in seen.tensor_split([singles])))

    def __call__(self, count: int, *, identity: bool) -> Batch:
        """``count`` pictures for one of the two generators."""
        ready = self.ready
        singles, sides, empty = len(ready.people), len(ready.whom), len(ready.states) - 1
        pairs = singles + sides // 2  # the first side's row
        i = any_of(self.known, count) if identity else below(singles, count)
        if sides:
            two = (
                any_of(self.beside, count) + pairs
                if identity
                else below(sides // 2, count) + singles
            )
            i = torch.where(chance(TWO, count), two, i)
        # Pairs as they are: who is named first stands on the left.
        mirrored = below(2, count) * (i < singles)
        picture = torch.where(i < pairs, i, singles + (i - pairs) // 2)
        z, w = ready.latents[mirrored, picture].float(), ready.weight[i]
        w = torch.where(mirrored.bool()[:, None, None], w.flip(2), w)
        cells = ready.cells[i]
        cells = torch.where(mirrored.bool()[:, None, None, None], cells.flip(3), cells)
        corner = corners(self.eyes[i], mirrored)
        one = (i < singles) | (i >= pairs)
        u = (torch.arange(count, device=DEVICE) + torch.rand(count, device=DEVICE)) / count
        u = u[torch.randperm(count, device=DEVICE)]
        # Faces take shape in the middle (SD3's logit-normal), a little nearer to the noise, which
        # decides what a picture is of and what a person's skin and head are like.
        t = (1000 * torch.sigmoid(0.4 + torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)))).long()
        x, target = noised(z, torch.randn_like(z), t, self.alpha_bar)

        which = below(WORDINGS, count)
        if identity:
            which = torch.where(chance(0.2, count), WORDINGS - 1, which)
        dropped = chance(0.1, count)
        text = torch.where(dropped, empty, i * WORDINGS + which)
        states, pooled = ready.states[text].float(), ready.pooled[text]
        where, about, e = ready.where[text], ready.about[text], None
        if identity:
            bare = ~dropped & chance(BARE, count)
            bare_states, bare_pooled, bare_where, bare_about, fitting = self.bare
            said = fitting[i] + below(3, count)
            states = torch.where(bare[:, None, None], bare_states[said], states)
            pooled = torch.where(bare[:, None], bare_pooled[said], pooled)
            where = torch.where(bare, bare_where[said], where)
            about = torch.where(bare[:, None], bare_about[said], about)
            e = self.embeddings(torch.where(i < singles, i, i - sides // 2))
            pooled = torch.where(chance(DEAF, count)[:, None], ready.pooled[-1], pooled)
        return Batch(
            x, target, z, t, w / w.mean((1, 2), keepdim=True), states, pooled, where,
            e, corner, one, about, cells,
        )  # fmt: skip

    def embeddings(self, i: Tensor) -> Tensor:
        """(B, D): of one to three other portraits of the person, with a little noise.

        Args:
            i: (B,) numbers of pictures of one person, then of sides.
        """
        there = self.others[i] >= 0
        wanted = 1 + below(3, len(i))
        order = (
            torch.where(there, torch.rand(there.shape, device=DEVICE), 2.0).argsort(1).argsort(1)
        )
        chosen = (there & (order < wanted[:, None])).float()
        rows = self.ready.embeddings[self.others[i].clamp(min=0)]
        e = (rows * chosen[..., None]).sum(1) / chosen.sum(1, keepdim=True)
        return e + 0.1 * e.std() * torch.randn_like(e)


def below(high: int, count: int) -> Tensor:
    """(count,) whole numbers from 0 up to ``high``, on the device that trains."""
    return torch.randint(0, high, (count,), device=DEVICE)


def any_of(x: Tensor, count: int) -> Tensor:
    """(count,) entries of ``x`` (n,)."""
    return x[below(len(x), count)]


def chance(odds: float, count: int) -> Tensor:
    """(count,) bool, each true with these odds."""
    return torch.rand(count, device=DEVICE) < odds


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
