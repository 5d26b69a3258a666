"""How good each finished picture is, measured once by what is there, and kept in the run's scores.json.

| score | what it is | measured with |
| --- | --- | --- |
| same_person | how near each face is to the one that was found, the least of them: a cosine, 0 to 1 | `metrics.likeness`, the identity encoder |
| words | the share of what the words say that is read off the picture, 0 to 1 | the checkpoint's `metrics.attributes` |
| faces | how many of the cast have a head in their mask | the segmenter |

What cannot be measured with this model is null. A score is a hint which picture to look at first, no verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import IdentityStoryError, RunError
from ..masks import with_heads
from ..metrics import attributes
from ..metrics.likeness import Knows, OwnEncoder, likeness
from ..protocols import Backend, FindsHeads, ModelFacts
from ..runs import files
from ..runs.folder import RunFolder
from ..runs.inside import read, write_whole
from ..runs.looked import FrameTold, read_looked
from ..story.plain import plain_json
from . import pictures

FILE = "scores.json"
FORMAT = 1  # counts up when the same picture would get other scores
Scores = Mapping[str, Mapping[str, float | None]]


def scores(run: Path) -> Scores:
    """The scores of each picture of the run, by its key; none where nothing was measured."""
    with suppress(OSError):
        return _scores(run, (run / FILE).lstat().st_mtime_ns)
    return {}


@lru_cache(200)
def _scores(run: Path, _: int) -> Scores:
    with suppress(OSError, RunError, ValueError, KeyError, TypeError, AttributeError):
        told = plain_json(read(run / FILE, run))
        if told["format"] == FORMAT:
            return {str(key): _checked(each) for key, each in told["pictures"].items()}
    return {}


def checks(run: Path) -> dict[str, dict[str, Any]]:
    """What `identitystory check` found in each picture of the run, by its key; none where none looked."""
    with suppress(OSError):
        return _checks(run, RunFolder(run).checked.lstat().st_mtime_ns)
    return {}


@lru_cache(200)
def _checks(run: Path, _: int) -> dict[str, dict[str, Any]]:
    with suppress(IdentityStoryError, OSError):  # broken, which a check tells
        return {key: _check(found) for key, found in read_looked(RunFolder(run)).frames.items()}
    return {}


def _check(found: FrameTold) -> dict[str, Any]:
    return {
        "suspicion": round(found.suspicion, 3),
        "marks": dict(found.marks),
        "likeness": dict(found.likeness),
        "faults": [fault.words for fault in found.faults],
    }


def _checked(told: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers that a page can show, whoever wrote the file."""
    found: dict[str, float | None] = {}
    for name in ("same_person", "words", "faces"):
        value = told[name]
        found[name] = value if isinstance(value, int | float) and 0 <= value <= 100 else None
    return found


def measure(run: Path, model: ModelFacts, opened: Callable[[], Backend]) -> int:
    """Measures the pictures of ``run`` that this model painted and that have no scores yet.

    Args:
        run: the run folder.
        model: what painted.
        opened: opens it, and is called only where there is something to measure.

    Returns:
        How many were measured.
    """
    known = dict(scores(run))
    found = [it for (_, suffix), it in pictures.index(run).items() if not suffix]
    new = [p for p in found if p.key not in known and _painter(p) == model.fingerprint]
    if not new:
        return 0
    backend = opened()
    reader = attributes.load_reader(model.folder / attributes.FOLDER) if model.folder else None
    for it in new:
        with torch.no_grad():
            known[it.key] = _measured(run, it, backend, reader)
    keys = {p.key for p in found}
    told = {"format": FORMAT, "pictures": {k: v for k, v in known.items() if k in keys}}
    write_whole(run / FILE, (json.dumps(told, indent=1, sort_keys=True) + "\n").encode(), run)
    return len(new)


def _painter(picture: pictures.Picture) -> str:
    return str((picture.facts.get("model") or {}).get("fingerprint", ""))


def _measured(
    run: Path, it: pictures.Picture, backend: Backend, reader: attributes.AttributeReader | None
) -> dict[str, float | None]:
    image = files.read_picture(it.path, run).convert("RGB")
    scene, people = it.facts["scene"], it.facts["characters"]
    cast = [next(c for c in people if c["name"] == name) for name in scene["cast"]]
    said = reader.verdicts(image, scene["prompt"], len(cast)) if reader else {}
    heads = _heads(run, it, image, cast, backend)
    faces = None if heads is None or not cast else sum(head is not None for head in heads)
    alike = [
        value
        for who, head in zip(cast, heads or (), strict=False)
        if head is not None and (value := _alike(run, who, image, head, backend)) is not None
    ]
    return {
        "same_person": round(min(alike), 3) if alike else None,
        "words": round(sum(said.values()) / len(said), 3) if said else None,
        "faces": faces,
    }


def _heads(
    run: Path,
    it: pictures.Picture,
    image: Image.Image,
    cast: Sequence[Mapping[str, Any]],
    backend: Backend,
) -> list[Tensor | None] | None:
    """Of each of the cast the head (H, W) that lies in their mask; None if nobody knows heads."""
    masks = pictures.index(run).get((it.key, ".masks"))
    if masks is None or not isinstance(backend.segmenter, FindsHeads):
        return None
    numbers = torch.from_numpy(np.array(files.read_picture(masks.path, run)))
    heads = backend.segmenter.heads(image, [c["description"] for c in cast])
    found: list[Tensor | None] = []
    for n in range(len(cast)):
        own = [head for head in heads if with_heads(numbers[None] == n + 1, head[None]).any()]
        found.append(max(own, key=lambda head: int(head.sum())) if own else None)
    return found


def _alike(
    run: Path, who: Mapping[str, Any], image: Image.Image, head: Tensor, backend: Backend
) -> float | None:
    """How near a head is to the face that was found; None if that is another one by now."""
    path = RunFolder(run).identity(who["name"])
    knows: Knows = OwnEncoder(backend.identity.embed)
    with suppress(IdentityStoryError, OSError):
        if (files.read_tensor_facts(path, run) or {}).get("key") == who.get("identity"):
            face = files.read_tensors(path, run)["embedding"].float()
            return max(0.0, likeness(knows, knows.seen(image, head[None])[0], face[None]))
    return None
