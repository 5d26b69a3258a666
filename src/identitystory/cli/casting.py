"""What ``discover --candidates``, ``--like`` and ``--choose`` do: several people, one of them chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .options import Output, say, tell

if TYPE_CHECKING:
    from ..metrics.kinship import Relation
    from ..runs.request import RunRequest
    from ..runs.service import Service

RELATIVES = 3  # that are shown where no number is given


def how_to_cast(
    candidates: int | None,
    names: Sequence[str],
    choices: Sequence[str],
    *,
    words: bool,
    like: Sequence[str] = (),
    as_: str | None = None,
) -> Callable[..., int] | None:
    """What is done with a story's request, see `cli.runs._make`; None is nothing but to run it.

    Raises:
        ConfigError: two are asked for that exclude each other, or one of them cannot be.
    """
    from ..runs.audition import MOST

    if bool(like) != (as_ is not None):
        raise ConfigError(
            "--like says whom somebody is to be like and --as what they are; give both"
        )
    if like and not names:
        raise ConfigError("--like needs --who NAME: who of the story is the relative")
    if candidates is None and like:
        candidates = RELATIVES
    if candidates is not None and choices:
        raise ConfigError(
            "--candidates and --like paint people to look at; give --choose afterwards"
        )
    if names and candidates is None:
        raise ConfigError("--who says whose --candidates are painted; give that, too")
    if candidates is not None and not 1 <= candidates <= MOST:
        raise ConfigError(f"--candidates {candidates} is not a number from 1 to {MOST}")
    if candidates is not None:
        how = partial(cast, count=candidates, names=names, words=words)
        return how if as_ is None else partial(how, like=like, relation=_relation(as_))
    return partial(choose, chosen=[_choice(each) for each in choices]) if choices else None


def cast(
    request: RunRequest,
    output: Output,
    service: Service,
    *,
    count: int,
    names: Sequence[str],
    words: bool,
    like: Sequence[str] = (),
    relation: Relation | None = None,
) -> int:
    """Finds the run's identities, then its candidates, then paints these; exit code 0.

    With a ``relation`` the candidates are relatives of those called ``like``, in portraits of their own.
    """
    from ..metrics.attributes import FOLDER, load_reader
    from ..runs import audition
    from ..runs.characters.kin import kin
    from .runs import show_run

    request = replace(request, cache=audition.shared(request.out))
    facts = service.describe(request.painted_with, request.device, request.dtype)
    family = kin(like, relation, facts) if relation is not None else None
    reader = load_reader(facts.folder / FOLDER) if words and facts.folder is not None else None
    if family is None:
        show_run(request, output, service, step=True)
    searched = audition.audition(request, count, names, reader, family)
    show_run(replace(searched, paint=False), output, service, step=True)
    # anew, in the words of who was found
    painted = audition.audition(request, count, names, reader, family)
    show_run(painted, output, service, step=True)
    sheets = audition.sheets_of(painted)
    if output.quiet and not output.json:
        say(str(request.out))
    elif not output.json:
        say("\n".join(str(sheet) for sheet in sheets))
        name = painted.story.characters[0].searched.name
        tell(f"look at them, then choose: identitystory discover STORY --choose {name}=1")
    return 0


def choose(
    request: RunRequest, output: Output, service: Service, *, chosen: Sequence[tuple[str, int]]
) -> int:
    """Makes candidates the run's people; exit code 0."""
    from ..runs import audition
    from ..runs.request import in_precision
    from .runs import show_run

    facts = service.describe(request.painted_with, request.device, request.dtype)
    facts = in_precision(facts, request.dtype, request.preset)
    for name, number in chosen:
        request = audition.choose(request, name, number, facts, service.load)
    return show_run(request, output, service)


def _relation(as_: str) -> Relation:
    from ..metrics.kinship import relation

    return relation(as_)


def _choice(choice: str) -> tuple[str, int]:
    name, _, number = choice.rpartition("=")
    if not name.strip() or not (number.isascii() and number.isdigit() and len(number) < 4):
        raise ConfigError(f"--choose {choice!r} is none; write a name and a number: Mara=4")
    return name.strip(), int(number)
