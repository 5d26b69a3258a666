"""The U-Net, with the identity LoRA and the fuse module beside it: ``python -m miniature.unet``.

One training for both generators. In every batch half of the pictures are denoised by the plain
U-Net from their caption; the other half with the LoRA on, the embedding of *another* picture of the
same person fused into the caption's class word. The base weights learn from both halves, the LoRA
and the fuse module from the second alone. Text encoders, autoencoder and tower stay frozen, so
states, latents and embeddings are computed once (``prepare``).
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

from .data import PictureSet
from .identity import embed_all, load_encoder
from .loop import Run, load_trained, spawn
from .muon import Muon
from .paths import BUILD
from .text import WIDTHS, load_encoders, tokens
from .vae import HELD_OUT_PEOPLE, LATENT_CHANNELS, new_vae, rendered, to_tensor
from .world.captions import FRAMING, caption, description

CHANNELS, RANK = (96, 192), 16
SIZE = 128
BARE = 0.4  # share of identity samples whose caption is the class word alone
WORDINGS = 4  # captions of each picture; the last is the description alone
TIME_IDS = (SIZE, SIZE, 0, 0, SIZE, SIZE)
HELD_OUT_SCENES = frozenset({  # never painted in training: (place, expression)
    ("beach", "surprise"), ("library", "anger"), ("forest", "laugh"), ("kitchen", "sadness"),
    ("harbour", "laugh"),
})  # fmt: skip
CLASS_WORDS = ("man", "woman", "boy", "girl")
READY = BUILD / "ready.pt"


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
    """Start the fuse module so that the identity is half of the fused row, and the row of a class
    word's usual size.

    By default it would be a tenth of one row of 77, and is never found. A row of several times the
    usual size is worse: the attention learns to avoid it.
    """
    with torch.no_grad():
        fuse.mlp1.fc2.weight *= 4
        fuse.layer_norm.weight.fill_(2.0)


def calm_attention(unet: UNet2DConditionModel) -> None:
    """Queries and keys of the cross attention of about unit size, for states of size three.

    With the default start and Muon on these weights the attention saturated within minutes: every
    pixel looked at the first token alone, and neither words nor the identity were heard.
    """
    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            nn.init.normal_(module.to_q.weight, std=module.to_q.in_features**-0.5)
            nn.init.normal_(module.to_k.weight, std=module.to_k.in_features**-0.5 / 3)


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


def wording(facts: dict, k: int) -> str:
    """Wording ``k`` of a picture's caption; the last one is the description alone."""
    seed = facts["n"] * WORDINGS + k
    if k < WORDINGS - 1:
        return caption(facts, seed)
    rng = np.random.default_rng([seed, 8])
    front = FRAMING[facts["framing"]][int(rng.integers(4))]
    return f"{front} {description(facts, rng)}".strip()


