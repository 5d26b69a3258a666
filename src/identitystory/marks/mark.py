"""`mark`: any file that we write says that a trained algorithm made it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Literal, cast, get_args

from . import documents, pictures
from .documents import Change
from .packet import MAX_PACKET, Claim, find, packet

Kind = Literal["png", "jpeg", "gif", "pdf", "mp4", "epub", "cbz", "html"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PUT: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "png": pictures.png,
    "jpeg": pictures.jpeg,
    "gif": pictures.gif,
    "pdf": documents.pdf,
    "mp4": documents.mp4,
    "epub": documents.in_zip,
    "cbz": documents.in_zip,
    "html": documents.html,
}


def mark(data: bytes, kind: Kind, claim: Claim | None) -> bytes:
    """``data`` with an XMP packet that holds IPTC's digital source type and the claim.

    The same bytes each time; marked twice is marked once, with the later claim. Pixels, pages and
    samples stay as they are. Pictures inside an EPUB, a CBZ or a page are marked, too. A signature
    over an unmarked picture would no longer hold, and is taken out: sign last.

    Args:
        data: a whole file.
        kind: what it is.
        claim: what else is said; None leaves ``data`` as it is.

    Raises:
        ValueError: it is no whole file of that kind, or a PDF or MP4 that is signed already.
    """
    if claim is None:
        return data
    told = packet(claim).encode()
    put = lambda content, its: _PUT[its](content, told)
    return put(inside(data, kind, put), kind)


def inside(data: bytes, kind: str, change: Change) -> bytes:
    """``data`` with every picture inside it being what ``change`` makes of it and its kind."""
    if kind in ("epub", "cbz"):
        return documents.pictures_in_zip(data, change)
    return documents.pictures_in_html(data, change) if kind == "html" else data


def packet_in(data: bytes, kind: Kind) -> str | None:
    """The XMP packet of a file itself, without that of pictures inside it; None if there is none.

    Raises:
        ValueError: an EPUB or CBZ that is no whole zip.
    """
    if kind not in ("epub", "cbz"):
        return find(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file, file.open(documents.METADATA) as entry:
            return find(entry.read(MAX_PACKET))
    except KeyError:
        return None
    except documents.DAMAGED as error:
        raise ValueError(f"it is no whole zip ({error})") from None


def kind_of(data: bytes, name: str = "") -> Kind | None:
    """What a file is, by its first bytes; ``name`` tells an EPUB from a CBZ. None if it is no kind of ours."""
    if data.startswith(b"PK"):
        return "cbz" if name.lower().endswith(".cbz") else "epub"
    if data.startswith(b"%PDF-"):
        return "pdf"
    if data[4:8] == b"ftyp":
        return "mp4"
    start = data[:1000].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return cast(Kind, pictures.kind_of(data)) or None
