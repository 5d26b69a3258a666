"""The made-up state of the mock: stories, takes, a queue, and a painter who only waits."""

from __future__ import annotations

import hashlib
import io
import queue
import random
import re
import threading
import time
from pathlib import Path
from typing import Any

from pictures import Pictures
from PIL import Image, ImageFilter
from stories import checked


class World:
    """Everything the mock knows; `lock` is held while it changes."""

    def __init__(self, run: Path | None, seconds: float) -> None:
        self.lock = threading.RLock()
        self.seconds = seconds
        self.listeners: list[queue.SimpleQueue[tuple[str, Any]]] = []
        self.pictures = Pictures(run)
        self.stories: dict[str, dict[str, Any]] = {}
        self.jobs: list[dict[str, Any]] = []
        self.previews: dict[int, bytes] = {}
        self.tour = True
        self.started = str(time.time())
        threading.Thread(target=self._work, daemon=True).start()

    def tell(self, event: str, data: Any) -> None:
        """Send an event to every page."""
        for one in self.listeners:
            one.put((event, data))

    def touched(self, story: dict[str, Any]) -> dict[str, Any]:
        """Tell of a change and give the story as the page reads it."""
        self.tell("story", {"id": story["id"], "revision": story["revision"]})
        return self.shown(story)

    def add(self, text: str, painted: int = 0) -> dict[str, Any]:
        """A new story, its first scenes painted."""
        story = {
            "id": hashlib.sha256(str(len(self.stories)).encode()).hexdigest()[:12],
            "revision": 0,
            "settings": dict.fromkeys(
                ("preset", "method", "model", "steps", "portraits", "guidance")
            ),
            "frames": [],
            "found": {},
            "busy": None,
        }
        self.stories[story["id"]] = story
        self.write(story, text)
        for frame in story["frames"][:painted]:
            self.paint(story, frame)
        for name in {n for f in story["frames"][:painted] for n in self.cast(f["words"])}:
            story["found"][name] = self.pictures.portraits
        return story

    @staticmethod
    def cast(words: str) -> list[str]:
        """The names in braces."""
        return list(dict.fromkeys(re.findall(r"\{(.+?)\}", words)))

    def write(self, story: dict[str, Any], text: str) -> None:
        """A new text; frames follow their scenes by id, then by words, then by place."""
        parsed, problem = checked(text)
        story |= {"text": text, "problem": problem, "revision": story["revision"] + 1}
        if parsed is None:
            return
        story["parsed"] = parsed
        old, frames = list(story["frames"]), []
        for scene in parsed["scene"]:
            same = next((f for f in old if f["words"] == scene.get("prompt")), None)
            if same:
                old.remove(same)
            frames.append(same)
        for i, scene in enumerate(parsed["scene"]):
            if frames[i] is None:
                frames[i] = (
                    old.pop(0)
                    if old and len(parsed["scene"]) <= len(story["frames"])
                    else self.blank()
                )
            frames[i] |= {"words": scene.get("prompt", ""), "scene": scene}
        story["frames"] = frames

    @staticmethod
    def blank() -> dict[str, Any]:
        """A frame that nobody has painted."""
        seed = random.randrange(10**9)
        return {
            "takes": [],
            "chosen": None,
            "locked": False,
            "absent": [],
            "state": "",
            "seed": seed,
        }

    def paint(self, story: dict[str, Any], frame: dict[str, Any], seed: int | None = None) -> None:
        """One more take of a frame."""
        place = story["frames"].index(frame)
        own = self.pictures.kept[self.pictures.sample[place % len(self.pictures.sample)]]
        if len(frame["takes"]) % 2:  # another take of the same scene
            own = own | {"frame": own["template"]}
        key = self.pictures.store(own)
        seed = seed if seed is not None else random.randrange(10**9)
        frame["takes"].append({"picture": key, "seed": seed, "words": frame["words"]})
        frame |= {"chosen": key, "seed": seed, "state": "", "absent": []}

    def shown(self, story: dict[str, Any]) -> dict[str, Any]:
        """STORY of the contract."""
        frames = [self._frame(story, i, f) for i, f in enumerate(story["frames"])]
        people = [self._person(story, p) for p in story["parsed"]["character"]]
        open_ = [f["index"] for f in frames if f["state"] in ("empty", "stale", "failed")]
        return {
            **{k: story[k] for k in ("id", "text", "problem", "settings", "busy")},
            "revision": str(story["revision"]),
            "written": {
                k: v for k, v in story["parsed"].items() if k not in ("character", "scene")
            },
            "title": story["parsed"]["title"],
            "advice": story.get("advice", []),
            "seed": 0,
            "at": 0,
            "frames": frames,
            "characters": people,
            "cost": self.cost(open_),
        }

    @staticmethod
    def cost(frames: list[int], why: str = "its words were changed") -> dict[str, Any]:
        """COST of so many frames."""
        return {
            "frames": frames,
            "why": [why] * len(frames),
            "characters": [],
            "calls": 80 * len(frames),
            "seconds": 14.0 * len(frames),
        }

    def _frame(self, story: dict[str, Any], i: int, f: dict[str, Any]) -> dict[str, Any]:
        take = next((t for t in f["takes"] if t["picture"] == f["chosen"]), None)
        state, why, absent = f["state"], "", []
        if state == "failed":
            why = "The painter ran out of memory; 3.1 GB were free."
        elif not state and take is None:
            state = "empty"
        elif not state and f["locked"]:
            state = "locked"
        elif not state and take and take["words"] != f["words"]:
            state, why = "stale", "Its words changed since it was painted."
        elif not state and f["absent"]:
            state, absent = "missing", f["absent"]
            why = f"{', '.join(absent)} was not found in the picture."
        scene = f["scene"]
        width, height = self.pictures.kept[take["picture"]]["frame"].size if take else (256, 256)
        known = self.pictures.scores
        made_up = {"same_person": round(0.81 - 0.06 * (i % 5), 2), "words": 0.91, "faces": 1}
        scores = (known[i % len(known)] if known else made_up) if take else None
        return {
            "index": i, "written": scene, "text": f["words"], "prompt": f["words"].replace("{", "").replace("}", ""),
            "caption": scene.get("caption", ""), "cast": self.cast(f["words"]),
            "dialogue": [[one["who"], one["says"]] for one in scene.get("dialogue", [])], "id": scene.get("id", ""), "negative": scene.get("negative", ""), "shape": scene.get("size", ""),
            "seed": f["seed"], "state": state or "current", "why": why, "locked": f["locked"], "picture": f["chosen"],
            "width": width, "height": height, "template": take is not None, "takes": len(f["takes"]),
            "absent": absent, "scores": scores, "check": f.get("check"), "people": None, "expected": f.get("expected", []),
        }  # fmt: skip

    def _person(self, story: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
        found = story["found"].get(one["name"])
        return {
            "name": one["name"], "description": one.get("description", ""), "noun": one.get("noun", ""),
            "wears": one.get("wears", ""), "words_only": one.get("identity") is False,
            "state": "current" if found else "empty", "why": "", "portraits": found, "kept": 13, "of": 64,
            "seed": 0, "cast": "", "look": "", "takes": [], "candidates": [], "candidate": 0,
        }  # fmt: skip

    def enqueue(
        self, story: dict[str, Any], kind: str, todo: list[tuple[int, int | None]]
    ) -> dict[str, Any]:
        """A JOB that paints (frame, seed) pairs."""
        job = {
            "id": len(self.jobs) + 1, "story": story["id"], "title": story["parsed"]["title"], "kind": kind,
            "state": "pending", "what": f"{len(todo)} frame{'s' * (len(todo) != 1)}", "message": "",
            "device": "cpu", "person": "", "created": time.time(), "started": None, "finished": None, "live": None, "todo": todo,
        }  # fmt: skip
        for index, _ in todo:
            story["frames"][index]["state"] = "queued"
        self.jobs.append(job)
        self.tell("queue", self.queue())
        self.touched(story)
        return self.job(job)

    @staticmethod
    def job(job: dict[str, Any]) -> dict[str, Any]:
        """JOB without what only the painter needs."""
        return {k: v for k, v in job.items() if k != "todo"}

    def queue(self) -> dict[str, Any]:
        """The queue: what waits and runs, then what is done."""
        ahead = [j for j in self.jobs if j["state"] in ("running", "pending")]
        ahead.sort(key=lambda j: j["state"] != "running")
        done = [j for j in self.jobs if j not in ahead][::-1]
        return {"jobs": [self.job(j) for j in ahead + done[:20]]}

    def _work(self) -> None:
        while True:
            time.sleep(0.02)
            with self.lock:
                job = next((j for j in self.jobs if j["state"] == "pending"), None)
                if job:
                    job["state"] = "running"
                    self.stories[job["story"]]["busy"] = job["id"]
                    self.tell("queue", self.queue())
            if job:
                self._run(job)

    def _run(self, job: dict[str, Any]) -> None:
        story, steps = self.stories[job["story"]], 12
        total = steps * len(job["todo"])
        todo = [
            (i, story["frames"][i], seed) for i, seed in job["todo"]
        ]  # which may move meanwhile
        for n, (index, frame, seed) in enumerate(todo):
            frame["state"] = "painting"  # which nobody is told of, as with the real server
            kinds = self.pictures.kept[self.pictures.sample[index % len(self.pictures.sample)]]
            final = kinds["template" if len(frame["takes"]) % 2 else "frame"]
            noise = Image.effect_noise(final.size, 90).convert("RGB")
            for step in range(steps):
                time.sleep(self.seconds / steps)
                if job["state"] == "cancelled":
                    break
                near = final.filter(ImageFilter.GaussianBlur(max(0.0, 9 - step)))
                out = io.BytesIO()
                Image.blend(noise, near, min(1.0, 0.25 + step / steps)).save(out, "WEBP")
                self.previews[job["id"]] = out.getvalue()
                done = n * steps + step + 1
                job["live"] = {
                    "job": job["id"], "story": story["id"], "part": f"frames/{index + 1:03d}", "calls": done,
                    "total": total, "seconds_left": (total - done) * self.seconds / steps, "preview": done,
                }  # fmt: skip
                self.tell("live", job["live"])
            with self.lock:
                if job["state"] == "cancelled":
                    for _, left, _ in todo[n:]:
                        left["state"] = ""
                    break
                self.paint(story, frame, seed)
                story["found"] |= dict.fromkeys(self.cast(frame["words"]), self.pictures.portraits)
                self.touched(story)
        with self.lock:
            job["state"] = "done" if job["state"] == "running" else job["state"]
            job["live"] = story["busy"] = None
        self.tell("queue", self.queue())
        self.touched(story)
