"""Models from the hub: fetched when asked for, found offline, and held to what was fetched.

``fetch`` is the only function that uses the network. It writes the commit and every file's hash into
a lock beside the hub's cache; ``located`` opens that commit and no other; ``verify`` reads every
file again. Only .safetensors weights are opened; where there is only a pickle it is converted once,
in a process of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ...errors import ModelError
from ...story.plain import plain_json
from .catalogue import Entry

LOCK = "lock.json"


def store() -> Path:
    """Where the lock and converted files lie: beside the hub's cache, wherever that is."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).parent / "identitystory"


class _File(BaseModel):
    model_config = ConfigDict(strict=True)
    size: int
    sha256: str | None = None
    blob_id: str | None = None


class _Locked(BaseModel):
    model_config = ConfigDict(strict=True)
    revision: str = ""
    converted: str | None = None
    files: dict[str, _File] = {}


_LOCK = TypeAdapter(dict[str, _Locked])


# --- What is here ---------------------------------------------------------------------------------


def read_lock() -> dict[str, Any]:
    """By hub id: the ``revision`` that was fetched and its ``files``; empty before the first fetch.

    Raises:
        ModelError: the lock is broken.
    """
    path = store() / LOCK
    try:
        content: dict[str, Any] = plain_json(path.read_bytes())
        _LOCK.validate_python(content)
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        raise ModelError(
            f"{path} is broken ({error.errors()[0]['msg']}); delete it and fetch again"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}); delete it and fetch again") from None
    return content


def revision_of(entry: Entry) -> str:
    """The commit that is opened: the one that was fetched, else the table's, else the cache's main."""
    return pinned(entry) or "main"


def pinned(entry: Entry) -> str:
    """The commit that nothing but is opened, of the lock or the table; "" before the first fetch."""
    return str(_locked(entry).get("revision") or entry.revision)


def _locked(entry: Entry) -> dict[str, Any]:
    return dict(read_lock().get(entry.repo, {}))


def located(entry: Entry) -> Path:
    """What an entry is opened from, without the network: its snapshot folder, or its one file.

    Raises:
        ModelError: it is not here, or not whole; the sentence has the command that gets it.
    """
    if entry.converter:
        file = store() / entry.converted
        if not file.is_file():
            raise ModelError(f"{entry.repo} is not on this machine. {get_it(entry)}")
        return file
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    revision = revision_of(entry)
    index = "model_index.json" if entry.role == "base" else "config.json"
    index = entry.files[0] if entry.files else entry.file or index
    try:
        found = try_to_load_from_cache(entry.repo, index, revision=revision)
    except HFValidationError:
        raise ModelError(f"{entry.repo!r} is not a hub id; it has the form owner/name") from None
    if not isinstance(found, str):
        raise ModelError(f"{entry.repo} is not on this machine. {get_it(entry)}")
    if entry.file:
        return Path(found)
    folder = Path(found).parents[index.count("/")]
    known = entry.files or _locked(entry).get("files", {})
    lacking = [name for name in known if not (folder / name).is_file()]
    weights = "*.safetensors" if entry.role != "base" else "*/*.safetensors"
    if not known and not list(folder.glob(weights)):
        lacking = ["its .safetensors weights"]
    if lacking:
        raise ModelError(f"{entry.repo} lacks {', '.join(lacking[:5])}. {get_it(entry)}")
    return folder


def get_it(entry: Entry) -> str:
    """The sentence with the command that fetches an entry."""
    size = f" ({entry.size / 1e9:.1f} GB)" if entry.size else ""
    if entry.role == "clip" and not entry.use:  # not of this project's table
        return f"Get it with: hf download {entry.name}"
    return f"Get it with: identitystory models fetch {entry.name}{size}"


def content_hash(file: Path) -> str:
    """sha256 of a file, in hex.

    A large file in the hub's cache is a link to a blob named by its sha256: the name is taken
    (``verify`` reads the content itself).
    """
    target = file.resolve()
    if (
        file.is_symlink()
        and target.parent.name == "blobs"
        and re.fullmatch(r"[0-9a-f]{64}", target.name)
    ):
        return target.name
    return sha256(file)


def sha256(file: Path) -> str:
    """sha256 of a file's content, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short_digest(*folders: Path, files: str = "*.safetensors") -> str:
    """12 hex digits of the sha256 over the weights in ``folders``: a version, for results."""
    digest = hashlib.sha256()
    for file in (file for folder in folders for file in sorted(folder.glob(files))):
        digest.update(bytes.fromhex(sha256(file)))
    return digest.hexdigest()[:12]


def verify(entry: Entry) -> list[str]:
    """What is wrong with an entry's files on this machine, a sentence each; empty if all is well.

    Every file is read and held against the hash that the hub told when it was fetched.

    Raises:
        ModelError: the entry is not here, or was not fetched by us, so nothing is known of it.
    """
    found = located(entry)
    locked = read_lock().get(entry.repo)
    if locked is None:
        raise ModelError(f"{entry.repo} was not fetched by identitystory. {get_it(entry)}")
    if entry.converter:
        if sha256(found) == locked.get("converted"):
            return []
        return [f"{found} has changed since it was converted. {get_it(entry)}"]
    folder, wrong = (found.parent if entry.file else found), []
    for name, told in locked["files"].items():
        file = folder / name
        if file.stat().st_size != told["size"]:
            wrong.append(f"{name} has {file.stat().st_size} bytes instead of {told['size']}")
        elif not _matches(file, told):
            wrong.append(f"{name} has another content than the hub's")
    return wrong


def _matches(file: Path, told: Mapping[str, Any]) -> bool:
    if told.get("sha256"):
        return sha256(file) == told["sha256"]
    content = file.read_bytes()
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return git.hexdigest() == told.get("blob_id")


def size_of(folder: Path) -> str:
    """What its files take, ``12.3 MiB``."""
    total = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"
