"""A small IP-Adapter for the miniature, for Story-Adapter: ``python -m miniature.stages.ip_adapter``.

The U-Net stays as it is; a projection of a picture's embedding to a few tokens, and a second pair of
key and value projections in every cross-attention, learn to paint a picture from its caption and an
embedding. The picture encoder is the identity tower with its projections, the only encoder of the
miniature that knows people apart; the package holds it already. In half of the samples the embedding is of another picture of
the same person, as Story-Adapter will use it.

Comes after the U-Net, and again after every other U-Net. Resumes where it stood. ``--pack`` writes
the result into the checkpoint, in the hub's file format; ``miniature.pack`` does so too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from identitystory.models.sdxl.attention import Site, attend, edited
from identitystory.models.sdxl.family import ADAPTER

from ..pictures.training_set import WORDINGS, Ready, companions
from ..training.loop import DEVICE, Run, load_trained, mixed, moved
from ..training.noise import min_snr, noised
from ..training.on_finished_unet import command, fingerprint, load_fitting
from .painter import Painter, predicted, scheduler
from .text import WIDTHS

NAME = "ip_adapter"
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
                with torch.no_grad():
                    self.key[str(number)].weight.copy_(layer.to_k.weight)
                    # Starts as the U-Net without a picture. From the words' own values the loss
                    # began at .443 instead of .279, and was at .335 after 111 small steps.
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


def plain_unet() -> nn.Module:
    """The trained U-Net, frozen, its identity LoRA off."""
    painter = load_trained("unet", Painter())
    for layer in painter._switches:
        layer._disable_adapters = True
    return painter.unet


def train(minutes: float, ready: Ready, *, batch: int) -> None:
    """One picture a sample: from its caption and an embedding of it or of its person."""
    unet = plain_unet().to(DEVICE)
    adapter = Adapter(unet, ready.embeddings.shape[1])
    adapter.beside.fill_(fingerprint())
    optimizer = torch.optim.AdamW(adapter.parameters(), 5e-4, betas=(0.9, 0.99), weight_decay=0.01)
    run = Run(NAME, adapter, [optimizer], minutes=minutes, ema=0.99, warmup=100)
    alpha_bar, others = scheduler().alphas_cumprod, companions(ready.people)
    rng = np.random.default_rng([run.step, 7, run.rank])
    torch.manual_seed(run.step * 16 + run.rank)
    empty = len(ready.states) - 1
    for _ in run:
        i = rng.integers(0, len(others), batch)
        source = np.where(rng.random(batch) < 0.5, i, [rng.choice(others[k]) for k in i])
        i = torch.from_numpy(i)
        z = ready.latents[0, i].float()
        noise, t = torch.randn_like(z), torch.from_numpy(rng.integers(0, 1000, batch))
        x, target = noised(z, noise, t, alpha_bar)
        text = i * WORDINGS + torch.from_numpy(rng.integers(0, WORDINGS, batch))
        text[torch.from_numpy(rng.random(batch) < 0.1)] = empty
        e = ready.embeddings[torch.from_numpy(source)].clone()
        e[torch.from_numpy(rng.random(batch) < 0.1)] = 0  # no picture, as without the prompt
        x, target, t, e = moved(x, target, t, e)
        pooled, states = moved(ready.pooled[text], ready.states[text].float())
        with (
            mixed(),
            edited(unet, adapter.edit(adapter.tokens(e))),
        ):
            said = predicted(unet, x, t, states, pooled)
        error = (said.float() - target).square().mean((1, 2, 3))
        run.update((error * min_snr(t, alpha_bar.to(t.device))).mean())


def pack(adapter: Adapter, folder: Path) -> None:
    """Writes ``sdxl_models/ip-adapter_sdxl.safetensors`` into the checkpoint ``folder``, float16.

    The picture encoder is the identity tower in the checkpoint's own ``photomaker.safetensors``, and
    is not written again; see ``identitystory.models.sdxl.ip_adapter``.
    """
    (folder / ADAPTER).parent.mkdir(exist_ok=True)
    save_file({k: v.half() for k, v in adapter.state().items()}, folder / ADAPTER)


def load_adapter() -> Adapter:
    """The trained adapter; see ``beside.load_fitting``."""
    return load_fitting(NAME, lambda: Adapter(plain_unet(), sum(WIDTHS)))


def main() -> None:
    """Command line."""
    command(NAME, __doc__, train, lambda out: pack(load_adapter(), out), minutes=15)


if __name__ == "__main__":
    main()
