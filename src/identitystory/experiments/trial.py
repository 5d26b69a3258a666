"""A small standard story, painted, measured, and told in words that can be pasted into an issue.

What must hold of any working installation fails: pictures that are one colour, nobody found, an
identity that changes nothing. What depends on the checkpoint is only pointed out, against measures
that need no threshold: a picture fits its own words better than another's, a face is more like the
same character's than like the other's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import ConfigError, IdentityStoryError
from ..metrics.evidence import Picture
from ..metrics.scores import cosine
from ..models.device import resolve_device, resolve_dtype
from ..models.files.catalogue import called
from ..models.speed import speed
from ..protocols import Backend, PictureEncoder
from ..runs.events import Event, Finished, FrameReady, IdentityFound, Loaded, Started
from ..runs.files import read_picture
from ..runs.folder import RunFolder, read_identity, read_record
from ..runs.opening import Kept
from ..runs.request import RunRequest
from ..runs.service import Service
from ..story.file import make_story
from ..types import Story
from . import batch, instruments
from .checkup import Check
from .evaluate import evaluate, read_run
from .instruments import NONE, EvaluationRequest, Tools
from .results import without_folders

PORTRAITS = 16  # a character, unless others are asked for: one batch
FLAT = 4.0  # levels of 255; the pixels of a picture of anything differ by more on the mean
SLOW = 0.05  # of the matrix multiplication, on an accelerator

MEASURES = ("CLIP-T", "face detection", "Face-Sim", "Face-Sim different")
UNMEASURED = "not measured, "

_TOLD = (Started, Loaded, IdentityFound, FrameReady, Finished)

Hear = Callable[[Event], None]


def story() -> Story:
    """The story in data/trial.toml: two people, three scenes."""
    data = resources.files("identitystory") / "data" / "trial.toml"
    return make_story(tomllib.loads(data.read_text(encoding="utf-8")), source="trial.toml")


def new_folder(parent: Path = Path("runs")) -> Path:
    """``runs/doctor``, or the first of ``runs/doctor-2``, ... that is not there."""
    folder, number = parent / "doctor", 1
    while folder.exists():
        number += 1
        folder = parent / f"doctor-{number}"
    return folder


@dataclass(frozen=True)
class Painted:
    """What happened.

    Attributes:
        request: what was painted.
        events: all that were told but the single steps.
        peak: MiB.
        backend: the model, still open.
    """

    request: RunRequest
    events: Sequence[Event]
    peak: float
    backend: Backend

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def pictures(self) -> Sequence[Picture]:
        """Those that are there, with their words and masks."""
        return read_run(self.request.out).pictures


def paint(request: RunRequest, service: Service, hear: Hear) -> Painted:
    """Paints ``request`` in a folder that is not there yet; ``hear`` hears of it as it goes on.

    Raises:
        IdentityStoryError: as of a run; or nothing was left to paint.
    """
    kept = Kept(service.load)
    told: list[Event] = []
    batch.reset_peak()
    for event in Service(load=kept, describe=service.describe).run(request):
        hear(event)
        told += [event] if isinstance(event, _TOLD) else []
    peak = batch.peak_mib()
    if kept.model is None:
        raise ConfigError(f"{request.out} was painted before; give a new folder with --out")
    return Painted(request, told, peak, kept.model)


def checks(painted: Painted, asked: EvaluationRequest) -> Iterator[Check]:
    """All that is looked at in turn."""
    yield from _facts(painted)
    yield from _plain(painted)
    yield from _measured(painted, asked)
    yield from _cost(painted)


def _facts(painted: Painted) -> Iterator[Check]:
    request, preset = painted.request, painted.request.preset
    weights = (read_record(RunFolder(request.out)) or {})["model"]["fingerprint"][:12]
    yield Check("model", f"{called(request.model)}, weights {weights}")
    yield Check(
        "preset",
        f"{preset.name}, {preset.num_steps} steps of {preset.sampler}, "
        f"{preset.discovery.num_portraits} portraits of {preset.portrait_steps} steps",
    )


def _plain(painted: Painted) -> Iterator[Check]:
    """What must hold whatever the checkpoint is."""
    folder, asked = RunFolder(painted.request.out), painted.request.story
    faces = [read_identity(folder.identity(c.name), folder.root) for c in asked.characters]
    e = torch.stack([face.embedding for face in faces])
    told = "finite, and two that differ"
    if not e.isfinite().all():
        told = "not finite; try --dtype float32"
    elif torch.equal(e[0], e[1]):
        told = "two people have the same one"
    yield Check("identities", told, told.startswith("finite"))
    files = [picture.file for picture in painted.pictures]
    yield Check(
        "pictures",
        f"{len(files)} of {len(asked.scenes)}, of "
        + ", ".join("x".join(map(str, read_picture(file).size)) for file in files),
        len(files) == len(asked.scenes),
    )
    least = min(float(_levels(read_picture(file)).std()) for file in files)
    flat = "" if least > FLAT else "; one is of one colour: try --dtype float32"
    yield Check(
        "not of one colour", f"levels differ by {least:.0f} of 255 at least{flat}", not flat
    )
    wanted = sum(len(picture.cast) for picture in painted.pictures)
    found = sum(int(mask.any()) for picture in painted.pictures for mask in picture.masks)
    well = True if found == wanted else None if found else False
    more = "" if well else ": the words were not painted, or the segmenter did not see them"
    yield Check("people found in the pictures", f"{found} of {wanted}{more}", well)
    changes = list(_changes(painted.pictures))
    if changes:
        told = f"pictures differ from their templates by {min(changes):.1f} of 255 at least"
        yield Check("identity painted in", f"{told}, in the people's masks", min(changes) > 0)


def _levels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def _changes(pictures: Iterable[Picture]) -> Iterator[float]:
    """Mean difference to the template inside the masks of each picture that somebody is in."""
    for picture in pictures:
        there = picture.masks.any(dim=0).numpy()
        if there.any():
            one, other = (
                _levels(read_picture(file))[there]
                for file in (picture.file, picture.file.with_suffix(".template.png"))
            )
            yield float(np.abs(one - other).mean())


def _measured(painted: Painted, asked: EvaluationRequest) -> Iterator[Check]:
    """What the instruments say, those that are here."""
    asked = replace(asked, runs=(painted.request.out,), measures=MEASURES)
    tools, why = _tools(asked, painted.request.model)
    found = evaluate(asked, tools=tools).groups["all"]
    values = {s.name: s.value for s in found if s.value == s.value}
    if tools.instruments.encoder is not None:
        own, other = own_words(tools.instruments.encoder, painted.pictures)
        told = f"{own:.3f} alike to its own words, {other:.3f} to another picture's"
        yield Check("text", f"a picture is {told} (CLIP cosine)", own > other or None)
    if (share := values.get("face detection")) is not None:
        yield Check(
            "faces found", f"{share:.0%} of those that should be there", share > 0.5 or None
        )
        same, different = (values.get(name) for name in ("Face-Sim", "Face-Sim different"))
        if same is None or different is None:
            yield Check("same person", "too few faces to compare", None)
        else:
            told = f"faces of one character are {same:.2f} alike, of two {different:.2f}"
            yield Check("same person", told, same > different or None)
    for what, facts in tools.measured_with.items():
        yield Check(f"measured, {what}", str(facts["name"]))
    for what, reason in {**tools.not_measured, **why}.items():
        yield Check(f"{UNMEASURED}{what}", " ".join(reason.split()))


def _tools(asked: EvaluationRequest, model: str) -> tuple[Tools, dict[str, str]]:
    """The instruments that are here; and why there is no CLIP, if there is none to measure with."""
    try:
        return instruments.open_tools(asked, [model]), {}
    except IdentityStoryError as error:
        if asked.clip == NONE:
            raise
        return instruments.open_tools(replace(asked, clip=NONE), [model]), {"CLIP": str(error)}


def own_words(encoder: PictureEncoder, pictures: Sequence[Picture]) -> tuple[float, float]:
    """Mean cosine of pictures and their own prompts, and of pictures and the others' prompts."""
    images = encoder.pictures([read_picture(picture.file) for picture in pictures])
    alike = cosine(images, encoder.texts([picture.prompt for picture in pictures])).double()
    n, own = len(pictures), float(alike.diagonal().mean())
    return own, (float(alike.sum()) - n * own) / max(1, n * (n - 1))


