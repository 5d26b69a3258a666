"""What evaluation measures with: which were asked for, and how they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, IdentityStoryError
from ..metrics.attributes import FOLDER, AttributeReader, load_reader
from ..metrics.crops import HOW
from ..metrics.evidence import Instruments
from ..metrics.faces import load_recogniser
from ..metrics.intervals import SAMPLES
from ..metrics.quality import QAlign
from ..models.files.catalogue import ENTRIES
from ..protocols import FaceRecogniser, PictureEncoder, Segmenter

CLIP = "openai/clip-vit-base-patch32"  # where a checkpoint brings none: the level of the paper's
CLIPSEG = ENTRIES["clipseg"].repo
AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class Wanted:
    """What to evaluate, and with what.

    Attributes:
        runs: run folders, or folders that hold some.
        templates: measure the general generator's templates instead of the frames.
        clip: a folder or a hub id in the cache; ``auto`` is the checkpoint's own, ``none`` no CLIP.
        faces: ``dlib``, ``sface``, ``arcface``; ``auto`` is dlib if it is installed, ``none`` none.
        face_models: the folder with a recogniser's weights.
        qalign: the Python of an environment with pyiqa, or None.
        device: where CLIP runs.
        samples: drawings of the bootstrap.
    """

    runs: tuple[Path, ...]
    templates: bool = False
    clip: str = AUTO
    faces: str = AUTO
    face_models: Path | None = None
    qalign: str | None = None
    device: str = "auto"
    samples: int = SAMPLES


@dataclass(frozen=True)
class Tools:
    """The instruments once opened, what each is, and why another is not there."""

    instruments: Instruments
    measured_with: dict[str, dict[str, Any]]
    not_measured: dict[str, str]


def open_tools(wanted: Wanted, models: Sequence[str]) -> Tools:
    """What there is to measure pictures of ``models`` with, opened.

    Raises:
        ConfigError, ModelError: an instrument that was asked for is not here.
    """
    used: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    encoder = _encoder(wanted, models, missing)
    if encoder is not None:
        used["CLIP"] = {"name": encoder.name, "characters": HOW}
    recogniser = _recogniser(wanted, missing)
    if recogniser is not None:
        used["faces"] = {
            "name": recogniser.name,
            "licence": recogniser.licence,
            "scale": recogniser.scale,
        }
    reader = _reader(models, missing)
    if reader is not None:
        used["attributes"] = {"name": reader.name, "held-out accuracy": dict(reader.accuracy)}
    judge = QAlign(wanted.qalign) if wanted.qalign else None
    if judge is None:
        missing["Q-Align"] = "no --qalign given"
    segmenter = None
    if encoder is not None or recogniser is not None:
        segmenter, name = _segmenter(wanted, models)
        used["masks"] = {"name": name}
    return Tools(Instruments(encoder, recogniser, reader, judge, segmenter), used, missing)


def _segmenter(wanted: Wanted, models: Sequence[str]) -> tuple[Segmenter | None, str]:
    """The checkpoint's own, which looks for the characters in every picture; and what it is."""
    from ..models.backend import load_segmenter
    from ..models.device import Room, resolve_device
    from ..models.files.checkpoint import find_checkpoint, short_digest

    if len(models) != 1:
        return None, f"those of the runs, which are of different models ({', '.join(models)})"
    try:
        there = find_checkpoint(models[0]).segmenter
        found = load_segmenter(there, room=Room(resolve_device(wanted.device)))
    except IdentityStoryError as error:
        return None, f"those of the runs, for {models[0]} has no segmenter here ({error})"
    names, weights = " and ".join(f.name for f in there.files), short_digest(*there.files)
    return found, f"found in each picture by {models[0]}/{names} (sha256 {weights})"


def _encoder(
    wanted: Wanted, models: Sequence[str], missing: dict[str, str]
) -> PictureEncoder | None:
    from ..models.clip import is_clipseg, load_clip
    from ..models.files.checkpoint import find_checkpoint, find_folder

    if wanted.clip == NONE:
        missing["CLIP"] = "--clip none"
        return None
    if wanted.clip != AUTO:
        folder, name = find_folder(wanted.clip, role="clip"), wanted.clip
    elif len(models) > 1:
        raise ConfigError(
            f"the runs are of different models ({', '.join(models)}); say which CLIP measures "
            "them, with --clip FOLDER"
        )
    else:
        checkpoint = find_checkpoint(models[0])
        own, segmenter = checkpoint.base / "clip", checkpoint.segmenter.files[0]
        if own.is_dir():
            folder, name = own, f"{models[0]}/clip"
        elif is_clipseg(segmenter):
            folder, name = segmenter, f"{models[0]}/segmenter"
        else:
            folder, name = _cached_clip(models[0])
    from ..models.device import resolve_device

    return load_clip(folder, name=name, device=resolve_device(wanted.device))


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
        "inside, is in the cache of the hub; get the latter with: identitystory models fetch "
        "clipseg, or give a CLIP with --clip FOLDER, or --clip none"
    )


def _recogniser(wanted: Wanted, missing: dict[str, str]) -> FaceRecogniser | None:
    if wanted.faces == NONE:
        missing["faces"] = "--faces none"
        return None
    try:
        name = "dlib" if wanted.faces == AUTO else wanted.faces
        return load_recogniser(name, wanted.face_models)
    except ConfigError as error:
        if wanted.faces != AUTO:
            raise
        missing["faces"] = str(error)
        return None


def _reader(models: Sequence[str], missing: dict[str, str]) -> AttributeReader | None:
    from ..models.files.checkpoint import find_checkpoint

    reader = None
    if len(models) == 1:
        try:
            reader = load_reader(find_checkpoint(models[0]).base / FOLDER)
        except IdentityStoryError as error:
            missing["attributes"] = str(error)
            return None
    if reader is None:
        missing["attributes"] = "the checkpoint has no attribute reader"
    return reader
