"""Re-denoising Identity Injection: faces into a template, layout untouched (Sec. 3.2, Eqs. 3-8).

A general generator paints the template and every noisy picture on the way is kept. From z_start on
the identity generator denoises again, inside the characters' masks only; outside them the kept
latents are put back at every step, so that the surroundings stay as they were, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import masks
from .config import InjectionConfig
from .errors import ConfigError, ModelError
from .protocols import Conditioning, IdentityGenerator, ImageGenerator, Segmenter
from .sampling import trajectory
from .types import Scene, Template


def make_template(
    G: ImageGenerator,
    segmenter: Segmenter,
    scene: Scene,
    phrases: Sequence[str],
    *,
    guidance: float,
    negative: str = "",
    seed: int = 0,
    margin: int = 0,
    fallbacks: Sequence[str] | None = None,
) -> Template:
    """The template I' = G(T), its latents z and its masks M (Eqs. 3-5).

    Args:
        G: the general generator.
        segmenter: finds the characters; not asked when the cast is empty.
        scene: its prompt is painted.
        phrases: what to look for, one a character of ``scene.cast``, in that order.
        guidance: scale of classifier-free guidance.
        negative: negative prompt.
        seed: of the noise.
        margin: of `masks.clean`, in pixels of this picture.
        fallbacks: what to look for, one a phrase, where a phrase is not found; the segmenter must
            know them.

    Returns:
        A template on the CPU. Who was not found stands in ``missing`` and has an empty mask.
    """
    if len(phrases) != len(scene.cast):
        raise ValueError(f"{len(phrases)} phrases for a cast of {len(scene.cast)}")
    cond = G.condition([scene.prompt], guidance=guidance, negative=negative)
    steps = [z_i.cpu() for _, z_i in trajectory(G, G.noise(seed)[None], cond)]
    z = torch.cat(steps).flip(0)  # Eq. 4, z[i] is z_i
    image = G.decode(z[:1])[0]
    if not scene.cast:
        return Template(
            image, z, torch.zeros(0, image.height, image.width, dtype=torch.bool), (), seed
        )
    options: dict[str, Any] = {} if fallbacks is None else {"fallbacks": fallbacks}
    found = segmenter.segment(image, phrases, **options).masks.cpu().bool()
    if found.shape != (len(phrases), image.height, image.width):
        raise ModelError(
            f"the segmenter gave masks of shape {tuple(found.shape)} for {len(phrases)} phrases "
            f"and a picture of {image.height} x {image.width}; it must give one mask a phrase."
        )
    M = masks.clean(found, margin=margin)  # Eq. 5
    missing = tuple(name for name, M_j in zip(scene.cast, M, strict=True) if not M_j.any())
    return Template(image, z, M, missing, seed)


def present(template: Template) -> list[int]:
    """Places in the cast of those who were found: whose mask is not empty, in cast order."""
    return template.masks.flatten(1).any(dim=1).nonzero().flatten().tolist()


def redenoise(
    G_id: IdentityGenerator, template: Template, cond: Conditioning, config: InjectionConfig
) -> Tensor:
    """z_0 with the identities in it (Eqs. 6-8), (C, h, w), of the template's dtype.

    Where no mask ever reached it equals ``template.latents[0]`` bit for bit; if nobody is present
    it is that everywhere, and G_id is not asked once.

    Args:
        G_id: the identity generator, of as many steps as the template.
        template: latents and masks. Masks are always grown from these, never from grown ones.
        cond: G_id's conditioning c_j, e_j for the characters that `present` lists, in that order.
        config: where to start, how masks grow, how they are down-sampled.

    Raises:
        ConfigError: the template has fewer steps than ``config.start``, or another number than
            G_id; or ``refuse_every_step`` with a generator that cannot.
    """
    z, here = template.latents, present(template)
    _check(G_id, z, config)
    if not here:
        return z[0]
    M_clean = template.masks[here]
    areas = M_clean.flatten(1).sum(dim=1)
    k_max = config.k_max_at(M_clean.shape[-2])
    K = -1
    z_i = z[config.start]
    for i in range(config.start, 0, -1):
        K_i = masks.kernel_size(i, config.start, k_max)
        if K_i != K:
            M_bg, M = masks.blend_weights(
                masks.dilate(M_clean, K_i), z.shape[-2:], mode=config.downsample, areas=areas
            )  # Eq. 8
            K = K_i
        if config.refuse_every_step and i < config.start:
            cond = G_id.fuse_again(cond)  # type: ignore[attr-defined]
        z_ij = G_id.step(z_i.expand(len(here), -1, -1, -1), i, cond).to(z)  # Eq. 6, (s, C, h, w)
        z_i = blend(z[i - 1], z_ij, M_bg.to(z), M.to(z))  # Eq. 7
    return z_i


def blend(z: Tensor, z_j: Tensor, M_bg: Tensor, M: Tensor) -> Tensor:
    """M_bg · z + sum_j M_j · z_j of Eq. 7, taken over bit for bit where a weight is one.

    Args:
        z: (C, h, w), the template's.
        z_j: (s, C, h, w), the characters'.
        M_bg: (1, h, w) and M: (s, 1, h, w), weights that add up to one.
    """
    mixed = M_bg * z + (M * z_j).sum(dim=0)
    for M_1, z_1 in zip(M, z_j, strict=True):
        mixed = torch.where(M_1 == 1, z_1, mixed)  # not 0 * inf from elsewhere
    return torch.where(M_bg == 1, z, mixed)


def _check(G_id: IdentityGenerator, z: Tensor, config: InjectionConfig) -> None:
    t = len(z) - 1
    if t != G_id.num_steps:
        raise ConfigError(
            f"the template has {t} steps and the identity generator {G_id.num_steps}; "
            "both must take the same. Paint the template again."
        )
    if config.start > t:
        raise ConfigError(
            f"start is {config.start}, but the template has {t} steps; it must be at most {t}. "
            "Lower start or raise num_steps."
        )
    if config.refuse_every_step and getattr(G_id, "fuse_again", None) is None:
        raise ConfigError(
            "refuse_every_step is True, but this identity generator has no fuse_again; "
            "set it to False."
        )
