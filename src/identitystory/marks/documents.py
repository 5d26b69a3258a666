"""An XMP packet into a file that holds pages or films: PDF, MP4, EPUB, CBZ, HTML.

A file that is none of its kind is a ValueError.
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError

from .pictures import kind_of

MAX_UNZIPPED = 1 << 30  # bytes
METADATA = "META-INF/metadata.xml"  # of a zip; EPUB keeps the name for this
_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_MP4_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_BLOCK = '<script type="application/rdf+xml">\n{}\n</script>\n'
_OLD_BLOCK = re.compile(
    r'<script type="application/rdf\+xml">\n<\?xpacket .*?</script>\n', re.DOTALL
)
_DATA_URI = re.compile(rb"(data:image/[a-z]+;base64,)([A-Za-z0-9+/=]+)")
_PDF_END = re.compile(rb"trailer\s*<<(.*)>>\s*startxref\s+(\d{1,12})\s+%%EOF\s*\Z", re.DOTALL)
_PDF_ROOT = re.compile(rb"/Root (\d{1,9}) (\d{1,5}) R")
_PDF_META = re.compile(rb"/Metadata \d+ \d+ R\s*")
# What reading a damaged zip may raise; a method of compression that is not known is the third.
DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    LZMAError,
    OSError,
)
Change = Callable[[bytes, str], bytes]


def pdf(data: bytes, packet: bytes) -> bytes:
    """A PDF with the packet as its catalog's Metadata, added behind its end; pages stay as they are.

    An incremental update (ISO 32000-2, 7.5.6): the catalog again, the packet, and a table of the two.
    """
    if b"/C2PA_Manifest" in data:
        raise ValueError("it is signed; it has to be marked before")
    end = _PDF_END.match(data, max(0, data.rfind(b"trailer")))
    if not data.startswith(b"%PDF-") or not end or data[(was := int(end[2])) : was + 4] != b"xref":
        raise ValueError("it is no whole PDF with a plain table of its objects")
    trailer = end[1]
    root, size = _PDF_ROOT.search(trailer), re.search(rb"/Size (\d+)", trailer)
    if not root or not size or b"/Encrypt" in trailer:
        raise ValueError("the PDF has no catalog, or is encrypted")
    found = re.findall(rb"[\r\n]%b %b obj\b(.*?)endobj" % root.groups(), data, re.DOTALL)
    if not found or b"/Catalog" not in found[-1]:
        raise ValueError("the PDF has no catalog")
    number = int(size[1])
    opened, closed, _ = _PDF_META.sub(b"", found[-1]).rpartition(b">>")
    catalog = b"%b/Metadata %d 0 R %b" % (opened, number, closed)
    stream = b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%b\nendstream"
    out, table = [data, b"\n"], [b"0 1\n0000000000 65535 f \n"]
    made = [(int(root[1]), int(root[2]), catalog)]
    made += [(number, 0, stream % (len(packet), packet))]
    for n, generation, body in made:
        table.append(b"%d 1\n%010d %05d n \n" % (n, sum(map(len, out)), generation))
        out.append(b"%d %d obj%b\nendobj\n" % (n, generation, b"\n" + body.strip()))
    told = re.sub(rb"/Prev \d+", b"", trailer).replace(size[0], b"/Size %d" % (number + 1))
    ends = b"xref\n%btrailer\n<<%b/Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    out.append(ends % (b"".join(table), told, was, sum(map(len, out))))
    return b"".join(out)


def mp4(data: bytes, packet: bytes) -> bytes:
    """An MP4 with the packet in a box behind its last, so that nothing else moves."""
    parts, at = [], 0
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size < 8 or at + size > len(data) or (not at and name != b"ftyp"):
            raise ValueError("it is no MP4, or cut short")
        whole = data[at : at + size]
        at += size
        if name == b"uuid" and whole[8:24] == _MP4_C2PA:
            raise ValueError("it is signed; it has to be marked before")
        if name == b"uuid" and whole[8:24] == _MP4_XMP:
            if at == len(data):
                break
            whole = (
                whole[:4] + b"free" + whole[8:]
            )  # an old packet; what is behind it must not move
        parts.append(whole)
    if not parts:
        raise ValueError("it is no MP4")
    box = b"uuid" + _MP4_XMP + packet
    return b"".join([*parts, (len(box) + 4).to_bytes(4), box])


def in_zip(data: bytes, packet: bytes) -> bytes:
    """An EPUB or CBZ with the packet in META-INF/metadata.xml; entries keep order, date and method."""
    return _rezipped(data, lambda content, _: content, packet)


def pictures_in_zip(data: bytes, change: Change) -> bytes:
    """An EPUB or CBZ whose pictures are what ``change`` makes of them and their kind."""
    return _rezipped(data, change, None)


def _rezipped(data: bytes, change: Change, packet: bytes | None) -> bytes:
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
            new.comment, entries = old.comment, old.infolist()
            if sum(entry.file_size for entry in entries) > MAX_UNZIPPED:
                raise ValueError("the zip holds too much")
            for entry in entries:
                content = old.read(entry)
                if kind := kind_of(content):
                    content = change(content, kind)
                if packet is None or entry.filename != METADATA:
                    new.writestr(entry, content)
            if packet is not None:
                told = zipfile.ZipInfo(METADATA)  # of 1980, as every zip without a date
                told.compress_type, told.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                new.writestr(told, packet)
    except DAMAGED as error:
        raise ValueError(f"it is no whole zip ({error})") from None
    return file.getvalue()


def html(data: bytes, packet: bytes) -> bytes:
    """A page with the packet in a block of data in its head, which no browser runs."""
    text = _OLD_BLOCK.sub("", data.decode("utf-8"))
    head, closed, rest = text.partition("</head>")
    if not closed:
        raise ValueError("the page has no </head>")
    return (head + _BLOCK.format(packet.decode()) + closed + rest).encode()


def pictures_in_html(data: bytes, change: Change) -> bytes:
    """A page whose pictures in ``data:`` addresses are what ``change`` makes of them and their kind."""

    def changed(match: re.Match[bytes]) -> bytes:
        content = base64.b64decode(match[2])
        kind = kind_of(content)
        made = change(content, kind) if kind else content
        return match[1] + base64.b64encode(made)

    return _DATA_URI.sub(changed, data)
