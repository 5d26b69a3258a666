"""Mending: suspicious frames are tried again, within a budget in network calls, and the best is chosen.

A try is first a template of another seed, which is looked at before any face is put in: where it is no
better than what is there, it costs no more. On a template that is kept, faces are put in, and where
they are the ones at fault, once more with wider masks and with stronger guidance; where the picture is
worse than its template, from a later step on. Every finished picture stays as a take; what was thrown
away is remembered in checked.json. So the same command goes on where it was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch

from ..config import Preset
from ..cost import frame_evaluations
from ..errors import RunError
from ..methods.method import Work
from ..methods.registry import OURS
from ..protocols import Backend
from ..sampling import watched
from ..seeds import derived_seed
from ..types import Identity, Template
from . import files, pictures, takes
from .folder import RunFolder, no_run, opened, read_identity, read_record
from .looked import FrameTold, Looked, told, write_looked
from .looking import Eyes, check, finished, kept
from .plan import Part, Plan, make_plan
from .request import recorded
from .service import Service
from .sheets import read_masks
from .strip import told_of
from .tries import FACES, FOR_FACES, FOR_PICTURES, Best, Mended, RejectedError, Templates

SEEDS = 20  # of a frame that are tried at most


class Repair:
    """One repair while it lasts."""

    def __init__(
        self, by: Eyes, folder: RunFolder, budget: int, say: Callable[[str], None]
    ) -> None:
        """``folder`` is opened, and its frames were checked."""
        self.by, self.folder, self.budget, self.say = by, folder, budget, say
        record = read_record(folder)
        if record is None:
            raise no_run(folder.root)
        self.record = record
        count = len(by.request.story.scenes)
        self.places = [str(p) for p in record.get("places", range(count))]
        self.ready = finished(folder, record)
        self.request = replace(by.request, locked={})
        self.looked: Looked = kept(folder, by)
        self.done = Mended(budget=budget)
        self.calls = 0
        self.evaluated: Backend | None = None
        self.takes = len(list(folder.takes.glob("*.masks.png")))

    @property
    def backend(self) -> Backend:
        """The run's model, which counts its network calls."""
        if self.evaluated is None:
            self.evaluated = watched(self.by.backend, self._step)
        return self.evaluated

    def _step(self, calls: int) -> None:
        self.calls += calls

    def work(self) -> dict[int, Best]:
        """Tries suspects, the least tried and most suspicious first, until all hold or nothing is left."""
        suspects = self._suspects()
        while open_ := [b for b in suspects if b.found.faults and b.seeds < SEEDS]:
            affordable = [b for b in open_ if self._cost(b.index) <= self.budget - self.calls]
            if not affordable or self.takes >= self.request.max_takes:
                break
            self._try(min(affordable, key=lambda b: (b.seeds, -b.found.suspicion, b.index)))
        return {b.index: b for b in suspects}

    def _suspects(self) -> list[Best]:
        """Frames with faults that nobody locked or chose."""
        shut = self._shut()
        found = []
        for index, key in self.ready.items():
            seen = self.looked.frames.get(key)
            if seen is not None and seen.faults and index not in shut:
                found.append(Best(index, key, seen))
        return found

    def _shut(self) -> set[int]:
        """Scenes whose picture a user locked, or chose from its takes."""
        locked = {str(place) for place in self.by.request.locked}
        ours = self.looked.repaired
        chosen = self.record.get("chosen", {})
        by_hand = {place for place, key in chosen.items() if ours.get(place) != key}
        return {n for n, place in enumerate(self.places) if place in locked | by_hand}

    def _cost(self, index: int, *, templates: int = 1) -> int:
        """Network calls of a whole try."""
        people = len(self.request.story.scenes[index].cast)
        return frame_evaluations(self.request.preset, people, templates=templates)

    def _try(self, best: Best) -> None:
        """A template of another seed, then what its faults ask for."""
        seed = derived_seed(
            "repair", self.record.get("seed", 0), self.places[best.index], best.seeds
        )
        best.seeds += 1
        held, plain = Templates(), replace(self.request.preset, attempts=1, batch=1)
        first = self._paint(best, seed, plain, held, "another seed")
        if first is None or not first.faults:
            return
        held.good = True
        faces = {fault.kind for fault in first.faults} & FACES
        changes = FOR_FACES if faces else FOR_PICTURES
        for name, change in changes.items():
            if self._cost(best.index, templates=0 if held.there else 1) > self.budget - self.calls:
                return
            preset = replace(plain, injection=change(plain.injection))
            again = self._paint(best, seed, preset, held, name)
            if again is not None and not again.faults:
                return

    def _paint(
        self, best: Best, seed: int, preset: Preset, held: Templates, how: str
    ) -> FrameTold | None:
        """One picture as a take, looked at; None where its template was thrown away."""
        index, spent = best.index, self.calls
        made = self._plan(index, seed, preset)
        part = made.frames[index]
        seen = self.looked.frames.get(part.key)
        there = part.key in self.ready.values() or takes.has(self.folder, part.key)
        if seen is None or not (seen.template or there):
            seen = self._painted(best, part, made, held)
            self.looked.frames[part.key] = seen
            write_looked(self.folder, self.looked)
            self.done.tries += 1
            self.takes += not seen.template
        end = "its template is thrown away" if seen.template else f"suspicion {seen.suspicion:.1f}"
        wrong = f" ({seen.words})" if seen.faults else ""
        self.say(f"frame {index + 1}, {how}: {self.calls - spent} calls, {end}{wrong}")
        if seen.template:
            return None
        if seen.rank < best.found.rank:
            best.key, best.found = part.key, seen
        return seen

    def _painted(self, best: Best, part: Part, made: Plan, held: Templates) -> FrameTold:
        """Paints the picture of ``part`` among the takes, and looks at it."""
        index = best.index
        work = Work(
            made.story,
            tuple(p.seed for p in made.frames),
            (index,),
            self._identities(made.story.scenes[index].cast),
            self.by.facts.folder,
            templates=held,
            on_template=(lambda n, template: None) if held.good else partial(self._look, best),
        )
        try:
            frame = next(f for _, f in made.method.paint(self.backend, work))
        except RejectedError as thrown:
            held.there.clear()
            return thrown.found
        facts = told_of(self.request, part.facts)
        place = partial(takes.take_file, self.folder, part.key)
        find = self.backend.segmenter
        story, root = self.request.story, self.folder.root
        pictures.store(frame, facts, story, find, place, root, metadata=self.request.metadata)
        masks = read_masks(place(".masks"), len(frame.scene.cast), frame.image.size, root)
        return told(self.by.look(index, frame.image, masks))

    def _look(self, best: Best, index: int, template: Template) -> None:
        """Throws a template away that is no better than the picture that is there."""
        found = self.by.look(index, template.image, template.masks, template=True)
        if found.suspicion >= best.found.suspicion:
            raise RejectedError(told(found, template=True))

    def _plan(self, index: int, seed: int, preset: Preset) -> Plan:
        """The plan of a frame as it would be with another seed and preset, whatever was chosen."""
        plain = {k: v for k, v in self.record.items() if k != "chosen"}
        asked = replace(self.request, preset=preset, only=(index,), frame_seeds={index: seed})
        return make_plan(asked, self.by.facts, plain)

    def _identities(self, cast: tuple[str, ...]) -> dict[str, Identity]:
        return {n: read_identity(self.folder.identity(n), self.folder.root) for n in cast}


