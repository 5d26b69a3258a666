"""What a file claims about who made it, and whether it was changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import RunError
from . import packet
from .manifest import FORMATS, INSTALL, Signature, signature
from .mark import KINDS, Kind, inside, kind_of, packet_in

_ABSENT = Signature("absent")


@dataclass(frozen=True)
class Report:
    """What was found in a file.

    Attributes:
        kind: of file.
        said: what it says of itself by the names of `packet.Claim`, ``source`` and ``tool``; not proven.
        signature: of the file itself; an EPUB, a CBZ and a page have none of their own.
        pictures: of those inside one, how many there are, are ``marked``, and have a signature of
            each state.
    """

    kind: Kind
    said: Mapping[str, str]
    signature: Signature
    pictures: Mapping[str, int] = field(default_factory=dict)


def verify(data: bytes, name: str) -> Report:
    """What the file that is called ``name`` holds.

    Raises:
        RunError: it is of no kind that is marked, or broken.
    """
    kind = kind_of(data, name)
    if kind is None:
        raise RunError(f"{name} is of no kind that is marked; take one of {', '.join(KINDS)}")
    found: Counter[str] = Counter()

    def look(content: bytes, its: str) -> bytes:
        there = packet.find(content)
        found.update(["pictures", *["marked"] * (there is not None and bool(_said(there)))])
        found.update([signature(content, its).state])
        return content

    try:
        inside(data, kind, look)
        told = packet_in(data, kind)
        said = _said(told) if told is not None else {}
    except ValueError as error:
        raise RunError(f"{name} is broken: {error}") from None
    signed = signature(data, kind) if kind in FORMATS else _ABSENT
    if signed.said and not said:
        said = {k: signed.said[v] for k, v in packet.PLACES.items() if v in signed.said}
    return Report(kind, said, signed, dict(found))


def _said(text: str) -> dict[str, str]:
    """What a packet says; nothing where it is broken."""
    try:
        return packet.read(text)
    except ValueError:
        return {}


def lines(report: Report) -> list[str]:
    """The report in words."""
    said = report.said
    source = said.get("source", "").removeprefix(packet.SOURCE_TYPES)
    told = (
        [f"a trained algorithm made it (IPTC {source})"]
        if source == "trainedAlgorithmicMedia"
        else []
    )
    told += [f"IPTC's digital source type is {source}"] if source and not told else []
    told += [f"with {said['tool']}"] if "tool" in said else []
    made = [f"says: {', '.join(told)}" if told else "says nothing of who made it"]
    words = {"model": "model", "fingerprint": "weights", "story": "story", "licence": "licence"}
    made += [f"{word}: {said[name]}" for name, word in words.items() if name in said]
    if report.pictures:
        states = [f"{n} with a signature that is {s}" for s, n in sorted(report.pictures.items())
                  if s in ("valid", "changed", "invalid", "unchecked")]  # fmt: skip
        count, marked = report.pictures["pictures"], report.pictures.get("marked", 0)
        made.append(f"pictures inside: {count}, {', '.join([f'{marked} marked', *states])}")
    if report.kind in FORMATS:
        made.append(f"signature: {_worth(report.signature)}")
    return made


def _worth(it: Signature) -> str:
    by = f"by {it.by!r}" if it.by else "by nobody who is named"
    known = "" if it.trusted else ", a name that no known issuer stands for"
    return {
        "absent": "absent",
        "valid": f"valid, {by}{known}; nothing was changed since",
        "changed": f"changed: this is not what was signed {by} ({it.why})",
        "invalid": f"invalid, {by} ({it.why})",
        "unchecked": f"there, and not checked; {INSTALL}",
    }[it.state]
