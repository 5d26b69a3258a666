"""The one place by which files leave: where each gets its mark as a generated one, and is written."""

from __future__ import annotations

from pathlib import Path

from ..runs.files import write_whole


def finished(content: bytes, kind: str, run: Path) -> bytes:
    """The file with the mark of what a model made; ``content`` where its kind takes none.

    Args:
        content: of the whole file.
        kind: ``pdf``, ``epub``, ``cbz``, ``html``, ``mp4`` or ``gif``; others are text.
        run: the folder that it was made from, whose choice about marks holds.
    """
    return content


def written(path: Path, content: bytes, run: Path) -> Path:
    """Writes ``content`` at ``path``, whole or not at all, with its mark; ``path``.

    A file inside of ``run`` is reached through no link.

    Raises:
        RunError: it cannot be written.
    """
    root = run if path.resolve().is_relative_to(run.resolve()) else None
    where = run / path.resolve().relative_to(run.resolve()) if root else path
    write_whole(where, finished(content, path.suffix[1:].lower(), run), root)
    return path
