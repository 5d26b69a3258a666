"""The commands on marks: ``verify``, ``sign``, ``certificate``."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from ..errors import ConfigError, RunError
from .commands import Argument
from .options import Folder, Marks, answer, own_certificate, say

Files = Annotated[Path, Argument("FILE")]
PEM = Annotated[Path, "FILE"]


def verify(*, files: tuple[Files, ...], json: bool = False) -> int:
    """Say what files claim about who made them, and whether they were changed.

    Reads IPTC's digital source type and what else the mark of a file says: program, model, weights,
    story, licence. With the extra c2pa it checks the signature, too, without the network. A mark that
    is absent proves nothing: many programs drop it.

    Args:
        files: pictures (PNG, JPEG, GIF), PDF, MP4, EPUB, CBZ or HTML
        json: print one JSON object a line
    """
    from ..marks import verify as marks

    for file in files:
        report = marks.verify(_content(file), str(file))
        told = {"file": str(file), **asdict(report)}
        answer(json, told, "\n  ".join([str(file), *marks.lines(report)]))
    return 0


def sign(*, files: tuple[Files, ...], out: Folder, marks: Marks) -> int:
    """Mark and sign copies of files.

    Copies files that identitystory made, such as frames of a run, with their mark put back where
    another program dropped it, and signed. The signature says that the holder of the certificate made
    them with a trained algorithm; any later change shows. Needs the extra c2pa.

    Args:
        files: pictures (PNG, JPEG, GIF), PDF, MP4, EPUB, CBZ or HTML
        out: where the copies go
    """
    from ..marks.manifest import handed_out
    from ..marks.packet import Claim
    from ..marks.verify import verify as found
    from ..runs.inside import write_whole
    from ..runs.strip import check_free

    signer = marks.signer()
    if signer is None or marks.marks is False:
        raise ConfigError(
            "there is no certificate to sign with; make one with identitystory certificate, or give "
            "one with --certificate FILE"
        )
    for file in files:
        content, copy = _content(file), out / file.name
        if copy.resolve() == file.resolve():
            raise RunError(f"{copy} would be written over itself; choose another folder with --out")
        check_free(copy)
        report = found(content, str(file))
        claim = Claim(**{k: v for k, v in report.said.items() if k not in ("source", "tool")})
        try:
            write_whole(copy, handed_out(content, report.kind, claim, signer))
        except ValueError as error:
            raise RunError(f"{file}: {error}") from None
        say(str(copy))
    return 0


def certificate(*, name: str = "identitystory user", out: PEM | None = None) -> int:
    """Make a certificate of your own to sign files with.

    Makes a key and a certificate for five years, in one file that only you can read. From then on
    what you hand out is signed with it, if the extra c2pa is installed. Nobody vouches for the name:
    checkers say so. A certificate from an issuer on C2PA's list is given with --certificate instead.

    Args:
        name: who signs, as everybody will read it
        out: the file (default: signing.pem in identitystory's folder of settings)
    """
    from ..marks.certificate import new_certificate
    from ..marks.manifest import need

    need()
    file = out or own_certificate()
    if not name.strip() or len(name) > 60 or not name.isprintable():
        raise ConfigError(f"--name {name!r} takes 1 to 60 letters")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        place = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(
            f"{file} is there; delete it for a new certificate, or choose another file with --out"
        ) from None
    with open(place, "wb") as opened:
        opened.write(new_certificate(name.strip()))
    say(str(file))
    return 0


def _content(file: Path) -> bytes:
    from ..runs import inside

    with inside.mendable(file, "read"):
        if not file.exists():
            raise RunError(f"{file}: there is no such file")
        return inside.read(file.resolve())  # whoever names a link means its file
