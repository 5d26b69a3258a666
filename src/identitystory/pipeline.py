"""From a story to its frames: the straight line, and the paper's ablations beside it.

Everything here is thin: it takes words of `wording` and seeds of `seeds`, calls `discovery` and
`injection`, and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor

from .config import DiscoveryConfig, InjectionConfig, Preset
from .discovery import discover, settled
from .errors import ConfigError
from .injection import kept_latents, make_template, present, redenoise, redenoise_together
from .protocols import Backend, Conditioning, IdentityGenerator, ImageGenerator, Segmenter
from .sampling import drawing, joined, sample_seeds, within
from .seeds import attempt_seed, portrait_seeds
from .types import Character, Frame, Identity, Scene, Story, Template
from .wording import identity_prompt, phrases, search_prompt

# --- discovery ---------------------------------------------------------------------------------


def portraits(
    G_id: IdentityGenerator, character: Character, seeds: Sequence[int], config: DiscoveryConfig
) -> tuple[list[Image.Image], Tensor]:
    """One batch of portraits without an identity, and their rows of E, (len(seeds), d) float32."""
    G_id = within(G_id, config.guidance_interval)
    prompts = [search_prompt(character, config)] * len(seeds)
    cond = G_id.condition(prompts, guidance=config.portrait_guidance, negative=config.negative)
    images = G_id.decode(sample_seeds(G_id, seeds, cond))
    return images, G_id.embed(images).detach().float().cpu()


def find_identity(
    G_id: IdentityGenerator,
    character: Character,
    config: DiscoveryConfig,
    *,
    seed: int = 0,
    batch: int = 8,
    ready: list[tuple[list[Image.Image], Tensor]] | None = None,
) -> tuple[Identity, list[Image.Image], Tensor]:
    """Sec. 3.1 from a description to (e_j, the m portraits, E).

    ``batch`` portraits are painted at a time; it bounds the memory and hardly touches the result.
    With ``config.settle`` fewer than m may be painted. Those in ``ready`` are not painted again, and
    each batch is added to it, so that a search that was stopped can go on.
    """
    seeds = portrait_seeds(character, seed, config.num_portraits)
    done = [] if ready is None else ready
    for number, a in enumerate(range(0, len(seeds), batch)):
        if number == len(done):
            done.append(portraits(G_id, character, seeds[a : a + batch], config))
        E = torch.cat([rows for _, rows in done[: number + 1]])
        if settled(E, a, config, seed=seed):
            break
    images = [image for some, _ in done[: number + 1] for image in some]
    return discover(E, config, seed=seed), images, E


# --- frames ------------------------------------------------------------------------------------


def find_template(
    G: ImageGenerator,
    segmenter: Segmenter,
    story: Story,
    scene: Scene,
    preset: Preset,
    *,
    seed: int,
    latents: Tensor | None = None,
) -> Template:
    """The first template in which the whole cast is found, or the best of ``preset.attempts``.

    Best is who finds most, then who came first. It never raises because somebody is not found:
    ``missing`` of what it returns tells. ``latents`` are the first attempt's, if it was painted
    already (`first_latents`).
    """
    config = preset.injection
    G = within(G, config.guidance_interval)
    nouns = [story.character(name).noun for name in scene.cast]
    by_noun = config.fallback_nouns or getattr(segmenter, "uses_nouns", False)

    def attempt(number: int) -> Template:
        return make_template(
            G,
            segmenter,
            scene,
            phrases(story, scene),
            guidance=config.guidance_template,
            negative=config.negative,
            seed=attempt_seed(seed, number),
            margin=config.margin_at(G.size),
            fallbacks=nouns if by_noun else None,
            latents=None if number else latents,
        )

    best = attempt(0)
    for number in range(1, preset.attempts):
        if not best.missing:
            break
        best = min(best, attempt(number), key=lambda template: len(template.missing))
    return best


def first_latents(
    G: ImageGenerator, scenes: Sequence[Scene], seeds: Sequence[int], config: InjectionConfig
) -> list[Tensor | None]:
    """The latents of the first templates of several scenes, painted as one batch.

    None for each where G cannot batch them (`sampling.joined`) or there is but one.
    """
    if len(scenes) == 1:
        return [None]
    G = within(G, config.guidance_interval)
    guidance, negative = config.guidance_template, config.negative
    conds = [G.condition([s.prompt], guidance=guidance, negative=negative) for s in scenes]
    cond = joined(G, conds)
    if cond is None:
        return [None] * len(scenes)
    return list(kept_latents(G, cond, seeds))


def identity_condition(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    names: Sequence[str],
    identities: Mapping[str, Identity],
    config: InjectionConfig,
) -> Conditioning:
    """c_j with e_j fused in, a batch of one for each of the ``names`` in ``scene``.

    Raises:
        ConfigError: nobody has discovered one of them yet.
        PromptError: from the generator, see `protocols.IdentityGenerator.condition`.
    """
    unknown = [name for name in names if name not in identities]
    if unknown:
        raise ConfigError(f"no identity for {unknown[0]!r}; discover it before painting.")
    cast = [story.character(name) for name in names]
    return G_id.condition(
        [identity_prompt(story, scene, c, config) for c in cast],
        guidance=config.guidance_identity,
        negative=config.negative,
        identities=torch.stack([identities[name].embedding for name in names]),
        nouns=[c.noun for c in cast],
    )


def inject(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    template: Template,
    identities: Mapping[str, Identity],
    config: InjectionConfig,
) -> Frame:
    """The template with its characters' faces; the template itself where nobody was found.

    Without ``config.layout`` it is `unguided_injection`, which asks nobody's mask.
    """
    return inject_together(G_id, story, [scene], [template], identities, config)[0]


def inject_together(
    G_id: IdentityGenerator,
    story: Story,
    scenes: Sequence[Scene],
    templates: Sequence[Template],
    identities: Mapping[str, Identity],
    config: InjectionConfig,
) -> list[Frame]:
    """What `inject` makes of each template, as one batch where G_id can (`sampling.joined`)."""
    if not config.layout:
        G_id = within(G_id, config.guidance_interval)
        return [
            unguided_injection(G_id, story, scene, template, identities, config)
            for scene, template in zip(scenes, templates, strict=True)
        ]
    frames = [Frame(s, t.image, t) for s, t in zip(scenes, templates, strict=True)]
    here = [n for n, template in enumerate(templates) if present(template)]
    if not here:
        return frames
    G_id = within(G_id, config.guidance_interval)
    conds = [
        identity_condition(
            G_id,
            story,
            scenes[n],
            [scenes[n].cast[j] for j in present(templates[n])],
            identities,
            config,
        )
        for n in here
    ]
    cond = joined(G_id, conds)
    if cond is None:
        done = [redenoise(G_id, templates[n], c, config) for n, c in zip(here, conds, strict=True)]
    else:
        done = redenoise_together(G_id, [templates[n] for n in here], cond, config)
    for n, z_0 in zip(here, done, strict=True):
        frames[n] = Frame(scenes[n], G_id.decode(z_0[None])[0], templates[n])
    return frames


def paint(
    backend: Backend,
    story: Story,
    scene: Scene,
    identities: Mapping[str, Identity],
    preset: Preset,
    *,
    seed: int = 0,
) -> Frame:
    """One frame of the story: Sec. 3.2 from T_i to I_i. ``seed`` is the frame's, see `frame_seed`.

    Who could not be found stands in ``frame.template.missing`` and keeps the template's face.
    """
    template = find_template(backend.general, backend.segmenter, story, scene, preset, seed=seed)
    return inject(backend.identity, story, scene, template, identities, preset.injection)


# --- ablations (Sec. 4.3) ----------------------------------------------------------------------


def unguided_injection(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    template: Template,
    identities: Mapping[str, Identity],
    config: InjectionConfig,
) -> Frame:
    """Without layout: z_{i-1} is the plain average of the kept latent and the characters' (Fig. 8b).

    Everybody of the cast takes part, found or not.
    """
    if not scene.cast:
        return Frame(scene, template.image, template)
    cond = identity_condition(G_id, story, scene, scene.cast, identities, config)
    z = template.latents
    z_i = z[config.start]
    G_id = drawing(G_id, [template.seed] * len(scene.cast))
    for i in range(config.start, 0, -1):
        z_ij = G_id.step(z_i.expand(len(scene.cast), -1, -1, -1), i, cond).to(z)
        z_i = torch.cat([z[i - 1][None], z_ij]).mean(dim=0)
    return Frame(scene, G_id.decode(z_i[None])[0], template)
