"""One run while it lasts: identities, frames and the page, part by part."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import pipeline
from ..config import DiscoveryConfig
from ..discovery import discover, settled
from ..methods.method import StoryMethod, Work
from ..protocols import Backend, ModelFacts
from ..sampling import Watched
from ..story import vocabulary
from ..story.file import advice
from ..types import Frame, Identity, Scene, Template
from . import cache as shared
from . import files, plan
from . import folder as runfolder
from . import sheets as pages
from .events import (
    Emit,
    Event,
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
    event_json,
)
from .files import FolderNotes
from .folder import RunFolder
from .plan import Part, Plan
from .request import RunRequest

Load = Callable[..., Backend]  # `models.backend.load_backend`, or what stands for it


def finished_parts(folder: RunFolder, made: Plan) -> set[str]:
    """Names of the parts of a plan whose files in ``folder`` all carry the plan's key."""
    there = set()
    for name, part in made.identities.items():
        facts = (
            files.read_png_facts(folder.contact_sheet(name)),
            files.read_tensor_facts(folder.identity(name)),
        )
        if all(f is not None and f.get("key") == part.key for f in facts):
            there.add(part.name)
    for index, part in enumerate(made.frames):
        paths = [folder.frame, folder.masks]
        if made.compared is None:
            paths.append(folder.template)
        pictures = (files.read_png_facts(path(index)) for path in paths)
        if all(f is not None and f.get("key") == part.key for f in pictures):
            there.add(part.name)
    return there


@dataclass(frozen=True)
class _Chunk:
    """Portraits that are painted and stored together."""

    number: int
    file: Path
    key: str
    seeds: list[int]
    there: bool


