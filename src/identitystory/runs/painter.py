"""One run while it lasts: identities, frames and the page, part by part."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from .. import pipeline
from ..methods.method import Work
from ..protocols import Backend, ModelFacts
from ..sampling import watched
from ..types import Frame, Identity, Template
from . import expect, files, inside, page, people, pictures
from .cache import CachedTemplates, shared_files
from .characters.kin import faces
from .checks import warnings
from .events import (
    Emit,
    Event,
    Expected,
    Finished,
    FrameReady,
    IdentityFound,
    Loaded,
    PartKept,
    PortraitsReady,
    Started,
    StepDone,
    TemplateReady,
    Warned,
    log_line,
)
from .files import FolderNotes
from .folder import RunFolder, read_identity
from .opening import Load, open_model
from .outlook import calls_left
from .plan import Part, Plan
from .portraits import batches, known, search, write_cast
from .request import RunRequest
from .strip import told_of
from .takes import Found
from .told import finished_parts, make_record, parts_told


class Run:
    """One run while it lasts: the model once loaded, what is done, what it cost."""

    def __init__(
        self,
        load: Load,
        request: RunRequest,
        model: ModelFacts,
        made: Plan,
        folder: RunFolder,
        frames: Found,
        emit: Emit,
        record: dict[str, Any] | None = None,
    ) -> None:
        self.load, self.request, self.model = load, request, model
        self.plan, self.folder, self.emit_outside = made, folder, emit
        self.spoilt: list[Path] = []
        done = finished_parts(folder, made, frames, self.spoilt.append)
        self.state = dict.fromkeys(done, "done")
        self.told = people.told_before(record, folder, made.frames, done)  # of who is in each
        self.backend: Backend | None = None
        self.part = ""  # that the steps now belong to
        self.waiting: set[int] = set()  # frames that have a template and no picture yet
        self.evaluations = self.total = 0
        self.began = time.perf_counter()
        self.places = {request.painted_with: request.called, str(folder.root.absolute()): "."}

    def work(self) -> None:
        """Everything, in order: identities, frames, the page."""
        story, made = self.request.story, self.plan
        identities = [(name, made.identities[name]) for name in made.cast]
        frames = [(index, made.frames[index]) for index in made.wanted]
        done = set(self.state)
        asked = [p for _, p in identities] + [p for _, p in frames]
        # A frame that is there needs no identity, but its identity is a part of the run.
        faces = [name for name, part in identities if part.name not in done]
        left = [index for index, part in frames if part.name not in done]
        self.total = calls_left(self.request, made, faces, left)
        self._save_record()  # the first file of all: it is what makes the folder a run
        root = self.folder.root
        every = tuple(p.name for p in asked)
        missing = tuple(name for name in every if name not in done)
        seed = made.seed if self.request.seed is None else self.request.seed
        self.emit(Started(story.title, root, every, missing, self.total, seed))
        for line in warnings(self.request, made, self.model, self.folder):
            self.emit(Warned(line))
        for path in self.spoilt:
            self._spoilt(path)
        found: dict[str, Identity] = {}
        for name, part in identities:
            if part.name in done:
                self.folder.drop_chunks(name)
                self.emit(PartKept(part.name))
            else:
                self._discover(name, part)
            found[name] = read_identity(self.folder.identity(name), root)
        for _, part in frames:
            if part.name in done:
                self.emit(PartKept(part.name))
        if left:
            self._paint(left, found)
        self._expect()
        sheet = self._page() if self.request.paint else None
        self.emit(
            Finished(
                root,
                sheet,
                missing,
                tuple(name for name in every if name in done),
                round(time.perf_counter() - self.began, 3),
                self.evaluations,
            )
        )

    def _spoilt(self, path: Path) -> None:
        self.emit(Warned(f"{path} does not hold what was written; it is made again"))

    def emit(self, event: Event) -> None:
        """Tells the consumer, and events.jsonl unless it is but a step."""
        if not isinstance(event, StepDone):
            files.append_line(self.folder.events, log_line(event, self.places), self.folder.root)
        self.emit_outside(event)

    def _discover(self, name: str, part: Part) -> None:
        """The portraits that are not there yet, then the identity."""
        self.part, start = part.name, time.perf_counter()
        character, config = self.request.story.character(name), self.request.preset.discovery
        if character.face:
            embed = lambda pictures: self._model().identity.embed(pictures)
            person, encoder = self.request.people[character.face], self.model.embeds
            identity = known(self.folder, name, self._told(part), person, encoder, embed, config)
            return self._found(name, part, identity, len(identity.kept), start)

        def paint(seeds: list[int]) -> tuple[list[Image.Image], Tensor]:
            backend = self._model()
            return pipeline.portraits(backend.search or backend.identity, character, seeds, config)

        made = batches(self.request, self.folder, name, part)
        E, thumbnails = search(
            made,
            config,
            seed=part.seed,
            paint=paint,
            ready=lambda done: self.emit(PortraitsReady(name, done, config.num_portraits)),
            spoilt=self._spoilt,
        )
        self.total -= sum(batch.calls for batch in made if not batch.there)  # it settled before
        which, like = character.candidate, faces(self.request.people, character, self.model)
        identity = write_cast(
            self.folder, name, self._told(part), E, thumbnails, config, which, like
        )
        return self._found(name, part, identity, len(E), start)

    def _found(self, name: str, part: Part, identity: Identity, of: int, start: float) -> None:
        self._finish(part)
        seconds = round(time.perf_counter() - start, 3)
        self.emit(IdentityFound(name, part.name, len(identity.kept), of, seconds))

    def _paint(self, left: list[int], identities: dict[str, Identity]) -> None:
        """The frames that are ``left``, stored as they get ready."""
        request, made = self.request, self.plan
        frames, cache = made.frames, request.cache
        shared = {n: file for n in left for file in shared_files(cache, [frames[n].pieces])}
        work = Work(
            made.story,
            tuple(part.seed for part in frames),
            tuple(left),
            identities,
            self.model.folder,
            notes=FolderNotes(self.folder.notes, made.notes, self._spoilt),
            asked=made.wanted,
            templates=CachedTemplates(
                shared, [s.cast for s in made.story.scenes], request.preset.num_steps, self._spoilt
            ),
            on_template=self._on_template,
        )
        self.part = frames[left[0]].name
        backend, start = self._model(), time.perf_counter()  # opening it is nobody's frame
        together = 0  # pictures of one batch that are still to come
        for count, (index, frame) in enumerate(made.method.paint(backend, work), 1):
            if not together:
                together = max(1, len(self.waiting))
                seconds = round((time.perf_counter() - start) / together, 3)
            self._store(index, frame, seconds)
            together -= 1
            self.part = frames[left[min(count, len(left) - 1)]].name
            if not together:
                self.waiting, start = set(), time.perf_counter()
        if all(self.state.get(part.name) == "done" for part in frames):
            inside.remove(self.folder.notes, self.folder.root)

    def _on_template(self, index: int, template: Template) -> None:
        self.waiting.add(index)
        self.part = self.plan.frames[index].name
        self.emit(TemplateReady(index, self.part, template.seed, template.missing))

    def _store(self, index: int, frame: Frame, seconds: float) -> None:
        """The frame's files, each telling what it was made from; then the event."""
        part, request = self._told(self.plan.frames[index]), self.request
        done = pictures.store(
            frame,
            part.facts(),
            request.story,
            self._model().segmenter,
            partial(self.folder.frame, index),
            self.folder.root,
            bare=self._model().bare,
            metadata=request.metadata,
        )
        self.told[part.name] = done.said
        self._finish(part)
        who = part.name, part.seed, done.missing, seconds, done.seen, done.meant, done.bare
        self.emit(FrameReady(index, *who))
        for name in frame.template.missing if frame.template else ():
            line = f"scene {index + 1}: {name!r} was not found in the picture and keeps the "
            self.emit(Warned(f"{line}template's face; try --only {index + 1} --seed random"))
        for line in people.warnings(index, done.said, done.meant):
            self.emit(Warned(line))
        for name in frame.unplaced:
            line = f"scene {index + 1}: no face was seen where {name!r} is, so that nothing but the words "
            self.emit(Warned(f"{line}and the identity's tokens say what it looks like there"))

    def _expect(self) -> None:
        """Holds every finished picture that is asked for against its scene, where that was not done."""
        for index in self.plan.wanted:
            name, scene = self.plan.frames[index].name, self.request.story.scenes[index]
            look = partial(expect.look, self.folder, index, self.request, self.model, self._model)
            self.told[name] = expect.held_now(self.told.get(name, {}), scene, look)
            if found := self.told[name].get("expected"):
                self.emit(Expected(index, name, tuple(found)))
        self._save_record()

    def _told(self, part: Part) -> Part:
        """``part``, whose files tell of themselves what is wanted."""
        return replace(part, facts=partial(told_of, self.request, part.facts))

    def _finish(self, part: Part) -> None:
        self.state[part.name] = "done"
        self._save_record()

    def _model(self) -> Backend:
        """The model, loaded when the first part needs it, watched step by step."""
        if self.backend is None:
            start, request = time.perf_counter(), self.request
            opened = open_model(self.load, request.painted_with, request.preset, self.model)
            self.backend = watched(opened, self._step)
            self.emit(Loaded(opened.name, round(time.perf_counter() - start, 3)))
        return self.backend

    def _step(self, evaluations: int) -> None:
        """Called before each step: counts, tells, and is where a stopped run ends."""
        self.evaluations += evaluations
        self.total = max(self.total, self.evaluations)  # templates may be painted again
        self.emit(StepDone(self.part, self.evaluations, self.total))

    def _page(self) -> Path:
        """sheet.png of all frames that are there, made only if one of them changed."""
        frames = self.plan.frames
        ready = {i: p.key for i, p in enumerate(frames) if self.state.get(p.name) == "done"}
        told = {i: self.told.get(frames[i].name, {}) for i in ready}
        return page.write(self.folder, self.request, ready, told)

    def _save_record(self) -> None:
        parts = parts_told(self.plan, self.state)
        for name, said in self.told.items():
            parts[name] |= said
        record = self._record | {"parts": parts}
        content = (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
        file, root = self.folder.record, self.folder.root
        if not file.exists() or files.read(file, root) != content:
            files.write_whole(file, content, root)

    @cached_property
    def _record(self) -> dict[str, Any]:
        """run.json, all but its parts, which does not change while the run lasts."""
        return make_record(self.request, self.model, self.plan, self.state)
