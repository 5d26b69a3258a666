"""What a run is asked to make, and that request read back from a run or a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..config import Preset
from ..errors import ConfigError, RunError
from ..methods.registry import OURS
from ..models.files.catalogue import DEFAULT_MODEL, called
from ..models.files.names import on_base, split_loras, with_loras
from ..pose import poses_told
from ..protocols import ModelFacts
from ..settings import preset_from_dict
from ..sizes import as_text, resolved
from ..story import paints as known_words
from ..types import Character, Scene, Story, plain
from . import files, inside
from . import folder as runfolder
from .cache import Cache
from .characters.archive import CharacterFile
from .record import story_told
from .ways import model_here, model_record

MAY_BE_EMPTY = ("shape", "source", "locked", "unknown")  # and are then not in run.json
MAX_TAKES = 1000  # all pictures of the longest story, painted anew once


@dataclass(frozen=True)
class RunRequest:
    """What to make, and where.

    Attributes:
        story: the whole story, whatever ``only`` says.
        out: the run folder.
        preset: the resolved configuration.
        model: a built-in name, a folder or a hub id.
        seed: of the run; with ``only`` it is the seed of those frames alone, unless
            ``frame_seeds`` has theirs. None keeps the run's own, which is 0 in a new folder.
        only: indexes of the scenes to paint, from 0; empty paints all.
        frame_seeds: seeds of single frames, by index.
        paint: False stops after the identities.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``.
        notes: what had to be changed to make the options fit; the run warns of it.
        method: how frames are painted, see ``methods.registry.METHODS``.
        cache: where portraits and templates are kept for other runs; the run's bytes do not depend
            on it. None keeps nothing beside the run.
        shape: of scenes that have none of their own, before the story's: ``1216x832`` or ``16:9``, see
            `sizes`; empty is the story's.
        fingerprint: the model's, where a picture is made again; the run warns of another. Empty
            takes any.
        enlarge: 2 or 4 for copies of the frames at so many times their size; nothing else depends on it.
        source: tells the story's file from others, see `options.source_of`; empty if there is none.
        max_takes: earlier pictures that the folder keeps at most; a run that would keep more is
            refused, and nothing is deleted.
        unknown: what becomes of words that the model has no picture of: ``refuse``, ``replace`` by the
            nearest that it has, or empty, which warns.
        metadata: pictures tell how they were made; False leaves them a fingerprint of it alone.
        marks: pictures carry the mark of what a trained algorithm made, see `marks`.
        locked: keys of pictures that stay as they are, whatever else becomes of their scenes, by place.
        people: the character files of those whose ``face`` is known, by it.
    """

    story: Story
    out: Path
    preset: Preset
    model: str = DEFAULT_MODEL
    seed: int | None = None
    only: tuple[int, ...] = ()
    frame_seeds: Mapping[int, int] = field(default_factory=dict)
    paint: bool = True
    device: str = "auto"
    dtype: str = "auto"
    notes: tuple[str, ...] = ()
    method: str = OURS
    cache: Cache | None = None
    shape: str = ""
    fingerprint: str = ""
    enlarge: int = 1
    source: str = ""
    max_takes: int = MAX_TAKES
    metadata: bool = True
    marks: bool = True
    locked: Mapping[int | str, str] = field(default_factory=dict)
    unknown: str = ""
    people: Mapping[str, CharacterFile] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """The model as pictures and events call it."""
        return called(self.painted_with)

    @property
    def painted_with(self) -> str:
        """The model with its own LoRAs and the story's on it."""
        return with_loras(self.model, self.story.loras)


def in_precision(facts: ModelFacts, dtype: str, preset: Preset) -> ModelFacts:
    """``facts`` in the preset's precision, on an accelerator and where no ``dtype`` was asked for."""
    if dtype != "auto" or preset.precision == "auto" or facts.device == "cpu":
        return facts
    return replace(facts, dtype=preset.precision)


def recorded(out: Path) -> RunRequest:
    """The request that the run at ``out`` was made with.

    Raises:
        RunError: there is no run, or it is of another format.
        ConfigError: a setting that it tells is none, or out of range.
    """
    try:
        record = runfolder.read_record(runfolder.RunFolder(out))
    except OSError:
        record = None
    if record is None:
        raise runfolder.no_run(out)
    try:
        asked = record["request"]
        return RunRequest(
            story=_loras_changed(story_from_dict(record["story"]), partial(model_here, out)),
            out=out,
            preset=preset_from_dict(record["configuration"]),
            model=model_here(out, str(asked["model"])),
            device=asked["device"],
            dtype=asked["dtype"],
            method=asked.get("method", OURS),
            shape=asked.get("shape", ""),
            source=str(asked.get("source", "")),
            max_takes=int(asked.get("max_takes", MAX_TAKES)),
            metadata=asked.get("metadata", True),
            marks=asked.get("marks", True),
            locked={int(k) if k.isdigit() else k: v for k, v in asked.get("locked", {}).items()},
            unknown=asked.get("unknown", ""),
        )
    except ConfigError as error:
        raise ConfigError(f"{out}/run.json: {error}") from None
    except (KeyError, TypeError) as error:
        raise RunError(f"{out}/run.json is broken: {error!r}; choose another folder") from None


