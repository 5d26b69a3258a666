"""What a picture looks like while it is denoised: its latent as colours, without the decoder.

One linear map takes a latent's cell to a patch of pixels. It is fitted once to what the decoder
makes of smooth noise, and again to every picture that is decoded in the course of the work, so that
it gets better while it is looked at.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..marks.packet import PLAIN, packet
from ..protocols import Backend
from ..sampling import Watched, step_noise
from ..sizes import Size

PATCH = 4  # pixels a side that stand for one cell
SIDE = 256  # of a preview, at most
_FIRST = 2  # pieces of smooth noise that the map begins with, of 16 x 16 cells
_SHARE = 10.0  # a preview comes after so many times of what the last one took, and not before
_PAUSE = 0.15  # seconds


class Colours:
    """The map from cells to patches, by least squares over all that was learnt."""

    def __init__(self, G: Any) -> None:
        rng = torch.Generator().manual_seed(0)
        coarse = torch.randn(_FIRST, G.noise(0).shape[0], 5, 5, generator=rng) * 1.5
        z = nn.functional.interpolate(coarse, size=16, mode="bilinear")
        width = _cells(z).shape[1]
        self.left = 1e-3 * torch.eye(width)
        self.right = torch.zeros(width, 3 * PATCH**2)
        self.weight = 0.05  # what is learnt of real pictures counts more than noise
        self.learn(z, G.decode(z))
        self.weight = 1.0

    def learn(self, z: Tensor, pictures: list[Image.Image]) -> None:
        """Fits the map to clean latents (B, C, h, w) and what was decoded from them as well."""
        a, b = _cells(z), _patches(pictures, *z.shape[-2:])
        self.left += self.weight * a.T @ a
        self.right += self.weight * a.T @ b
        self.map = torch.linalg.solve(self.left, self.right)

    def picture(self, z: Tensor) -> Image.Image:
        """The first of clean latents (B, C, h, w) as a picture of at most 256 pixels a side."""
        _, _, h, w = z.shape
        flat = (_cells(z[:1]) @ self.map).reshape(h, w, PATCH, PATCH, 3)
        pixels = flat.permute(0, 2, 1, 3, 4).reshape(h * PATCH, w * PATCH, 3)
        picture = Image.fromarray(pixels.clamp(0, 255).byte().numpy())
        scale = SIDE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.resize(size, Image.Resampling.BICUBIC)


def _cells(z: Tensor) -> Tensor:
    """(B h w, C + 1) float32 on the CPU: each cell, and a one."""
    cells = z.detach().float().cpu().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
    return torch.cat([cells, torch.ones(len(cells), 1)], dim=1)


def _patches(pictures: list[Image.Image], h: int, w: int) -> Tensor:
    """(B h w, 48) float32 in [0, 255]: the patch of each cell."""
    size = (w * PATCH, h * PATCH)
    small = [np.asarray(p.convert("RGB").resize(size, Image.Resampling.BOX)) for p in pictures]
    pixels = torch.from_numpy(np.stack(small)).float()
    return (
        pixels.reshape(-1, h, PATCH, w, PATCH, 3)
        .permute(0, 1, 3, 2, 4, 5)
        .reshape(len(small) * h * w, -1)
    )


def clean(G: Any, before: Tensor, after: Tensor, i: int, seed: int) -> Tensor:
    """What step ``i`` from ``before`` to ``after`` took the clean latent for; ``after`` if unknown.

    z = s x_0 + n eps at both ends with the same x_0 and eps, of which both follow, once the new noise
    that an ancestral sampler draws from ``seed`` is taken out.

    Args:
        G: the generator that stepped.
        before: z_i of one picture, (1, C, h, w).
        after: z_{i-1}.
        i: the step, counting down.
        seed: of the picture.
    """
    tables = getattr(G, "sampler", None)
    if tables is None:
        return after
    start, end = tables.levels[tables.num_steps - i].tolist()
    if tables.name == "euler":
        s, s_next, n, n_next = 1.0, 1.0, start, end
    else:
        s, s_next, n, n_next = start**0.5, end**0.5, (1 - start) ** 0.5, (1 - end) ** 0.5
    if tables.name == "ancestral":
        drawn = (1 - end) / (1 - start) * (1 - start / end)
        after = after - drawn**0.5 * step_noise(seed, i, after.shape[1:]).to(after)
        n_next = max(0.0, 1 - end - drawn) ** 0.5
    k = n_next / n
    return (after - k * before) / (s_next - k * s)


class Shown(Watched):
    """A generator whose pictures are looked at while they are made; otherwise the wrapped one."""

    def __init__(self, G: Any, look: Callable[[bytes], None], colours: Colours) -> None:
        super().__init__(G)
        self.look, self.colours, self.due = look, colours, 0.0
        self.decode = self._decode

    def step(self, z: Tensor, i: int, cond: Any) -> Tensor:
        """z_i -> z_{i-1}, and a preview of it now and then."""
        after: Tensor = self.wrapped.step(z, i, cond)
        began = time.monotonic()
        if began >= self.due:
            x_0 = clean(self.wrapped, z[:1], after[:1], i, cond.prompts[0].seed)
            self.look(webp(self.colours.picture(x_0)))
            ended = time.monotonic()
            self.due = ended + max(_PAUSE, _SHARE * (ended - began))
        return after

    def _decode(self, z: Tensor) -> list[Image.Image]:
        pictures: list[Image.Image] = self.wrapped.decode(z)
        self.colours.learn(z, pictures)
        return pictures

    def with_size(self, size: Size) -> Shown:
        """The wrapped one's, looked at by the same."""
        return (
            self
            if size == self.size
            else Shown(self.wrapped.with_size(size), self.look, self.colours)
        )


def shown(backend: Backend, look: Callable[[bytes], None]) -> Backend:
    """``backend``, whose pictures ``look`` is given while they are made, as WebP."""
    colours = Colours(backend.general)
    at = lambda G: Shown(G, look, colours)
    search = None if backend.search is None else at(backend.search)
    return replace(
        backend, general=at(backend.general), identity=at(backend.identity), search=search
    )


def webp(picture: Image.Image) -> bytes:
    """The picture as a small WebP."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=70, method=0, xmp=packet(PLAIN).encode())
    return buffer.getvalue()
