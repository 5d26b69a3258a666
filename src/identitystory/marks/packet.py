"""The XMP packet that says who made a file: IPTC's digital source type, and what it was made with.

Extensible Metadata Platform (ISO 16684-1), IPTC Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .. import __version__

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{SOURCE_TYPES}trainedAlgorithmicMedia"
MAX_WORDS = 400  # of one property
MAX_PACKET = 60_000  # bytes; one segment of a JPEG holds no more
BEGIN, END = "<?xpacket begin=", '<?xpacket end="w"?>'
_HEAD = f'{BEGIN}"\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
_PACKET = re.compile(rb"<\?xpacket begin=[^>]{0,80}\?>(.{1,60000}?)<\?xpacket end=", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """What a file says beside that a trained algorithm made it, with this program; empty is not said.

    Attributes:
        model: as pictures call it, ``miniature``.
        fingerprint: sha256 over the model's weights.
        story: its title.
        licence: of the model.
    """

    model: str = ""
    fingerprint: str = ""
    story: str = ""
    licence: str = ""


PLAIN = Claim()
# Where each property of a claim stands in a packet. Titles and rights are lists, one a language.
PLACES = {
    "source": "Iptc4xmpExt:DigitalSourceType",
    "tool": "xmp:CreatorTool",
    "model": "Iptc4xmpExt:AISystemUsed",
    "fingerprint": "Iptc4xmpExt:AISystemVersionUsed",
    "story": "dc:title",
    "licence": "dc:rights",
}
TOOL = f"identitystory {__version__}"


def properties(claim: Claim) -> dict[str, str]:
    """What is said, by the names of XMP: ``{"dc:title": "Salt"}``."""
    said = {"source": TRAINED, "tool": TOOL}
    said |= {f.name: plain(getattr(claim, f.name)) for f in fields(claim)}
    return {PLACES[name]: words for name, words in said.items() if words}


def packet(claim: Claim) -> str:
    """The claim as an XMP packet: the same text for the same claim, without dates."""
    spaces = [f'xmlns:{name}="{SPACES[name]}"' for name in SPACES]
    return "\n".join(
        [
            _HEAD,
            f"<x:xmpmeta {spaces[0]}><rdf:RDF {spaces[1]}>",
            f'<rdf:Description rdf:about="" {" ".join(spaces[2:])}>',
            *(_property(place, words) for place, words in properties(claim).items()),
            "</rdf:Description></rdf:RDF></x:xmpmeta>",
            END,
        ]
    )


def plain(words: str) -> str:
    """``words`` in one line of bounded length, of letters that XML takes."""
    kept = "".join(ch if ch.isprintable() else " " for ch in words)
    return " ".join(kept.split())[:MAX_WORDS]


def _property(place: str, words: str) -> str:
    inner = escape(words)
    if place.startswith("dc:"):
        inner = f'<rdf:Alt><rdf:li xml:lang="x-default">{inner}</rdf:li></rdf:Alt>'
    return f"<{place}>{inner}</{place}>"


def find(data: bytes) -> str | None:
    """The last XMP packet in ``data``, found by its first and last line; None if there is none."""
    found = list(_PACKET.finditer(data))
    return found[-1][1].decode("utf-8", "replace") if found else None


def read(text: str) -> dict[str, str]:
    """What a packet says, by the names of `Claim` and ``source`` and ``tool``; anybody may have written it.

    Raises:
        ValueError: it is no XML, or declares a document type, which XMP never does.
    """
    if "<!" in text:
        raise ValueError("it declares a document type")
    try:
        root = ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML ({error})") from None
    said = {}
    for name, place in PLACES.items():
        space, _, local = place.partition(":")
        full = f"{{{SPACES[space]}}}{local}"
        words = [el.attrib[full] for el in root.iter() if full in el.attrib]
        words += ["".join(el.itertext()) for el in root.iter(full)]
        if words and (kept := plain(words[0])):
            said[name] = kept
    return said
