"""Works the studio in a loop for a while, and tells whether its memory grows.

    .venv/bin/python benchmarks/studio_soak.py --minutes 480 --out runs/studio_soak

Each round is a short story as a user makes one: written, painted, edited, put in another order, a frame
re-rolled, locked, looked at, handed out as a comic and a web page, and deleted; a page listens to the events
all the while. The first rounds load and fill what is kept, so memory is taken after them and at the end: the
least that was seen in a few rounds, of the server and of its worker. More than 10 % of growth is a failure.
Several may work side by side, each in its folder, with a ``--pause`` that leaves the others room.
"""

import argparse
import json
import shutil
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

from studio_kills import Server

SETTINGS = {"steps": 2, "portraits": 2}
WARM = 6  # rounds before the first measure
SOME = 4  # rounds that a measure is the least of
MOST = 1.10
TEXT = """title = "Round {n}"

[[character]]
name = "Mara"
description = "a young woman with long red hair"

[[scene]]
prompt = "a portrait of {{Mara}} in a library"

[[scene]]
prompt = "a portrait of {{Mara}} on a beach, {n}"
"""


def resident(pid):
    """MiB of a process that are its own and in memory."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kept = [
        int(row.split()[1]) for row in rows if row.startswith(("Private_Clean", "Private_Dirty"))
    ]
    return sum(kept) / 1024


def listen(server, heard):
    """A page's stream of events, read until the server ends."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/events") as lines:
            for _ in lines:
                heard[0] += 1
    except OSError:
        pass


def one_round(server, n):
    """A story from nothing to nothing."""
    story = server.ask("POST", "/api/stories", {"text": TEXT.format(n=n)})
    path = f"/api/stories/{story['id']}"
    server.ask("PUT", f"{path}/settings", SETTINGS)
    server.ask("POST", f"{path}/paint", {"revision": story["revision"]})
    server.wait()
    edits = [
        {"do": "order", "scenes": [1, 0]},
        {"do": "scene", "index": 0, "set": {"caption": f"Round {n}", "notes": "more light"}},
        {"do": "story", "set": {"title": f"Round {n}, again"}},
    ]
    asked = {"revision": story["revision"], "edits": edits}
    server.ask("POST", f"{path}/cost", asked)
    story = server.ask("POST", f"{path}/edit", asked)
    server.ask(
        "POST", f"{path}/reroll", {"revision": story["revision"], "indexes": [0], "count": 2}
    )
    server.wait()
    lock = {"revision": story["revision"], "locked": True}
    story = server.ask("POST", f"{path}/scenes/0/lock", lock)
    for frame in story["frames"]:
        for width in (0, 160, 640):
            server.ask("GET", f"{path}/pictures/{frame['picture']}?width={width}")
        server.ask("GET", f"{path}/scenes/{frame['index']}/takes")
    for kind in ("comic", "html"):
        server.ask("GET", f"{path}/export/{kind}")
    server.ask("GET", "/api/stories")
    server.ask("DELETE", path)
    shutil.rmtree(server.library / "deleted", ignore_errors=True)


def main():
    """Works for so many minutes, and tells what the memory was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two rounds")
    parser.add_argument("--out", type=Path, default=Path("runs/studio_soak"))
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    server, heard = Server(given.out), [0]
    threading.Thread(target=listen, args=(server, heard), daemon=True).start()
    began, rows = time.monotonic(), []
    while time.monotonic() - began < 60 * given.minutes or len(rows) < WARM + 2 * SOME:
        one_round(server, len(rows))
        [worker] = server.workers()
        rows.append({"server": resident(server.process.pid), "worker": resident(worker)})
        told = ", ".join(f"{name} {value:.0f} MiB" for name, value in rows[-1].items())
        print(f"{(time.monotonic() - began) / 60:.1f} min, round {len(rows)}: {told}", flush=True)
        time.sleep(given.pause)
    server.process.send_signal(signal.SIGINT)
    server.process.wait()
    grown = {}
    for name in rows[0]:
        first = min(row[name] for row in rows[WARM : WARM + SOME])
        last = min(row[name] for row in rows[-SOME:])
        grown[name] = last / first
        print(
            f"{name}: {first:.0f} MiB after {WARM} rounds, {last:.0f} at the end: {last / first:.3f}"
        )
    print(f"{len(rows)} rounds, {heard[0]:,} lines of events")
    (given.out / "memory.json").write_text(json.dumps(rows))
    return int(max(grown.values()) > MOST)


if __name__ == "__main__":
    sys.exit(main())