def from_picture(picture: Path, out: Path, *, model: str | None = None) -> RunRequest:
    """The request that makes a frame of ours again, read from the picture itself.

    ``model`` is the picture's own if it is None.

    Raises:
        RunError: there is no such file, or the picture does not say how it was made.
        ConfigError: a setting that it tells is none, or out of range.
    """
    with inside.mendable(picture, "read"):
        if not picture.exists():
            raise RunError(f"{picture}: there is no such file")
        facts = files.read_png_facts(picture.resolve())  # whoever names a link means its file
    if facts is None or "frame_seed" not in facts:
        raise RunError(f"{picture} does not say how it was made; give a frame of a run")
    try:
        # Pictures of the first versions do not name their model.
        model = on_base(model or "", str(facts["model"].get("name", DEFAULT_MODEL)))
        # Others' frames look at one another, so that their pictures hold the whole story.
        seeds = facts.get("frame_seeds", {0: facts["frame_seed"]})
        return RunRequest(
            story=story_from_dict(story_told(facts.get("story") or _one_scene(facts))),
            out=out,
            preset=preset_from_dict(facts["preset"]),
            model=model,
            seed=int(facts["seed"]),
            only=(int(facts["index"]),) if "index" in facts else (),
            frame_seeds={int(k): int(v) for k, v in seeds.items()},
            dtype=facts["model"]["dtype"],
            method=str(facts.get("method", {"name": OURS})["name"]),
            fingerprint=str(facts["model"]["fingerprint"]),
        )
    except ConfigError as error:
        raise ConfigError(f"{picture}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{picture}: what it says of itself is broken: {error!r}") from None


def _one_scene(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The story of a picture that tells its own scene alone."""
    keys = ("name", "description", "noun", "words_only", "face", "seed", "candidate", "sought")
    return {
        "title": facts["title"],
        "style": facts["style"],
        "characters": [{k: c[k] for k in keys if k in c} for c in facts["characters"]],
        "scenes": [facts["scene"]],
    }


def sized_story(request: RunRequest, model: ModelFacts) -> Story:
    """What is painted of the request's story: no words for pages, nothing that its scenes hold already.

    Each scene has its size in pixels where that is not the model's own. A scene's own shape comes
    first, then the request's, then the story's. Words are replaced where the request says so.

    Raises:
        ConfigError: the model does not take a size, or its own is not known.
        StoryError: words that it does not know are to be refused.
    """
    scenes = []
    for scene in known_words.heeded(request.story, model.folder, request.unknown):
        shape = scene.shape or request.shape or request.story.shape
        scenes.append(replace(scene.bare, shape=in_pixels(shape, model, request.model)))
    people = tuple(replace(c, wears="", file="", consent="") for c in request.story.characters)
    bare = replace(request.story, shape="", negative="", locations=(), loras=())
    return replace(bare, characters=people, scenes=tuple(scenes))


def in_pixels(shape: str, model: ModelFacts, name: str) -> str:
    """``shape`` as a size in pixels; empty where it is the model's own.

    Raises:
        ConfigError: the model, called ``name``, does not take it, or its own size is not known.
    """
    if not shape:
        return ""
    if model.size is None:
        raise ConfigError(f"the frame is to be {shape}, but sizes of {name} are not known")
    size = resolved(shape, model.size, model.multiple, model.sizes)
    return "" if size == model.size else as_text(size)


def story_to_dict(story: Story, out: Path | None = None) -> dict[str, Any]:
    """The story with its filled prompts, as plain values; its LoRAs by the way to them from ``out``."""
    return plain(_loras_changed(story, partial(model_record, out)) if out else story)


def _loras_changed(story: Story, change: Callable[[str], str]) -> Story:
    """``story``, its LoRAs changed as those of a model's name are."""
    changed = change(with_loras(DEFAULT_MODEL, story.loras))
    return replace(story, loras=tuple(f"{file}:{w!r}" for file, w in split_loras(changed)[1]))


def story_from_dict(values: Mapping[str, Any]) -> Story:
    """The inverse of ``story_to_dict``."""
    scenes = tuple(Scene(**_tuples(s | {"pose": poses_told(s)})) for s in values["scenes"])
    people = tuple(Character(**_tuples(c)) for c in values["characters"])
    return Story(**_tuples({**values, "characters": people, "scenes": scenes}))


def _tuples(value: Any) -> Any:
    """``value`` with the lists of a record as tuples."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
