"""What generators that are trained by flow matching have in common: steps, guidance, parts of a batch."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from PIL import Image
from torch import Tensor

from ...errors import ConfigError
from ...sampling import step_noise
from ...sizes import Size, as_text
from ...types import Prompt
from ..device import Room, in_parts
from ..pixels import pictures
from .schedule import FlowSampler, flow_sampler
from .text import Qwen3Texts

SIDE = 1024  # pixels, where the VAE does not say


@dataclass(frozen=True)
class Conditioning:
    """What steers a batch.

    Attributes:
        without: of each picture, (n, d) of its negative prompt.
        given: likewise, of its prompt.
        prompts: as asked for.
        references: of each picture, latents of others that it looks at, (k, C, h, w); None is none.
    """

    without: tuple[Tensor, ...]
    given: tuple[Tensor, ...]
    prompts: tuple[Prompt, ...]
    references: tuple[Tensor | None, ...]


class FlowGenerator:
    """G: transformer, VAE, text encoder and flow matching's sampler, driven one step at a time.

    The networks compute in the precision they come in; latents, guidance and the sampler's
    arithmetic are float32.

    Attributes:
        transformer: predicts velocities.
        vae: pictures to latents and back.
        encode: texts to what the transformer reads of them.
        sampler: rule and table, for pictures of ``size``.
        unguided: whether guidance is left out.
        multiple: of which width and height must be, and what a token is, in pixels.
        cell: what a latent is, in pixels.
        most: pictures through the transformer at once, at most; it falls when the memory runs out.
    """

    shift: ClassVar[Callable[[Any, int, int], float]]  # of noise levels, by tokens and steps
    cells: ClassVar[int]  # latents a side of a token

    def __init__(
        self,
        transformer: Any,
        vae: Any,
        encode: Qwen3Texts,
        sampler: FlowSampler,
        *,
        room: Room,
        unguided: bool = False,
    ) -> None:
        self.room = room
        self.transformer, self.vae = (
            room.place(network).eval().requires_grad_(False) for network in (transformer, vae)
        )
        self.encode, self.sampler, self.unguided = encode, sampler, unguided
        self.device, self.dtype = room.device, transformer.dtype
        self.multiple: int = 2 ** len(vae.config["block_out_channels"])
        self.cell = self.multiple // self.cells
        side = int(vae.config.get("sample_size", SIDE))
        self.size: Size = (side, side)
        self.most = 2**20
        self._respace(sampler.num_steps)

    def _respace(self, num_steps: int) -> None:
        width, height = self.size
        channels, tokens = (
            self.transformer.config["in_channels"],
            width * height // self.multiple**2,
        )
        self.latent_shape: tuple[int, int, int] = (
            channels,
            height // self.cell,
            width // self.cell,
        )
        self.num_steps, old = num_steps, self.sampler
        self.sampler = flow_sampler(old.name, old.schedule, num_steps, tokens, self.shift)

    def with_steps(self, num_steps: int) -> Self:
        other = copy.copy(self)
        other._respace(num_steps)
        return other

    def with_size(self, size: Size) -> Self:
        """This generator for pictures of another size, on the same networks.

        Raises:
            ConfigError: width or height is not a multiple of ``multiple``.
        """
        if any(side % self.multiple for side in size):
            raise ConfigError(
                f"the size is {as_text(size)}; both sides must be multiples of {self.multiple}"
            )
        other = copy.copy(self)
        other.size = size
        other._respace(self.num_steps)
        return other

    def condition(self, prompts: Sequence[Prompt]) -> Conditioning:
        """Conditioning for ``prompts``; see `protocols.ImageGenerator.condition`.

        Raises:
            ConfigError: a prompt has a face or a control.
            PromptError: a prompt is longer than the text encoder reads.
        """
        for prompt in prompts:
            if prompt.face is not None or prompt.control is not None:
                what = "face" if prompt.face is not None else "control"
                raise ConfigError(f"this generator takes no {what}; leave it out of the prompt")
        texts = [p.negative or "" for p in prompts] + [p.text for p in prompts]
        states = [x.to(self.device, self.dtype) for x in self.encode(texts)]
        without, given = states[: len(prompts)], states[len(prompts) :]
        return Conditioning(tuple(without), tuple(given), tuple(prompts), (None,) * len(prompts))

    def noise(self, seed: int) -> Tensor:
        return torch.randn(self.latent_shape, generator=torch.Generator().manual_seed(seed))

    def _guidance(self, prompt: Prompt, i: int) -> float:
        return 1.0 if self.unguided else prompt.guidance_at(i, self.num_steps)

    def calls(self, i: int, cond: Conditioning) -> int:
        return sum(1 if self._guidance(p, i) == 1 else 2 for p in cond.prompts)

    def predict(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """The guided velocity at step ``i``, (B, C, h, w) float32 on z's device.

        Pictures with and without guidance, and with other references, go through the transformer
        one kind after the other; a batch that does not fit into the memory is halved until it does.

        Raises:
            torch.OutOfMemoryError: one picture does not fit.
        """
        if len(z) != len(cond.prompts):
            raise ValueError(f"{len(z)} latents for {len(cond.prompts)} prompts")
        kinds: dict[Any, list[int]] = {}
        for b, (prompt, seen) in enumerate(zip(cond.prompts, cond.references, strict=True)):
            kind = (self._guidance(prompt, i) != 1, None if seen is None else seen.shape)
            kinds.setdefault(kind, []).append(b)
        made = torch.empty_like(z, dtype=torch.float32)
        for (guided, _), rows in kinds.items():

            def part(at: list[int], guided: bool = guided) -> None:
                with torch.inference_mode(), self.room.holding(self.transformer):
                    made[at] = self._guided(z, i, cond, at, guided=guided)

            self.most = in_parts(rows, self.most, part)
        return made

    def _guided(
        self, z: Tensor, i: int, cond: Conditioning, at: list[int], *, guided: bool
    ) -> Tensor:
        texts = [cond.without, cond.given] if guided else [cond.given]
        seen = [r for b in at if (r := cond.references[b]) is not None]
        v = self._velocity(
            torch.cat([z[at]] * len(texts)).to(self.device, self.dtype),
            torch.stack(seen * len(texts)).to(self.device, self.dtype) if seen else None,
            self.sampler.sigma(i).to(self.device),
            [text[b] for text in texts for b in at],
        ).to(z.device, torch.float32)
        if not guided:
            return v
        w = torch.tensor([cond.prompts[b].guidance for b in at]).view(-1, 1, 1, 1).to(z.device)
        without, given = v.chunk(2)
        return without + w * (given - without)

    @abstractmethod
    def _velocity(
        self, z: Tensor, seen: Tensor | None, sigma: Tensor, words: list[Tensor]
    ) -> Tensor:
        """v, like z (B, C, h, w), of pictures that look at ``seen``, (B, k, C, h', w')."""

    @abstractmethod
    def _unscaled(self, z: Tensor) -> Tensor:
        """Latents, float32, as the VAE reads them."""

    def step(self, z: Tensor, i: int, cond: Conditioning) -> Tensor:
        """z_i -> z_{i-1}, (B, C, h, w) float32 on z's device. Pure."""
        v, noise = self.predict(z, i, cond), None
        if self.sampler.name == "ancestral":
            noise = torch.stack([step_noise(p.seed, i, z.shape[1:]) for p in cond.prompts]).to(z)
        with torch.no_grad():
            return self.sampler.step(z, i, v, noise).contiguous()

    @torch.inference_mode()
    def decode(self, z: Tensor) -> list[Image.Image]:
        """Clean latents (B, C, h, w) to RGB pictures, about a megapixel at a time."""
        images: list[Image.Image] = []
        for part in z.split(max(1, 2**20 // (self.size[0] * self.size[1]))):
            latents = self._unscaled(part.to(self.device, torch.float32)).to(self.vae.dtype)
            with self.room.holding(self.vae):
                images += pictures(self.vae.decode(latents, return_dict=False)[0])
        return images
