"""Flow matching's step, and the noise levels that diffusers' scheduler gives it.

z_sigma = (1 - sigma) x_0 + sigma eps, and the network predicts the velocity v = eps - x_0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import ConfigError, ModelError
from ..samplers import SAMPLERS

SCHEDULER = "FlowMatchEulerDiscreteScheduler"


def flow_step(
    z: Tensor, v: Tensor, *, sigma: Tensor, sigma_next: Tensor, noise: Tensor | None = None
) -> Tensor:
    """One Euler step of dz/dsigma = v, which is DDIM's too; with noise, x_0 is noised anew.

    Args:
        z: (B, C, h, w) at the level ``sigma``.
        v: the predicted velocity, like z.
        sigma: where the step starts, in (0, 1].
        sigma_next: where it lands, in [0, 1).
        noise: like z; drawn by the caller, so that the step is pure.
    """
    if noise is None:
        return z + (sigma_next - sigma) * v
    return (1 - sigma_next) * (z - sigma * v) + sigma_next * noise


@dataclass(frozen=True)
class FlowSampler:
    """Flow matching's rule with its table; ``i`` counts down, from ``num_steps`` to 1.

    Attributes:
        name: ``euler`` and ``ddim``, which are one step here, or ``ancestral``.
        sigmas: (t + 1,) float32, falling: z_i is at ``sigmas[t - i]``, and the last is 0.
        tokens: positions of a picture's latents, which the table depends on.
        schedule: the scheduler's configuration.
    """

    name: str
    sigmas: Tensor
    tokens: int
    schedule: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def num_steps(self) -> int:
        """t."""
        return len(self.sigmas) - 1

    def sigma(self, i: int) -> Tensor:
        """The noise level of z_i, a scalar.

        Raises:
            ValueError: ``i`` is not in 0..t.
        """
        if not 0 <= i <= self.num_steps:
            raise ValueError(f"step {i} is outside 0..{self.num_steps}")
        return self.sigmas[self.num_steps - i]

    def step(self, z: Tensor, i: int, v: Tensor, noise: Tensor | None = None) -> Tensor:
        """z_i -> z_{i-1}. Pure. Only ``ancestral`` uses noise; without it, it is ``euler``."""
        drawn = noise if self.name == "ancestral" else None
        return flow_step(z, v, sigma=self.sigma(i), sigma_next=self.sigma(i - 1), noise=drawn)


def flow_sampler(
    name: str,
    schedule: Mapping[str, Any],
    num_steps: int,
    tokens: int,
    shift: Callable[[int, int], float] | None = None,
) -> FlowSampler:
    """The sampler called ``name`` over the noise levels of a scheduler's configuration.

    Args:
        name: ``euler``, ``ddim`` or ``ancestral``.
        schedule: of a ``FlowMatchEulerDiscreteScheduler``.
        num_steps: t.
        tokens: of a picture's latents: larger pictures spend more steps near noise.
        shift: by how much, by tokens and steps; None is FLUX.2's.

    Raises:
        ConfigError: the name or the number of steps does not exist.
        ModelError: another scheduler, whose steps have a memory or another clock.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler

    if name not in SAMPLERS:
        raise ConfigError(f"no sampler is called {name!r}; there are {', '.join(SAMPLERS)}")
    kind = schedule.get("_class_name", SCHEDULER)
    if kind != SCHEDULER or schedule.get("invert_sigmas"):
        raise ModelError(f"{kind} is not supported here; a {SCHEDULER} that falls is needed")
    if not 1 <= num_steps <= (limit := int(schedule.get("num_train_timesteps", 1000))):
        raise ConfigError(f"num_steps is {num_steps}; the model takes 1 to {limit}")
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(dict(schedule))
    even = np.linspace(1.0, 1 / num_steps, num_steps)
    scheduler.set_timesteps(sigmas=even, mu=(shift or time_shift)(tokens, num_steps))
    return FlowSampler(name, scheduler.sigmas, tokens, dict(schedule))


def time_shift(tokens: int, num_steps: int) -> float:
    """FLUX.2's mu: a fit of its makers, straight in the tokens and, up to 4,300, in the steps.

    Between the fits for 10 and for 200 steps.
    """
    many = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return many
    few = 8.73809524e-05 * tokens + 1.89833333
    return many + (few - many) * (200 - num_steps) / 190
