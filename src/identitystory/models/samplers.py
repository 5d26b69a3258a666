"""Pure sampling rules over the tables of diffusers' schedulers: DDIM, Euler, ancestral."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, ModelError
from .libraries import DDIMScheduler, EulerDiscreteScheduler

SAMPLERS = ("ddim", "euler", "ancestral")
PREDICTIONS = ("epsilon", "v_prediction")


def ddim_step(
    z: Tensor,
    prediction: Tensor,
    *,
    alpha: Tensor,
    alpha_next: Tensor,
    prediction_type: str,
    noise: Tensor | None = None,
) -> Tensor:
    """One DDIM step, sqrt(a') x_0 + sqrt(1 - a' - s^2) eps + s n; deterministic (s = 0) without n.

    With noise it is eta = 1, ancestral sampling: s^2 = (1 - a') / (1 - a) (1 - a / a').

    Args:
        z: (B, C, h, w) at the cumulative signal level ``alpha``.
        prediction: the network's output, of ``prediction_type``.
        alpha: cumulative product of 1 - beta at z's timestep, a scalar.
        alpha_next: the same where the step lands.
        prediction_type: ``epsilon`` or ``v_prediction``.
        noise: n, like z.
    """
    signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
    if prediction_type == "epsilon":
        x_0, eps = (z - sigma * prediction) / signal, prediction
    else:
        x_0, eps = signal * z - sigma * prediction, signal * prediction + sigma * z
    if noise is None:
        return alpha_next.sqrt() * x_0 + (1 - alpha_next).sqrt() * eps
    drawn = (1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)
    return alpha_next.sqrt() * x_0 + (1 - alpha_next - drawn).sqrt() * eps + drawn.sqrt() * noise


def euler_step(
    z: Tensor, prediction: Tensor, *, sigma: Tensor, sigma_next: Tensor, prediction_type: str
) -> Tensor:
    """One Euler step of dz/dsigma = (z - x_0) / sigma, in the variance-exploding scale.

    Args:
        z: (B, C, h, w), clean picture plus noise of standard deviation ``sigma``.
        prediction: the network's output for ``z / sqrt(sigma^2 + 1)``, of ``prediction_type``.
        sigma: noise level of z, a scalar.
        sigma_next: noise level where the step lands.
        prediction_type: ``epsilon`` or ``v_prediction``.
    """
    if prediction_type == "epsilon":
        x_0 = z - sigma * prediction
    else:
        x_0 = prediction * (-sigma / (sigma**2 + 1).sqrt()) + z / (sigma**2 + 1)
    return z + (z - x_0) / sigma * (sigma_next - sigma)


@dataclass(frozen=True)
class Sampler:
    """A sampling rule with its tables; ``i`` counts down, from ``num_steps`` to 1.

    Attributes:
        name: ``ddim``, ``euler``, or ``ancestral``, which is DDIM with new noise at each step.
        timesteps: (t,) what the U-Net is told, in order of sampling: ``timesteps[t - i]`` at i.
        levels: (t, 2) float32, where each step starts and lands: cumulative alphas for ddim,
            sigmas for euler.
        init_noise_sigma: what unit noise is multiplied by to give z_t.
        prediction_type: what the U-Net predicts, ``epsilon`` or ``v_prediction``.
        schedule: the scheduler's configuration that the tables were made from.
    """

    name: str
    timesteps: Tensor
    levels: Tensor
    init_noise_sigma: float
    prediction_type: str = "epsilon"
    schedule: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def num_steps(self) -> int:
        """t."""
        return len(self.timesteps)

    def timestep(self, i: int) -> Tensor:
        """The U-Net's timestep at step ``i``, a scalar."""
        return self.timesteps[self._row(i)]

    def scale_input(self, z: Tensor, i: int) -> Tensor:
        """What the U-Net is shown of ``z`` at step ``i``."""
        if self.name != "euler":
            return z
        sigma = self.levels[self._row(i), 0]
        return z / (sigma**2 + 1).sqrt()

    def step(self, z: Tensor, i: int, prediction: Tensor, noise: Tensor | None = None) -> Tensor:
        """z_i -> z_{i-1}. Pure. Only ``ancestral`` uses noise; without it, it is ``ddim``."""
        start, end = self.levels[self._row(i)]
        kind = self.prediction_type
        if self.name != "euler":
            n = noise if self.name == "ancestral" else None
            return ddim_step(
                z, prediction, alpha=start, alpha_next=end, prediction_type=kind, noise=n
            )
        return euler_step(z, prediction, sigma=start, sigma_next=end, prediction_type=kind)

    def _row(self, i: int) -> int:
        if not 1 <= i <= self.num_steps:
            raise ValueError(f"step {i} is outside 1..{self.num_steps}")
        return self.num_steps - i


