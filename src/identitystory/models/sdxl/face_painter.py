"""What identity generators on the general generator's own U-Net have in common."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from PIL import Image
from torch import Tensor

from ...sizes import Size
from ...types import Scales
from ..samplers import sampler
from .freeu import freeu
from .generator import LatentDiffusion
from .lora import Lora, read_lora


class FacePainter:
    """G's U-Net, VAE and sampler, with LoRAs and FreeU on inside `step` alone.

    Attributes:
        general: G.
        loras: what is on in a step.
        num_steps: t.
        size: (width, height) in pixels.
        multiple: as G's.
        freeu: scales of FreeU in a step; None is off.
    """

    freeu: Scales | None = None

    def __init__(self, general: LatentDiffusion, *loras: Lora) -> None:
        self.room, self.multiple = general.room, general.multiple
        self._take(general, loras)

    def _take(self, general: LatentDiffusion, loras: tuple[Lora, ...]) -> None:
        self.general, self.loras = general, loras
        self.num_steps, self.size = general.num_steps, general.size

    @property
    def unet(self) -> Any:
        return self.general.unet

    def with_steps(self, num_steps: int) -> Self:
        return self._over(self.general.with_steps(num_steps))

    def with_size(self, size: Size) -> Self:
        return self._over(self.general.with_size(size))

    def distilled(self, file: Path, num_steps: int) -> Self:
        """This generator with a few-step LoRA on as well, its steps spaced as such LoRAs are taught.

        Raises:
            ModelError: the file is missing or broken, or does not fit.
        """
        general = copy.copy(self.general)
        schedule = {**general.sampler.schedule, "timestep_spacing": "trailing"}
        # Few steps leave no room for new noise.
        name = "euler" if general.sampler.name == "euler" else "ddim"
        general.sampler, general.num_steps = sampler(name, schedule, num_steps), num_steps
        return self._over(general, read_lora(file, self.unet, "few_steps"))

    def _over(self, general: LatentDiffusion, *more: Lora) -> Self:
        """The same encoder with another G, and with more LoRAs."""
        if general is self.general:
            return self
        other = copy.copy(self)
        other._take(general, (*self.loras, *more))
        return other

    def with_freeu(self, scales: Scales) -> Self:
        """This generator with FreeU on in each step."""
        other = copy.copy(self)
        other.freeu = scales
        return other

    def calls(self, i: int, cond: Any) -> int:
        return self.general.calls(i, cond)

    def noise(self, seed: int) -> Tensor:
        return self.general.noise(seed)

    def step(self, z: Tensor, i: int, cond: Any) -> Tensor:
        """As G's, with the LoRAs on."""
        with ExitStack() as stack:
            for lora in self.loras:
                stack.enter_context(lora.on())
            stack.enter_context(freeu(self.unet, self.freeu))
            return self.general.step(z, i, cond)

    def decode(self, z: Tensor) -> list[Image.Image]:
        return self.general.decode(z)
