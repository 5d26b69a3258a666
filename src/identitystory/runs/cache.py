"""What several runs have in common, kept once: portraits with their embeddings, and templates.

Neither depends on the filter of Sec. 3.1, nor on how an identity is injected, so the runs of an
ablation or of a bench need them only once. The files lie in folders beside the runs, each named
after the key of what it was made from. Without the folders the same bytes are made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..config import Preset
from ..cost import frame_evaluations, search_evaluations
from ..protocols import ModelFacts
from ..types import Character, Scene, Story, Template
from ..wording import phrases, search_prompt
from . import files
from .plan import RECIPE, Part, Plan, few_steps, later, portrait_batches
from .request import RunRequest


def portraits_key(
    character: Character, seeds: Sequence[int], preset: Preset, model: ModelFacts
) -> str:
    """sha256 over all that one batch of portraits and its rows of E are made from."""
    config = preset.discovery
    return _key(
        "portraits",
        preset,
        model,
        prompt=search_prompt(character, config),
        seeds=list(seeds),
        guidance=config.portrait_guidance,
        negative=config.negative,
        interval=list(config.guidance_interval),
        steps=preset.portrait_steps,
        **few_steps(preset, model),
    )


def template_key(story: Story, scene: Scene, seed: int, preset: Preset, model: ModelFacts) -> str:
    """sha256 over all that a template, its latents and its masks are made from."""
    config = preset.injection
    return _key(
        "template",
        preset,
        model,
        prompt=scene.prompt,
        cast=list(scene.cast),
        phrases=phrases(story, scene),
        nouns=[story.character(name).noun for name in scene.cast],
        fallback_nouns=config.fallback_nouns,
        seed=seed,
        guidance=config.guidance_template,
        negative=config.negative,
        interval=list(config.guidance_interval),
        margin=[config.margin, config.reference_size],
        attempts=preset.attempts,
        steps=preset.num_steps,
    )


def _key(kind: str, preset: Preset, model: ModelFacts, **inputs: Any) -> str:
    common = {
        "recipe": RECIPE,
        "part": kind,
        "sampler": preset.sampler,
        "dtype": model.dtype,
        "weights": model.fingerprint,
    }
    return files.part_key(common | later(preset) | inputs)


def templates_folder(request: RunRequest) -> Path | None:
    """Where a run finds others' templates and leaves its own; those of a batch are not shared."""
    return request.templates if request.preset.batch == 1 else None


def file_of(folder: Path, key: str) -> Path:
    """Where the portraits or the template with ``key`` lie."""
    return folder / f"{key}.safetensors"


def is_there(file: Path) -> bool:
    """Whether ``file`` is whole, and what its name says."""
    return (files.read_tensor_facts(file) or {}).get("key") == file.stem


def write_template(file: Path, template: Template) -> None:
    """The picture, all t+1 latents (most of the space), the masks, who is missing."""
    image = torch.from_numpy(np.array(template.image.convert("RGB")))
    tensors = {"image": image, "latents": template.latents, "masks": template.masks}
    facts = {"key": file.stem, "missing": list(template.missing), "seed": template.seed}
    files.write_tensors(file, tensors, facts)


def read_template(file: Path) -> Template | None:
    """The template in a file of ``write_template``; None if it is not there, or torn."""
    facts = files.read_tensor_facts(file)
    if facts is None or facts.get("key") != file.stem:
        return None
    t = files.read_tensors(file)
    image = Image.fromarray(t["image"].numpy())
    return Template(image, t["latents"], t["masks"], tuple(facts["missing"]), facts["seed"])


def pieces(
    request: RunRequest, made: Plan, model: ModelFacts, to_do: Sequence[Part]
) -> Mapping[Path, int]:
    """The shared files that the parts ``to_do`` ask for, and the evaluations that each stands for.

    Args:
        request: whose ``portraits`` and ``templates`` say what is shared.
        made: the plan of ``request``.
        model: what the model is.
        to_do: parts of ``made`` that are not finished.
    """
    preset, story = request.preset, request.story
    found: dict[Path, int] = {}
    portrait = search_evaluations(preset) // preset.discovery.num_portraits
    template = frame_evaluations(preset, 0)
    names = {part.name for part in to_do}
    templates = templates_folder(request)
    for name, part in made.identities.items():
        if request.portraits is not None and part.name in names:
            for seeds in portrait_batches(story.character(name), part.seed, preset):
                key = portraits_key(story.character(name), seeds, preset, model)
                found[file_of(request.portraits, key)] = portrait * len(seeds)
    for index, part in enumerate(made.frames):
        if templates is not None and part.name in names and made.compared is None:
            key = template_key(story, story.scenes[index], part.seed, preset, model)
            found[file_of(templates, key)] = template
    return found
