"""The U-Net of the miniature while it is trained."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from identitystory.models.sdxl.identity_encoder import FuseModule

from ..training.attention_loss import Looking
from ..training.muon import Muon
from .text import WIDTHS
from .vae import LATENT_CHANNELS, SIZE

CHANNELS, LORA, RANK = (96, 192), "photomaker", 16


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
        self.fuse = FuseModule(sum(WIDTHS))
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
