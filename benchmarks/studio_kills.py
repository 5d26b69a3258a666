"""Kills the studio's server and its worker while the miniature paints, and counts what is lost.

    .venv/bin/python benchmarks/studio_kills.py --moments 20 --out runs/studio_kills

Each moment is a job of one frame, killed after another part of the time that it takes; then the server
is started again and nothing else is done. Every picture must be there at the end, byte for byte as an
undisturbed studio paints it, and so must every story, job and event.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path

TEXT = """title = "Killed"

[[character]]
name = "Mara"
description = "a young woman with long red hair"

[[scene]]
prompt = "a portrait of {Mara} in a library"
"""
SETTINGS = {"steps": 6, "portraits": 4}


class Server:
    """A studio on a library, started and killed."""

    def __init__(self, library):
        self.library = library
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        command = [sys.executable, "-m", "identitystory", "studio", "--no-open"]
        command += ["--library", str(self.library), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not self.answers():
            time.sleep(0.1)

    def answers(self):
        try:
            return bool(self.ask("GET", "/api/options"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        asked = urllib.request.Request(url, data, kind, method=method)
        with urllib.request.urlopen(asked, timeout=600) as answer:
            content = answer.read()
            is_json = answer.headers["content-type"] == "application/json"
            return json.loads(content) if is_json and content else content

    def workers(self):
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(children).read_text().split()]

    def kill(self, first):
        """kill -9, the server or its worker first."""
        pids = [self.process.pid, *self.workers()]
        for pid in pids if first == "server" else reversed(pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def wait(self):
        """Until nothing is left to be done."""
        while any(
            j["state"] in ("pending", "running") for j in self.ask("GET", "/api/queue")["jobs"]
        ):
            time.sleep(0.2)

    def story(self):
        """A story of one frame, painted, with nothing else in the library."""
        for job in self.ask("GET", "/api/queue")["jobs"]:
            self.ask("POST", f"/api/jobs/{job['id']}/cancel", {})
        made = self.ask("POST", "/api/stories", {"text": TEXT})
        made = self.ask("PUT", f"/api/stories/{made['id']}/settings", SETTINGS)
        self.ask("POST", f"/api/stories/{made['id']}/paint", {"revision": made["revision"]})
        self.wait()
        return made

    def reroll(self, story, seed):
        asked = {"revision": story["revision"], "indexes": [0], "seeds": [seed]}
        return self.ask("POST", f"/api/stories/{story['id']}/reroll", asked)

    def pictures(self, story):
        """The hash of each take by its seed."""
        found = self.ask("GET", f"/api/stories/{story['id']}/scenes/0/takes")["takes"]
        where = f"/api/stories/{story['id']}/pictures"
        return {
            t["seed"]: sha256(self.ask("GET", f"{where}/{t['picture']}")).hexdigest() for t in found
        }


def main():
    """Kills at every moment, and tells what was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/studio_kills"))
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    seeds = list(range(1, given.moments + 1))

    quiet = Server(given.out / "undisturbed")
    story = quiet.story()
    quiet.reroll(story, 1)
    quiet.wait()
    began = time.monotonic()
    for seed in seeds[1:]:
        quiet.reroll(story, seed)
    quiet.wait()
    each = (time.monotonic() - began) / max(1, len(seeds) - 1)
    right = quiet.pictures(story)
    quiet.kill("worker")

    server = Server(given.out / "killed")
    story = server.story()
    events = given.out / "killed/stories" / story["id"] / "run/events.jsonl"
    lost = []
    for number, seed in enumerate(seeds):
        before = events.read_bytes()
        job = server.reroll(story, seed)
        while server.ask("GET", "/api/queue")["jobs"][0]["state"] == "pending":
            time.sleep(0.01)
        time.sleep(1.2 * each * number / len(seeds))
        server.kill("server" if number % 2 else "worker")
        server.start()
        server.wait()
        state = next(j for j in server.ask("GET", "/api/queue")["jobs"] if j["id"] == job["id"])
        found = server.pictures(story).get(seed)
        whole = found == right[seed] and state["state"] == "done"
        whole = whole and events.read_bytes().startswith(before)
        lost += [] if whole else [(seed, state["state"], found, right[seed])]
        print(f"moment {number + 1}: {'nothing lost' if whole else 'LOST'}", flush=True)
    server.kill("server")
    time.sleep(2)
    print(f"{len(seeds) - len(lost)} of {len(seeds)} moments lost nothing; {each:.1f} s a frame")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
