"""What the studio deletes when the consent for a face that is of photos ends."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..errors import IdentityStoryError
from ..runs.characters import casting
from ..runs.characters import library as characters
from .library import Library
from .queue import Queue
from .texts import story_of


def withdraw(library: Library, queue: Queue, name: str) -> list[str]:
    """Ends the consent for the face of ``name``, who is in the user's library.

    Portraits and vectors are deleted from the library and from every run of the studio, those of stories that
    were put aside too, and what is painted with the face is stopped. Pictures that were painted stay.

    Returns:
        The ids of the stories that kept something of the face.

    Raises:
        ConfigError: nobody is called so, or their face is invented.
    """
    characters.withdraw(name)
    for job in queue.jobs(shown=0):
        if job.state == "running" and _is_over(job.payload["text"]):
            queue.cancel(job.id)
    return [id_ for id_, run in library.runs() if forget(run)]


def forget(run: Path) -> bool:
    """As `casting.forget`, whatever is wrong with the run; whether there was anything."""
    with suppress(IdentityStoryError, OSError):
        return bool(casting.forget(run))
    return False


def _is_over(text: str) -> bool:
    """Whether a story that could be painted may not be any more."""
    try:
        story_of(text)
    except IdentityStoryError:
        return True
    return False
