"""What ``discover --candidates`` and ``--choose`` do: several people of a description, one of them chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .options import Output, say, tell

if TYPE_CHECKING:
    from ..runs.request import RunRequest
    from ..runs.service import Service

MOST = 24  # candidates of a character


def cast_of(
    request: RunRequest, count: int, names: Sequence[str], output: Output, service: Service
) -> int:
    """Finds the run's identities, then its candidates, then paints these; exit code 0."""
    from ..metrics.attributes import FOLDER, load_reader
    from ..runs import audition
    from ..runs.service import one_model
    from .runs import show_run

    if not 1 <= count <= MOST:
        raise ConfigError(f"--candidates {count} is not a number from 1 to {MOST}")
    made = one_model(service)
    request = replace(request, cache=audition.shared(request.out))
    show_run(request, output, made)
    folder = made.describe(request.painted_with, request.device, request.dtype).folder
    reader = None if folder is None else load_reader(folder / FOLDER)
    searched = audition.audition(request, count, names, reader)
    show_run(replace(searched, paint=False), output, made)
    painted = audition.audition(request, count, names, reader)
    show_run(painted, output, made)
    sheets = audition.sheets_of(painted)
    if not output.json:
        say("\n".join(str(sheet) for sheet in sheets))
        name = painted.story.characters[0].searched.name
        tell(f"look at them, then choose: identitystory discover STORY --choose {name}=1")
    return 0


def chosen(request: RunRequest, choices: Sequence[str], service: Service) -> RunRequest:
    """``request`` with the candidates that ``Mara=4`` and so on name.

    Raises:
        ConfigError: one of the choices is none.
    """
    from ..runs import audition
    from ..runs.request import in_precision

    facts = service.describe(request.painted_with, request.device, request.dtype)
    facts = in_precision(facts, request.dtype, request.preset)
    for choice in choices:
        name, _, number = choice.rpartition("=")
        if not name or not (number.isascii() and number.isdigit() and len(number) < 4):
            raise ConfigError(f"--choose {choice!r} is none; write a name and a number: Mara=4")
        request = audition.choose(request, name.strip(), int(number), facts, service.load)
    return request
