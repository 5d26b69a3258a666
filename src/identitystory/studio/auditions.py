"""Several people of one description beside a story, and one of them taken: `runs.audition` in the studio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ..errors import ConfigError
from ..metrics.kinship import relation
from ..runs import audition
from ..runs.events import Emit, Event, StepDone, stream
from ..runs.expect import reader_of
from ..runs.folder import RunFolder, read_record
from ..runs.request import RunRequest
from ..runs.service import Service
from ..sampling import watched
from ..types import Character
from . import pictures, relatives
from .casting import Steps
from .library import Entry
from .plans import planned

if TYPE_CHECKING:
    from .board import Board

Told = dict[str, Any]
# What comes of a picture that was moved meanwhile, shows nobody's candidate, or is none of ours.
_BROKEN = OSError, LookupError, TypeError, ValueError, AttributeError, ConfigError
_CHARACTER = TypeAdapter(Character)  # a ValueError for what is none
_KEYS = [field.name for field in fields(Character)]


def request(entry: Entry, device: str) -> RunRequest:
    """The story's request, whose portraits its candidates are found in."""
    return replace(entry.request(device, paint=False), cache=audition.shared(entry.run))


def asked_for(
    service: Service,
    entry: Entry,
    device: str,
    name: str,
    count: int,
    like: Sequence[str] = (),
    as_: str = "",
) -> RunRequest:
    """The audition of ``count`` people of the words of ``name``, relatives of those of the faces ``like``.

    Raises:
        IdentityStoryError: as `audition.audition` and `relatives.kin`.
    """
    own = request(entry, device)
    model, _ = planned(service, own, read_record(RunFolder(entry.run)))
    kin = relatives.kin(like, as_, model)
    return audition.audition(own, count, [name], reader_of(model), kin)


def people(
    service: Service,
    entry: Entry,
    device: str,
    name: str,
    count: int,
    paint: bool,
    like: Sequence[str] = (),
    as_: str = "",
) -> Iterator[Event]:
    """Finds people, see `asked_for`; with ``paint`` puts each into two scenes.

    The second is asked for after the first: scenes say what the portraits show. The story, its run.json and
    its pictures stay as they are, and what was cut off goes on where it was.

    Raises:
        IdentityStoryError: as `asked_for` and `Service.run`.
    """
    asked = asked_for(service, entry, device, name, count, like, as_)
    yield from _told_of(name, service.run(replace(asked, paint=paint)))
    if paint:
        audition.sheets_of(asked)


def _told_of(name: str, events: Iterator[Event]) -> Iterator[Event]:
    """Events of an audition, whose steps are those of ``name``."""
    for event in events:
        yield replace(event, part=f"cast/{name}") if isinstance(event, StepDone) else event


def take(
    service: Service, entry: Entry, device: str, name: str, number: int, kin: str = ""
) -> Iterator[Event]:
    """Makes a candidate the story's person, as `discover --choose` does; 0 is whom the search alone finds.

    Raises:
        BusyError: the run is being written.
        IdentityStoryError: there is no such candidate; as `audition.choose` and `Service.run`.
    """
    own, chosen = request(entry, device), list[RunRequest]()
    if number:  # the run of candidates may be somebody else's by now; what is there is kept
        shots = _shots(entry.run, entry.story().character(name))
        if not (found := shots.get((kin, number))):
            raise _none(name, number)
        who = _who(found[0])
        asked = audition.of(own, [who], relatives.people(who.like))
        yield from _told_of(name, service.run(replace(asked, paint=False)))
    model, made = planned(service, own, read_record(RunFolder(entry.run)))

    def work(emit: Emit) -> None:
        steps = Steps(emit, made.identities[name].name, own.preset.portrait_steps)
        load = lambda *asked, **more: watched(service.load(*asked, **more), steps)
        chosen.append(audition.choose(own, name, number, model, load))

    yield from stream(work)
    yield from service.run(chosen[0], [name])


def check(board: Board, name: str, number: int, kin: str) -> None:
    """Nothing, if there is such a candidate, or ``number`` is 0.

    Raises:
        ConfigError: there is none.
    """
    known = [c for c in board.story.characters if c.name == name] if board.story else []
    if number and not any((kin, number) in _shots(board.entry.run, who) for who in known):
        raise _none(name, number)


def _none(name: str, number: int) -> ConfigError:
    return ConfigError(f"there is no candidate {number} of {name!r}; find several people first")


def told(board: Board, character: Character) -> list[Told]:
    """CANDIDATES of the contract: those of a character's words and seed, with their newest pictures.

    Those of one kin are together, by number; whom somebody looked for last is the first.
    """
    shots = _shots(board.entry.run, character)
    when: dict[str, int] = {}
    for (kin, _), own in shots.items():
        when[kin] = max(when.get(kin, 0), *(it.written for it in own))
    names = relatives.names() if any(when) else {}
    story = board.request.story if board.request else None
    taken = [c for c in story.characters if c.name == character.name] if story else []
    found = []
    for kin, number in sorted(shots, key=lambda each: (-when[each[0]], each)):
        who = _who(shots[kin, number][0])
        found.append(
            {
                "number": number,
                "kin": kin,
                "relation": who.kin[1] if kin else "",
                "like": [names.get(face, "") for face in who.kin[2:]],
                "description": who.description,
                "pictures": [it.key for it in shots[kin, number]],
                "chosen": [(c.candidate, c.kin) for c in taken] == [(number, who.kin)],
            }
        )
    return found


def _shots(run: Path, character: Character) -> dict[tuple[str, int], list[pictures.Picture]]:
    """The pictures of each candidate for ``character``, by kin and number."""
    folder = run / audition.FOLDER
    index = pictures.index(folder) if folder.is_dir() else {}
    newest: dict[tuple[str, int, int], pictures.Picture] = {}
    for (_, suffix), it in index.items():
        if suffix:
            continue
        with suppress(*_BROKEN):
            place = _place(it, character)
            newest[place] = max(it, newest.get(place, it), key=lambda each: each.written)
    found: dict[tuple[str, int], list[pictures.Picture]] = {}
    for kin, number, scene in sorted(newest):
        found.setdefault((kin, number), []).append(newest[kin, number, scene])
    return found


def _place(it: pictures.Picture, character: Character) -> tuple[str, int, int]:
    """Kin, number and scene of a candidate for ``character`` in a picture; one of `_BROKEN` if it shows none."""
    who = _who(it)
    wanted = character.name, character.description, character.seed
    words = who.kin[0] if who.kin else who.searched.description
    if (who.searched.name, words, who.seed) != wanted or not who.candidate or who.face:
        raise ValueError("somebody else's")
    of = relation(who.kin[1]).text if who.kin else ""
    if who.kin[1:] != ((of, *who.like) if who.like else ()):
        raise ValueError("nobody knows whose relative it is")
    scenes = [scene.replace("NAME", who.name) for scene in audition.SCENES]
    return relatives.id_of(who.kin), who.candidate, scenes.index(it.facts["scene"]["text"])


def _who(it: pictures.Picture) -> Character:
    """The candidate in a picture, as it says itself."""
    told = it.facts["characters"][0]
    return _CHARACTER.validate_python({k: told[k] for k in _KEYS if k in told})
