"""What a run consists of: seeds, the key of every part, and the record run.json.

A part's key is a sha256 over everything that goes into it. A part on disk with the key of the plan
is kept, anything else is made: resuming, re-rolling one frame and longer stories are all this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..config import Preset, to_dict
from ..cost import frame_evaluations, search_evaluations
from ..errors import ConfigError, ModelError
from ..methods.method import StoryMethod
from ..methods.registry import OURS, method, settings
from ..models.files.checkpoint import FEW_STEPS
from ..models.sdxl.family import adapter_fingerprint
from ..protocols import ModelFacts
from ..seeds import frame_seed, portrait_seeds
from ..story.file import file_stem
from ..types import Character, Scene, Story
from . import folder as runfolder
from .files import part_key, versions
from .request import RunRequest, story_to_dict

RECIPE = 2  # counts up when the same inputs start to give other pictures
PORTRAIT_BATCH = 16  # portraits painted and stored at a time


@dataclass(frozen=True)
class Part:
    """One identity or frame of the plan.

    Attributes:
        name: ``cast/Mara`` or ``frames/003``, after its files.
        key: sha256 over its inputs.
        seed: the run's for an identity, the frame's own for a frame.
        facts: how it is made; what its files carry.
        evaluations: what it costs, if everybody is found at the first attempt.
    """

    name: str
    key: str
    seed: int
    facts: dict[str, Any]
    evaluations: int


@dataclass(frozen=True)
class Plan:
    """The parts of a whole story, asked for or not.

    Attributes:
        identities: by character's name.
        frames: by scene, from 0.
        cast: names whose identities are asked for, in the story's order.
        wanted: frames asked for, ascending.
        frame_seeds: seeds of single frames that stay in force.
        compared: the method that paints the frames, unless it is IdentityStory.
    """

    seed: int
    frame_seeds: dict[int, int]
    identities: dict[str, Part]
    frames: list[Part]
    cast: tuple[str, ...]
    wanted: tuple[int, ...]
    compared: StoryMethod | None = None


def make_plan(request: RunRequest, model: ModelFacts, record: Mapping[str, Any] | None) -> Plan:
    """The plan of ``request`` in a folder whose run.json is ``record``.

    Raises:
        ConfigError: a frame is asked for that the story does not have; a seed out of range; more
            steps than the model has; no such method.
        ModelError: the method has weights of its own, or the search is distilled, and the model
            does not hold what they need.
    """
    story, preset = request.story, request.preset
    last = len(story.scenes) - 1
    for index in (*request.only, *request.frame_seeds):
        if not 0 <= index <= last:
            raise ConfigError(f"there is no frame {index}; this story has frames 0 to {last}")
    for value in (request.seed, *request.frame_seeds.values()):
        if value is not None and not 0 <= value < 2**63:
            raise ConfigError(f"the seed is {value}; it must be at least 0 and below 2^63")
    for steps in (preset.num_steps, preset.portrait_steps):
        if model.max_steps is not None and steps > model.max_steps:
            raise ConfigError(
                f"there are {steps:,} steps; {request.model} takes 1 to {model.max_steps:,}. "
                "Give fewer"
            )
    if preset.discovery.distilled and not model.few_steps:
        raise ModelError(
            f"{request.model} has no few-step LoRA, which a distilled search needs: identitystory "
            f"models fetch sdxl-lightning, or {FEW_STEPS} in the checkpoint's folder, or "
            "--no-distilled"
        )
    seed, frame_seeds = _seeds(request, record)
    compared = None if request.method == OURS else method(request.method, preset)
    faces = compared is None or compared.needs_identities or not request.paint
    identities = {c.name: _identity_part(c, preset, model, seed) for c in story.characters if faces}
    if compared is None:
        frames = [
            _frame_part(
                story, scene, preset, model, identities, seed, index, frame_seeds.get(index)
            )
            for index, scene in enumerate(story.scenes)
        ]
    else:
        frames = _compared_parts(story, preset, model, identities, seed, frame_seeds, compared)
    identities = {name: _named(part, request.model) for name, part in identities.items()}
    frames = [_named(part, request.model) for part in frames]
    wanted = tuple(sorted(set(request.only))) or tuple(range(len(frames)))
    needed = {name for index in wanted for name in story.scenes[index].cast}
    cast = tuple(name for name in identities if not request.paint or name in needed)
    wanted = wanted if request.paint else ()
    return Plan(seed, frame_seeds, identities, frames, cast, wanted, compared)


def _named(part: Part, model: str) -> Part:
    """``part`` with the name that its model was asked for by in its facts; no key depends on it."""
    return replace(part, facts=part.facts | {"model": part.facts["model"] | {"name": model}})


def _seeds(request: RunRequest, record: Mapping[str, Any] | None) -> tuple[int, dict[int, int]]:
    stored = record or {}
    seed = int(stored.get("seed", 0))
    frame_seeds = {int(k): int(v) for k, v in stored.get("frame_seeds", {}).items()}
    if request.only:
        if request.seed is not None:
            frame_seeds |= dict.fromkeys(request.only, request.seed)
    elif request.seed is not None and request.seed != seed:
        seed, frame_seeds = request.seed, {}
    return seed, dict(sorted((frame_seeds | dict(request.frame_seeds)).items()))


def _identity_part(character: Character, preset: Preset, model: ModelFacts, seed: int) -> Part:
    m = preset.discovery.num_portraits
    inputs = {
        "recipe": RECIPE,
        "part": "identity",
        "description": character.description,
        "noun": character.noun,
        "portrait_seeds": portrait_seeds(character, seed, m),
        "batch": PORTRAIT_BATCH,
        "seed": seed,
        "discovery": to_dict(preset.discovery),
        "sampler": preset.sampler,
        "num_steps": preset.portrait_steps,
        "dtype": model.dtype,
        "weights": model.fingerprint,
        **few_steps(preset, model),
        **later(preset),
    }
    key = part_key(inputs)
    facts = {
        "part": "identity",
        "key": key,
        "character": asdict(character),
        "seed": seed,
        "preset": to_dict(preset),
        "model": {"fingerprint": model.fingerprint, "dtype": model.dtype},
        "versions": versions(),
    }
    cost = search_evaluations(preset)
    name = f"cast/{file_stem(character.name)}"
    return Part(name, key, seed, facts, cost)


def portrait_batches(character: Character, seed: int, preset: Preset) -> list[list[int]]:
    """The seeds of a character's portraits, as many at a time as are painted and stored together."""
    seeds = portrait_seeds(character, seed, preset.discovery.num_portraits)
    return [seeds[a : a + PORTRAIT_BATCH] for a in range(0, len(seeds), PORTRAIT_BATCH)]