@torch.inference_mode()
def prepare(data: PictureSet) -> dict:
    """Latents, states and embeddings of the training pictures, computed once and stored."""
    if READY.exists():
        return torch.load(READY, weights_only=True, mmap=True)
    per, numbers = data.spec["pictures"], rendered(data)
    people = len(numbers) // per
    numbers = numbers[numbers < per * (people - HELD_OUT_PEOPLE)]
    rows = {r["n"]: r for r in data.facts}
    kept = [n for n in numbers if (rows[n]["place"], rows[n]["expression"]) not in HELD_OUT_SCENES]
    vae, began = load_trained("vae", new_vae()), time.time()
    latents = torch.empty(2, len(kept), LATENT_CHANNELS, SIZE // 8, SIZE // 8)
    for k in range(0, len(kept), 64):
        images = data.images[kept[k : k + 64]]
        for mirrored in (0, 1):
            x = to_tensor(images[:, :, ::-1] if mirrored else images)
            with torch.autocast("cpu", torch.bfloat16):
                latents[mirrored, k : k + 64] = vae.encode(x).latent_dist.mean.float()
    mean, std = latents.mean((0, 1, 3, 4)), latents.std((0, 1, 3, 4))
    latents = ((latents - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)).half()
    masks = torch.from_numpy(data.masks[kept]).view(len(kept), 16, 8, 16, 8)
    skin = ((masks >= 1) & (masks <= 3)).float().mean((2, 4))
    fine = ((masks == 2) | (masks == 3) | (masks == 5)).float().mean((2, 4))
    weight = 1 + 1.5 * skin + 6 * fine
    print(f"latents {time.time() - began:.0f} s", flush=True)

    tokenizers, encoders = load_encoders()
    noun_ids = torch.tensor([tokenizers[0].convert_tokens_to_ids(w + "</w>") for w in CLASS_WORDS])
    texts = [wording(rows[n], k) for n in kept for k in range(WORDINGS)] + [""]
    states = torch.empty(len(texts), 77, sum(WIDTHS), dtype=torch.bfloat16)
    pooled, where = torch.empty(len(texts), WIDTHS[1]), torch.zeros(len(texts), dtype=torch.long)
    for k in range(0, len(texts), 256):
        ids = [tokens(t, texts[k : k + 256]) for t in tokenizers]
        with torch.autocast("cpu", torch.bfloat16):
            s, p, _ = encoders(*ids)
        states[k : k + 256], pooled[k : k + 256] = s.bfloat16(), p.float()
        where[k : k + 256] = torch.isin(ids[0], noun_ids).float().argmax(1)
    print(f"captions {time.time() - began:.0f} s", flush=True)

    e = embed_all(data, np.array(kept), load_encoder())
    ready = dict(
        numbers=torch.tensor(kept), people=torch.tensor([rows[n]["index"] for n in kept]),
        latents=latents, mean=mean, std=std, weight=weight, states=states, pooled=pooled,
        where=where, embeddings=e,
    )  # fmt: skip
    torch.save(ready, READY)
    print(f"prepared {len(kept)} pictures, {time.time() - began:.0f} s", flush=True)
    return ready


@torch.inference_mode()
def bare_captions(data: PictureSet, ready: dict) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Captions that say nothing but the class word: "a portrait of a woman".

    With such a caption everything about the face must come from the identity, which teaches the
    attention to listen to the class word.

    Returns:
        states (12, 77, D), pooled (12, P), place of the class word (12,), and for each training
        picture the first of the three captions that fit it (N,).
    """
    fronts = ("", FRAMING["portrait"][0] + " ", FRAMING["half-body"][0] + " ")
    texts = [f"{front}a {noun}" for noun in CLASS_WORDS for front in fronts]
    tokenizers, encoders = load_encoders()
    ids = [tokens(t, texts) for t in tokenizers]
    states, pooled, _ = encoders(*ids)
    nouns = torch.tensor([tokenizers[0].convert_tokens_to_ids(w + "</w>") for w in CLASS_WORDS])
    rows = {r["n"]: r for r in data.facts}
    noun_of = lambda r: 2 * (r["age"] == "child") + (r["sex"] == "woman")
    fitting = torch.tensor([noun_of(rows[n]) * len(fronts) for n in ready["numbers"].tolist()])
    return states, pooled, torch.isin(ids[0], nouns).float().argmax(1), fitting


def companions(people: Tensor) -> list[np.ndarray]:
    """For each picture, the other pictures of its person."""
    of: dict[int, list[int]] = {}
    for k, who in enumerate(people.tolist()):
        of.setdefault(who, []).append(k)
    return [
        np.array([j for j in of[who] if j != k] or [k]) for k, who in enumerate(people.tolist())
    ]


def new_optimizers(painter: Painter) -> list[torch.optim.Optimizer]:
    """Muon for the matrices; AdamW for the rest, slower for queries and keys."""
    names = dict(painter.named_parameters())
    by_adam = ("conv_in", "conv_out", "lora", "fuse", "to_q", "to_k")
    body = [p for n, p in names.items() if p.ndim >= 2 and not any(k in n for k in by_adam)]
    looking = [p for n, p in names.items() if ("to_q" in n or "to_k" in n) and "lora" not in n]
    chosen = {id(p) for p in (*body, *looking, *painter.fuse.parameters())}
    rest = [p for p in names.values() if id(p) not in chosen]
    fuse = list(painter.fuse.parameters())
    groups = [dict(params=rest), dict(params=looking, lr=5e-4), dict(params=fuse, lr=3e-3)]
    return [
        Muon(body, 0.02, weight_decay=0.01),
        torch.optim.AdamW(groups, 1e-3, betas=(0.9, 0.99), fused=True),
    ]


def train(minutes: float, data: PictureSet, *, batch: int, name: str = "unet") -> None:
    """Both halves of every batch, for ``minutes``."""
    ready = prepare(data)
    painter = Painter()
    optimizers = new_optimizers(painter)
    run = Run(name, painter, optimizers, minutes=minutes, ema=0.995, decay_from=0.65, warmup=100)
    alpha_bar = scheduler().alphas_cumprod
    bare_states, bare_pooled, bare_where, fitting = bare_captions(data, ready)
    others = companions(ready["people"])
    count, half = len(others), batch // 2
    empty = len(ready["states"]) - 1
    rng = np.random.default_rng([run.step, 5, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    drawn = time.time()
    for _ in run:
        i = torch.from_numpy(rng.integers(0, count, batch))
        mirrored = torch.from_numpy(rng.integers(0, 2, batch))
        z = ready["latents"][mirrored, i].float()
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
        states, pooled = ready["states"][text].float(), ready["pooled"][text]
        where = ready["where"][text]
        bare = ~dropped & torch.from_numpy(rng.random(batch) < BARE) & (torch.arange(batch) >= half)
        if bare.any():
            said = fitting[i[bare]] + torch.from_numpy(rng.integers(0, 3, int(bare.sum())))
            states[bare], pooled[bare] = bare_states[said], bare_pooled[said]
            where[bare] = bare_where[said]

        e = []
        for k in i[half:].tolist():
            count_of = min(len(others[k]), int(rng.integers(1, 4)))
            pick = rng.choice(others[k], count_of, replace=False)
            e.append(ready["embeddings"][torch.from_numpy(pick)].mean(0))
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
        w = ready["weight"][i]
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
            sheet(data, ready, BUILD / f"{name}_{run.step:05d}.png")
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
    data: PictureSet,
    ready: dict,
    out: Path,
    name: str = "unet",
    *,
    columns: int = 8,
    guidance: float = 4.0,
) -> None:
    """Three rows: training pictures, the general generator from their captions, and the identity
    generator from captions and another picture of the person."""
    painter, vae = load_trained(name, Painter()), load_trained("vae", new_vae())
    others = companions(ready["people"])
    k = torch.arange(columns) * 997 % len(others)
    rows = torch.cat([k * WORDINGS, torch.tensor([len(ready["states"]) - 1])])
    states, pooled, where = (
        ready["states"][rows].float(),
        ready["pooled"][rows],
        ready["where"][rows],
    )
    plain = sample(painter, states, pooled, identity=False, guidance=guidance, steps=25, seed=1)
    e = torch.stack([ready["embeddings"][torch.from_numpy(others[j])].mean(0) for j in k.tolist()])
    fused = states.clone()
    fused[torch.arange(columns), where[:-1]] = painter.fuse(
        states[torch.arange(columns), where[:-1]], e
    )
    faced = sample(painter, fused, pooled, identity=True, guidance=guidance, steps=25, seed=1)
    m, s = ready["mean"].view(-1, 1, 1), ready["std"].view(-1, 1, 1)
    pictures = [torch.from_numpy(data.images[ready["numbers"][j]]) for j in k.tolist()]
    pages = [torch.cat(pictures, 1)]
    for z in (plain, faced):
        with torch.autocast("cpu", torch.bfloat16):
            y = vae.decode(z * s + m).sample.float().clamp(-1, 1)
        pages.append(torch.cat(list(((y + 1) * 127.5).byte().permute(0, 2, 3, 1)), 1))
    Image.fromarray(torch.cat(pages, 0).numpy()).save(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--batch", type=int, default=32, help="of each process")
    parser.add_argument("--threads", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--sheet", type=Path, help="only draw samples")
    parser.add_argument("--guidance", type=float, default=4.0)
    options = parser.parse_args()
    data = PictureSet(options.data)
    if options.sheet:
        torch.set_num_threads(options.threads)
        sheet(data, prepare(data), options.sheet, guidance=options.guidance)
        return
    if not READY.exists():
        torch.set_num_threads(options.threads)
        prepare(data)
    spawn(options.threads)
    train(options.minutes, data, batch=options.batch)


if __name__ == "__main__":
    main()
