"""A small IP-Adapter for the miniature, for Story-Adapter: ``python -m miniature.stages.ip_adapter``.

The U-Net stays as it is; a projection of a picture's embedding to a few tokens, and a second pair of
key and value projections in every cross-attention, learn to paint a picture from its caption and an
embedding. The picture encoder is the identity tower with its projections, the only encoder of the
miniature that knows people apart; the package holds it already. In half of the samples the embedding
is of another picture of the same person, as Story-Adapter will use it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..package import ADAPTER, Site, attend, edited
from ..pictures.latents import Latents
from ..pictures.people import embedded
from ..pictures.sets import open_set
from ..training.beside import begin_anew_unless_fitting, fingerprint, load_fitting
from ..training.captioning import Speaker, worded
from ..training.loop import DEVICE, Run, mixed, moved
from ..training.noise import min_snr, noised, scheduler
from ..training.options import stage_options
from .text import WIDTHS
from .unet import load_unet, predicted
from .vae import CHANNELS

NAME, BATCH = "ip_adapter", 48
TOKENS = 4  # a picture; diffusers' own class takes no other number


class Adapter(nn.Module):
    """The IP-Adapter's own weights, beside a frozen U-Net.

    Parameters:
        unet: whose cross-attention layers get a second key and value.
        width: numbers of an embedding.
    """

    def __init__(self, unet: nn.Module, width: int) -> None:
        super().__init__()
        text = unet.config["cross_attention_dim"]
        self.register_buffer("beside", torch.tensor(0.0))
        self.proj = nn.Linear(width, TOKENS * text)
        self.norm = nn.LayerNorm(text)
        self.places: dict[str, str] = {}  # layer -> its number, as text
        self.key, self.value = nn.ModuleDict(), nn.ModuleDict()
        for number, name in enumerate(unet.attn_processors):
            layer = unet.get_submodule(name.removesuffix(".processor"))
            if name.endswith("attn2.processor"):
                self.places[name.removesuffix(".processor")] = str(number)
                inner = layer.to_k.weight.shape[0]
                self.key[str(number)] = nn.Linear(text, inner, bias=False)
                self.value[str(number)] = nn.Linear(text, inner, bias=False)
                with torch.no_grad():  # starts as the U-Net without a picture
                    self.key[str(number)].weight.copy_(layer.to_k.weight)
                    self.value[str(number)].weight.zero_()

    def tokens(self, embeddings: Tensor) -> Tensor:
        """(B, TOKENS, D) of embeddings (B, width)."""
        return self.norm(self.proj(embeddings).unflatten(-1, (TOKENS, -1)))

    def edit(self, tokens: Tensor):
        """The attention with ``tokens`` (B, TOKENS, D) beside the text."""

        def seen(site: Site, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            h = attend(q, k, v)
            if site.is_self:
                return h
            number = self.places[site.name]
            k_ip, v_ip = (
                layers[number](tokens).unflatten(-1, (q.shape[1], -1)).transpose(1, 2)
                for layers in (self.key, self.value)
            )
            return h + attend(q, k_ip.to(q), v_ip.to(q))

        return seen

    def state(self) -> dict[str, Tensor]:
        """The tensors of the hub's file."""
        state = {f"image_proj.proj.{k}": v for k, v in self.proj.state_dict().items()}
        state |= {f"image_proj.norm.{k}": v for k, v in self.norm.state_dict().items()}
        for number in self.places.values():
            state[f"ip_adapter.{number}.to_k_ip.weight"] = self.key[number].weight
            state[f"ip_adapter.{number}.to_v_ip.weight"] = self.value[number].weight
        return {k: v.detach().contiguous() for k, v in state.items()}


def train(minutes: float, *, batch: int = BATCH, steps: int | None = None) -> None:
    """One portrait a sample: from its caption and an embedding of it or of its person."""
    unet, data = load_unet().to(DEVICE), open_set("singles")
    known, latents, speaker = embedded(data), Latents(data), Speaker()
    adapter = Adapter(unet, sum(WIDTHS))
    adapter.beside.fill_(fingerprint(NAME))
    optimizer = torch.optim.AdamW(adapter.parameters(), 5e-4, betas=(0.9, 0.99), weight_decay=0.01)
    run = Run(NAME, adapter, [optimizer], minutes=minutes, steps=steps, ema=0.99, warmup=100)
    (alpha_bar,) = moved(scheduler().alphas_cumprod)
    rng = np.random.default_rng([run.step, 7, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    z, encoded = latents.arrays(CHANNELS)[0], set(latents.numbers.tolist())
    rows = np.array([k for k, n in enumerate(known.numbers) if int(n) in encoded])
    for _ in run:
        chosen = rows[np.sort(rng.integers(0, len(rows), batch))]
        shots = [data.shots[int(known.numbers[k])] for k in chosen]
        own = rng.random(batch) < 0.5
        e = torch.stack([
            known.e[k] if mine else known.of_person(s.people[0], int(known.numbers[k]), rng)
            for k, mine, s in zip(chosen, own, shots, strict=True)
        ])  # fmt: skip
        e[torch.from_numpy(rng.random(batch) < 0.1)] = 0  # no picture, as without the prompt
        said = speaker.encode([worded(s.record, rng) for s in shots])
        clean, e = moved(torch.from_numpy(z[known.numbers[chosen]]).float(), e)
        t = torch.randint(0, 1000, (batch,), device=DEVICE)
        x, target = noised(clean, torch.randn_like(clean), t, alpha_bar)
        with mixed(), edited(unet, adapter.edit(adapter.tokens(e))):
            v = predicted(unet, x, t, said.states, said.pooled)
        error = (v.float() - target).square().mean((1, 2, 3))
        run.update((error * min_snr(t, alpha_bar)).mean())


def load_adapter() -> Adapter:
    """The trained adapter, if it fits the U-Net that is there."""
    return load_fitting(NAME, lambda: Adapter(load_unet(), sum(WIDTHS)))


def save(adapter: Adapter, folder: Path) -> None:
    """Writes ``sdxl_models/ip-adapter_sdxl.safetensors`` into the checkpoint ``folder``, float16."""
    (folder / ADAPTER).parent.mkdir(exist_ok=True)
    save_file({k: v.half() for k, v in adapter.state().items()}, folder / ADAPTER)


def unpacked(file: Path, unet: nn.Module, beside: float) -> Adapter:
    """The adapter that ``save`` wrote, marked as fitting what ``beside`` stands for."""
    adapter, tensors = Adapter(unet, sum(WIDTHS)), load_file(file)
    for name, value in adapter.state().items():
        value.copy_(tensors[name])  # these are the weights themselves
    adapter.beside.fill_(beside)
    return adapter


def pack(folder: Path) -> None:
    """The trained adapter into the checkpoint ``folder``."""
    save(load_adapter(), folder)


def main() -> None:
    """Command line."""
    options = stage_options(__doc__, minutes=30, batch=BATCH)
    if not options.report:
        if options.rank == 0:
            begin_anew_unless_fitting(NAME)
        train(options.minutes, batch=options.batch, steps=options.steps)


if __name__ == "__main__":
    main()
