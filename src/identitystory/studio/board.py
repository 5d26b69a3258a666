"""A story as the page shows it: every frame with its state, and why; every character; what there is to do.

Nothing here is stored. All of it is read off the text, run.json, what the pictures say of themselves,
and the queue, so that two pages and the command line cannot disagree.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import IdentityStoryError, one_line
from ..protocols import ModelFacts
from ..runs import folder as runfolder
from ..runs.checks import other_weights, warnings
from ..runs.folder import RunFolder, frame_part
from ..runs.people import told_by, undressed
from ..runs.places import Place, recorded_places
from ..runs.plan import Part, Plan
from ..runs.reasons import Facts, why
from ..runs.request import RunRequest, recorded
from ..runs.service import Service
from ..story.advice import advice
from ..types import Scene, Story, plain
from . import costs, people, pictures, scoring
from .library import Entry
from .plans import planned
from .queue import Job, Queue
from .texts import entries_of, problem_of

Told = dict[str, Any]


class Board:
    """One story as it stands now.

    Attributes:
        entry: its text and where its run is.
        story: what is shown: the text's, or the last run's where the text is wrong; None without both.
        problem: what is wrong with the text or the settings, or None.
        made: the plan of painting it, or None where that cannot be.
    """

    def __init__(self, entry: Entry, service: Service, queue: Queue, device: str) -> None:
        self.entry, self.queue = entry, queue
        self.problem: Told | None = None
        self.error: IdentityStoryError | None = None
        self.story: Story | None = None
        self.request: RunRequest | None = None
        self.made: Plan | None = None
        self.advice: list[str] = []
        self.written: Told = {}
        self.entries = entries_of(entry.text)
        self.record = None
        with suppress(IdentityStoryError, OSError):
            if entry.run.is_dir():
                self.record = runfolder.read_record(RunFolder(entry.run))
        try:
            self.story = entry.story()
            self.written = tomllib.loads(entry.text)
            self.advice = advice(self.story)
            self.request = entry.request(device)
            model, self.made = planned(service, self.request, self.record)
            self.advice = self._advice(self.request, self.made, model)
        except IdentityStoryError as error:
            self.error = error
            self.problem = problem_of(self._said(str(error)), entry.text)
        if self.story is None and self.record:
            with suppress(IdentityStoryError):
                self.story = recorded(entry.run).story
        self.index = pictures.index(entry.run)
        self.scores, self.checks = scoring.scores(entry.run), scoring.checks(entry.run)
        self.jobs = queue.jobs(entry.id, shown=1)
        self.live = queue.live()

    def told(self) -> Told:
        """STORY of the contract, docs/studio_api.md."""
        running = next((job.id for job in self.jobs if job.state == "running"), None)
        return {
            "id": self.entry.id,
            "title": self.story.title if self.story else "Untitled",
            "text": self.entry.text,
            "written": {k: v for k, v in self.written.items() if k not in ("character", "scene")},
            "revision": self.entry.revision,
            "problem": self.problem,
            "advice": self.advice[:20],
            "settings": asdict(self.entry.settings),
            "seed": self.made.seed if self.made else (self.record or {}).get("seed", 0),
            "at": at(self.entry.run),
            "busy": running,
            "frames": self.frames(),
            "characters": self.characters(),
            "cost": costs.cost(self),
        }

    def read(self) -> Told:
        """CHECKED of the contract: what is wrong with the text, and what is understood of it."""
        right = self.story if self.problem is None else None
        return {
            "problem": self.problem,
            "advice": self.advice[:20] if right else [],
            "characters": [plain(each) for each in right.characters] if right else [],
            "scenes": [plain(each) for each in right.scenes] if right else [],
        }

    def _advice(self, request: RunRequest, made: Plan, model: ModelFacts) -> list[str]:
        """What painting all of it would warn of, or refuse, in the words of the command line."""
        folder = RunFolder(self.entry.run)
        weights = other_weights(request, model, self.record)
        try:
            said = warnings(replace(request, notes=(*request.notes, *weights)), made, model, folder)
        except IdentityStoryError as error:
            said = [one_line(str(error)), *self.advice]
        return [self._said(line) for line in dict.fromkeys(said)]

    def _said(self, line: str) -> str:
        """``line`` without where the story lies."""
        return line.replace(f"{self.entry.folder}/", "")

    # --- frames ---

    def frames(self) -> list[Told]:
        """Each frame."""
        return [self._frame(n, s) for n, s in enumerate(self.story.scenes)] if self.story else []

    def _frame(self, n: int, scene: Scene) -> Told:
        part = self.made.frames[n] if self.made else None
        place = self.made.places[n] if self.made else n
        key = self.shown(n, part, place)
        shown = self.index[key, ""] if key else None
        facts = shown.facts if shown else {}
        absent = [str(name) for name in facts.get("missing", ())]
        locked = bool(self.request and place in self.request.locked)
        state, why = self._state(part, place, key, facts, locked, absent)
        return {
            "index": n,
            "written": self.written["scene"][n] if self.written else {},
            "text": scene.text,
            "prompt": scene.prompt,
            "caption": scene.caption,
            "dialogue": [list(line) for line in scene.dialogue],
            "cast": list(scene.cast),
            "id": scene.id,
            "negative": scene.negative,
            "shape": scene.shape,
            "seed": int(facts.get("frame_seed", 0)) if shown else (part.seed if part else 0),
            "state": state,
            "why": one_line(why),
            "locked": locked,
            "picture": key,
            "width": shown.size[0] if shown else 0,
            "height": shown.size[1] if shown else 0,
            "template": bool(key and (key, ".template") in self.index),
            "takes": len(self._takes(scene)),
            "absent": absent,
            "scores": self.scores.get(key or ""),
            "check": self.checks.get(key or ""),
            **self._seen(scene, key, facts),
        }

    def _seen(self, scene: Scene, key: str | None, facts: Facts) -> Told:
        """How many people were seen, where that is not who was meant, and what of ``expect`` holds."""
        parts = self.record["parts"].values() if self.record else ()
        part = next((p for p in parts if p.get("key") == key and p.get("state") == "done"), facts)
        said = told_by(part)
        held = [each for each in said.get("expected", ()) if each["line"] in scene.expect]
        return {"people": said.get("people"), "expected": held}

    def shown(self, n: int, part: Part | None, place: Place) -> str | None:
        """Of the picture that is shown: the right one, or the one that the scene had last."""
        if part and (part.key, "") in self.index:
            return part.key
        old = n if part is None else recorded_places(self.record).get(place)
        parts = self.record["parts"] if self.record else {}
        key = str(parts.get(frame_part(old), {}).get("key", "")) if old is not None else ""
        if (key, "") in self.index:
            return key
        takes = self._takes(self.story.scenes[n]) if self.story else []
        return takes[-1].key if takes else None

    def _state(
        self,
        part: Part | None,
        place: Place,
        key: str | None,
        facts: Mapping[str, Any],
        locked: bool,
        absent: Sequence[str],
    ) -> tuple[str, str]:
        """A frame's state in one word, and why in a sentence, empty where nothing is to be said."""
        there = part is not None and key == part.key
        for job in self.jobs:
            name = _part_at(job, place)
            if not name or (there and job.kind == "paint"):  # measured, or the next one is painted
                continue
            if job.state == "running" and self.live.get(job.id, {}).get("part") == name:
                return "painting", ""
            if job.state in ("pending", "running"):
                return "queued", ""
        if locked and key:
            return "locked", "it stays as it is until you unlock it"
        if there:
            lost = "missing", f"{' and '.join(absent)} was not found in it"
            return lost if absent else ("current", undressed(facts.get("bare", ())))
        failed = next(
            (job for job in self.jobs if job.state == "failed" and _part_at(job, place)), None
        )
        if failed:
            return "failed", failed.message
        if key is None:
            return "empty", ""
        return "stale", why(facts, part.facts()) if part else "the story cannot be read"

    @cached_property
    def _finished(self) -> dict[tuple[str, str], list[pictures.Picture]]:
        """Every picture by its scene's id and words, the oldest first."""
        found: dict[tuple[str, str], list[pictures.Picture]] = {}
        for (_, suffix), it in self.index.items():
            if suffix == "" and (scene := it.facts.get("scene")):
                found.setdefault((scene.get("id", ""), scene.get("text", "")), []).append(it)
        return found

    def _takes(self, scene: Scene) -> list[pictures.Picture]:
        """Every picture of a scene, by its id or its words, the oldest first."""
        found = []
        for (id_, text), some in self._finished.items():
            if (id_ == scene.id) if id_ and scene.id else (text == scene.text):
                found += some
        return sorted(found, key=lambda p: (p.written, p.path.name))

    def takes(self, n: int) -> list[Told]:
        """The takes of scene ``n`` of the story that is shown."""
        if self.story is None:
            return []
        scene = self.story.scenes[n]
        shown = self._frame(n, scene)["picture"]
        return [
            {
                "number": number,
                "picture": p.key,
                "seed": int(p.facts.get("frame_seed", 0)),
                "chosen": p.key == shown,
                "words": str(p.facts["scene"].get("text", "")),
                "same_words": p.facts["scene"].get("text") == scene.text,
                "scores": self.scores.get(p.key),
            }
            for number, p in enumerate(self._takes(scene), 1)
        ]

    # --- characters ---

    def characters(self) -> list[Told]:
        """Each character."""
        return [people.told(self, c) for c in self.story.characters] if self.story else []


def _part_at(job: Job, place: Place) -> str | None:
    """The part of a job that is the scene at ``place``."""
    return next((name for name, own in job.payload.get("parts", {}).items() if own == place), None)


def at(run: Path) -> int:
    """Bytes of events.jsonl: where whoever has read everything goes on."""
    try:
        return RunFolder(run).events.stat().st_size
    except OSError:
        return 0
