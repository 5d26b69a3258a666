"""Getting a model's files from the hub: the only code that uses the network."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ...deadline import within
from ...errors import ModelError, shown
from ..family import Family, family_of, plain_family
from .card import CARD
from .catalogue import Entry
from .checkpoint import INDEX, strange_pipeline
from .configs import read_json
from .download import PATIENCE, Wanted, download, places
from .store import LOCK, _locked, pinned, read_lock, sha256, store

_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_SPARE = 2**28  # bytes that fetching leaves free


def fetch(entry: Entry, *, revision: str = "") -> Iterator[str]:
    """Fetches an entry and pins it, telling line by line what happens. What is there is kept.

    Args:
        entry: what to fetch.
        revision: a commit or branch; empty is the pinned one, or the newest before the first fetch.

    Raises:
        ModelError: an unknown or gated id, a commit that does not exist, files of another kind.
        OSError: no network, or no space on the disk.
    """
    from huggingface_hub import HfApi

    wanted = revision or pinned(entry) or None
    ask = partial(HfApi().model_info, entry.repo, revision=wanted, files_metadata=True)
    with _told(entry, wanted):
        info = within(PATIENCE, ask)
        siblings = [
            sibling for sibling in info.siblings or [] if isinstance(sibling.rfilename, str)
        ]
        listed = {sibling.rfilename: _wanted(sibling) for sibling in siblings}
    commit = str(info.sha)
    if not _HEX.fullmatch(commit) or len(commit) != 40:
        raise ModelError(f"the hub calls a commit of {entry.repo} {shown(commit)}; it is no commit")
    pipeline = ""
    if entry.role == "base" and INDEX in listed:
        with _told(entry, commit):
            index = download(entry.repo, _known(entry, listed[INDEX]), commit)
        pipeline = str(read_json(index).get("_class_name", ""))
    files = [_known(entry, file) for file in wanted_files(entry, listed, pipeline)]
    total = sum(file.size for file in files)
    yield f"{entry.repo} at {commit}: {len(files)} files, {total / 1e9:.2f} GB, {entry.licence}"
    _check_space(entry, files, commit)
    for file in files:
        with _told(entry, commit):
            path = download(entry.repo, file, commit)
        yield f"  {file.name}: {file.size / 1e6:.1f} MB"
    locked: dict[str, Any] = {
        "revision": commit,
        "files": {f.name: {k: v for k, v in vars(f).items() if k != "name"} for f in files},
    }
    before = _locked(entry)
    if entry.converter:
        made = store() / entry.converted
        if not (
            made.is_file()
            and locked["files"].items() <= before.get("files", {}).items()
            and before.get("converted") == sha256(made)
        ):
            convert(entry.converter, path, made)
            yield f"  converted once, in a process of its own, to {made}"
        locked["converted"] = sha256(made)
    known = read_lock()
    if before.get("revision") == commit:  # others of that repository
        locked = {**before, **locked}
        locked["files"] = {**before["files"], **locked["files"]}
    _write_lock({**known, entry.repo: locked})


def _wanted(sibling: Any) -> Wanted:
    """A file of a repository as the hub lists it."""
    lfs = sibling.lfs or {}
    digest = lfs.get("sha256", "") if isinstance(lfs, Mapping) else lfs.sha256
    return Wanted(
        sibling.rfilename, int(sibling.size or 0), str(digest or ""), str(sibling.blob_id or "")
    )


def _known(entry: Entry, file: Wanted) -> Wanted:
    """``file``, if its size and hash are given: its hash names it in the cache."""
    digest, length = (file.sha256, 64) if file.sha256 else (file.blob_id, 40)
    if file.size < 0 or len(digest) != length or not _HEX.fullmatch(digest):
        raise ModelError(f"the hub tells no size and hash of {file.name} in {entry.repo}")
    return file


def wanted_files(entry: Entry, listed: Mapping[str, Wanted], pipeline: str = "") -> list[Wanted]:
    """The files of a repository that are opened; half precision where there is a choice.

    Args:
        entry: what is wanted of it.
        listed: its files by name.
        pipeline: the class that a base's ``model_index.json`` names.

    Raises:
        ModelError: weights are missing or only there as a pickle, or the repository is of another
            kind.
    """
    if names := [*entry.files] or [entry.file] * bool(entry.file):
        if lacking := [name for name in names if name not in listed]:
            raise ModelError(f"{entry.repo} has no file {lacking[0]}")
        return [listed[name] for name in names]
    if entry.role != "base":
        names = _folder_files(entry, listed, "")
        return [listed[name] for name in names]
    family = family_of(pipeline)
    layout = family or plain_family()
    if INDEX not in listed:
        raise _other_layout(entry, layout, f"it has no {INDEX}")
    names = [INDEX, *([CARD] if CARD in listed else [])]
    for part, weights in layout.parts.items():
        found = _folder_files(entry, listed, f"{part}/", weights=False)
        if not found:
            raise _other_layout(entry, layout, f"no {part}/")
        names += _folder_files(entry, listed, f"{part}/") if weights else found
    if family is None:
        raise strange_pipeline(entry.repo, pipeline)
    return [listed[name] for name in names]


def _other_layout(entry: Entry, family: Family, why: str) -> ModelError:
    return ModelError(f"{entry.repo} is not a checkpoint in {family.title}'s layout: {why}")


def _folder_files(
    entry: Entry, listed: Mapping[str, Wanted], prefix: str, *, weights: bool = True
) -> list[str]:
    inside = [
        name
        for name in sorted(listed)
        if re.fullmatch(re.escape(prefix) + r"[A-Za-z0-9._-]+", name)
    ]
    small = [n for n in inside if n.endswith((".json", ".txt")) and "index.fp16" not in n]
    if not weights:
        return small
    heavy = [n for n in inside if n.endswith(".safetensors")]
    half = [n for n in heavy if ".fp16" in n]
    if not heavy:
        raise ModelError(
            f"{entry.repo} has no .safetensors weights in {prefix or 'it'}; "
            "pickled weights are not opened"
        )
    stems = ("model", "diffusion_pytorch_model")
    plain = [n for n in heavy if n not in half and n[len(prefix) :].startswith(stems)]
    return small + (half if prefix and half else plain or heavy)


def _check_space(entry: Entry, files: list[Wanted], commit: str) -> None:
    from huggingface_hub import constants

    there = lambda file: any(path.is_file() for path in places(entry.repo, file, commit))
    needed = sum(file.size for file in files if not there(file))
    if entry.converter:
        needed += sum(file.size for file in files)  # the pickle, and what is made of it
    where = Path(constants.HF_HUB_CACHE)
    while not where.exists():
        where = where.parent
    free = shutil.disk_usage(where).free
    if needed + _SPARE > free:
        raise OSError(
            errno.ENOSPC,
            f"{entry.repo} needs {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free; "
            "make room, or set HF_HOME to a larger disk",
        )


@contextmanager
def _told(entry: Entry, revision: str | None) -> Iterator[None]:
    """The hub's exceptions as sentences; the user's mistakes and the machine's apart."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    mendable: dict[type[Exception], str] = {
        OfflineModeIsEnabled: f"{entry.repo} is not on this machine, and the network may not be used "
        "(--offline or HF_HUB_OFFLINE); fetch it without",
        GatedRepoError: f"{entry.repo} is gated: accept its terms on the hub, then log in with "
        "'hf auth login'",
        RepositoryNotFoundError: f"the hub has no public model {entry.repo!r}; look at the spelling, "
        "or log in with 'hf auth login' if it is private",
        RevisionNotFoundError: f"{entry.repo} has no commit or branch {revision!r}",
        HFValidationError: f"{entry.repo!r} is not a hub id; it has the form owner/name",
    }
    try:
        yield
    except tuple(mendable) as error:
        told = next(told for kind, told in mendable.items() if isinstance(error, kind))
        raise ModelError(told) from None
    except EntryNotFoundError as error:
        raise ModelError(f"{entry.repo}: {_first_line(error)}") from None
    except HfHubHTTPError as error:
        raise ConnectionError(f"the hub refuses {entry.repo}: {_first_line(error)}") from None
    except (HTTPError, TimeoutError) as error:
        raise _unreachable(entry, error) from None
    except (ValueError, TypeError, KeyError, AttributeError):  # a page, or half an answer
        raise ConnectionError(f"the hub's answer about {entry.repo} is none; try again") from None


def _unreachable(entry: Entry, error: Exception) -> ConnectionError:
    return ConnectionError(
        f"the hub cannot be reached for {entry.repo} ({_first_line(error)}); is there a network? "
        "The same command goes on where it stopped"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def convert(converter: str, pickle: Path, made: Path) -> None:
    """A pickle as safetensors in ``made``, by the module ``converter`` in another process.

    Raises:
        ModelError: it is not what the converter takes; the sentence is the converter's.
    """
    made.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", converter, str(pickle), str(made)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it died"]
        raise ModelError(f"{pickle.name} cannot be converted: {lines[-1]}")


def _write_lock(content: Mapping[str, Any]) -> None:
    path = store() / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.part")
    beside.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)
