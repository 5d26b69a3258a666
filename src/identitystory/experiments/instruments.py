"""What evaluation measures with: which were asked for, and how they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, IdentityStoryError
from ..metrics.attributes import FOLDER, load_reader
from ..metrics.evidence import CUT, Instruments
from ..metrics.faces import load_recogniser
from ..metrics.intervals import SAMPLES
from ..metrics.measures import measures
from ..metrics.quality import QAlign
from ..models.files.catalogue import BUILT_IN, ENTRIES
from ..protocols import FindsHeads, Segmenter

CLIP = ENTRIES["clip"].repo  # where a checkpoint brings none: a ViT-B/32, the level of the paper's
CLIPSEG = ENTRIES["clipseg"].repo
AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate, and with what.

    Attributes:
        runs: run folders, or folders that hold some.
        templates: measure the general generator's templates instead of the frames.
        clip: ``clip-l14``, a folder or a hub id in the cache; ``auto`` is the checkpoint's own or the
            table's ``clip``, ``none`` no CLIP.
        faces: ``dlib``, ``sface``, ``arcface``, ``little-people``; ``auto`` is dlib if it is
            installed, ``none`` none.
        face_models: the folder with a recogniser's weights.
        qalign: the Python of an environment with pyiqa, or None.
        device: where CLIP runs.
        samples: drawings of the bootstrap.
        measures: names of those that are wanted; all that can be measured if empty.
    """

    runs: tuple[Path, ...]
    templates: bool = False
    clip: str = AUTO
    faces: str = AUTO
    face_models: Path | None = None
    qalign: str | None = None
    device: str = "auto"
    samples: int = SAMPLES
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tools:
    """The instruments once opened, what each is, and why another is not there."""

    instruments: Instruments
    measured_with: dict[str, dict[str, Any]]
    not_measured: dict[str, str]


def open_tools(request: EvaluationRequest, models: Sequence[str]) -> Tools:
    """What the measures of ``request`` need to measure pictures of ``models``, opened.

    Raises:
        ConfigError, ModelError: an instrument that was asked for is not here.
    """
    known = measures()
    needed = {known[name].instrument for name in request.measures or known}
    opened: dict[str, Any] = {}
    used: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    for name, (place, opener) in _OPENERS.items():
        if name in needed or (name == "CLIP" and "masks" in needed):
            found = opener(request, models)
            if isinstance(found, str):
                missing[name] = found
            else:
                opened[place], used[name] = found
    if "encoder" in opened or "recogniser" in opened or "heads" in needed:
        segmenter, told = _segmenter(request, models)
        opened["segmenter"], used["masks"] = segmenter, {"name": told}
        if isinstance(segmenter, FindsHeads):
            used["heads"] = {"name": told}
        else:
            missing["heads"] = "no segmenter that knows heads is here"
    return Tools(Instruments(**opened), used, missing)


def _segmenter(request: EvaluationRequest, models: Sequence[str]) -> tuple[Segmenter | None, str]:
    """The checkpoint's own, which looks for the characters in every picture; and what it is."""
    from ..models.device import Room, resolve_device
    from ..models.files.checkpoint import find_checkpoint
    from ..models.files.store import short_digest

    if len(models) != 1:
        return None, f"those of the runs, which are of different models ({', '.join(models)})"
    try:
        there = find_checkpoint(models[0]).segmenter
        found = there.open(room=Room(resolve_device(request.device)))
    except IdentityStoryError as error:
        return None, f"those of the runs, for {models[0]} has no segmenter here ({error})"
    names, weights = " and ".join(f.name for f in there.files), short_digest(*there.files)
    return found, f"found in each picture by {models[0]}/{names} (sha256 {weights})"


# An instrument, and what it is; or why it is not here, where nobody asked for it by name.
Opened = tuple[Any, dict[str, Any]] | str


def _encoder(request: EvaluationRequest, models: Sequence[str]) -> Opened:
    from ..models.clip import is_clipseg, load_clip
    from ..models.device import resolve_device
    from ..models.files.catalogue import called
    from ..models.files.checkpoint import find_checkpoint, find_folder

    if request.clip == NONE:
        return "--clip none"
    if request.clip != AUTO:
        repo = ENTRIES[request.clip].repo if request.clip in ENTRIES else request.clip
        folder, name = find_folder(repo, role="clip"), called(repo)
    elif len(models) > 1:
        raise ConfigError(
            f"the runs are of different models ({', '.join(models)}); say which CLIP measures "
            "them, with --clip FOLDER"
        )
    else:
        checkpoint = find_checkpoint(models[0])
        own, segmenter = checkpoint.base / "clip", checkpoint.segmenter.files[0]
        if own.is_dir():
            folder, name = own, f"{called(models[0])}/clip"
        elif is_clipseg(segmenter):
            folder, name = segmenter, f"{called(models[0])}/segmenter"
        else:
            folder, name = _cached_clip(models[0])
    encoder = load_clip(folder, name=name, device=resolve_device(request.device))
    return encoder, {"name": encoder.name, "characters": CUT}


def _cached_clip(model: str) -> tuple[Path, str]:
    """Folder and name of a CLIP in the hub's cache: one of the paper's level, or CLIPSeg's."""
    from ..models.files.checkpoint import find_folder

    for name in (CLIP, CLIPSEG):
        try:
            return find_folder(name, role="clip"), name
        except IdentityStoryError:
            continue
    raise ConfigError(
        f"{model} brings no CLIP of its own, and neither {CLIP} nor {CLIPSEG}, which has one "
        "inside, is in the cache of the hub; get one with: identitystory models fetch clip, "
        "or give a CLIP with --clip FOLDER, or --clip none"
    )


def _recogniser(request: EvaluationRequest, models: Sequence[str]) -> Opened:
    if request.faces == NONE:
        return "--faces none"
    try:
        name = "dlib" if request.faces == AUTO else request.faces
        found = load_recogniser(name, request.face_models)
    except ConfigError as error:
        if request.faces != AUTO:
            raise
        drawn = (
            "; --faces little-people comes along" if models and set(models) <= set(BUILT_IN) else ""
        )
        return f"{error}{drawn}"
    return found, {fact: getattr(found, fact) for fact in ("name", "licence", "scale")}


def _reader(request: EvaluationRequest, models: Sequence[str]) -> Opened:
    from ..models.files.checkpoint import find_checkpoint

    try:
        found = load_reader(find_checkpoint(models[0]).base / FOLDER) if len(models) == 1 else None
    except IdentityStoryError as error:
        return str(error)
    if found is None:
        return "the checkpoint has no attribute reader"
    told = {"held-out error": dict(found.error)} if found.error else {}
    return found, {"name": found.name, "held-out accuracy": dict(found.accuracy), **told}


def _judge(request: EvaluationRequest, models: Sequence[str]) -> Opened:
    if not request.qalign:
        return "no --qalign given"
    found = QAlign(request.qalign)
    return found, {"name": found.name, "scale": "1 to 5"}


_OPENERS = {
    "CLIP": ("encoder", _encoder),
    "faces": ("recogniser", _recogniser),
    "attributes": ("reader", _reader),
    "Q-Align": ("judge", _judge),
}
