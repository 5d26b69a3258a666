"""What a run consists of: seeds, and the key of every part.

A part's key is a sha256 over everything that goes into it. A part on disk with the key of the plan
is kept, anything else is made: resuming, re-rolling one frame and longer stories are all this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..config import Preset
from ..cost import search_evaluations
from ..errors import ConfigError, ModelError
from ..methods.method import Method, Sources
from ..methods.registry import method
from ..models.files.checkpoint import FEW_STEPS
from ..protocols import ModelFacts
from ..seeds import portrait_seeds
from ..settings import to_dict
from ..story.file import file_stem
from ..types import Character, Story, plain
from ..wording import search_prompt
from . import folder as runfolder
from .cache import PORTRAITS, TEMPLATES
from .files import part_key, versions
from .places import Place, places_of, seeds_of
from .request import RunRequest, sized_story

RECIPE = 2  # counts up when the same inputs start to give other pictures
PORTRAIT_BATCH = 16  # portraits painted and stored at a time


@dataclass(frozen=True)
class Part:
    """One identity or frame of the plan.

    Attributes:
        name: ``cast/Mara`` or ``frames/003``, after its files.
        key: sha256 over its inputs.
        seed: the run's for an identity, the frame's own for a frame.
        facts: tells how it is made; what its files carry.
        pieces: what other runs could use of it, by its name in a `cache.Cache`, and the network
            calls each takes: an identity's batches of portraits in order, a frame's template.
    """

    name: str
    key: str
    seed: int
    facts: Callable[[], dict[str, Any]] = field(compare=False)
    pieces: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The parts of a whole story, asked for or not.

    Attributes:
        identities: by character's name.
        frames: by scene, from 0.
        cast: names whose identities are asked for, in the story's order.
        wanted: frames asked for, ascending.
        places: of each scene what its seed comes from: its id, or where it stood when the run first
            had it. Seeds and chosen takes follow scenes, not their order.
        frame_seeds: seeds of single frames that stay in force, by place.
        chosen: keys of takes that were chosen, by place.
        method: what paints the frames.
        notes: what the notes of ``method`` are made from, whichever pictures are chosen or locked.
        story: what is painted: with the size of each scene in pixels as its shape, empty is the
            model's own, and without what no model reads.
    """

    seed: int
    frame_seeds: dict[Place, int]
    identities: dict[str, Part]
    frames: list[Part]
    cast: tuple[str, ...]
    wanted: tuple[int, ...]
    method: Method
    story: Story
    places: tuple[Place, ...]
    chosen: dict[Place, str]
    notes: str


def make_plan(request: RunRequest, model: ModelFacts, record: Mapping[str, Any] | None) -> Plan:
    """The plan of ``request`` in a folder whose run.json is ``record``.

    Raises:
        ConfigError: a scene is asked for that the story does not have; a seed out of range; more
            steps than the model has; no such method; faces of a model that paints none.
        ModelError: the method has weights of its own, or the search is distilled, and the model
            does not hold what they need.
    """
    preset = request.preset
    _check(request, model)
    story = sized_story(request, model)
    places = places_of(story, record or {})
    seed, frame_seeds, chosen = seeds_of(request, record or {}, places)
    painter = method(request.method, preset)
    if painter.one_size and len({scene.shape for scene in story.scenes}) > 1:
        raise ConfigError(
            f"the scenes have several sizes, and {painter.name} paints a story in one: its frames "
            "look at one another. Give them one size, or choose another --method"
        )
    if not painter.needs_identities:  # no face, and no search for one, is in any picture
        story = replace(story, characters=tuple(replace(c, seed=0) for c in story.characters))
    faces = painter.needs_identities or not request.paint
    identities = {c.name: _identity(request, c, model, seed) for c in story.faced if faces}
    if identities:
        model.check_faces(preset.discovery.averaged, preset.injection.face_scale)
    seeds = tuple(
        frame_seeds.get(place, painter.seed(seed, place, per_frame=preset.seed_per_frame))
        for place in places
    )
    keys = {name: part.key for name, part in identities.items()}
    frames = _frames(request, painter, Sources(story, model, seeds, keys), seed)
    notes = frames[0].key  # of a method with notes every frame's says all that is painted
    kept, placed = chosen | dict(request.locked), zip(frames, places, strict=True)
    frames = [replace(part, key=kept.get(place, part.key)) for part, place in placed]
    every = tuple(range(len(frames))) if request.paint else ()
    told = seed, frame_seeds, identities, frames, (*identities,), every, painter, story, places
    made = Plan(*told, chosen, notes)
    return of(made, request.only) if request.paint else made


