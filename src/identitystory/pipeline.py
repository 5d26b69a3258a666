"""From a story to its frames: the straight line, and the paper's ablations beside it.

Everything here is thin: it takes words of `wording` and seeds of `seeds`, calls `discovery` and
`injection`, and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from .attempts import best_of_turns, find_template
from .config import DiscoveryConfig, InjectionConfig, Preset
from .discovery import discover, settled
from .injection import (
    heads_in,
    kept_latents,
    placed,
    present,
    redenoise_together,
    windows,
)
from .protocols import Backend, IdentityGenerator, ImageGenerator, Segmenter
from .sampling import painted, sized
from .seeds import portrait_seeds
from .skeleton import control_of
from .types import Character, Control, Frame, Identity, Prompt, Scene, Story, Template
from .wording import asked_template, identity_prompts, phrases, search_prompt

# --- discovery ---------------------------------------------------------------------------------


def portraits(
    G_id: IdentityGenerator, character: Character, seeds: Sequence[int], config: DiscoveryConfig
) -> tuple[list[Image.Image], Tensor]:
    """One batch of portraits without an identity, and their rows of E, (len(seeds), d) float32."""
    one = Prompt(
        search_prompt(character, config),
        config.negative,
        config.portrait_guidance,
        config.guidance_interval,
    )
    images = G_id.decode(painted(G_id, [replace(one, seed=seed) for seed in seeds]))
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


def counted(segmenter: Segmenter, story: Story, frame: Frame) -> Frame:
    """The frame with its people counted, if the segmenter can."""
    heads = heads_in(segmenter, frame.image, phrases(story, frame.scene))
    return frame if heads is None else replace(frame, people=len(heads))


def first_latents(
    G: ImageGenerator,
    story: Story,
    scenes: Sequence[Scene],
    seeds: Sequence[int],
    config: InjectionConfig,
    controls: Sequence[Control | None] | None = None,
) -> Sequence[Tensor | None]:
    """The latents of the first templates of several scenes of one size, painted as one batch.

    None for a single one: it is painted when it turns out to be needed. ``controls`` are what they keep
    to, one a scene; none without them.
    """
    if len(scenes) == 1:
        return [None]
    each = zip(scenes, seeds, controls or [None] * len(scenes), strict=True)
    return kept_latents(
        sized(G, scenes[0]), [asked_template(story, s, seed, config, c) for s, seed, c in each]
    )


def inject(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    template: Template,
    identities: Mapping[str, Identity],
    config: InjectionConfig,
    control: Control | None = None,
) -> Frame:
    """The template with its characters' faces; the template itself where nobody was found.

    Without ``config.layout`` it is `unguided_injection`, which asks nobody's mask. ``control`` is what
    faces keep to.
    """
    return inject_together(G_id, story, [scene], [template], identities, config, [control])[0]


def inject_together(
    G_id: IdentityGenerator,
    story: Story,
    scenes: Sequence[Scene],
    templates: Sequence[Template],
    identities: Mapping[str, Identity],
    config: InjectionConfig,
    controls: Sequence[Control | None] | None = None,
) -> list[Frame]:
    """What `inject` makes of each template, with the characters of all of them as one batch.

    The scenes are of one size. ``controls`` are what faces keep to, one a scene; none without them.
    """
    G_id = sized(G_id, scenes[0])
    if not config.layout:
        return [
            unguided_injection(G_id, story, scene, template, identities, config, control)
            for scene, template, control in zip(
                scenes, templates, controls or [None] * len(scenes), strict=True
            )
        ]
    frames = [Frame(s, t.image, t) for s, t in zip(scenes, templates, strict=True)]
    here = [n for n, template in enumerate(templates) if present(template)]
    if not here:
        return frames
    prompts: list[Prompt] = []
    unplaced: dict[int, tuple[str, ...]] = {}
    for n in here:
        names = [scenes[n].cast[j] for j in present(templates[n])]
        seed, control = templates[n].seed, controls[n] if controls else None
        asked = identity_prompts(
            story, scenes[n], names, identities, config, seed=seed, control=control
        )
        told, lost = placed(G_id, templates[n], asked)
        seen = windows(G_id, templates[n], config)
        prompts += [replace(p, window=w) for p, w in zip(told, seen, strict=True)]
        unplaced[n] = tuple(names[j] for j in lost)
    cond = G_id.condition(prompts)
    done = redenoise_together(G_id, [templates[n] for n in here], cond, config)
    for n, z_0 in zip(here, done, strict=True):
        image = G_id.decode(z_0[None])[0]
        frames[n] = Frame(scenes[n], image, templates[n], unplaced=unplaced[n])
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
    control = control_of(scene, sized(backend.general, scene).size, preset.control)
    find = partial(find_template, backend.general, backend.segmenter, bare=backend.bare)
    kept = control if preset.control.identity else None

    def paint_on(template: Template) -> Frame:
        given = story, scene, template, identities, preset.injection, kept
        return inject(backend.identity, *given)

    frame = paint_on(find(story, scene, preset, seed=seed, control=control))
    frame = best_of_turns(backend, story, frame, preset, paint_on, seed=seed, control=control)
    return counted(backend.segmenter, story, frame)


# --- ablations (Sec. 4.3) ----------------------------------------------------------------------


def unguided_injection(
    G_id: IdentityGenerator,
    story: Story,
    scene: Scene,
    template: Template,
    identities: Mapping[str, Identity],
    config: InjectionConfig,
    control: Control | None = None,
) -> Frame:
    """Without layout: z_{i-1} is the plain average of the kept latent and the characters' (Fig. 8b).

    Everybody of the cast takes part, found or not. ``control`` is what faces keep to.
    """
    if not scene.cast:
        return Frame(scene, template.image, template)
    prompts = identity_prompts(
        story, scene, scene.cast, identities, config, seed=template.seed, control=control
    )
    here = present(template)
    told, lost = placed(G_id, template, [prompts[j] for j in here])
    for j, prompt in zip(here, told, strict=True):
        prompts[j] = prompt
    cond = G_id.condition(prompts)
    z = template.latents
    z_i = z[config.start]
    for i in range(config.start, 0, -1):
        z_ij = G_id.step(z_i.expand(len(scene.cast), -1, -1, -1), i, cond).to(z)
        z_i = torch.cat([z[i - 1][None], z_ij]).mean(dim=0)
    unplaced = tuple(scene.cast[here[j]] for j in lost)
    return Frame(scene, G_id.decode(z_i[None])[0], template, unplaced=unplaced)
