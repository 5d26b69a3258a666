"""What a user can mend.

IdentityStoryError
├── StoryError        the story file or its text
├── ConfigError       an option, a preset, a number out of range
├── PromptError       a prompt that the model cannot take (no class word, too long)
├── ModelError        a checkpoint that is missing, broken or of an unsupported kind
└── RunError          the run folder

Each says what was wrong, with the value; what is accepted; what to do. The command line prints
it as one line and exits 2. Everything else is a bug or a failure of the machine.
"""

import difflib
import errno
from collections.abc import Iterable

# Errors of the machine, not of what its user gave it: no space, no memory, a broken disk.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class IdentityStoryError(Exception):
    """Base of everything that the user can mend."""


class StoryError(IdentityStoryError):
    """The story file or its text."""


class ConfigError(IdentityStoryError):
    """An option, a preset, or a number out of range."""


class PromptError(IdentityStoryError):
    """A prompt that the model cannot take."""


class ModelError(IdentityStoryError):
    """A checkpoint that is missing, broken or of an unsupported kind."""


class RunError(IdentityStoryError):
    """The run folder."""


class BusyError(RunError):
    """The run folder is being written by somebody else."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether ``error`` is the machine's lack of memory, in the words of Python, CUDA, MPS or a CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = ("out of memory", "allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)


def printable(text: str) -> str:
    """``text`` with its control characters spelled out, so that none reaches a terminal."""
    return "".join(
        ch if ch.isprintable() or ch in "\n\u200c\u200d" else ascii(ch)[1:-1] for ch in text
    )


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """`` Did you mean 'Mara'?`` with a leading blank, or ``otherwise`` if nothing is near."""
    if len(word) > 80:
        return otherwise  # nothing that is known here is so long
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else otherwise


def quoted(words: Iterable[str]) -> str:
    """``'Mara', 'Tom'``."""
    return ", ".join(map(shown, words))


def one_line(message: str) -> str:
    """``message`` on one line of bounded length, its control characters spelled out."""
    line = " ".join(message.split())
    line = line if len(line) <= 2000 else f"{line[:1700]}...{line[-200:]}"
    return printable(line)


def shown(value: object) -> str:
    """``repr(value)``, its middle left out where it is too long for one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:40]}...{text[-20:]}"
