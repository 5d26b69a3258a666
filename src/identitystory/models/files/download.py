"""One file of the hub, which stands in the hub's cache once its size and hash are right, not before."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...deadline import within
from ...errors import ModelError
from .store import _matches

PATIENCE = 60.0  # seconds for an answer, of any size
SILENCE = 20.0  # seconds without a byte
SLOWEST = 50_000  # bytes a second


@dataclass(frozen=True)
class Wanted:
    """One file of an entry: its name in the repository, its size, and its hash as the hub tells.

    ``sha256`` is empty for small files, which have the ``blob_id`` of git instead.
    """

    name: str
    size: int
    sha256: str = ""
    blob_id: str = ""


def places(repo: str, file: Wanted, commit: str) -> tuple[Path, Path]:
    """Where a file lies in the hub's cache: by its name and commit, and by its hash."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model")
    return (
        folder / "snapshots" / commit / file.name,
        folder / "blobs" / (file.sha256 or file.blob_id),
    )


def download(repo: str, file: Wanted, commit: str) -> Path:
    """The file in the hub's cache, fetched if it is not there. Its place has names that we checked alone.

    What another commit brought is not fetched again. What came before a download broke off stays beside it, and the next one goes on from there.

    Raises:
        ModelError: what came is not what the hub says it is; nothing of it is kept.
        TimeoutError: less than ``SLOWEST`` bytes came a second.
        Exception: those of huggingface_hub and its network.
    """
    place, blob = places(repo, file, commit)
    if _is(place, file):
        return place
    part = blob.with_name(f"{blob.name}.incomplete")
    for each in (place, blob):
        each.parent.mkdir(parents=True, exist_ok=True)
    if not _is(blob, file):
        within(PATIENCE + file.size / SLOWEST, lambda: _complete(part, repo, file, commit))
        if not _is(part, file):
            part.unlink()
            raise ModelError(
                f"{file.name} of {repo} is not what the hub says it is; it was not kept"
            )
        part.replace(blob)
    place.unlink(missing_ok=True)
    place.symlink_to(os.path.relpath(blob, place.parent))
    return place


def _is(path: Path, file: Wanted) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _matches(path, vars(file))


def _complete(part: Path, repo: str, file: Wanted, commit: str) -> None:
    """Fetches into ``part`` what it lacks, as often as more of it comes."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    part.touch()
    while (have := part.stat().st_size) < file.size or not file.size:
        broken: Exception = ConnectionError(f"{file.name} of {repo} broke off")
        try:
            _stream(part, repo, file, commit, have)
        except HfHubHTTPError:
            raise
        except HTTPError as error:
            broken = error
        if not file.size:
            return
        if part.stat().st_size <= have:
            raise broken


def _stream(part: Path, repo: str, file: Wanted, commit: str, have: int) -> None:
    """Adds to ``part``, which has ``have`` bytes, at most one byte more than is wanted."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
        tqdm,
    )

    url = hf_hub_url(repo, file.name, revision=commit)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={have}-"}
    if not have:
        del headers["Range"]
    with get_session().stream("GET", url, headers=headers, timeout=SILENCE) as reply:
        hf_raise_for_status(reply)
        onwards = have and reply.status_code == 206
        with (
            part.open("ab" if onwards else "wb") as out,
            tqdm(
                total=file.size, initial=out.tell(), unit="B", unit_scale=True, disable=None
            ) as bar,
        ):
            for (
                chunk
            ) in reply.iter_bytes():  # as they come, so that none is lost where it breaks off
                out.write(chunk[: file.size + 1 - out.tell()])
                bar.update(len(chunk))
                if out.tell() > file.size:
                    return
