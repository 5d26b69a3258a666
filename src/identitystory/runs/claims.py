"""What files that are made from a run say of themselves."""

from __future__ import annotations

from pathlib import Path

from ..marks.packet import PLAIN, Claim
from ..models.files.catalogue import called, licence_of
from .folder import RunFolder, no_run, read_record


def claim_of(root: Path) -> Claim | None:
    """The claim of every file that is made from the run at ``root``; None if the run wants no marks.

    Of a run whose pictures tell nothing of the story the claim does not either.

    Raises:
        RunError: there is no run, or it is of another format.
    """
    record = read_record(RunFolder(root))
    if record is None:
        raise no_run(root)
    asked, model = record["request"], record.get("model") or {}
    if not asked.get("marks", True):
        return None
    if not asked.get("metadata", True):
        return PLAIN
    name = called(str(asked["model"]))
    title = str(record["story"].get("title", ""))
    return Claim(name, str(model.get("fingerprint", "")), title, licence_of(name))
