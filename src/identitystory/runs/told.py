"""What a run says of itself: the record run.json, and which parts its files say they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..protocols import ModelFacts
from ..settings import to_dict
from . import files
from . import folder as runfolder
from .files import versions
from .folder import RunFolder, has_identity
from .plan import Plan
from .request import MAX_TAKES, MAY_BE_EMPTY, RunRequest, story_to_dict
from .takes import Found
from .ways import model_record


def make_record(
    request: RunRequest, model: ModelFacts, made: Plan, state: Mapping[str, str]
) -> dict[str, Any]:
    """run.json: request, story, resolved configuration, versions, seeds, state of every part."""
    return {
        "format": runfolder.FORMAT,
        "request": {
            "model": model_record(request.out, request.model),
            "device": request.device,
            "dtype": request.dtype,
            "preset": request.preset.name,
            "method": request.method,
            "only": list(request.only),
            "paint": request.paint,
            **{k: v for k in MAY_BE_EMPTY if (v := getattr(request, k))},
            **({"max_takes": m} if (m := request.max_takes) != MAX_TAKES else {}),
            **{k: False for k in ("metadata", "marks") if not getattr(request, k)},
        },
        "story": story_to_dict(request.story, request.out),
        "configuration": to_dict(request.preset),
        "model": model_told(model),
        "versions": versions(),
        "seed": made.seed,
        "frame_seeds": {str(k): v for k, v in made.frame_seeds.items()},
        **({} if made.places == tuple(range(len(made.places))) else {"places": made.places}),
        **({"chosen": {str(k): v for k, v in made.chosen.items()}} if made.chosen else {}),
        "parts": parts_told(made, state),
    }


def parts_told(made: Plan, state: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What run.json says of each part: its state, key and seed."""
    parts = [*made.identities.values(), *made.frames]
    return {
        p.name: {"state": state.get(p.name, "to do"), "key": p.key, "seed": p.seed} for p in parts
    }


def model_told(model: ModelFacts) -> dict[str, str]:
    """What run.json tells of the model."""
    return {"fingerprint": model.fingerprint, "device": model.device, "dtype": model.dtype}


def finished_parts(
    folder: RunFolder, made: Plan, frames: Found, spoilt: files.Spoilt = files.silent
) -> set[str]:
    """Names of the parts of a plan whose files in ``folder`` all carry the plan's key.

    ``frames`` is a `takes.scan` of it; ``spoilt`` as of `finished_faces`.
    """
    there = finished_faces(folder, made, spoilt)
    for index, part in enumerate(made.frames):
        paths = [folder.frame, folder.masks, *[folder.template] * made.method.has_templates]
        if all(frames.get(path(index)) == part.key for path in paths):
            there.add(part.name)
    return there


def finished_faces(folder: RunFolder, made: Plan, spoilt: files.Spoilt) -> set[str]:
    """Those of `finished_parts` that are identities.

    Their numbers are looked at, too; ``spoilt`` hears of a file whose are not its.
    """
    there = set()
    for name, part in made.identities.items():
        sheet = files.read_png_facts(folder.contact_sheet(name), folder.root) or {}
        if sheet.get("key") == part.key and has_identity(folder, name, part.key, spoilt):
            there.add(part.name)
    return there
