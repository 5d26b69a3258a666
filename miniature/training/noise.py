"""Noised latents, what is to be predicted from them, and how much each noise level counts."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor

GUIDANCE = 3.0  # that suits this U-Net; higher, and faces come apart


def scheduler() -> DDIMScheduler:
    """A cosine schedule that ends at a signal of 4 %, and velocity prediction.

    SDXL's own schedule is made for 128 x 128 latents; on a 16 x 16 grid it would hide the layout
    from the model for most of the way.
    """
    u = np.linspace(0, 1, 1001)
    alpha_bar = np.cos(u * np.pi / 2 * 0.975) ** 2
    betas = np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)
    return DDIMScheduler(
        num_train_timesteps=1000, trained_betas=[float(f"{b:.6g}") for b in betas],
        prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False,
        timestep_spacing="trailing", steps_offset=0,
    )  # fmt: skip


NOISY, NOISIEST = 0.4, 0.25  # share of samples, and of the times, the noisiest, that they are from


def draw_times(count: int, device: torch.device) -> Tensor:
    """(count,) timesteps: most from a logit-normal distribution (SD3's), the others from near its end.

    Faces take shape in the middle. What a picture is of, its colours too, is settled in a sampler's first
    steps, above 850, where the logit-normal alone draws one sample in thirteen: words were not heard there.
    """
    u = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count
    u = u[torch.randperm(count, device=device)]
    middle = torch.sigmoid(0.3 + torch.special.ndtri(u.clamp(1e-4, 1 - 1e-4)))
    late = 1 - NOISIEST * torch.rand(count, device=device)
    share = torch.where(torch.rand(count, device=device) < NOISY, late, middle)
    return (1000 * share).long().clamp(max=999)


def noised(z: Tensor, noise: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """z_t and the velocity v of clean latents z, (B, C, h, w) each (Salimans and Ho 2022).

    z_t = sqrt(a) z + sqrt(1 - a) noise and v = sqrt(a) noise - sqrt(1 - a) z, a = ``alpha_bar[t]``.
    """
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z


def believed(x: Tensor, v: Tensor, t: Tensor, alpha_bar: Tensor) -> Tensor:
    """The clean latents that a velocity means."""
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a.sqrt() * x - (1 - a).sqrt() * v


def min_snr(t: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B,) weight of each sample's squared error in v: min(1, 5 / (SNR + 1)) (Hang et al. 2023)."""
    snr = (alpha_bar / (1 - alpha_bar))[t]
    return (5 / (snr + 1)).clamp(max=1)
