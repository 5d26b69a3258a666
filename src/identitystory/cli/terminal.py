"""The terminal's side of a command: closed or narrow output, and Ctrl-C at any moment.

Nothing heavy is imported here, so that a Ctrl-C is looked after from the first moment on.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
from types import FrameType

STOPPED = "stopped; what is finished is kept, the same command goes on from there"
_SHOW_CURSOR = "\x1b[?25h"


def ready() -> None:
    """Standard output and error take any text and may be closed; a Ctrl-C ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored: nohup
        signal.signal(signal.SIGINT, stop_now)
    codecs.register_error("identitystory", _escaped)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, as `>&-` does
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        else:
            stream.reconfigure(errors="identitystory")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding does not have as JSON escapes it, so that JSON lines stay JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4)), error.end


def stop_now(_signal: int, _frame: FrameType | None) -> None:
    """Ends the process: nothing is lost, for files appear whole or not at all."""
    cursor = _SHOW_CURSOR if sys.stdout.isatty() else ""
    try:
        os.write(2, f"{cursor}identitystory: {STOPPED}\n".encode())
    finally:
        os._exit(130)


def stop_soon() -> None:
    """From now on the first Ctrl-C is a KeyboardInterrupt, for work to end in order; another is not."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, stop_now)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is stop_now:
        signal.signal(signal.SIGINT, stop)


def settle() -> None:
    """What nobody reads any more, as with `| head`, or the disk does not take, is let go."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
