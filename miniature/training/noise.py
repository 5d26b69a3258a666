"""Noised latents, what is to be predicted from them, and how much each noise level counts."""

from __future__ import annotations

from torch import Tensor


def noised(z: Tensor, noise: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """z_t and the velocity v of clean latents z, (B, C, h, w) each (Salimans and Ho 2022).

    z_t = sqrt(a) z + sqrt(1 - a) noise and v = sqrt(a) noise - sqrt(1 - a) z, a = ``alpha_bar[t]``.

    Args:
        z: (B, C, h, w).
        noise: likewise.
        t: (B,) timesteps.
        alpha_bar: (1000,) the scheduler's cumulative products.
    """
    a = alpha_bar[t].view(-1, 1, 1, 1)
    return a.sqrt() * z + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * z


def min_snr(t: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B,) weight of each sample's squared error in v: min(1, 5 / (SNR + 1)).

    In full while the noise prevails; where little is left to say it falls as min-SNR weighting with
    gamma 5 does (Hang et al. 2023).
    """
    snr = (alpha_bar / (1 - alpha_bar))[t]
    return (5 / (snr + 1)).clamp(max=1)
