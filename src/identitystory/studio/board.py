"""A story as the page shows it: every frame with its state, and why; every character; what there is to do.

Nothing here is stored. All of it is read off the text, run.json, what the pictures say of themselves,
and the queue, so that two pages and the command line cannot disagree.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import IdentityStoryError, one_line
from ..runs import folder as runfolder
from ..runs import plan
from ..runs.folder import RunFolder, frame_part
from ..runs.outlook import calls_left, outlook
from ..runs.people import undressed
from ..runs.places import Place, recorded_places
from ..runs.plan import Part, Plan
from ..runs.reasons import Facts, why
from ..runs.request import RunRequest, in_precision, recorded
from ..runs.service import Service
from ..story.advice import advice
from ..types import Scene, Story
from . import people, pictures, scoring
from .library import Entry
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
            self.advice = list(advice(self.story))
            self.request = entry.request(device)
            self.made = planned(service, self.request, self.record)
        except IdentityStoryError as error:
            self.error = error
            said = str(error).replace(f"{entry.folder}/", "")
            self.problem = problem_of(said, entry.text)
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
            "cost": self.cost(),
        }

    # --- frames ---

    def frames(self) -> list[Told]:
        """Each frame."""
        return [self._frame(n, s) for n, s in enumerate(self.story.scenes)] if self.story else []

    def _frame(self, n: int, scene: Scene) -> Told:
        part = self.made.frames[n] if self.made else None
        place = self.made.places[n] if self.made else n
        key = self._key(n, part, place)
        shown = pictures.picture(self.index[key, ""], self.entry.run) if key else None
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
        }

    def _key(self, n: int, part: Part | None, place: Place) -> str | None:
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
        for path in (path for (_, suffix), path in self.index.items() if suffix == ""):
            if (it := pictures.picture(path, self.entry.run)) and (scene := it.facts.get("scene")):
                found.setdefault((scene.get("id", ""), scene.get("text", "")), []).append(it)
        return found

    def _takes(self, scene: Scene) -> list[pictures.Picture]:
        """Every picture of a scene, by its id or its words, the oldest first."""
        found = []
        for (id_, text), some in self._finished.items():
            if (id_ == scene.id) if id_ and scene.id else (text == scene.text):
                found += some
        return sorted(found, key=lambda p: (p.path.stat().st_mtime_ns, p.path.name))

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

    # --- what there is to do ---

    def cost(self, only: Sequence[int] = ()) -> Told:
        """COST of painting those of ``only`` (all, if empty) that are not there."""
        if self.made is None or self.request is None:
            return self._cost({}, [], 0)
        made = plan.of(self.made, only)
        told = outlook(self.request, made, self._done, self._before)
        why = {
            fate.part: "; ".join(r.words for r in fate.why) for fate in told.parts if fate.paints
        }
        frames = {n: why[part.name] for n in made.wanted if (part := made.frames[n]).name in why}
        faces = [name for name in made.cast if made.identities[name].name in why]
        return self._cost(frames, faces, told.calls)

    def cost_of(self, frames: Sequence[int], seeds: int) -> Told:
        """COST of painting each of ``frames`` with so many new seeds, and looking for their faces."""
        if self.made is None or self.request is None:
            return self._cost({}, [], 0)
        made = plan.of(self.made, frames)
        faces = [name for name in made.cast if made.identities[name].name not in self._done]
        calls = calls_left(self.request, made, faces, [])
        calls += seeds * plan.calls(self.request, made, [], made.wanted)
        return self._cost(dict.fromkeys(made.wanted, "its seed is another"), faces, calls)

    def _cost(self, frames: Mapping[int, str], faces: Sequence[str], calls: int) -> Told:
        rate = self.queue.seconds_a_call()
        return {
            "frames": list(frames),
            "why": list(frames.values()),
            "characters": list(faces),
            "calls": calls,
            "seconds": None if rate is None else round(rate * calls, 1),
        }

    @cached_property
    def _done(self) -> set[str]:
        """Names of the parts whose files are there."""
        made = self.made
        if made is None:
            return set()
        kinds = ("", ".masks", *[".template"] * made.method.has_templates)
        frames = [p for p in made.frames if all((p.key, kind) in self.index for kind in kinds)]
        faces = [p for p in made.identities.values() if (p.key, ".portraits") in self.index]
        return {part.name for part in [*frames, *faces]}

    def _before(self, own: str | int) -> Facts | None:
        """What the picture tells of itself that a character or a scene had last."""
        if isinstance(own, str):
            sheet = pictures.picture(RunFolder(self.entry.run).contact_sheet(own), self.entry.run)
            return sheet.facts if sheet else None
        made = self.made
        key = self._key(own, made.frames[own], made.places[own]) if made else None
        shown = pictures.picture(self.index[key, ""], self.entry.run) if key else None
        return shown.facts if shown else None


def planned(service: Service, request: RunRequest, record: Mapping[str, Any] | None) -> Plan:
    """The plan of ``request``, with locks whose pictures are there or not."""
    model = service.describe(request.model, request.device, request.dtype)
    return plan.make_plan(request, in_precision(model, request.dtype, request.preset), record)


def _part_at(job: Job, place: Place) -> str | None:
    """The part of a job that is the scene at ``place``."""
    return next((name for name, own in job.payload.get("parts", {}).items() if own == place), None)


def at(run: Path) -> int:
    """Bytes of events.jsonl: where whoever has read everything goes on."""
    try:
        return RunFolder(run).events.stat().st_size
    except OSError:
        return 0
