"""What the routes stand on: one library, one queue, one service, and what is done with the three."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError, ModelError, RunError
from ..protocols import Backend
from ..runs import takes as kept
from ..runs.folder import RunFolder, frame_part
from ..runs.looking import eyes
from ..runs.places import recorded_places
from ..runs.request import recorded
from ..runs.service import Service
from . import costs, example, pictures
from .board import Board
from .edits import edited
from .library import Entry, Library, NothingError, check_revision
from .queue import Job, Queue
from .texts import entries_of, title_of


class Desk:
    """The studio's state: all of it is in files below ``root``.

    Attributes:
        started: when this server was; a page that sees another knows that there was a new start.
        ended: whether it is about to end.
    """

    def __init__(
        self,
        root: Path,
        service: Service,
        device: str,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self.library, self.queue = Library(root), Queue(root / "queue.sqlite")
        self.service, self.device, self.ended = service, device, ended
        self.started = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self.queue.kept("begun") is None:
            self.queue.keep("begun", self.started)
            if not self.library.ids():
                self.library.add(example.text(), example.run)

    @property
    def hello(self) -> dict[str, Any]:
        """The first event of a stream."""
        return {"version": __version__, "started": self.started}

    def seen(self, id_: str, revision: str | None) -> Entry:
        """The story, if its text is still the one of ``revision`` (None takes any).

        Raises:
            NothingError: there is none.
            ChangedError: it is another text.
        """
        entry = self.library.entry(id_)
        if revision is not None:
            check_revision(entry, revision)
        return entry

    def board(self, entry: Entry) -> Board:
        """The story as it stands."""
        return Board(entry, self.service, self.queue, self.device)

    def rows(self) -> list[dict[str, Any]]:
        """All stories, in few words."""
        busy = {job.story for job in self.queue.jobs(shown=0)}
        found = []
        for id_ in self.library.ids():
            try:
                entry = self.library.entry(id_)
                written = (entry.folder / "story.toml").stat().st_mtime
            except (NothingError, OSError):  # deleted meanwhile
                continue
            index = pictures.index(entry.run)
            here = [
                key
                for (key, kind), it in index.items()
                if not kind and it.path.parent.name == "frames"
            ]
            changed = datetime.fromtimestamp(written, UTC)
            found.append(
                {
                    "id": id_,
                    "title": title_of(entry.text),
                    "frames": sum(line.strip() == "[[scene]]" for line in entry.text.splitlines()),
                    "painted": len(here),
                    "picture": here[0] if here else None,
                    "changed": changed.isoformat(timespec="milliseconds"),
                    "busy": id_ in busy,
                }
            )
        return found

    # --- painting ---

    def paint(
        self, id_: str, revision: str | None, only: Sequence[int] = (), cast_only: bool = False
    ) -> Job:
        """A job that paints what is not there.

        Raises:
            IdentityStoryError: that would fail for a reason which the user can mend.
        """
        entry = self.seen(id_, revision)
        board = self.right(entry, only)
        if cast_only:
            self.service.check(replace(entry.request(self.device), paint=False))
            return self.add(board, "paint", [{}], [], "the cast", cast_only=True)
        frames = costs.cost(board, only)["frames"]
        if not frames:
            raise ConfigError("nothing is to be painted: every picture is there")
        self.service.check(entry.request(self.device, only=tuple(frames)))
        return self.add(board, "paint", [{"only": list(only)}], frames, _frames(len(frames)))

    def reroll(self, id_: str, revision: str, indexes: Sequence[int], seeds: Sequence[int]) -> Job:
        """A job that paints scenes with each of the ``seeds``; every picture stays as a take."""
        entry = self.seen(id_, revision)
        only = sorted(set(indexes))
        board = self.right(entry, only)
        self.service.check(entry.request(self.device, only=tuple(only), seed=seeds[0]))
        runs = [{"only": only, "seed": seed} for seed in seeds]
        many = f" with {len(seeds)} seeds" if len(seeds) > 1 else " anew"
        return self.add(board, "reroll", runs, only, _frames(len(only)) + many)

    def check(self, id_: str, revision: str) -> Job:
        """A job that looks at the finished pictures of the last run for who is in them, and what is wrong.

        Raises:
            IdentityStoryError: there is none, or another checkpoint painted them.
        """
        entry = self.seen(id_, revision)
        board = self.board(entry)
        if not any(frame["picture"] for frame in board.frames()):
            raise ConfigError("nothing is painted yet that could be looked at")
        eyes(self.service, entry.run)
        return self.add(board, "check", [{}], [], "the pictures", check={})

    def recast(self, id_: str, old: str, new: str) -> None:
        """Writes the new name of somebody of the user's library where a story has the old one."""
        entry = self.library.entry(id_)
        named = [name for name, own in entries_of(entry.text).items() if own.get("cast") == old]
        edits = [{"do": "character", "name": name, "set": {"cast": new}} for name in named]
        if edits:
            self.library.save(id_, edited(entry.text, edits), entry.revision)

    def again(self, id_: int) -> Job:
        """A job once more, as it was asked for."""
        job = self.queue.job(id_)
        self.library.entry(job.story)
        return self.queue.add(job.story, job.title, job.kind, job.payload)

    def right(self, entry: Entry, only: Sequence[int]) -> Board:
        """The board of a story that can be painted."""
        board = self.board(entry)
        if board.made is None:
            raise board.error or ConfigError("the story cannot be painted")
        for n in only:
            if n >= len(board.made.frames):
                raise ConfigError(
                    f"there is no scene {n + 1}; this story has scenes 1 to {len(board.made.frames)}"
                )
        return board

    def add(
        self,
        board: Board,
        kind: str,
        runs: list[dict[str, Any]],
        frames: Sequence[int],
        what: str,
        **more: Any,
    ) -> Job:
        """A job of this kind at the end of the queue, for the story as it is now.

        Args:
            board: of the story.
            kind: what is done.
            runs: what is asked for in each run, see `worker.Worker`.
            frames: scenes that are painted, by their index.
            what: the job in a few words.
            more: what else the worker reads, by name.
        """
        entry, made = board.entry, board.made
        places = made.places if made else ()
        payload = {
            "text": entry.text,
            "settings": asdict(entry.settings),
            "runs": runs,
            "parts": {frame_part(n): places[n] for n in frames},
            "what": what,
            **more,
        }
        title = board.story.title if board.story else "Untitled"
        return self.queue.add(entry.id, title, kind, payload)

    def told(self, job: Job, live: dict[int, dict[str, Any]] | None = None) -> dict[str, Any]:
        """JOB of the contract."""
        told = {k: v for k, v in asdict(job).items() if k != "payload"}
        return told | {
            "what": job.payload["what"],
            "person": (job.payload.get(job.kind) or {}).get("name", ""),
            "live": (self.queue.live() if live is None else live).get(job.id),
        }

    def jobs(self) -> dict[str, Any]:
        """The queue."""
        live = self.queue.live()
        return {"jobs": [self.told(job, live) for job in self.queue.jobs()]}

    # --- takes and locks ---

    def choose(self, id_: str, index: int, revision: str, key: str) -> Entry:
        """Makes a take the picture of scene ``index``.

        Raises:
            BusyError: the run is being written.
            RunError: it is no take of that scene.
        """
        entry, old = self._place(id_, index, revision)
        request = recorded(entry.run)
        scene = request.story.scenes[old]
        found = [take.key for take in kept.takes_of(kept.takes(RunFolder(entry.run)), scene)]
        if key not in found:
            raise RunError(f"that is no take of scene {index + 1} as it was painted last")
        kept.choose(entry.run, old, found.index(key) + 1)
        quiet = Service(load=_no_model, describe=self.service.describe)
        for _ in quiet.run(replace(request, only=(old,))):
            pass
        return entry

    def lock(self, id_: str, index: int, revision: str, locked: bool) -> Entry:
        """Locks or unlocks the picture that scene ``index`` shows.

        Raises:
            BusyError: the run is being written.
            RunError: it has none.
        """
        entry, old = self._place(id_, index, revision)
        board = self.board(entry)
        key = board.frames()[index]["picture"] or ""
        aside = bool(key) and pictures.found(entry.run, key, "frame").path.parent.name == "takes"
        kept.lock(entry.run, old, locked, key if locked and aside else "")
        return entry

    def _place(self, id_: str, index: int, revision: str) -> tuple[Entry, int]:
        """The story, and where its scene ``index`` stood in the last run."""
        entry = self.seen(id_, revision)
        board = self.right(entry, [index])
        old = recorded_places(board.record).get(board.made.places[index]) if board.made else None
        if old is None:
            raise RunError(f"scene {index + 1} has no finished picture; paint it first")
        return entry, old


def random_seeds(count: int) -> list[int]:
    """New seeds."""
    return [secrets.randbelow(2**32) for _ in range(count)]


def _frames(count: int) -> str:
    return f"{count} frame{'s' * (count > 1)}"


def _no_model(model: str, **options: Any) -> Backend:
    raise ModelError("this picture is not whole any more; paint it anew")