def of(made: Plan, only: Collection[int]) -> Plan:
    """``made`` with nothing asked for but the frames of ``only`` (all, if empty), and who is in them."""
    wanted = tuple(sorted(set(only))) or tuple(range(len(made.frames)))
    needed = {name for index in wanted for name in made.story.scenes[index].cast}
    return replace(
        made, cast=tuple(name for name in made.identities if name in needed), wanted=wanted
    )


def _check(request: RunRequest, model: ModelFacts) -> None:
    story, preset = request.story, request.preset
    last = len(story.scenes) - 1
    for index in (*request.only, *request.frame_seeds):
        if not 0 <= index <= last:
            raise ConfigError(
                f"there is no scene {index + 1}; this story has scenes 1 to {last + 1}"
            )
    for value in (request.seed, *request.frame_seeds.values(), *(c.seed for c in story.characters)):
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
            f"{request.model} has no few-step LoRA, which a distilled search needs; on SDXL: "
            f"identitystory models fetch sdxl-lightning, or {FEW_STEPS} in the checkpoint's folder; "
            "or --no-distilled"
        )


def _identity(request: RunRequest, character: Character, model: ModelFacts, seed: int) -> Part:
    preset, config = request.preset, request.preset.discovery
    if character.face:
        return _known(request, character, model, seed)
    seed = character.seed or seed
    key = part_key(
        {
            "recipe": RECIPE,
            "part": "identity",
            "description": character.searched.description,
            "noun": character.noun,
            "portrait_seeds": portrait_seeds(character, seed, config.num_portraits),
            "batch": PORTRAIT_BATCH,
            "seed": seed,
            "discovery": to_dict(config),
            "sampler": preset.sampler,
            "num_steps": preset.portrait_steps,
            "dtype": model.dtype,
            "weights": model.fingerprint,
            **({"candidate": character.candidate} if character.candidate else {}),
            **({"like": sorted(character.like)} if character.like else {}),
            **_few_steps(preset, model),
            **_later(preset),
        }
    )
    told = {"part": "identity", "key": key, "character": plain(character)}
    told |= _common_facts(request, model, seed)
    shared = {
        "prompt": search_prompt(character, config),
        "guidance": config.portrait_guidance,
        "negative": config.negative,
        "interval": list(config.guidance_interval),
        "steps": preset.portrait_steps,
        **_few_steps(preset, model),
        **{k: v for k, v in to_dict(config).items() if k in ("averaged", "freeu")},
    }
    calls = search_evaluations(preset) // config.num_portraits
    pieces = {
        _piece(PORTRAITS, "portraits", preset, model, shared | {"seeds": seeds}): calls * len(seeds)
        for seeds in portrait_batches(character, seed, preset)
    }
    return Part(f"cast/{file_stem(character.name)}", key, seed, lambda: told, pieces)