def evaluations(request: RunRequest, made: Plan, to_do: Collection[Part]) -> int:
    """U-Net evaluations of the parts ``to_do``, made from nothing, everybody found at once."""
    frames = [n for n, part in enumerate(made.frames) if part in to_do]
    total = sum(part.evaluations for part in made.identities.values() if part in to_do)
    if made.compared is None or not frames:
        return total + sum(made.frames[n].evaluations for n in frames)
    return total + made.compared.evaluations(request.story, frames, request.preset.num_steps)


def few_steps(preset: Preset, model: ModelFacts) -> dict[str, str]:
    """Which few-step LoRA portraits are painted with, where one is."""
    return {"few_steps": model.few_steps} if preset.discovery.distilled else {}


def later(preset: Preset, *more: str) -> dict[str, Any]:
    """What else of a preset decides the pictures, where it is not the default."""
    return {k: v for k, v in to_dict(preset).items() if k in ("memory", "compiled", "reuse", *more)}


def _frame_part(
    story: Story,
    scene: Scene,
    preset: Preset,
    model: ModelFacts,
    identities: Mapping[str, Part],
    seed: int,
    index: int,
    own_seed: int | None,
) -> Part:
    painted = (
        frame_seed(seed, index, per_frame=preset.seed_per_frame) if own_seed is None else own_seed
    )
    cast = [story.character(name) for name in scene.cast]
    inputs = {
        "recipe": RECIPE,
        "part": "frame",
        "prompt": scene.prompt,
        "style": story.style,
        "cast": [[c.description, c.noun, identities[c.name].key] for c in cast],
        "seed": painted,
        "injection": to_dict(preset.injection),
        "sampler": preset.sampler,
        "num_steps": preset.num_steps,
        "attempts": preset.attempts,
        "dtype": model.dtype,
        "weights": model.fingerprint,
        **later(preset, "batch"),
    }
    key = part_key(inputs)
    facts = {
        "part": "frame",
        "key": key,
        "title": story.title,
        "style": story.style,
        "scene": {"text": scene.text, "prompt": scene.prompt, "cast": list(scene.cast)},
        "characters": [asdict(c) | {"identity": identities[c.name].key} for c in cast],
        "seed": seed,
        "frame_seed": painted,
        "preset": to_dict(preset),
        "model": {"fingerprint": model.fingerprint, "dtype": model.dtype},
        "versions": versions(),
    }
    cost = frame_evaluations(preset, len(cast))
    return Part(f"frames/{index:03d}", key, painted, facts, cost)


