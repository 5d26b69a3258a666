"""The jobs of the cast: other people of the same words, one of them taken, somebody kept in the library."""

from __future__ import annotations

from typing import Any

from ..runs.characters import library
from ..runs.request import RunRequest
from . import auditions, casting, costs, relatives
from .asked_cast import CandidatesAsked
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


def candidates(desk: Desk, id_: str, asked: CandidatesAsked) -> Job:
    """A job that finds several people of the same words, and paints each in two scenes; the story stays.

    Raises:
        IdentityStoryError: nobody is called so, or nobody is searched for; as `relatives.asked` and
            `auditions.asked_for`.
    """
    board, of, request = _audition(desk, id_, asked)
    desk.service.check(request)
    like = f", like {' and '.join(asked.like)}" if asked.like else ""
    what = f"{asked.count} candidates for {asked.name}{like}"
    runs = [{"paint": False}, {"paint": True}]
    return desk.add(board, "candidates", runs, [], what, candidates=of)


def candidates_cost(desk: Desk, id_: str, asked: CandidatesAsked) -> dict[str, Any]:
    """COST of `candidates`.

    Raises:
        IdentityStoryError: as `candidates`.
    """
    board, _, request = _audition(desk, id_, asked)
    told = desk.service.outlook(request)
    searches = [f.calls for f in told.parts if f.part.startswith("cast/")]
    frames = sum(f.calls for f in told.parts) - sum(searches)
    return costs.told(board, {}, [], frames + max(searches, default=0))  # all share one search


def _audition(
    desk: Desk, id_: str, asked: CandidatesAsked
) -> tuple[Board, dict[str, Any], RunRequest]:
    """The story's board, what the job says of the people, and the request that finds them."""
    board = _searched(desk, id_, asked.revision, asked.name)
    faces, text = relatives.asked(asked.like, asked.as_)
    of: dict[str, Any] = {"name": asked.name, "count": asked.count, "like": faces, "as_": text}
    return board, of, auditions.asked_for(desk.service, board.entry, desk.device, **of)


def take(desk: Desk, id_: str, revision: str, name: str, number: int, kin: str) -> Job:
    """A job that makes a candidate the story's person; 0 is whom the search alone finds.

    Raises:
        IdentityStoryError: nobody is called so, or there is no such candidate.
    """
    board = _searched(desk, id_, revision, name)
    auditions.check(board, name, number, kin)
    taken = {"name": name, "number": number, "kin": kin}
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
    board = _searched(desk, id_, revision, name)
    casting.face(desk.service, board.entry, board.entry.request(desk.device), name)
    return board


def _searched(desk: Desk, id_: str, revision: str, name: str) -> Board:
    """The board of a story in which somebody of this name is searched for, found or not."""
    entry = desk.seen(id_, revision)
    board = desk.right(entry, ())
    casting.searched(desk.service, entry, entry.request(desk.device), name)
    return board
