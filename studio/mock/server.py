"""A stand-in for the studio's server, with made-up state: for work on the page, and for its tests.

    python studio/mock/server.py --run runs/lighthouse --port 8765

It answers as docs/studio_api.md says, paints nothing, and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parent))
from stories import ANCHOR, STORM, Refusal, checked, edited, toml
from world import World

STATIC = Path(__file__).parents[2] / "src/identitystory/studio/static"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
EXPORTS = ["comic", "storyboard", "contact", "cbz", "epub", "mp4", "gif", "html", "otio", "edl"]


class Handler(BaseHTTPRequestHandler):
    """One request; the world is the server's."""

    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _send(
        self, body: bytes, kind: str = "application/json", status: int = 200, **more: str
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
        }
        for name, value in (headers | more).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Files, pictures, events and JSON."""
        path = unquote(urlsplit(self.path).path)
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if path == "/api/events":
            return self._events()
        if not path.startswith("/api/"):
            file = STATIC / path.lstrip("/")
            file = file if file.is_file() else STATIC / "index.html"
            return self._send(file.read_bytes(), TYPES[file.suffix])
        parts = path.split("/")[2:]
        if parts[:1] == ["stories"] and parts[2:3] == ["pictures"]:
            width = int(query.get("width", 0))
            body = self.world.pictures.file(parts[3], query.get("kind", "frame"), width)
            kind = "image/webp" if width else "image/png"
            return self._send(body, kind, Cache_Control="max-age=31536000, immutable")
        if parts[:1] == ["jobs"] and parts[2:] == ["preview"]:
            return self._send(self.world.previews.get(int(parts[1]), b""), "image/webp")
        if parts[2:3] == ["export"]:
            return self._send(
                b"%PDF-1.4", "application/pdf", Content_Disposition="attachment; filename=story.pdf"
            )
        return self._json("GET", parts)

    def do_POST(self) -> None:
        """What changes something."""
        self._json(self.command, urlsplit(self.path).path.split("/")[2:])

    do_PUT = do_DELETE = do_POST  # noqa: N815

    def _json(self, method: str, parts: list[str]) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with self.world.lock:
                if parts == ["import"]:
                    story = self.world.add(raw.decode())
                    answer: Any = {"story": self.world.shown(story), "told": [], "fill_in": []}
                else:
                    answer = self._answer(method, parts, json.loads(raw or b"{}"))
            self._send(json.dumps(answer).encode())
        except Refusal as error:
            self._send(json.dumps(error.body).encode(), status=error.status)

    def _answer(self, method: str, parts: list[str], body: dict[str, Any]) -> Any:
        world = self.world
        match parts:
            case ["session"]:
                return {"open": True}
            case ["options"]:
                exports = [{"kind": kind, "there": kind != "otio"} for kind in EXPORTS]
                return {
                    "version": "mock", "presets": ["miniature", "paper", "fast"], "methods": ["identitystory"],
                    "models": ["miniature"], "exports": exports, "tour": world.tour,
                }  # fmt: skip
            case ["tour", "done"]:
                world.tour = False
                return None
            case ["check"]:
                return {"problem": checked(body["text"])[1], "advice": []}
            case ["queue"]:
                if method == "PUT":
                    world.jobs.sort(
                        key=lambda j: (
                            (body["order"] + [j["id"]]).index(j["id"])
                            if j["state"] == "pending"
                            else -1
                        )
                    )
                    world.tell("queue", world.queue())
                return world.queue()
            case ["jobs", number, verb]:
                job = world.jobs[int(number) - 1]
                if verb == "again":
                    return world.enqueue(world.stories[job["story"]], job["kind"], job["todo"])
                if job["state"] == "pending":
                    for index, _ in job["todo"]:
                        world.stories[job["story"]]["frames"][index]["state"] = ""
                job["state"] = "cancelled"
                world.tell("queue", world.queue())
                world.touched(world.stories[job["story"]])
                return world.job(job)
            case ["characters"]:
                return {"characters": []}
            case ["stories"]:
                if method == "POST":
                    title = body.get("title") or "A new story"
                    text = body.get("text") or toml(
                        ANCHOR
                        | {"title": title, "scene": [{"prompt": "a portrait of {Mara} on a beach"}]}
                    )
                    return world.shown(world.add(text))
                return {"stories": [self._listed(s) for s in world.stories.values()]}
            case ["stories", id_, *rest]:
                if id_ not in world.stories:
                    raise Refusal(404, "nothing", "There is no such story.")
                return self._story(method, world.stories[id_], rest, body)
        raise Refusal(404, "nothing", "There is nothing here.")

    @staticmethod
    def _listed(story: dict[str, Any]) -> dict[str, Any]:
        chosen = [f["chosen"] for f in story["frames"]]
        return {
            "id": story["id"], "title": story["parsed"]["title"], "frames": len(chosen), "changed": "2026-11-29T12:00:00Z",
            "painted": sum(c is not None for c in chosen), "picture": chosen[0] if chosen else None, "busy": story["busy"] is not None,
        }  # fmt: skip

    def _story(
        self, method: str, story: dict[str, Any], rest: list[str], body: dict[str, Any]
    ) -> Any:
        world = self.world
        if body.get("revision", str(story["revision"])) != str(story["revision"]):
            raise Refusal(409, "conflict", "The story was changed elsewhere: load it again.")
        match rest:
            case []:
                if method == "DELETE":
                    del world.stories[story["id"]]
                    world.tell("stories", {})
                    return None
                return world.shown(story)
            case ["text"]:
                world.write(story, body["text"])
            case ["edit"]:
                world.write(story, edited(story, body["edits"]))
            case ["settings"]:
                story["settings"] = body
            case ["cost"]:
                count = body.get("reroll", 0)
                old = {f["words"] for f in story["frames"]}
                new = (checked(body["text"])[0] or {"scene": []})["scene"] if "text" in body else []
                changed = [i for i, s in enumerate(new) if s.get("prompt") not in old]
                painted = {"prompt", "negative", "size", "aspect", "wears", "pose"}
                edits = [e for e in body.get("edits", []) if e["do"] == "scene"]
                changed += [e["index"] for e in edits if painted & set(e["set"])]
                return world.cost(changed or body.get("only", []) * max(1, count))
            case ["paint"]:
                todo = body.get("only", world.shown(story)["cost"]["frames"])
                return world.enqueue(story, "paint", [(i, None) for i in todo])
            case ["reroll"]:
                seeds = body.get("seeds") or [None] * body.get("count", 1)
                places = body["indexes"]
                return world.enqueue(story, "reroll", [(i, s) for i in places for s in seeds])
            case ["find"]:
                return world.enqueue(story, "paint", [])
            case ["check"]:
                return world.enqueue(story, "check", [])
            case ["scenes", index, verb]:
                frame = story["frames"][int(index)]
                if verb == "takes":
                    takes = [
                        {
                            **t,
                            "number": n,
                            "chosen": t["picture"] == frame["chosen"],
                            "same_words": t["words"] == frame["words"],
                            "scores": None,
                        }
                        for n, t in enumerate(frame["takes"], 1)
                    ]
                    return {"takes": takes}
                if verb == "choose":
                    frame["chosen"] = body["picture"]
                else:
                    frame["locked"] = body["locked"]
            case _:
                raise Refusal(404, "nothing", "There is nothing here.")
        return world.touched(story)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        mine: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        mine.put(("hello", {"version": "mock", "started": self.world.started}))
        self.world.listeners.append(mine)
        try:
            while True:
                try:
                    event, data = mine.get(timeout=10)
                    self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
                except queue.Empty:
                    self.wfile.write(b": \n\n")
                self.wfile.flush()
        except OSError:
            self.world.listeners.remove(mine)


def looked(
    *faults: str, suspicion: float = 0.0, **people: tuple[str, float | None]
) -> dict[str, Any]:
    """CHECK of the contract."""
    return {
        "suspicion": suspicion, "faults": [*faults], "marks": {name: mark for name, (mark, _) in people.items()},
        "likeness": {name: alike for name, (_, alike) in people.items()},
    }  # fmt: skip


def serve(port: int, run: Path | None, seconds: float, big: int = 0) -> ThreadingHTTPServer:
    """A server that is bound, with the lighthouse and, if asked for, a story of `big` frames."""
    world = World(run, seconds)
    scenes = [{"prompt": p, "caption": c} for p, c in ANCHOR["scene"]]
    world.add(toml(ANCHOR | {"scene": scenes}), painted=len(scenes))
    storm = [{"prompt": p, "caption": c} for p, c in STORM]
    every = world.add(toml(ANCHOR | {"title": "The storm", "scene": storm}), painted=6)["frames"]
    every[1]["takes"][0]["words"] = "{Mara} in a forest"
    every[2]["locked"] = True
    every[3]["absent"] = ["Tom"]
    every[4]["state"] = "failed"
    every[0]["check"] = looked(Mara=("own", 0.91))
    every[3]["check"] = looked(
        "Tom is not there", suspicion=3.0, Mara=("unsure", 0.62), Tom=("unseen", None)
    )
    every[3]["expected"] = [
        {"line": "two people", "holds": False, "read": "1 seen"},
        {"line": "at sunset", "holds": True, "read": ""},
    ]
    if big:
        many = [
            {"prompt": f"{p}, {i}", "caption": c}
            for i in range(big)
            for p, c in [ANCHOR["scene"][i % 6]]
        ]
        world.add(toml(ANCHOR | {"title": "The long winter", "scene": many}), painted=big)
    handler = type("Here", (Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a stand-in for the studio's server")
    parser.add_argument("--run", type=Path, help="a finished run folder, for its pictures")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--seconds", type=float, default=6.0, help="that a frame takes")
    parser.add_argument("--big", type=int, default=0, help="frames of a second story")
    a = parser.parse_args()
    server = serve(a.port, a.run, a.seconds, a.big)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
