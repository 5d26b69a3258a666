"""Several people of one description beside a story, and one of them taken: `runs.audition` in the studio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..runs import audition
from ..runs.events import Emit, Event, StepDone, stream
from ..runs.expect import reader_of
from ..runs.folder import RunFolder, read_record
from ..runs.request import RunRequest
from ..runs.service import Service
from ..sampling import watched
from ..types import Character
from . import pictures
from .casting import Steps
from .library import Entry
from .plans import planned

if TYPE_CHECKING:
    from .board import Board

Told = dict[str, Any]
# What comes of a picture that was moved meanwhile, shows nobody's candidate, or is none of ours.
_BROKEN = OSError, LookupError, TypeError, ValueError, AttributeError


def request(entry: Entry, device: str) -> RunRequest:
    """The story's request, whose portraits its candidates are found in."""
    return replace(entry.request(device, paint=False), cache=audition.shared(entry.run))


def people(
    service: Service, entry: Entry, device: str, name: str, count: int, paint: bool
) -> Iterator[Event]:
    """Finds ``count`` people of the words of ``name``; with ``paint`` puts each into two scenes.

    The second is asked for after the first: scenes say what the portraits show. The story, its run.json and
    its pictures stay as they are, and what was cut off goes on where it was.

    Raises:
        IdentityStoryError: as `audition.audition` and `Service.run`.
    """
    own = request(entry, device)
    model, _ = planned(service, own, read_record(RunFolder(entry.run)))
    asked = audition.audition(own, count, [name], reader_of(model))
    for event in service.run(replace(asked, paint=paint)):
        yield replace(event, part=f"cast/{name}") if isinstance(event, StepDone) else event
    if paint:
        audition.sheets_of(asked)


def take(service: Service, entry: Entry, device: str, name: str, number: int) -> Iterator[Event]:
    """Makes a candidate the story's person, as `discover --choose` does; 0 is whom the search alone finds.

    Raises:
        BusyError: the run is being written.
        IdentityStoryError: as `audition.choose` and `Service.run`.
    """
    if number:  # the run of candidates may be somebody else's by now; nothing is painted again
        yield from people(service, entry, device, name, number, paint=True)
    own, chosen = entry.request(device, paint=False), list[RunRequest]()
    model, made = planned(service, own, read_record(RunFolder(entry.run)))

    def work(emit: Emit) -> None:
        steps = Steps(emit, made.identities[name].name, own.preset.portrait_steps)
        load = lambda *asked, **more: watched(service.load(*asked, **more), steps)
        chosen.append(audition.choose(own, name, number, model, load))

    yield from stream(work)
    yield from service.run(chosen[0])


def check(board: Board, name: str, number: int) -> None:
    """Nothing, if there is such a candidate, or ``number`` is 0.

    Raises:
        ConfigError: there is none.
    """
    known = [c for c in board.story.characters if c.name == name] if board.story else []
    there = [each["number"] for who in known for each in told(board, who)]
    if number and number not in there:
        raise ConfigError(f"there is no candidate {number} of {name!r}; find several people first")


def told(board: Board, character: Character) -> list[Told]:
    """CANDIDATES of the contract: those of a character's words and seed, by number, with their newest pictures."""
    run = board.entry.run / audition.FOLDER
    index = pictures.index(run) if run.is_dir() else {}
    shots: dict[tuple[int, int], pictures.Picture] = {}
    for (_, suffix), it in index.items():
        if suffix:
            continue
        with suppress(*_BROKEN):
            place = _place(it, character)
            shots[place] = max(it, shots.get(place, it), key=lambda each: each.written)
    people: dict[int, list[pictures.Picture]] = {}
    for place in sorted(shots):
        people.setdefault(place[0], []).append(shots[place])
    return [
        {
            "number": number,
            "description": str(own[0].facts["characters"][0]["description"]),
            "pictures": [it.key for it in own],
        }
        for number, own in people.items()
    ]


def _place(it: pictures.Picture, character: Character) -> tuple[int, int]:
    """Number and scene of a candidate for ``character`` in a picture; one of `_BROKEN` if it shows none."""
    who = it.facts["characters"][0]
    wanted = character.name, character.description, character.seed
    if (*who["sought"], who.get("seed", 0)) != wanted:
        raise ValueError("somebody else's")
    scenes = [scene.replace("NAME", who["name"]) for scene in audition.SCENES]
    return int(who["candidate"]), scenes.index(it.facts["scene"]["text"])
