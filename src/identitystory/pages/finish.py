"""The one place by which files leave: each gets its mark, and its signature, and is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..marks.manifest import Certificate, handed_out
from ..marks.mark import KINDS
from ..runs.claims import claim_of
from ..runs.events import Warned, log_line
from ..runs.files import append_line, write_whole
from ..runs.folder import RunFolder
from ..runs.strip import UNMARKED


@dataclass(frozen=True)
class Marking:
    """How files are marked.

    Attributes:
        marks: whether they say that a trained algorithm made them.
        signer: who signs them; None is nobody.
    """

    marks: bool = True
    signer: Certificate | None = None


def hand_out(files: Mapping[Path, bytes], run: Path, how: Marking) -> list[Path]:
    """Writes files that were made from ``run``, each whole or not at all, with its mark; their paths.

    Kinds of text (subtitles, cuts) take no mark. A file inside of ``run`` is reached through no link.
    Files without marks are told in the run's log.

    Raises:
        RunError: one cannot be written.
    """
    claim = claim_of(run) if how.marks else None
    for path, content in files.items():
        kind = path.suffix[1:].lower()
        if kind in KINDS:
            content = handed_out(content, kind, claim, how.signer)
        within = path.resolve().is_relative_to(run.resolve())
        where = run / path.resolve().relative_to(run.resolve()) if within else path
        write_whole(where, content, run if within else None)
    if not how.marks:
        append_line(RunFolder(run).events, log_line(Warned(UNMARKED), {}), run)
    return list(files)