def _cost(painted: Painted) -> Iterator[Check]:
    """Network calls, seconds, memory, and the share of what the device can do."""
    (start,), (end,) = painted.of(Started), painted.of(Finished)
    planned, did = start.evaluations, end.evaluations
    told = f"{did:,}" if did == planned else f"{did:,}, planned {planned:,}"
    more = "; fewer where somebody is not found" if did < planned else ""
    more = "; more where somebody was looked for again" if did > planned else more
    yield Check("network calls", told + more)
    loaded = sum(event.seconds for event in painted.of(Loaded))
    search = sum(event.seconds for event in painted.of(IdentityFound))
    frames = ", ".join(f"{event.seconds:.1f}" for event in painted.of(FrameReady))
    yield Check(
        "seconds",
        f"{end.seconds:.1f}: {loaded:.1f} to load, {search:.1f} for two people, {frames} a picture",
    )
    yield Check("peak memory", f"{painted.peak:,.0f} MiB")
    there = (read_record(RunFolder(painted.request.out)) or {})["model"]
    device = resolve_device(there["device"])
    dtype = resolve_dtype(there["dtype"], device)
    fast = speed(painted.backend.general, device, dtype)
    if not fast.operations:
        return
    told = f"{fast.share:.0%} of what a matrix multiplication in {str(dtype)[6:]} reaches here"
    calls = f"{fast.seconds * 1000:.0f} ms, {fast.operations / 1e9:,.1f} GFLOP"
    slow = device.type != "cpu" and fast.share < SLOW
    more = "; is another program using it, or --preset low-vram?" if slow else ""
    yield Check("a network call", f"{calls}, {told}{more}", None if slow else True)


def verdict(found: Sequence[Check]) -> str:
    """Whether the installation does what it should, in a sentence or two."""
    bad = [check.what for check in found if check.well is False]
    odd = [check.what for check in found if check.well is None]
    if bad:
        return f"This installation does not do what it should: {', '.join(bad)}."
    blind = [check.what.removeprefix(UNMEASURED) for check in found if UNMEASURED in check.what]
    more = f" Not measured: {', '.join(blind)}." if blind else ""
    if odd:
        return f"This installation works. Look at: {', '.join(odd)}.{more}"
    return f"This installation does what it should.{more}"


def report(found: Sequence[Check]) -> str:
    """Markdown to be pasted into an issue: the verdict and every check, without places of this machine."""
    signs = {True: "", None: " **(look)**", False: " **(FAIL)**"}
    lines = [f"- {check.what}: {check.found}{signs[check.well]}" for check in found]
    return without_folders("\n".join(["### identitystory doctor", "", verdict(found), "", *lines]))