def _compared_parts(
    story: Story,
    preset: Preset,
    model: ModelFacts,
    identities: Mapping[str, Part],
    seed: int,
    frame_seeds: Mapping[int, int],
    compared: StoryMethod,
) -> list[Part]:
    """The frames of a compared method: each also depends on the frames that it looks at."""
    seeds = [
        frame_seeds.get(n, compared.seed(seed, n, per_frame=preset.seed_per_frame))
        for n in range(len(story.scenes))
    ]
    weights = model.fingerprint
    if compared.needs_folder and model.folder is not None:
        weights += adapter_fingerprint(model.folder)

    def inputs(n: int) -> dict[str, Any]:
        scene = story.scenes[n]
        cast = [story.character(name) for name in scene.cast]
        faces = {c.name: identities[c.name].key for c in cast if c.name in identities}
        people = [asdict(c) for c in cast]
        return {"scene": asdict(scene), "cast": people, "faces": faces, "seed": seeds[n]}

    parts = []
    for n in range(len(story.scenes)):
        beside = compared.depends(story, n)
        key = part_key(
            {
                "recipe": RECIPE,
                "part": "frame",
                "method": [compared.name, settings(compared)],
                "style": story.style,
                "frame": inputs(n),
                "beside": [inputs(d) for d in beside],
                "before": sum(d < n for d in beside),
                "sampler": preset.sampler,
                "num_steps": preset.num_steps,
                "dtype": model.dtype,
                "weights": weights,
                **later(preset),
            }
        )
        facts = {
            "part": "frame",
            "key": key,
            "method": {"name": compared.name, "settings": settings(compared)},
            "title": story.title,
            "style": story.style,
            "scene": asdict(story.scenes[n]) | {"cast": list(story.scenes[n].cast)},
            "characters": [asdict(story.character(name)) for name in story.scenes[n].cast],
            "story": story_to_dict(story),
            "index": n,
            "seed": seed,
            "frame_seed": seeds[n],
            "frame_seeds": {str(d): seeds[d] for d in sorted((n, *beside))},
            "preset": to_dict(preset),
            "model": {"fingerprint": model.fingerprint, "dtype": model.dtype},
            "versions": versions(),
        }
        cost = compared.evaluations(story, (n,), preset.num_steps)
        parts.append(Part(f"frames/{n:03d}", key, seeds[n], facts, cost))
    return parts


def make_record(
    request: RunRequest, model: ModelFacts, plan: Plan, state: Mapping[str, str]
) -> dict[str, Any]:
    """run.json: request, story, resolved configuration, versions, seeds, state of every part."""
    parts = [*plan.identities.values(), *plan.frames]
    return {
        "format": runfolder.FORMAT,
        "request": {
            "model": request.model,
            "device": request.device,
            "dtype": request.dtype,
            "preset": request.preset.name,
            "method": request.method,
            "only": list(request.only),
            "paint": request.paint,
        },
        "story": story_to_dict(request.story),
        "configuration": to_dict(request.preset),
        "model": {
            "fingerprint": model.fingerprint,
            "device": model.device,
            "dtype": model.dtype,
        },
        "versions": versions(),
        "seed": plan.seed,
        "frame_seeds": {str(k): v for k, v in plan.frame_seeds.items()},
        "parts": {
            p.name: {"state": state.get(p.name, "to do"), "key": p.key, "seed": p.seed}
            for p in parts
        },
    }
