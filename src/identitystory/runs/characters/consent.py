"""Consent for a face that is of photos: whether it holds today.

What is withdrawn is noted by its id in the user's library, so that no copy of it is used again on this
machine; a run's story tells the id and the last day.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from ...errors import RunError
from .. import inside
from .form import Consent

MAX_BYTES = 1 << 22


def library_folder() -> Path:
    """Where the user's characters lie: ``$XDG_DATA_HOME/identitystory/cast``."""
    given = os.environ.get("XDG_DATA_HOME", "")
    data = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "share"
    return data / "identitystory" / "cast"


def today() -> date:
    """The day it is here."""
    return date.today()


def over(id: str, until: str) -> str:
    """Why the consent called ``id``, which holds until the day ``until``, holds no more; empty if it does."""
    if id in withdrawn():
        return "was withdrawn"
    try:
        late = today() > date.fromisoformat(until)
    except ValueError:
        return f"ends on {until!r}, which is no day"
    return f"ended on {until}" if late else ""


def why_not(consent: Consent | None) -> str:
    """Why a face may not be used, as `over`; empty if it may, or needs no consent."""
    if consent is None:
        return ""
    if consent.ended:
        return f"ended on {consent.ended}"
    return over(consent.id, consent.until)


def short(consent: Consent | None) -> str:
    """As a run's story has it: ``ID UNTIL``; empty for an invented face."""
    return "" if consent is None else f"{consent.id} {consent.until}"


def why_not_now(told: str) -> str:
    """`why_not` of a consent as a run tells it, see `short`."""
    id, _, until = told.partition(" ")
    return over(id, until) if id else ""


def refused(name: str, why: str) -> RunError:
    """What is said where somebody may not be painted, or used, any more."""
    return RunError(
        f"the consent for {name!r} {why}: their face is of photos, and may not be used. What the "
        "library and this run kept of it is deleted; delete other copies, or ask the person anew"
    )


def withdrawn() -> set[str]:
    """The ids that were withdrawn on this machine."""
    file = _file()
    if not file.exists():
        return set()
    with inside.mendable(file, "read"):
        return set(inside.read(file, file.parent, most=MAX_BYTES).decode(errors="replace").split())


def withdraw(id: str) -> None:
    """Notes that a consent is withdrawn."""
    if id not in withdrawn():
        inside.append_line(_file(), id, _file().parent)


def _file() -> Path:
    return library_folder().parent / "withdrawn.txt"
