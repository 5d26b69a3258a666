"""The velocity's algebra, and the weight of a noise level."""

import torch

from miniature.stages.painter import scheduler
from miniature.training.noise import min_snr, noised


def test_noise_and_velocity_are_diffusers_own_and_give_the_clean_latents_back():
    s = scheduler()
    rng = torch.Generator().manual_seed(0)
    z, noise = (torch.randn(3, 2, 4, 4, generator=rng) for _ in range(2))
    t = torch.tensor([10, 500, 990])
    x, v = noised(z, noise, t, s.alphas_cumprod)
    torch.testing.assert_close(x, s.add_noise(z, noise, t))
    torch.testing.assert_close(v, s.get_velocity(z, noise, t))
    a = s.alphas_cumprod[t].view(-1, 1, 1, 1)
    torch.testing.assert_close(a.sqrt() * x - (1 - a).sqrt() * v, z, rtol=1e-4, atol=1e-5)


def test_nearly_clean_latents_count_less():
    alpha_bar = torch.tensor([0.98, 0.8, 0.5, 0.1])  # SNR 49, 4, 1, 1/9
    weights = min_snr(torch.arange(4), alpha_bar)
    torch.testing.assert_close(weights, torch.tensor([0.1, 1.0, 1.0, 1.0]))
