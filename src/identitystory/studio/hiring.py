"""The jobs of the cast: other people of the same words, one of them taken, somebody kept in the library."""

from __future__ import annotations

from typing import Any

from ..runs import audition
from ..runs.characters import library
from . import auditions, casting, costs
from .board import Board
from .desk import Desk, random_seeds
from .queue import Job


def find(desk: Desk, id_: str, revision: str, name: str, seed: int | None) -> Job:
    """A job that looks for another person of the same words; the story stays as it is.

    Raises:
        IdentityStoryError: nobody is called so, or nobody is searched for.
    """
    board = _found(desk, id_, revision, name)
    found = {"name": name, "seed": seed or 1 + random_seeds(1)[0]}
    return desk.add(board, "find", [{}], [], f"another {name}", find=found)


def candidates(desk: Desk, id_: str, revision: str, name: str, count: int) -> Job:
    """A job that finds several people of the same words, and paints each in two scenes; the story stays.

    Raises:
        IdentityStoryError: as `find`.
    """
    board = _found(desk, id_, revision, name)
    asked, what = {"name": name, "count": count}, f"{count} candidates for {name}"
    runs = [{"paint": False}, {"paint": True}]
    return desk.add(board, "candidates", runs, [], what, candidates=asked)


def candidates_cost(desk: Desk, id_: str, revision: str, name: str, count: int) -> dict[str, Any]:
    """COST of `candidates`.

    Raises:
        IdentityStoryError: as `find`.
    """
    board = _found(desk, id_, revision, name)
    request = auditions.request(board.entry, desk.device)
    told = desk.service.outlook(audition.audition(request, count, [name]))
    searches = [f.calls for f in told.parts if f.part.startswith("cast/")]
    frames = sum(f.calls for f in told.parts) - sum(searches)
    return costs.told(board, {}, [], frames + max(searches, default=0))  # all share one search


def take(desk: Desk, id_: str, revision: str, name: str, number: int) -> Job:
    """A job that makes a candidate the story's person; 0 is whom the search alone finds.

    Raises:
        IdentityStoryError: as `find`, or there is no such candidate.
    """
    board = _found(desk, id_, revision, name)
    auditions.check(board, name, number)
    taken = {"name": name, "number": number}
    return desk.add(board, "take", [{}], [], name, take=taken)


def keep(desk: Desk, id_: str, revision: str, name: str, called: str) -> Job:
    """A job that puts somebody into the user's library.

    Raises:
        IdentityStoryError: they have no face yet, or somebody is called so there.
    """
    board = _found(desk, id_, revision, name)
    library.free(called)
    kept = {"name": name, "called": called}
    return desk.add(board, "keep", [{}], [], f"{called} for your library", keep=kept)


def _found(desk: Desk, id_: str, revision: str, name: str) -> Board:
    """The board of a story in which somebody of this name was searched for, and found."""
    entry = desk.seen(id_, revision)
    board = desk.right(entry, ())
    casting.face(desk.service, entry, entry.request(desk.device), name)
    return board
