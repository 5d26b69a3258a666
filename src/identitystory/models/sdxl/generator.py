"""A latent diffusion model as an ``ImageGenerator``: pure samplers, guidance, decoding.

The samplers are written over the tables that diffusers' schedulers compute (timesteps,
``alphas_cumprod``, sigmas), never over their ``step``: Euler's keeps a hidden counter, and
re-denoising needs a step that is a function of its arguments alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..device import Room, free_memory, rows_that_fit
from ..samplers import Sampler
from .attention import is_edited
from .feature_cache import DeepFeatures

# --- Samplers -------------------------------------------------------------------------------------


# --- The generator --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoding:
    """Prompts as the U-Net reads them: hidden (B, L, D) and pooled (B, P)."""

    hidden: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class Conditioning:
    """What steers a step. Rows are [without prompt..., with prompt...], B of each.

    Attributes:
        hidden: (2B, L, D) token embeddings, for the cross-attention.
        pooled: (2B, P) embedding of the whole prompt.
        time_ids: (2B, 6) height and width of the original, crop corner, height and width wanted.
        guidance: scale w of eps = eps_uncond + w (eps_cond - eps_uncond).
    """

    hidden: Tensor
    pooled: Tensor
    time_ids: Tensor
    guidance: float

    @property
    def batch(self) -> int:
        """B, the number of pictures that are steered."""
        return len(self.hidden) // 2

    def rows(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """The three tensors as (2, batch, ...); one prompt serves any number of pictures.

        At guidance 1 the rows without prompt cancel out, and are left out: (1, batch, ...).
        """
        if self.batch not in (1, batch):
            raise ValueError(f"{batch} latents for {self.batch} prompts")
        first = 1 if self.guidance == 1 else 0
        hidden, pooled, time_ids = (
            x.unflatten(0, (2, self.batch))[first:].expand(-1, batch, *x.shape[1:])
            for x in (self.hidden, self.pooled, self.time_ids)
        )
        return hidden, pooled, time_ids


def joined(conds: Sequence[Conditioning]) -> dict[str, Tensor | float] | None:
    """The fields of one conditioning that steers what ``conds`` steer, in their order.

    None if they cannot be one batch: prompts of other lengths, or another guidance.
    """
    first = conds[0]
    if any(
        (c.hidden.shape[1:], c.guidance) != (first.hidden.shape[1:], first.guidance) for c in conds
    ):
        return None
    halves = {
        name: [getattr(c, name).unflatten(0, (2, c.batch)) for c in conds]
        for name in ("hidden", "pooled", "time_ids")
    }
    fields = {name: torch.cat(parts, dim=1).flatten(0, 1) for name, parts in halves.items()}
    return {**fields, "guidance": first.guidance}


def order_for_norms(unet: nn.Module) -> None:
    """Gives group norms their pictures channel by channel, whatever the order around them.

    On a CPU torch's group norm takes some ten times as long on channels-last pictures, where its
    convolutions are faster. The norm is the same but for the order of its sums.
    """
    for module in unet.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))


class LatentDiffusion:
    """G: a text-conditioned U-Net, a VAE and a sampler, driven one step at a time.

    The networks compute in the precision they come in; latents, guidance and the sampler's
    arithmetic are float32. Latents may live on any device and come back on theirs.

    Attributes:
        unet: a ``UNet2DConditionModel`` of SDXL's kind (pooled text and time ids).
        vae: an ``AutoencoderKL``.
        sampler: rule and tables.
        encode: ``(prompts, negative) -> (without, with)``, an ``Encoding`` for each half.
        num_steps: t.
        size: H = W in pixels.
        latent_shape: (C, h, w).
        room: brings the networks to the device.
        most: pictures through the U-Net at once, at most; it falls when the memory runs out.
        deep: keeps deep features between steps; None computes them at every step.
    """

    deep: DeepFeatures | None = None

    def __init__(
        self,
        unet: Any,
        vae: Any,
        sampler: Sampler,
        encode: Callable[[Sequence[str], str | None], tuple[Encoding, Encoding]],
        *,
        device: torch.device,
        room: Room | None = None,
    ) -> None:
        self.room = room or Room(device)
        self.unet = self.room.place(unet).to(memory_format=torch.channels_last).eval()
        if device.type == "cpu":
            order_for_norms(self.unet)
        self.vae = self.room.place(vae).to(memory_format=torch.channels_last).eval()
        self.unet.requires_grad_(False)
        self.vae.requires_grad_(False)
        self.sampler = sampler
        self.encode = encode
        self.device = device
        self.dtype: torch.dtype = unet.dtype
        self.num_steps = sampler.num_steps
        side = unet.config["sample_size"]
        self.latent_shape: tuple[int, int, int] = (unet.config["in_channels"], side, side)
        self.size: int = side * 2 ** (len(vae.config["block_out_channels"]) - 1)
        width = unet.config["block_out_channels"][0]
        self.most = rows_that_fit(device, width * side * side * self.dtype.itemsize) // 2

    def with_steps(self, num_steps: int) -> LatentDiffusion:
        """This generator with another number of steps, on the same networks."""
        if num_steps == self.num_steps:
            return self
        other = copy.copy(self)
        other.sampler = self.sampler.with_steps(num_steps)
        other.num_steps = num_steps
        return other

    def condition(
        self, prompts: Sequence[str], *, guidance: float, negative: str | None = ""
    ) -> Conditioning:
        """Conditioning for ``prompts``; ``negative=None`` is SDXL's "no negative prompt".

        Raises:
            PromptError: a prompt is longer than the text encoders read.
        """
        without, given = self.encode(prompts, negative)
        time_ids = torch.tensor([self.size, self.size, 0, 0, self.size, self.size])
        return Conditioning(
            hidden=torch.cat([without.hidden, given.hidden]).to(self.device, self.dtype),
            pooled=torch.cat([without.pooled, given.pooled]).to(self.device, self.dtype),
            time_ids=time_ids.to(self.device, self.dtype).expand(2 * len(prompts), -1),
            guidance=guidance,
        )

    def join(self, conds: Sequence[Conditioning]) -> Conditioning | None:
        """One conditioning for the pictures of all ``conds``; None if they cannot be one batch."""
        fields: Any = joined(conds)
        return fields and Conditioning(**fields)

    def noise(self, seed: int) -> Tensor:
        """z_t, (C, h, w) float32 on the CPU, scaled for the sampler."""
        rng = torch.Generator().manual_seed(seed)
        return torch.randn(self.latent_shape, generator=rng) * self.sampler.init_noise_sigma

    def evaluations(self, cond: Conditioning) -> int:
        """What a step costs a picture: 2 evaluations of the U-Net, 1 without guidance."""
        return 1 if cond.guidance == 1 else 2

    def predict(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """The U-Net's guided prediction at step ``i``, (B, C, h, w) float32 on z's device.

        A batch that does not fit into the accelerator's memory is halved until it does; never
        under an edit of the attention, in which the pictures of a batch look at one another.

        Raises:
            torch.OutOfMemoryError: one picture, or those that belong together, do not fit.
        """
        rows = cond.rows(len(z))
        while True:
            most = min(len(z), max(1, self.most))
            if most < len(z) and is_edited(self.unet):
                most = len(z)
            try:
                with torch.inference_mode(), self.room.holding(self.unet):
                    parts = [
                        self._predict(part, i, n, cond, [x[:, n : n + most] for x in rows])
                        for n, part in zip(range(0, len(z), most), z.split(most), strict=True)
                    ]
                    return parts[0] if len(parts) == 1 else torch.cat(parts)
            except torch.OutOfMemoryError as error:
                if most > 1 and is_edited(self.unet):
                    raise torch.OutOfMemoryError(
                        f"out of memory: {len(z)} pictures that look at one another must be painted "
                        "at once, and do not fit; try --dtype bfloat16, --preset low-vram, another "
                        "--method, or stories of fewer characters"
                    ) from error
                if most == 1:
                    raise
                self.most = most // 2
            free_memory()

    def _predict(
        self, z: Tensor, i: int, first: int, cond: Conditioning, rows: Sequence[Tensor]
    ) -> Tensor:
        hidden, pooled, time_ids = (x.flatten(0, 1) for x in rows)
        shown = self.sampler.scale_input(z, i).to(self.device, self.dtype)
        shown = shown.repeat(len(hidden) // len(z), 1, 1, 1)  # (B or 2B, C, h, w)
        reused = self.deep.at(i, cond, first, len(hidden)) if self.deep else nullcontext()
        with reused:
            prediction = self.unet(
                shown.contiguous(memory_format=torch.channels_last),
                self.sampler.timestep(i).to(self.device),
                encoder_hidden_states=hidden,
                added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids},
                return_dict=False,
            )[0]
        prediction = prediction.to(z.device, torch.float32)
        if cond.guidance == 1:
            return prediction
        without, given = prediction.chunk(2)
        return without + cond.guidance * (given - without)

    @property
    def ancestral(self) -> bool:
        """Whether a step wants noise, see `sampling.drawing`."""
        return self.sampler.name == "ancestral"

    def step(self, z: Tensor, i: int, cond: Conditioning, *, noise: Tensor | None = None) -> Tensor:
        """z_i -> z_{i-1}, (B, C, h, w) float32 on z's device. Pure, unless deep features are kept."""
        prediction = self.predict(z, i, cond)
        with torch.no_grad():
            return self.sampler.step(z, i, prediction, noise).contiguous()

    @torch.inference_mode()
    def decode(self, z: Tensor) -> list[Image.Image]:
        """Clean latents (B, C, h, w) to RGB pictures, about a megapixel at a time."""
        config = self.vae.config
        z = z.to(self.device, torch.float32) / config["scaling_factor"]
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and std is not None:
            z = z * torch.tensor(std, device=z.device).view(-1, 1, 1)
            z = z + torch.tensor(mean, device=z.device).view(-1, 1, 1)
        images: list[Image.Image] = []
        for part in z.to(self.vae.dtype).split(max(1, 2**20 // self.size**2)):
            with self.room.holding(self.vae):
                pixels = self.vae.decode(part, return_dict=False)[0].float()
            pixels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
            images += [Image.fromarray(p) for p in pixels.permute(0, 2, 3, 1).cpu().numpy()]
        return images
