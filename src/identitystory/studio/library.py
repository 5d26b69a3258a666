"""The stories of one user: a folder for each, with its text, its run, and what was asked of both.

Ids stand for folders everywhere above this file, and no path comes from outside.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any

from ..errors import RunError, StoryError, one_line
from ..runs import audition, inside
from ..runs.characters.casting import StoryCast
from ..runs.files import canonical, read, write_whole
from ..runs.options import new_request
from ..runs.request import RunRequest
from ..settings import Overrides
from ..story.document import MAX_BYTES
from ..story.plain import plain_json
from ..types import Story
from .texts import SOURCE, checked_text, story_of

MAX_STORIES = 5000


class NothingError(Exception):
    """There is no such story, job or picture, or it is nobody's business."""


class TooLargeError(Exception):
    """More than a story may have."""


class ChangedError(Exception):
    """The text is no longer the one that the caller saw."""


@dataclass(frozen=True)
class Settings:
    """What is asked for instead of the run's own; None leaves that.

    Attributes:
        preset: see `presets.PRESETS`.
        method: see `methods.registry.METHODS`.
        model: a built-in name.
        steps: sampling steps.
        portraits: portraits a character.
        guidance: how closely pictures keep to their words.
    """

    preset: str | None = None
    method: str | None = None
    model: str | None = None
    steps: int | None = None
    portraits: int | None = None
    guidance: float | None = None


@dataclass(frozen=True)
class Entry:
    """One story: its text as it is written, right or wrong, and where its run is."""

    id: str
    folder: Path
    text: str
    settings: Settings

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "run"

    @property
    def revision(self) -> str:
        """Tells this text from every other."""
        return sha256(self.text.encode()).hexdigest()[:16]

    def story(self) -> Story:
        """What the text tells.

        Raises:
            StoryError: something in it is wrong.
        """
        return story_of(self.text)

    def request(self, device: str = "auto", **more: Any) -> RunRequest:
        """What painting the story asks for; ``more`` as `runs.options.new_request`.

        Raises:
            IdentityStoryError: the text or a setting is wrong, or the run is of another format.
        """
        s, cast = self.settings, StoryCast()
        request = new_request(
            story_of(self.text, cast),
            self.run,
            Overrides(steps=s.steps, portraits=s.portraits, guidance=s.guidance),
            preset_name=s.preset,
            method=s.method,
            model=s.model,
            device=device,
            file=self.folder / SOURCE,
            **more,
        )
        # Portraits in which several people were looked for are those of the one face, too.
        cache = shared if (shared := audition.shared(self.run)).folder.is_dir() else None
        return replace(request, people=cast.people, cache=cache)


class Library:
    """The stories in ``root``, which is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = RLock()  # of one server; others see whole files in any case
        (root / "stories").mkdir(parents=True, exist_ok=True)

    def ids(self) -> list[str]:
        """Those of all stories, the last changed first."""
        found = []
        with os.scandir(self.root / "stories") as entries:
            for entry in entries:
                if _is_id(entry.name) and entry.is_dir(follow_symlinks=False):
                    with suppress(OSError):
                        found.append((os.stat(f"{entry.path}/{SOURCE}").st_mtime_ns, entry.name))
        return [name for _, name in sorted(found, reverse=True)]

    def runs(self) -> Iterator[tuple[str, Path]]:
        """Id and run folder of every story, those that were put aside too."""
        for parent in (self.root / "stories", self.root / "deleted"):
            for folder in parent.glob("*"):
                if _is_id(folder.name) and folder.is_dir() and not folder.is_symlink():
                    yield folder.name, folder / "run"

    def entry(self, id_: str) -> Entry:
        """The story called ``id_``.

        Raises:
            NothingError: there is none.
        """
        folder = self._folder(id_)
        try:
            text = read(folder / SOURCE, self.root, most=MAX_BYTES).decode()
        except (OSError, RunError, UnicodeDecodeError):
            raise NothingError from None
        settings = Settings()
        with suppress(OSError, RunError, ValueError, TypeError):
            settings = Settings(**plain_json(read(folder / "settings.json", self.root)))
        return Entry(id_, folder, text, settings)

    def nobodys(self) -> Entry:
        """A story that is not there yet, without a word or a picture."""
        return Entry("", self.root / "stories" / "-", "", Settings())

    def add(self, text: str, run: Callable[[Path], None] | None = None) -> Entry:
        """A new story with this text, right or wrong.

        Args:
            text: of the story.
            run: makes its run folder before anybody sees the story; None leaves that to painting.

        Raises:
            StoryError: it is too large or no text, or there are too many stories.
        """
        if len(self.ids()) >= MAX_STORIES:
            raise StoryError(f"there are {MAX_STORIES:,} stories here already; delete some")
        id_ = secrets.token_hex(6)
        folder = self.root / "stories" / id_
        if run is not None:
            run(folder / "run")
        self._write(folder / SOURCE, text)
        return self.entry(id_)

    def save(self, id_: str, text: str, revision: str) -> Entry:
        """The story with another text.

        Raises:
            NothingError: there is no such story.
            ChangedError: its text is not the one of ``revision`` any more.
            StoryError: it is too large or no text.
        """
        with self.lock:
            entry = self.entry(id_)
            check_revision(entry, revision)
            if text != entry.text:
                self._write(entry.folder / SOURCE, text)
            return self.entry(id_)

    def settle(self, id_: str, settings: Settings) -> Entry:
        """The story with other settings, checked by making a request of them if its text is right.

        Raises:
            NothingError: there is no such story.
            ConfigError: a setting is wrong.
        """
        entry = replace(self.entry(id_), settings=settings)
        with suppress(StoryError):
            entry.request()
        content = canonical(asdict(settings)).encode()
        write_whole(entry.folder / "settings.json", content, self.root)
        return entry

    def remove(self, id_: str) -> None:
        """Puts a story aside, from where `restore` brings it back."""
        aside = self.root / "deleted"
        aside.mkdir(exist_ok=True)
        os.replace(self._folder(id_), aside / id_)

    def restore(self, id_: str) -> Entry:
        """Brings back a story that was put aside.

        What a painter wrote in its old place before it stopped is deleted; one that has not stopped yet goes
        on in the story's own run, whose lock it still holds.

        Raises:
            NothingError: none of this id was put aside.
        """
        aside, place = self.root / "deleted" / id_, self.root / "stories" / id_
        with self.lock:
            if not _is_id(id_) or not aside.is_dir() or (place / SOURCE).exists():
                raise NothingError
            inside.remove(place, self.root)
            os.replace(aside, place)
            return self.entry(id_)

    def said(self, error: Exception) -> str:
        """A mistake on one line, which does not tell where the library is."""
        inside = rf"{re.escape(str(self.root))}/(stories/[0-9a-f]{{12}}/)?"
        return one_line(re.sub(inside, "", str(error)))

    def _folder(self, id_: str) -> Path:
        folder = self.root / "stories" / id_
        if not _is_id(id_) or not folder.is_dir() or folder.is_symlink():
            raise NothingError
        return folder

    def _write(self, path: Path, text: str) -> None:
        write_whole(path, checked_text(text), self.root)


def _is_id(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{12}", name) is not None


def check_revision(entry: Entry, revision: str) -> None:
    """Nothing, if ``revision`` is that of the text; ChangedError otherwise."""
    if revision != entry.revision:
        raise ChangedError


def default_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a user's stories are unless they say otherwise: XDG's folder for data."""
    home = environment.get("XDG_DATA_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    return base / "identitystory" / "studio"
