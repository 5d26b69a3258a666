"""Looking at the finished frames of a run: who is in each, and what is wrong (`metrics.checking`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import RunError
from ..injection import heads_in
from ..metrics.attributes import AttributeReader
from ..metrics.checking import Asked, Inspected, inspect
from ..metrics.conformal import Marks, marks_of
from ..metrics.faces import load_recogniser
from ..metrics.likeness import OWN, ByFaces, Knows, OwnEncoder
from ..protocols import Backend, ModelFacts
from ..wording import crowd, phrases, worn
from . import files, page, people
from .checks import other_weights
from .expect import reader_of
from .folder import RunFolder, frame_part, no_run, opened, read_identity, read_record
from .looked import FrameTold, Looked, read_looked, told, write_looked
from .opening import open_model
from .request import RunRequest, in_precision, recorded
from .service import Service
from .sheets import COLUMNS, read_masks


@dataclass(frozen=True)
class Frame:
    """A finished frame of a run: the index of its scene, its picture's key, what was found in it."""

    index: int
    key: str
    found: FrameTold


@dataclass(frozen=True)
class Eyes:
    """What frames of one run are looked at with.

    Attributes:
        request: the run's.
        facts: what its model is.
        load: opens it.
        recogniser: ``own``, the encoder of the run's checkpoint, or a name of `metrics.faces`.
        face_models: the folder of that one's weights.
    """

    request: RunRequest
    facts: ModelFacts
    load: Callable[..., Backend]
    recogniser: str = OWN
    face_models: Path | None = None

    @cached_property
    def backend(self) -> Backend:
        """The run's model, opened when it is first needed."""
        return open_model(self.load, self.request.painted_with, self.request.preset, self.facts)

    @cached_property
    def knows(self) -> Knows:
        """Who tells people apart."""
        if self.recogniser == OWN:
            return OwnEncoder(lambda images: self.backend.identity.embed(images))
        return ByFaces(load_recogniser(self.recogniser, self.face_models), self.recogniser)

    @cached_property
    def reader(self) -> AttributeReader | None:
        """The checkpoint's reader of attributes; None if it has none."""
        return reader_of(self.facts)

    @cached_property
    def marks(self) -> Marks | None:
        """The thresholds; None if none were calibrated for this recogniser and checkpoint."""
        return marks_of(self.recogniser, self.facts.fingerprint)

    @property
    def by(self) -> dict[str, Any]:
        """What checked.json says of them: other words, and all is looked at again."""
        marks = asdict(self.marks) if self.marks else None
        return {"recogniser": self.recogniser, "weights": self.facts.fingerprint, "marks": marks}

    @cached_property
    def _known(self) -> dict[str, Tensor]:
        return {}

    def known(self, name: str) -> Tensor:
        """(k, d) of the character called ``name``, k 0 where the run holds no identity of hers."""
        if name not in self._known:
            self._known[name] = self._read_known(RunFolder(self.request.out), name)
        return self._known[name]

    def _read_known(self, folder: RunFolder, name: str) -> Tensor:
        file, sheet = folder.identity(name), folder.contact_sheet(name)
        if not file.is_file():
            return torch.zeros(0, 1)
        identity = read_identity(file, folder.root)
        if not isinstance(self.knows, ByFaces):
            return identity.embedding[None]
        portraits = len(files.read_tensors(file, folder.root)["E"])
        picture = files.read_picture(sheet, folder.root).convert("RGB")
        side = picture.width // min(COLUMNS, portraits)  # kept portraits come first
        corners = [(n % COLUMNS * side, n // COLUMNS * side) for n in range(len(identity.kept))]
        cut = [picture.crop((x, y, x + side, y + side)) for x, y in corners]
        return self.knows.portraits(cut)

    def look(
        self, index: int, image: Image.Image, masks: Tensor, *, template: bool = False
    ) -> Inspected:
        """Looks at a picture of scene ``index``, whose characters are in ``masks`` (s, H, W) bool.

        Of a ``template`` nobody's face is asked for.
        """
        story = self.request.story
        scene = story.scenes[index]
        heads = heads_in(self.backend.segmenter, image, phrases(story, scene))
        asked = Asked(
            scene.cast,
            masks,
            [torch.zeros(0, 1) if template else self.known(name) for name in scene.cast],
            crowd(story, scene),
            scene.prompt,
            [worn(story.character(name), scene) for name in scene.cast],
        )
        knows = None if template else self.knows
        return inspect(image.convert("RGB"), heads, asked, knows, self.marks, self.reader)


def eyes(
    service: Service, out: Path, recogniser: str = OWN, face_models: Path | None = None
) -> Eyes:
    """What the run at ``out`` is looked at with.

    Raises:
        RunError: there is no run, or another checkpoint painted it than is here.
        ModelError, ConfigError: its model or the recogniser is not here.
    """
    request = recorded(out)
    facts = service.describe(request.painted_with, request.device, request.dtype)
    facts = in_precision(facts, request.dtype, request.preset)
    if recogniser == OWN and other_weights(request, facts, read_record(RunFolder(out))):
        raise RunError(
            f"{out} was painted by another checkpoint than {request.model!r} is here, whose encoder "
            "does not know its faces; check it with --faces dlib, or paint it again"
        )
    found = Eyes(request, facts, service.load, recogniser, face_models)
    if recogniser != OWN:
        found.knows  # noqa: B018 - what is not there is said first
    return found


def finished(folder: RunFolder, record: dict[str, Any]) -> dict[int, str]:
    """The key of each finished frame, by its scene's index."""
    ready = {}
    for index in range(len(record["story"]["scenes"])):
        part = record.get("parts", {}).get(frame_part(index), {})
        facts = files.read_png_facts(folder.frame(index), folder.root) or {}
        if part.get("state") == "done" and facts.get("key") == part["key"]:
            ready[index] = part["key"]
    return ready


def check(
    by: Eyes, *, again: bool = False, say: Callable[[str], None] = lambda line: None
) -> list[Frame]:
    """Looks at every finished frame of a run and writes checked.json and the page; suspects first.

    Args:
        by: what it is looked at with.
        again: look also at pictures that were looked at with the same instruments.
        say: hears what goes on.

    Raises:
        RunError: there is no run, or no finished frame in it, or it is being written.
    """
    out = by.request.out
    with opened(out) as folder, torch.no_grad():
        record = read_record(folder)
        if record is None:
            raise no_run(out)
        ready = finished(folder, record)
        looked = kept(folder, by)
        for index, key in ready.items():
            if again or key not in looked.frames:
                say(f"looking at frame {index + 1} of {len(record['story']['scenes'])}")
                looked.frames[key] = told(look_at(by, folder, index))
        write_looked(folder, looked)
        show(by.request, folder, record, ready)
    return ranked([Frame(index, key, looked.frames[key]) for index, key in ready.items()])


def look_at(by: Eyes, folder: RunFolder, index: int) -> Inspected:
    """Looks at the frame of scene ``index`` that lies in its place."""
    image = files.read_picture(folder.frame(index), folder.root)
    cast = len(by.request.story.scenes[index].cast)
    return by.look(index, image, read_masks(folder.masks(index), cast, image.size, folder.root))


def kept(folder: RunFolder, by: Eyes) -> Looked:
    """What was found before by the same instruments; keys that a repair chose stay in any case."""
    looked, plain = read_looked(folder), by.by
    if looked.by == plain:
        return looked
    return Looked(by=plain, repaired=looked.repaired)


def ranked(frames: Sequence[Frame]) -> list[Frame]:
    """The most suspicious first; of equal ones the less alike, then in order."""
    return sorted(frames, key=lambda f: (-f.found.suspicion, -f.found.rank[1], f.index))


def show(
    request: RunRequest, folder: RunFolder, record: dict[str, Any], ready: dict[int, str]
) -> None:
    """Makes the page anew, which says what was found."""
    said = {index: people.told_by(record["parts"][frame_part(index)]) for index in ready}
    if ready:
        page.write(folder, request, ready, said)
