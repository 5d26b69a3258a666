"""What files that are made from a run say of themselves."""

from __future__ import annotations

from pathlib import Path

from ..marks.packet import PLAIN, Claim
from .files import claim_in
from .folder import RunFolder, read_record
from .request import recorded


def claim_of(root: Path) -> Claim | None:
    """The claim of every file that is made from the run at ``root``; None if the run wants no marks.

    Of a run whose pictures tell nothing of the story the claim does not either.

    Raises:
        RunError: there is no run, or it is of another format.
    """
    request = recorded(root)
    if not request.marks:
        return None
    if not request.metadata:
        return PLAIN
    model = (read_record(RunFolder(root)) or {}).get("model") or {}
    named = {"name": request.called, "fingerprint": str(model.get("fingerprint", ""))}
    return claim_in({"model": named, "title": request.story.title})
