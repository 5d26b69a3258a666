"""Re-denoising Identity Injection: faces into a template, layout untouched (Sec. 3.2, Eqs. 3-8).

A general generator paints the template and every noisy picture on the way is kept. From z_start on
the identity generator denoises again, inside the characters' masks only; outside them the kept
latents are put back at every step, so that the surroundings stay as they were, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from . import masks
from .config import InjectionConfig
from .errors import ConfigError, ModelError
from .protocols import (
    Conditioning,
    FindsBare,
    FindsHeads,
    FusesAgain,
    IdentityGenerator,
    ImageGenerator,
    PlacesFaces,
    Segmenter,
)
from .sampling import first_noise, trajectory, unwatched
from .types import Prompt, Template
from .window import Window, around


def make_template(
    G: ImageGenerator,
    segmenter: Segmenter,
    prompt: Prompt,
    cast: Sequence[str],
    phrases: Sequence[str],
    *,
    margin: int = 0,
    fallbacks: Sequence[str] | None = None,
    latents: Tensor | None = None,
    bare: FindsBare | None = None,
) -> Template:
    """The template I' = G(T), its latents z and its masks M (Eqs. 3-5).

    Args:
        G: the general generator.
        segmenter: finds the characters; not asked for any when the cast is empty. If it
            `protocols.FindsHeads`, a mask that holds no head is nobody's.
        prompt: what is painted.
        cast: names of the characters in it.
        phrases: what to look for, one a character of ``cast``, in that order.
        margin: of `masks.clean`, in pixels of this picture.
        fallbacks: what to look for, one a phrase, where a phrase is not found; the segmenter must
            know them.
        latents: z, if it was painted already from this prompt.
        bare: sees who of the cast may wear nothing; they stand in the template's ``bare``.

    Returns:
        A template on the CPU. Who was not found stands in ``missing`` and has an empty mask.
    """
    if len(phrases) != len(cast):
        raise ValueError(f"{len(phrases)} phrases for a cast of {len(cast)}")
    z = kept_latents(G, [prompt])[0] if latents is None else latents
    image = G.decode(z[:1])[0]
    heads = heads_in(segmenter, image, phrases)
    people = None if heads is None else len(heads)
    if not cast:
        nobody = torch.zeros(0, image.height, image.width, dtype=torch.bool)
        return Template(image, z, nobody, (), prompt.seed, people)
    options: dict[str, Any] = {} if fallbacks is None else {"fallbacks": fallbacks}
    segmentation = segmenter.segment(image, phrases, **options)
    found = segmentation.masks.cpu().bool()
    if found.shape != (len(phrases), image.height, image.width):
        raise ModelError(
            f"the segmenter gave masks of shape {tuple(found.shape)} for {len(phrases)} phrases "
            f"and a picture of {image.height} x {image.width}; it must give one mask a phrase."
        )
    areas = torch.tensor(segmentation.areas) if segmentation.areas else None
    M = masks.clean(found, margin=margin, areas=areas)  # Eq. 5
    M = M if heads is None else masks.with_heads(M, heads)
    missing = tuple(name for name, M_j in zip(cast, M, strict=True) if not M_j.any())
    undressed = tuple(cast[j] for j in bare(image, M, heads, True)) if bare else ()
    return Template(image, z, M, missing, prompt.seed, people, undressed)


def heads_in(segmenter: Segmenter, image: Image.Image, phrases: Sequence[str]) -> Tensor | None:
    """As `protocols.FindsHeads`; None where the segmenter knows none."""
    if not isinstance(segmenter, FindsHeads):
        return None
    heads = segmenter.heads(image, phrases)
    if heads.shape[1:] != (image.height, image.width):
        raise ModelError(
            f"the segmenter gave heads of shape {tuple(heads.shape)} for a picture of "
            f"{image.height} x {image.width}; it must give one mask a head."
        )
    return heads.cpu().bool()


def kept_latents(G: ImageGenerator, prompts: Sequence[Prompt]) -> list[Tensor]:
    """z of Eq. 4 for one picture a prompt, painted as one batch: (t+1, C, h, w) on the CPU, z[i] is z_i."""
    cond = G.condition(prompts)
    steps = [z_i.cpu() for _, z_i in trajectory(G, first_noise(G, prompts), cond)]  # (B, C, h, w)
    return [z.contiguous() for z in torch.stack(steps).flip(0).unbind(1)]


def present(template: Template) -> list[int]:
    """Places in the cast of those who were found: whose mask is not empty, in cast order."""
    return template.masks.flatten(1).any(dim=1).nonzero().flatten().tolist()


def windows(
    G_id: IdentityGenerator, template: Template, config: InjectionConfig
) -> list[Window | None]:
    """Where G_id denoises each that `present` lists again; None is the whole picture.

    A window holds all that its mask grows into (Eq. 8): nothing outside of it is ever taken over.
    """
    M_clean = template.masks[present(template)]
    if config.window is None:
        return [None] * len(M_clean)
    side, shape = min(template.masks.shape[-2:]), template.latents.shape[-2:]
    factor = template.masks.shape[-1] // shape[-1]  # pixels of a latent's side
    grown = masks.dilate(M_clean, int(config.k_max_at(side)))
    reached = masks.downsample(grown, shape, config.downsample) > 0
    margin = math.ceil(config.window * side / config.reference_size / factor)
    return [around(cells, margin, G_id.multiple // factor, factor) for cells in reached]


def placed(
    G_id: IdentityGenerator, template: Template, prompts: Sequence[Prompt]
) -> tuple[list[Prompt], list[int]]:
    """``prompts`` with the points of their faces in the template, and which of them have none there.

    Args:
        G_id: who does not `protocols.PlacesFaces` gets the prompts as they are.
        template: where the faces are.
        prompts: of the characters that `present` lists, in that order.
    """
    finder = unwatched(G_id)
    if not isinstance(finder, PlacesFaces):
        return list(prompts), []
    points = finder.face_points(template.image, template.masks[present(template)])
    told = [replace(prompt, points=own) for prompt, own in zip(prompts, points, strict=True)]
    return told, [n for n, own in enumerate(points) if own is None]


def redenoise(
    G_id: IdentityGenerator, template: Template, cond: Conditioning, config: InjectionConfig
) -> Tensor:
    """z_0 with the identities in it (Eqs. 6-8), (C, h, w), of the template's dtype.

    Where no mask ever reached it equals ``template.latents[0]`` bit for bit; if nobody is present
    it is that everywhere, and G_id is not asked once.

    Args:
        G_id: the identity generator, of as many steps as the template.
        template: latents and masks. Masks are always grown from these, never from grown ones.
        cond: G_id's conditioning c_j, e_j for the characters that `present` lists, in that order;
            its prompts' seeds are the template's, so that an ancestral sampler draws what it drew,
            and their windows hold their masks (`windows`).
        config: where to start, how masks grow, how they are down-sampled.

    Raises:
        ConfigError: the template has fewer steps than ``config.start``, or another number than
            G_id; or ``refuse_every_step`` with a generator that cannot.
    """
    return redenoise_together(G_id, [template], cond, config)[0]


def redenoise_together(
    G_id: IdentityGenerator,
    templates: Sequence[Template],
    cond: Conditioning,
    config: InjectionConfig,
) -> list[Tensor]:
    """What `redenoise` makes of each template, with the characters of all of them as one batch.

    ``cond`` is for the characters present in the first, then those of the second, and so on.
    """
    for template in templates:
        _check(G_id, template.latents, config)
    blends = [_Blend(template, config) for template in templates]
    z = [template.latents[config.start] for template in templates]
    counts = [blend.count for blend in blends]
    if not any(counts):
        return [template.latents[0] for template in templates]
    for i in range(config.start, 0, -1):
        if config.refuse_every_step and i < config.start:
            cond = G_id.fuse_again(cond)  # type: ignore[attr-defined]  # asked for in _check
        rows = [z_i.expand(s, -1, -1, -1) for z_i, s in zip(z, counts, strict=True)]
        z_j = G_id.step(torch.cat(rows), i, cond).split(counts)  # Eq. 6, (s, C, h, w) each
        z = [blend(i, z_ij) for blend, z_ij in zip(blends, z_j, strict=True)]  # Eq. 7
    return z


class _Blend:
    """Eqs. 7 and 8 for one template: its characters over its kept latents, under growing masks."""

    def __init__(self, template: Template, config: InjectionConfig) -> None:
        self.z, self.config = template.latents, config
        self.M_clean = template.masks[present(template)]
        self.areas = self.M_clean.flatten(1).sum(dim=1)
        self.count = len(self.M_clean)
        self.k_max = config.k_max_at(min(template.masks.shape[-2:]))
        self.K: int | None = None

    def __call__(self, i: int, z_ij: Tensor) -> Tensor:
        """z_{i-1}, (C, h, w), from the characters' z_{i-1,j}, (s, C, h, w)."""
        K_i = masks.kernel_size(i, self.config.start, self.k_max)
        if K_i != self.K:
            grown = masks.dilate(self.M_clean, K_i)  # Eq. 8
            self.M_bg, self.M = masks.blend_weights(
                grown, self.z.shape[-2:], mode=self.config.downsample, areas=self.areas
            )
            self.K = K_i
        return blend(self.z[i - 1], z_ij.to(self.z), self.M_bg.to(self.z), self.M.to(self.z))


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
    if config.refuse_every_step and not isinstance(unwatched(G_id), FusesAgain):
        raise ConfigError(
            "refuse_every_step is True, but this identity generator has no fuse_again; "
            "set it to False."
        )
