"""What the worker does for the cast: looks for other people of the same words, keeps somebody in the library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..errors import ConfigError
from ..runs import audition, faces, inside
from ..runs.characters import archive, library
from ..runs.characters.making import of_search
from ..runs.events import Emit, Event, StepDone, stream
from ..runs.folder import RunFolder, opened, read_record
from ..runs.plan import Part
from ..runs.request import RunRequest, in_precision
from ..runs.service import Service
from ..sampling import watched
from ..types import Character, Scene, Story
from . import pictures
from .library import Entry
from .plans import planned

BESIDE = "search"  # the folder of a story in which another face is looked for


def search(service: Service, entry: Entry, device: str, name: str, seed: int) -> Iterator[Event]:
    """Looks for the face of ``name`` with another seed; what is found becomes one of its takes.

    The story, its run.json and its pictures stay as they are. A search that was cut off goes on where
    it was.

    Raises:
        BusyError: the run is being written; what was found waits, and is not looked for again.
        IdentityStoryError: as `Service.run`.
    """
    request = entry.request(device, paint=False)
    who = replace(audition.own(request.story.character(name)), seed=seed)
    scene = Scene(who.description, (name,), f"{{{name}}}")
    beside = entry.folder / BESIDE
    alone = replace(
        request, story=Story(request.story.title, (who,), (scene,)), out=beside, locked={}
    )
    yield from service.run(alone)
    with opened(entry.run) as folder:
        faces.bring(folder, RunFolder(beside), name)
    inside.remove(beside, entry.folder)


def keep(service: Service, entry: Entry, device: str, name: str, called: str) -> Iterator[Event]:
    """Puts the face that a story has for ``name`` into the user's library, ``called`` so.

    The portraits that it was found in are painted again, at full size.

    Raises:
        ConfigError: somebody is called so, or no face was found.
        IdentityStoryError: as `runs.characters.making.of_search`.
    """
    library.free(called)  # before minutes of painting
    request = entry.request(device)
    part = face(service, entry, request, name)
    if request.story.character(name).face:
        return stream(lambda emit: _keep_chosen(entry, request.story.character(name), called))

    sheet = pictures.found(entry.run, part.key, "portraits").path
    file = sheet.with_suffix(".safetensors")
    kept, of = pictures.portraits(file, entry.run)

    def work(emit: Emit) -> None:
        steps = Steps(emit, part.name, sum(part.pieces.values()) * kept // max(1, of))
        facts = service.describe(request.painted_with, request.device, request.dtype)
        facts = in_precision(facts, request.dtype, request.preset)
        load = lambda *asked, **more: watched(service.load(*asked, **more), steps)
        who = request.story.character(name)
        library.add(of_search(request, who, part.seed, file, facts, load), called)

    return stream(work)


def _keep_chosen(entry: Entry, who: Character, called: str) -> None:
    """Puts a candidate who was taken into the library: their file is in the run already."""
    file = RunFolder(entry.run).identity(who.name).with_suffix(archive.SUFFIX)
    person = archive.open_file(file, entry.run) if file.is_file() else None
    if person is None or person.face != who.face:
        raise ConfigError(f"the file of {who.name!r} is not in this run any more; take them again")
    library.add(person, called)


def face(service: Service, entry: Entry, request: RunRequest, name: str) -> Part:
    """The part of a story's plan that is the face of ``name``, found and searched for.

    Raises:
        ConfigError: it is not.
    """
    part = searched(service, entry, request, name)
    if (part.key, ".portraits") not in pictures.index(entry.run):
        raise ConfigError(f"no face was found for {name!r} yet; find it first")
    return part


def searched(service: Service, entry: Entry, request: RunRequest, name: str) -> Part:
    """The part of a story's plan that is the face of ``name``, found or not.

    Raises:
        ConfigError: nobody of this name has a face that is searched for.
    """
    run = RunFolder(entry.run)
    record = read_record(run) if entry.run.is_dir() else None
    _, made = planned(service, request, record)
    part = made.identities.get(name)
    if part is None:
        raise ConfigError(f"{name!r} has no face in this story")
    who = request.story.character(name)
    if who.face and not who.sought:
        raise ConfigError(f"the face of {name!r} is of your library already")
    return part


class Steps:
    """Tells of each step of painting portraits again, of ``total`` network calls."""

    def __init__(self, emit: Emit, part: str, total: int) -> None:
        self.emit, self.part, self.total, self.calls = emit, part, total, 0

    def __call__(self, evaluations: int) -> None:
        self.calls += evaluations
        self.emit(StepDone(self.part, self.calls, max(self.total, self.calls)))