class Run:
    """One run while it lasts: the model once loaded, what is done, what it cost."""

    def __init__(
        self,
        load: Load,
        request: RunRequest,
        model: ModelFacts,
        made: Plan,
        folder: RunFolder,
        emit: Emit,
    ) -> None:
        self.load, self.request, self.model = load, request, model
        self.plan, self.folder, self.emit_outside = made, folder, emit
        self.backend: Backend | None = None
        self.part = ""
        self.evaluations = 0
        self.total = 0
        self.began = time.perf_counter()
        self.state: dict[str, str] = {}

    def work(self) -> None:
        """Everything, in order: identities, frames, the page."""
        story, made = self.request.story, self.plan
        identities = [(name, made.identities[name]) for name in made.cast]
        frames = [(index, made.frames[index]) for index in made.wanted]
        done = finished_parts(self.folder, made)
        self.state = dict.fromkeys(done, "done")
        asked = [p for _, p in identities] + [p for _, p in frames]
        to_do = [p for p in asked if p.name not in done]
        # A frame that is there needs no identity, but its identity is a part of the run.
        self.total = plan.evaluations(self.request, made, to_do) - self._there(to_do)
        self._save_record()  # the first file of all: it is what makes the folder a run
        self.emit(
            Started(
                story.title,
                self.folder.root,
                tuple(p.name for p in asked),
                tuple(p.name for p in to_do),
                self.total,
            )
        )
        for line in self._warnings():
            self.emit(Warned(line))
        found: dict[str, Identity] = {}
        for name, part in identities:
            if part.name in done:
                self.folder.drop_chunks(name)
                self.emit(PartKept(part.name))
            else:
                self._discover(name, part)
            found[name] = runfolder.read_identity(self.folder.identity(name))
        size = self.request.preset.batch
        for block in (frames[n : n + size] for n in range(0, len(frames), size)):
            to_paint = [index for index, part in block if part.name not in done]
            for _, part in block:
                if part.name in done:
                    self.emit(PartKept(part.name))
            if to_paint and made.compared is None:
                self._paint(block, to_paint, found)
        if made.compared is not None:
            left = tuple(index for index, part in frames if part.name not in done)
            self._paint_compared(made.compared, left, found)
        sheet = self._page() if self.request.paint else None
        self.emit(
            Finished(
                self.folder.root,
                sheet,
                tuple(p.name for p in to_do),
                tuple(p.name for p in asked if p.name in done),
                round(time.perf_counter() - self.began, 3),
                self.evaluations,
            )
        )

    def emit(self, event: Event) -> None:
        """Tells the consumer, and events.jsonl unless it is but a step."""
        if not isinstance(event, StepDone):
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = json.dumps({"time": at, **event_json(event)}, ensure_ascii=False)
            files.append_line(self.folder.events, line)
        self.emit_outside(event)

    def _chunks(self, name: str, part: Part) -> list[_Chunk]:
        """The chunks of a character's portraits: in the shared folder if there is one."""
        request = self.request
        character = request.story.character(name)
        chunks = []
        batches = plan.portrait_batches(character, part.seed, request.preset)
        for number, seeds in enumerate(batches):
            file, key = self.folder.chunk(name, number), part.key
            if request.portraits is not None:
                key = shared.portraits_key(character, seeds, request.preset, self.model)
                file = shared.file_of(request.portraits, key)
            facts = files.read_tensor_facts(file) or {}
            chunks.append(_Chunk(number, file, key, seeds, facts.get("key") == key))
        return chunks

    def _there(self, to_do: list[Part]) -> int:
        """Evaluations of unfinished parts that stored portraits and templates save."""
        needed = shared.pieces(self.request, self.plan, self.model, to_do)
        saved = sum(cost for file, cost in needed.items() if shared.is_there(file))
        if self.request.portraits is not None:
            return saved
        for name, part in self.plan.identities.items():
            if part in to_do:
                done = sum(len(c.seeds) for c in self._chunks(name, part) if c.there)
                saved += part.evaluations * done // self.request.preset.discovery.num_portraits
        return saved

    def _discover(self, name: str, part: Part) -> None:
        """Portraits chunk by chunk, each stored when finished; then the identity."""
        self.part, start = part.name, time.perf_counter()
        character = self.request.story.character(name)
        config: DiscoveryConfig = self.request.preset.discovery
        ready, stored = 0, []
        chunks = self._chunks(name, part)
        for chunk in chunks:
            if not chunk.there:
                backend = self._model()
                G_id = backend.search or backend.identity
                images, E = pipeline.portraits(G_id, character, chunk.seeds, config)
                tensors = {"E": E, "thumbnails": pages.thumbnails(images)}
                facts = {"key": chunk.key, "chunk": chunk.number}
                files.write_tensors(chunk.file, tensors, facts)
            before, ready = ready, ready + len(chunk.seeds)
            stored.append(files.read_tensors(chunk.file))
            self.emit(PortraitsReady(name, ready, config.num_portraits))
            so_far = torch.cat([s["E"] for s in stored])
            if settled(so_far, before, config, seed=part.seed):
                left = sum(len(c.seeds) for c in chunks[chunk.number + 1 :] if not c.there)
                self.total -= part.evaluations * left // config.num_portraits
                break
        E = torch.cat([s["E"] for s in stored])
        identity = discover(E, config, seed=part.seed)
        kept = identity.kept.tolist()
        facts = part.facts | {"kept": kept}
        sheet = pages.contact_sheet(torch.cat([s["thumbnails"] for s in stored]), kept)
        files.write_png(self.folder.contact_sheet(name), sheet, facts)
        runfolder.write_identity(self.folder.identity(name), identity, E, facts)
        self.folder.drop_chunks(name)
        self._finish(part)
        seconds = round(time.perf_counter() - start, 3)
        self.emit(IdentityFound(name, part.name, len(kept), len(E), seconds))

    def _paint(
        self, block: list[tuple[int, Part]], wanted: list[int], identities: dict[str, Identity]
    ) -> None:
        """The frames of a block that are ``wanted``; one alone unless the preset has a batch.

        A block is painted as a whole even where some of it is there, so that a frame's bytes do not
        depend on where a run was cut off.
        """
        story, preset, backend = self.request.story, self.request.preset, self._model()
        self.part, start = self.plan.frames[wanted[0]].name, time.perf_counter()
        scenes = [story.scenes[index] for index, _ in block]
        seeds = [part.seed for _, part in block]
        first = pipeline.first_latents(backend.general, scenes, seeds, preset.injection)
        templates = []
        for (index, part), scene, latents in zip(block, scenes, first, strict=True):
            template = self._template(scene, part.seed, latents)
            templates.append(template)
            if index in wanted:
                self._tell_template(index, part, template)
        frames = pipeline.inject_together(
            backend.identity, story, scenes, templates, identities, preset.injection
        )
        seconds = round((time.perf_counter() - start) / len(wanted), 3)
        for (index, part), frame in zip(block, frames, strict=True):
            if index in wanted:
                self._store(index, part, frame, seconds)

    def _tell_template(self, index: int, part: Part, template: Template) -> None:
        self.emit(TemplateReady(index, part.name, template.seed, template.missing))
        for name in template.missing:
            self.emit(
                Warned(
                    f"frame {index:03d}: {name!r} was not found in the picture and keeps the "
                    f"template's face; try --only {index} --seed N"
                )
            )

    def _store(self, index: int, part: Part, frame: Frame, seconds: float) -> None:
        template = frame.template
        if template is None:
            raise ValueError(f"{part.name} has no template")
        facts = part.facts | {"template_seed": template.seed, "missing": list(template.missing)}
        masks = pages.masks_picture(template.masks, template.image.size)
        write = files.write_png
        write(self.folder.template(index), template.image, facts | {"part": "template"})
        write(self.folder.masks(index), masks, facts | {"part": "masks"})
        write(self.folder.frame(index), frame.image, facts)
        self._finish(part)
        self.emit(FrameReady(index, part.name, part.seed, template.missing, seconds))

    def _template(self, scene: Scene, seed: int, latents: Tensor | None) -> Template:
        """The scene's template: another run's if it is shared, else painted, from ``latents`` on."""
        story, preset, backend = self.request.story, self.request.preset, self._model()
        file = None
        if (folder := shared.templates_folder(self.request)) is not None:
            key = shared.template_key(story, scene, seed, preset, self.model)
            file = shared.file_of(folder, key)
            if (stored := shared.read_template(file)) is not None:
                return stored
        template = pipeline.find_template(
            backend.general, backend.segmenter, story, scene, preset, seed=seed, latents=latents
        )
        if file is not None:
            shared.write_template(file, template)
        return template

    def _paint_compared(
        self, method: StoryMethod, left: tuple[int, ...], identities: dict[str, Identity]
    ) -> None:
        """Frames that look at one another, painted by another method, without templates.

        Their characters are looked for afterwards.
        """
        if not left:
            return
        work = Work(
            self.request.story,
            tuple(part.seed for part in self.plan.frames),
            left,
            identities,
            self.model.folder,
            FolderNotes(self.folder.notes, self.plan.frames[0].key),
        )
        self.part = self.plan.frames[left[0]].name
        backend, start = self._model(), time.perf_counter()  # opening it is nobody's frame
        pictures, find = method.paint(backend, work), backend.segmenter
        for count, (index, image) in enumerate(pictures, 1):
            part = self.plan.frames[index]
            scene = work.story.scenes[index]
            found, missing = pipeline.find_cast(find, work.story, scene, image)
            self.folder.template(index).unlink(missing_ok=True)  # another method's
            facts = part.facts | {"missing": list(missing)}
            masks = pages.masks_picture(found, image.size)
            files.write_png(self.folder.masks(index), masks, facts | {"part": "masks"})
            files.write_png(self.folder.frame(index), image, facts)
            self._finish(part)
            self.part = self.plan.frames[left[min(count, len(left) - 1)]].name
            seconds, start = round(time.perf_counter() - start, 3), time.perf_counter()
            self.emit(FrameReady(index, part.name, part.seed, missing, seconds))
        if all(self.state.get(part.name) == "done" for part in self.plan.frames):
            shutil.rmtree(self.folder.notes, ignore_errors=True)

    def _finish(self, part: Part) -> None:
        self.state[part.name] = "done"
        self._save_record()

    def _model(self) -> Backend:
        """The model, loaded when the first part needs it, watched step by step."""
        if self.backend is None:
            start = time.perf_counter()
            request, preset = self.request, self.request.preset
            more = {
                "search_steps": preset.discovery.search_steps,
                "memory": None if preset.memory == "all" else preset.memory,
                "compiled": preset.compiled or None,
                "reuse": None if preset.reuse == 1 else preset.reuse,
                "distilled": preset.discovery.distilled or None,
            }
            opened = self.load(
                request.model,
                sampler=preset.sampler,
                num_steps=preset.num_steps,
                device=self.model.device,
                dtype=self.model.dtype,
                **{key: value for key, value in more.items() if value is not None},
            )
            self.backend = replace(
                opened,
                general=Watched(opened.general, self._step),
                identity=Watched(opened.identity, self._step),
                search=Watched(opened.search or opened.identity, self._step),
            )
            self.emit(Loaded(opened.name, round(time.perf_counter() - start, 3)))
        return self.backend

    def _step(self, evaluations: int) -> None:
        """Called before each step: counts, tells, and is where a stopped run ends."""
        self.evaluations += evaluations
        self.total = max(self.total, self.evaluations)  # templates may be painted again
        self.emit(StepDone(self.part, self.evaluations, self.total))

    def _page(self) -> Any:
        """sheet.png of all frames that are there, made only if one of them changed."""
        story = self.request.story
        ready = [i for i, p in enumerate(self.plan.frames) if self.state.get(p.name) == "done"]
        captions = [f"{i:03d}  {_caption(story.scenes[i].text)}" for i in ready]
        key = files.part_key(["page", [self.plan.frames[i].key for i in ready], captions])
        facts = files.read_png_facts(self.folder.sheet)
        if facts is None or facts.get("key") != key:
            frames = [Image.open(self.folder.frame(i)).convert("RGB") for i in ready]
            page = pages.frames_page(frames, captions)
            files.write_png(self.folder.sheet, page, {"key": key, "title": story.title})
        return self.folder.sheet

    def _warnings(self) -> list[str]:
        story = self.request.story
        lines = [*self.request.notes, *advice(story)]
        there, wanted = self.model.fingerprint, self.request.fingerprint
        if wanted and wanted != there:
            lines.append(
                f"the picture was painted by another checkpoint (fingerprint {wanted[:12]}) than "
                f"{self.request.model!r} is here ({there[:12]}): it will look otherwise; "
                "name the other one with --model"
            )
        if self.model.folder is not None:
            known = vocabulary.load_vocabulary(self.model.folder)
            if known is not None:
                prompts = [self.request.story.scenes[i].prompt for i in self.plan.wanted]
                prompts += [c.description for c in story.characters if c.name in self.plan.cast]
                unknown = vocabulary.unknown_words(prompts, known)
                lines += filter(None, [vocabulary.vocabulary_warning(unknown)])
            casts = [len(story.scenes[i].cast) for i in self.plan.wanted]
            lines += filter(None, [vocabulary.crowd_warning(self.model.folder, casts)])
        beyond = len(story.scenes)
        if self.folder.frame(beyond).exists():
            lines.append(
                f"frames/{beyond:03d}.png and later belong to scenes that this story does not "
                "have; they are left as they are"
            )
        return lines

    def _save_record(self) -> None:
        record = plan.make_record(self.request, self.model, self.plan, self.state)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        content = text.encode()
        try:
            same = self.folder.record.read_bytes() == content
        except FileNotFoundError:
            same = False
        if not same:
            files.write_whole(self.folder.record, content)


def _caption(text: str) -> str:
    return text.replace("{", "").replace("}", "")