def _known(request: RunRequest, character: Character, model: ModelFacts, seed: int) -> Part:
    """A face that a character file has: nothing is searched, so that no seed plays a part."""
    inputs = {"face": character.face, "encoder": model.embeds, "dtype": model.dtype}
    inputs |= {k: v for k, v in to_dict(request.preset.discovery).items() if k == "average"}
    key = part_key({"recipe": RECIPE, "part": "identity", **inputs})
    told = {"part": "identity", "key": key, "character": plain(character)}
    told |= _common_facts(request, model, seed)
    if consent := request.story.character(character.name).consent:
        told["consent"] = consent  # by which the file is found and deleted when it ends
    return Part(f"cast/{file_stem(character.name)}", key, seed, lambda: told)


def portrait_batches(character: Character, seed: int, preset: Preset) -> list[list[int]]:
    """The seeds of a character's portraits, as many at a time as are painted and stored together."""
    seeds = portrait_seeds(character, seed, preset.discovery.num_portraits)
    return [seeds[a : a + PORTRAIT_BATCH] for a in range(0, len(seeds), PORTRAIT_BATCH)]


def _frames(request: RunRequest, painter: Method, sources: Sources, seed: int) -> list[Part]:
    story, preset, model = sources.story, request.preset, sources.model
    common = {
        "recipe": RECIPE,
        "part": "frame",
        "style": story.style,
        "sampler": preset.sampler,
        "num_steps": preset.num_steps,
        "dtype": model.dtype,
        "weights": painter.weights(model),
        **_later(preset),
    }
    if painter.needs_identities and preset.injection.face_scale != 1:
        common["face_scale"] = preset.injection.face_scale
    told = {"part": "frame", "title": story.title, "style": story.style}
    told |= _common_facts(request, model, seed)
    parts = []
    for n, own in enumerate(sources.seeds):
        key = part_key(common | painter.inputs(sources, n))
        it = told | {"key": key, "frame_seed": own}
        facts = partial(_frame_facts, it, painter, sources, n)
        pieces = {}
        if (template := painter.template(sources, n)) is not None:
            inputs, calls = template
            pieces[_piece(TEMPLATES, "template", preset, model, inputs)] = calls
        parts.append(Part(runfolder.frame_part(n), key, own, facts, pieces))
    return parts


def _frame_facts(told: dict[str, Any], painter: Method, sources: Sources, n: int) -> dict[str, Any]:
    """What the files of frame ``n`` carry; some methods tell the whole story in each."""
    return told | painter.facts(sources, n)


def _common_facts(request: RunRequest, model: ModelFacts, seed: int) -> dict[str, Any]:
    """What the files of every part tell; the name that the model was asked for by is in no key."""
    known = {"fingerprint": model.fingerprint, "dtype": model.dtype, "name": request.called}
    return {"seed": seed, "preset": to_dict(request.preset), "model": known, "versions": versions()}


def _piece(
    folder: str, kind: str, preset: Preset, model: ModelFacts, inputs: Mapping[str, Any]
) -> str:
    """Name in a `cache.Cache` of what is made from ``inputs`` by this model."""
    common = {
        "recipe": RECIPE,
        "part": kind,
        "sampler": preset.sampler,
        "dtype": model.dtype,
        "weights": model.fingerprint,
    }
    return f"{folder}/{part_key(common | _later(preset) | dict(inputs))}"


def calls(request: RunRequest, made: Plan, faces: Iterable[str], frames: Sequence[int]) -> int:
    """Network calls of these characters' faces and of the frames, made from nothing, everybody found at once."""
    searched = sum(sum(made.identities[name].pieces.values()) for name in faces)
    if not frames:
        return searched
    return searched + made.method.calls(request.story, frames, request.preset.num_steps)


def _few_steps(preset: Preset, model: ModelFacts) -> dict[str, str]:
    """Which few-step LoRA portraits are painted with, where one is."""
    return {"few_steps": model.few_steps} if preset.discovery.distilled else {}


def _later(preset: Preset) -> dict[str, Any]:
    """What else of a preset decides the pictures, where it is not the default."""
    return {k: v for k, v in to_dict(preset).items() if k in ("memory", "compiled", "reuse")}
