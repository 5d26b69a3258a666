"""A latent diffusion model as an ``ImageGenerator``: pure samplers, guidance, decoding.

The samplers are written over the tables that diffusers' schedulers compute (timesteps,
``alphas_cumprod``, sigmas), never over their ``step``: Euler's keeps a hidden counter, and
re-denoising needs a step that is a function of its arguments alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ...errors import ConfigError
from ...sampling import step_noise
from ...sizes import Size, as_text
from ...types import Prompt, Window
from ..device import Room, in_parts, rows_that_fit
from ..pixels import pictures
from ..samplers import Sampler, sampler
from .attention import is_edited
from .conditioning import Conditioning, Encoding, Kind
from .control import Controls, added
from .feature_cache import DeepFeatures


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
        encode: ``(prompts, negatives) -> (without, with)``, an ``Encoding`` for each half.
        num_steps: t.
        size: (width, height) in pixels.
        multiple: of which both must be: the VAE's factor times the U-Net's.
        latent_shape: (C, h, w).
        room: brings the networks to the device.
        most: pictures through the U-Net at once, at most; it falls when the memory runs out.
        deep: keeps deep features between steps; None computes them at every step.
        controls: by what they read, the control nets there are, opened when first asked.
    """

    deep: DeepFeatures | None = None
    controls: Controls = MappingProxyType({})

    def __init__(
        self,
        unet: Any,
        vae: Any,
        sampler: Sampler,
        encode: Callable[[Sequence[str], Sequence[str | None]], tuple[Encoding, Encoding]],
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
        self.factor: int = 2 ** (len(vae.config["block_out_channels"]) - 1)  # pixels of a latent's
        self.multiple: int = self.factor * 2 ** (len(unet.config["block_out_channels"]) - 1)
        self.size: Size = (side * self.factor, side * self.factor)
        width = unet.config["block_out_channels"][0]
        self.most = rows_that_fit(device, width * side * side * self.dtype.itemsize) // 2

    def with_steps(self, num_steps: int) -> LatentDiffusion:
        if num_steps == self.num_steps:
            return self
        other = copy.copy(self)
        other.sampler = sampler(self.sampler.name, self.sampler.schedule, num_steps)
        other.num_steps = num_steps
        return other

    def with_size(self, size: Size) -> LatentDiffusion:
        """This generator for pictures of another size, on the same networks.

        Raises:
            ConfigError: width or height is not a multiple of ``multiple``.
        """
        if size == self.size:
            return self
        width, height = size
        if width % self.multiple or height % self.multiple:
            raise ConfigError(
                f"the size is {as_text(size)}; both sides must be multiples of {self.multiple}"
            )
        other = copy.copy(self)
        other.size = size
        other.latent_shape = (self.latent_shape[0], height // self.factor, width // self.factor)
        other.most = max(1, self.most * self.size[0] * self.size[1] // (width * height))
        return other

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """Conditioning for ``prompts``; see `protocols.ImageGenerator.condition`.

        Raises:
            ConfigError: a prompt has a face, a control that there is no net for, or a window that does
                not lie in the picture on multiples of ``multiple``.
            PromptError: a prompt is longer than the text encoders read.
        """
        for prompt in prompts:
            if prompt.face is not None:
                raise ConfigError("this generator takes no face; leave it out of the prompt")
            if prompt.points is not None:
                raise ConfigError("this generator places no face; leave its points out")
            if prompt.control is not None and prompt.control.kind not in self.controls:
                kind = prompt.control.kind
                raise ConfigError(f"this generator has no control net for {kind}; leave it out")
        without, given = self.encode([p.text for p in prompts], [p.negative for p in prompts])
        time_ids = torch.tensor([self._place(p.window) for p in prompts])
        return Conditioning(
            hidden=torch.cat([without.hidden, given.hidden]).to(self.device, self.dtype),
            pooled=torch.cat([without.pooled, given.pooled]).to(self.device, self.dtype),
            time_ids=time_ids.to(self.device, self.dtype).repeat(2, 1),
            prompts=tuple(prompts),
            lengths=given.lengths,
        )

    def _place(self, window: Window | None) -> tuple[int, ...]:
        """SDXL's time ids: height and width of the original, the crop's corner, the crop's own."""
        (width, height), part = self.size, window or Window(0, 0, *self.size)
        inside = 0 <= part.left < part.right <= width and 0 <= part.top < part.bottom <= height
        if not inside or any(side % self.multiple for side in part):
            raise ConfigError(
                f"the window is {tuple(part)}; it must lie in a picture of {as_text(self.size)} on "
                f"multiples of {self.multiple}"
            )
        return height, width, part.top, part.left, part.bottom - part.top, part.right - part.left

    def _cells(self, b: int, window: Window | None) -> tuple[int | slice, ...]:
        """Which of (B, C, h, w) picture ``b`` has in its window."""
        if window is None:
            return (b,)
        left, top, right, bottom = (side // self.factor for side in window)
        return b, slice(None), slice(top, bottom), slice(left, right)

    def noise(self, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return torch.randn(self.latent_shape, generator=rng) * self.sampler.init_noise_sigma

    def calls(self, i: int, cond: Conditioning) -> int:
        return sum(1 if p.guidance_at(i, self.num_steps) == 1 else 2 for p in cond.prompts)

    def predict(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """The U-Net's guided prediction at step ``i``, (B, C, h, w) float32 on z's device.

        It sees of each picture its prompt's window, and says 0 of what lies outside. Pictures that cannot be one batch (`Conditioning.kinds`) go through it one kind after the
        other, and a batch that does not fit into the accelerator's memory is halved until it does;
        never under an edit of the attention, in which the pictures of a batch look at one another.

        Raises:
            torch.OutOfMemoryError: one picture, or those that belong together, do not fit.
        """
        if len(z) != cond.batch:
            raise ValueError(f"{len(z)} latents for {cond.batch} prompts")
        whole = is_edited(self.unet)
        made = torch.zeros_like(z, dtype=torch.float32)
        for kind, rows in cond.kinds(i, self.num_steps, whole=whole).items():

            def part(at: list[int], kind: Kind = kind) -> None:
                seen = [self._cells(b, cond.prompts[b].window) for b in at]
                with torch.inference_mode():
                    shown = torch.stack([z[cells] for cells in seen])
                    said = self._predict(shown, i, cond, at, *kind[:2])
                    for cells, own in zip(seen, said, strict=True):
                        made[cells] = own

            if not whole:
                self.most = in_parts(rows, max(1, self.most), part)
                continue
            try:
                part(rows)
            except torch.OutOfMemoryError as error:
                if len(rows) == 1:
                    raise
                raise torch.OutOfMemoryError(
                    f"out of memory: {len(z)} pictures that look at one another must be painted at "
                    "once, and do not fit; try --dtype bfloat16, --preset low-vram, another "
                    "--method, or stories of fewer characters"
                ) from error
        return made

    def _predict(
        self, z: Tensor, i: int, cond: Conditioning, at: list[int], length: int, guided: bool
    ) -> Tensor:
        hidden, pooled, time_ids = cond.rows(at, length, guided=guided)
        shown = self.sampler.scale_input(z, i).to(self.device, self.dtype)
        shown = shown.repeat(len(hidden) // len(z), 1, 1, 1)  # (B or 2B, C, h, w)
        shown = shown.contiguous(memory_format=torch.channels_last)
        timestep, prompts = self.sampler.timestep(i).to(self.device), [cond.prompts[b] for b in at]
        inputs: dict[str, Any] = {
            "encoder_hidden_states": hidden,
            "added_cond_kwargs": {"text_embeds": pooled, "time_ids": time_ids},
        }
        place = (i, self.num_steps, self.size, self.room)
        beside = added(
            self.controls, prompts, *place, shown, timestep, beside=cond.beside, **inputs
        )
        with ExitStack() as stack:
            stack.enter_context(self.room.holding(self.unet))
            if self.deep:
                stack.enter_context(self.deep.at(i, cond, tuple(at), len(hidden)))
            prediction = self.unet(shown, timestep, **inputs, **beside, return_dict=False)[0]
        prediction = prediction.to(z.device, torch.float32)
        if not guided:
            return prediction
        w = torch.tensor([prompt.guidance_at(i, self.num_steps) for prompt in prompts])
        without, given = prediction.chunk(2)
        return without + w.view(-1, 1, 1, 1).to(z.device) * (given - without)

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1}, (B, C, h, w) float32 on z's device. Pure, unless deep features are kept.

        An ancestral sampler draws noise for each picture, from its prompt's seed. Outside a prompt's
        window it means nothing.
        """
        prediction, noise = self.predict(z, i, cond), None
        if self.sampler.name == "ancestral":
            noise = torch.stack([step_noise(p.seed, i, z.shape[1:]) for p in cond.prompts]).to(z)
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
        for part in z.to(self.vae.dtype).split(max(1, 2**20 // (self.size[0] * self.size[1]))):
            with self.room.holding(self.vae):
                images += pictures(self.vae.decode(part, return_dict=False)[0])
        return images