def sampler(name: str, scheduler_config: Mapping[str, Any], num_steps: int) -> Sampler:
    """The sampler called ``name`` over the noise schedule of a scheduler's configuration.

    The configuration may be any discrete-time scheduler's with a table of betas: only the
    schedule (betas, spacing, offset, prediction type) is read from it. DDIM lands on the last
    table entry and never clips, as latents need.

    Raises:
        ConfigError: ``name`` is not one of SAMPLERS, or ``num_steps`` does not fit the schedule.
        ModelError: the schedule has no betas (flow matching, EDM), or another prediction type.
    """
    if name not in SAMPLERS:
        raise ConfigError(
            f"no sampler is called {name!r}; there are {', '.join(SAMPLERS)} "
            "(re-denoising needs a step without hidden state)"
        )
    config = {k: v for k, v in scheduler_config.items() if not k.startswith("_")}
    kind = scheduler_config.get("_class_name", "the scheduler")
    if not config.keys() & {"beta_schedule", "trained_betas"}:
        raise ModelError(f"{kind} has no table of betas; a DDIM or Euler configuration is needed")
    if config.setdefault("prediction_type", "epsilon") not in PREDICTIONS:
        raise ModelError(
            f"{kind} has prediction_type {config['prediction_type']!r}; "
            f"{' and '.join(PREDICTIONS)} are supported"
        )
    limit = config.get("num_train_timesteps", 1000)
    if not 1 <= num_steps <= limit:
        raise ConfigError(f"num_steps is {num_steps}; the model takes 1 to {limit}")
    tables = _euler_tables if name == "euler" else _ddim_tables
    timesteps, levels, init_noise_sigma = tables(config, num_steps)
    kind = config["prediction_type"]
    return Sampler(name, timesteps, levels, init_noise_sigma, kind, dict(scheduler_config))


def _ddim_tables(config: Mapping[str, Any], num_steps: int) -> tuple[Tensor, Tensor, float]:
    forced = {"clip_sample": False, "set_alpha_to_one": False, "thresholding": False}
    scheduler: Any = DDIMScheduler(**_known(DDIMScheduler, {**config, **forced}))
    scheduler.set_timesteps(num_steps)
    landing = scheduler.timesteps - scheduler.config["num_train_timesteps"] // num_steps
    alphas = scheduler.alphas_cumprod
    after = torch.where(landing >= 0, alphas[landing.clamp(min=0)], scheduler.final_alpha_cumprod)
    levels = torch.stack([alphas[scheduler.timesteps], after], dim=1)
    return scheduler.timesteps, levels, float(scheduler.init_noise_sigma)


def _euler_tables(config: Mapping[str, Any], num_steps: int) -> tuple[Tensor, Tensor, float]:
    scheduler: Any = EulerDiscreteScheduler(**_known(EulerDiscreteScheduler, config))
    scheduler.set_timesteps(num_steps)
    levels = torch.stack([scheduler.sigmas[:-1], scheduler.sigmas[1:]], dim=1)
    return scheduler.timesteps, levels, float(scheduler.init_noise_sigma)


def _known(scheduler: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``config`` that ``scheduler`` takes: another class's extras are not its own."""
    names = inspect.signature(scheduler).parameters
    return {k: v for k, v in config.items() if k in names}
