"""What is to be painted, in order, in one SQLite file that outlives server and workers.

Deleting the file loses the order and who is logged in, never a picture: those are in run folders.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .library import NothingError

VERSION = 1
MAX_TRIES = 5  # times that a job is taken up again without getting anywhere
MAX_PENDING = 1000
LINGERS = 60.0  # seconds for which the last preview of a finished job can still be asked for
SHOWN = 20  # finished jobs that a list has
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, story TEXT NOT NULL, title TEXT NOT NULL,
    kind TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    place REAL NOT NULL, device TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
    stop INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, finished REAL);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, place);
CREATE TABLE IF NOT EXISTS live (
    job INTEGER PRIMARY KEY, told TEXT NOT NULL, shot INTEGER NOT NULL DEFAULT 0, preview BLOB);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Job:
    """One row; ``payload`` is what `worker.paint` reads, times are seconds since 1970."""

    id: int
    story: str
    title: str
    kind: str
    payload: dict[str, Any]
    state: str
    device: str
    message: str
    created: float
    started: float | None
    finished: float | None


class Queue:
    """The queue in a file, made if it is not there; every call is one transaction."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._make()
        except sqlite3.DatabaseError:  # broken, or of another version: only the order is lost
            for old in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
                with suppress(FileNotFoundError):
                    old.rename(f"{old}.broken")
            self._make()

    def _make(self) -> None:
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
                raise sqlite3.DatabaseError("of another version")
            db.executescript(_TABLES)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _open(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.file, timeout=10, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            if writes:
                db.execute("BEGIN IMMEDIATE")
            yield db
            if writes:
                db.execute("COMMIT")
        finally:
            db.close()  # what was not committed is rolled back

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Another one after every change."""
        found = []
        for file in (self.file, Path(f"{self.file}-wal")):
            with suppress(FileNotFoundError):  # the log goes when nobody has the queue open
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_size))
        return tuple(found)

    # --- jobs ---

    def add(self, story: str, title: str, kind: str, payload: Mapping[str, Any]) -> Job:
        """A new job at the end.

        Raises:
            OverflowError: there are too many already.
        """
        with self._open(writes=True) as db:
            count, last = db.execute(
                "SELECT COUNT(*), MAX(place) FROM jobs WHERE state = 'pending'"
            ).fetchone()
            if count >= MAX_PENDING:
                raise OverflowError
            row = db.execute(
                "INSERT INTO jobs (story, title, kind, payload, place, created)"
                " VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
                (story, title, kind, json.dumps(payload), (last or 0.0) + 1, time.time()),
            ).fetchone()
            return _job(row)

    def job(self, id_: int) -> Job:
        """The job; NothingError if there is none."""
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (id_,)).fetchone()
        if row is None:
            raise NothingError
        return _job(row)

    def jobs(self, story: str | None = None, shown: int = SHOWN) -> list[Job]:
        """The running one, those that wait in order, then the last that are finished."""
        where, given = ("AND story = ?", (story,)) if story else ("", ())
        with self._open() as db:
            ahead = db.execute(
                f"SELECT * FROM jobs WHERE state IN ('running', 'pending') {where}"
                " ORDER BY state = 'pending', place, id",
                given,
            ).fetchall()
            past = db.execute(
                f"SELECT * FROM jobs WHERE state NOT IN ('running', 'pending') {where}"
                " ORDER BY finished DESC, id DESC LIMIT ?",
                (*given, shown),
            ).fetchall()
        return [_job(row) for row in [*ahead, *past]]

    def order(self, ids: Sequence[int]) -> None:
        """Puts the waiting jobs in this order; those that are not named come after."""
        with self._open(writes=True) as db:
            waiting = "SELECT id FROM jobs WHERE state = 'pending' ORDER BY place, id"
            there = [row[0] for row in db.execute(waiting)]
            named = [id_ for id_ in dict.fromkeys(ids) if id_ in there]
            rest = [id_ for id_ in there if id_ not in named]
            places = [(float(n), id_) for n, id_ in enumerate([*named, *rest], 1)]
            db.executemany("UPDATE jobs SET place = ? WHERE id = ?", places)

    def cancel(self, id_: int) -> Job:
        """Ends a job that waits; one that runs is told to stop at its next step."""
        with self._open(writes=True) as db:
            db.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'pending'",
                (time.time(), id_),
            )
            db.execute("UPDATE jobs SET stop = 1 WHERE id = ? AND state = 'running'", (id_,))
        return self.job(id_)

    # --- of workers ---

    def recover(self, device: str) -> None:
        """Puts what a dead worker of this device left back in front; called by the only living one."""
        with self._open(writes=True) as db:
            now = time.time()
            left = (device,)
            db.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? WHERE state = 'running'"
                " AND device = ? AND stop = 1",
                (now, *left),
            )
            db.execute(
                "UPDATE jobs SET state = 'failed', finished = ?, message = ?"
                " WHERE state = 'running' AND device = ? AND tries >= ?",
                (now, f"the painter died {MAX_TRIES} times at the same place", device, MAX_TRIES),
            )
            db.execute(
                "UPDATE jobs SET state = 'pending', place = place - 1e9 WHERE state = 'running'"
                " AND device = ?",
                left,
            )
            db.execute(
                "DELETE FROM live WHERE job NOT IN (SELECT id FROM jobs WHERE state = 'running')"
            )

    def claim(self, device: str) -> Job | None:
        """The next job, now running here; none of a story that is being painted elsewhere."""
        with self._open() as db:
            if db.execute("SELECT 1 FROM jobs WHERE state = 'pending' LIMIT 1").fetchone() is None:
                return None
        with self._open(writes=True) as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', device = ?, started = ?, tries = tries + 1"
                " WHERE id = (SELECT id FROM jobs WHERE state = 'pending' AND story NOT IN"
                " (SELECT story FROM jobs WHERE state = 'running') ORDER BY place, id LIMIT 1)"
                " RETURNING *",
                (device, time.time()),
            ).fetchone()
            db.execute(
                "DELETE FROM live WHERE job IN (SELECT id FROM jobs WHERE state != 'running' AND finished < ?)",
                (time.time() - LINGERS,),
            )
        return None if row is None else _job(row)

    def stopped(self, id_: int) -> bool:
        """Whether a running job is to stop."""
        with self._open() as db:
            return bool(db.execute("SELECT stop FROM jobs WHERE id = ?", (id_,)).fetchone()[0])

    def advanced(self, id_: int) -> None:
        """Something of the job is finished and will not be lost."""
        with self._open(writes=True) as db:
            db.execute("UPDATE jobs SET tries = 0 WHERE id = ?", (id_,))

    def finish(
        self, id_: int, state: str, message: str = "", calls: int = 0, seconds: float = 0.0
    ) -> None:
        """A running job is ``done``, ``failed`` or ``cancelled``; it took so many calls and seconds."""
        with self._open(writes=True) as db:
            db.execute(
                "UPDATE jobs SET state = ?, message = ?, calls = ?, seconds = ?, finished = ? WHERE id = ?",
                (state, message, calls, seconds, time.time(), id_),
            )

    def seconds_a_call(self) -> float | None:
        """Of the last jobs that painted something; None before there is one."""
        with self._open() as db:
            calls, seconds = db.execute(
                "SELECT SUM(calls), SUM(seconds) FROM (SELECT calls, seconds FROM jobs"
                " WHERE calls > 0 ORDER BY finished DESC LIMIT 5)"
            ).fetchone()
        return seconds / calls if calls else None

    # --- how the running job is ---

    def tell(self, id_: int, told: Mapping[str, Any]) -> None:
        """How far a running job is."""
        with self._open(writes=True) as db:
            db.execute(
                "INSERT INTO live (job, told) VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET told = excluded.told",
                (id_, json.dumps(told)),
            )

    def show(self, id_: int, preview: bytes) -> None:
        """What the picture of a running job looks like now."""
        with self._open(writes=True) as db:
            db.execute(
                "INSERT INTO live (job, told, shot, preview) VALUES (?, '{}', 1, ?) ON CONFLICT (job)"
                " DO UPDATE SET shot = shot + 1, preview = excluded.preview",
                (id_, preview),
            )

    def live(self) -> dict[int, dict[str, Any]]:
        """What was last told of each running job, and the number of its preview."""
        with self._open() as db:
            rows = db.execute(
                "SELECT job, told, shot FROM live JOIN jobs ON job = id WHERE state = 'running'"
            ).fetchall()
        return {r["job"]: {**json.loads(r["told"]), "preview": r["shot"] or None} for r in rows}

    def preview(self, id_: int) -> bytes:
        """The last preview of a job; NothingError if there is none.

        It outlives its job for `LINGERS` at least, as a page asks for what it was told of a moment ago.
        """
        with self._open() as db:
            row = db.execute("SELECT preview FROM live WHERE job = ?", (id_,)).fetchone()
        if row is None or row[0] is None:
            raise NothingError
        return bytes(row[0])

    # --- small things that are kept ---

    def keep(self, name: str, value: str) -> None:
        """Keeps a text by name."""
        with self._open(writes=True) as db:
            db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    def kept(self, name: str) -> str | None:
        """The text of that name."""
        with self._open() as db:
            row = db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def forget(self, name: str) -> bool:
        """Whether there was a text of that name; there is none now."""
        with self._open(writes=True) as db:
            return db.execute("DELETE FROM kept WHERE name = ?", (name,)).rowcount > 0


def _job(row: sqlite3.Row) -> Job:
    own = {k: row[k] for k in Job.__dataclass_fields__}
    return Job(**{**own, "payload": json.loads(row["payload"])})
