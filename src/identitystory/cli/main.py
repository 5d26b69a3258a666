"""The command line: parse, call the service, print its events.

Exit codes: 0 done, 1 the machine failed, 2 the user can mend it, 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import one_line
from . import (
    cast,
    check,
    commands,
    doctor,
    expect,
    experiments,
    exporting,
    importing,
    judging,
    marking,
    models,
    photos,
    runs,
    studio,
    takes,
    terminal,
)
from .options import MakeService, failure

if TYPE_CHECKING:
    from ..runs.service import Service

COMMANDS: Mapping[str, commands.Command | commands.Group] = {
    "generate": runs.generate,
    "discover": runs.discover,
    "extend": runs.extend,
    "import": importing.import_,
    "cast": commands.Group(
        "Keep characters as files: your library, and its way to other stories and machines.\n\n"
        "A character file (.character) holds a face with its portraits, words and looks. A story names "
        'it beside a character: cast = "mara", somebody of the library, or cast = "mara.character", '
        "a file in the story's folder.",
        {
            "list": cast.list_,
            "show": cast.show,
            "add": cast.add,
            "export": cast.export,
            "import": cast.import_,
            "rename": cast.rename,
            "remove": cast.remove,
            "look": cast.look,
            "from-photos": photos.from_photos,
            "withdraw": photos.withdraw,
        },
    ),
    "check": check.check,
    "repair": check.repair,
    "takes": takes.takes,
    "choose": takes.choose,
    "lock": takes.lock,
    "prune": takes.prune,
    "strip": takes.strip,
    "verify": marking.verify,
    "sign": marking.sign,
    "certificate": marking.certificate,
    "export": exporting.export,
    "expect": expect.expect,
    "bench": experiments.bench,
    "judge": judging.judge,
    "study": commands.Group(
        "Ask people: make a questionnaire, count its answers (Table 3).\n\n"
        "Makes a questionnaire as one web page, and counts the answers that people saved with it.",
        {"make": judging.study_make, "tally": judging.study_tally},
    ),
    "ablate": experiments.ablate,
    "evaluate": experiments.evaluate,
    "studio": studio.studio,
    "models": models.models,
    "doctor": doctor.doctor,
}


def default_service() -> Service:
    """The service with the real models."""
    from ..runs.service import Service

    terminal.stop_soon()
    return Service()


def main(argv: Sequence[str] | None = None, *, service: MakeService = default_service) -> int:
    """Runs one command and returns its exit code."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of a stranger's picture; ours is one line
    try:
        try:
            given = vars(parser().parse_args(argv))
            return int(given["command"]({**given, "service": service}))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail(130, terminal.STOPPED)
    except BrokenPipeError:
        terminal.settle()
        return 1
    except Exception as error:
        if isinstance(error, OSError):
            terminal.settle()
        told = failure(error)
        if told is None:
            raise
        return _fail(*told)


def parser() -> commands.Parser:
    """The parser of every command."""
    top = commands.Parser(
        prog="identitystory",
        description="Makes pictures of a story whose characters keep their faces.",
    )
    version = f"identitystory {__version__}"
    top.add_argument(
        "--version", action="version", version=version, help="print the version and exit"
    )
    commands.add(top, COMMANDS)
    return top


def _fail(code: int, message: str) -> int:
    print(f"identitystory: {one_line(message)}", file=sys.stderr)
    return code