def repair(
    by: Eyes,
    service: Service,
    budget: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    *,
    kind: type[Repair] = Repair,
) -> Mended:
    """Checks a run, tries its suspicious frames again, and chooses the best picture of each.

    Pictures that were locked or chosen from takes by hand stay. Interrupted, it keeps what is painted;
    the same call goes on, and pays for nothing twice.

    Args:
        by: what frames are looked at with.
        service: that makes the run's pictures.
        budget: network calls; None is as many as painting the run's frames once more takes.
        say: hears of each try.
        kind: what decides which pictures are tried.

    Raises:
        RunError: there is no run, no finished frame, or its method's frames look at one another.
    """
    out = by.request.out
    if by.request.method != OURS:
        raise RunError(
            f"{out} was painted by {by.request.method}, whose frames are not mended one by one; "
            f"repair takes runs of {OURS}"
        )
    check(by, say=say)
    if budget is None:
        people = sum(len(scene.cast) for scene in by.request.story.scenes)
        scenes = len(by.request.story.scenes)
        budget = frame_evaluations(by.request.preset, people, templates=scenes)
    with opened(out) as folder, torch.no_grad():
        work = kind(by, folder, budget, say)
        best = work.work()
        better = {n: b for n, b in best.items() if b.found is not b.first}
        _choose(folder, work, better)
    if better:
        for _ in service.run(replace(recorded(out), only=tuple(sorted(better)))):
            pass
    work.done.frames = check(by)
    work.done.calls = work.calls
    work.done.chosen = {
        n: (b.first.suspicion, b.found.suspicion) for n, b in better.items() if b.first
    }
    return work.done


def _choose(folder: RunFolder, work: Repair, better: Mapping[int, Best]) -> None:
    """Writes down which takes are the story's pictures from now on, and that a repair chose them."""
    if not better:
        return
    record = work.record
    keys = {work.places[n]: best.key for n, best in better.items()}
    work.looked.repaired |= keys
    write_looked(folder, work.looked)
    text = json.dumps(
        record | {"chosen": record.get("chosen", {}) | keys}, indent=2, ensure_ascii=False
    )
    files.write_whole(folder.record, f"{text}\n".encode(), folder.root)
