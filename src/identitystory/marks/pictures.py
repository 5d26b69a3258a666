"""An XMP packet into the file of one picture, the old one and any signature over the file taken out.

What is drawn stays byte for byte. A file that is no picture of its kind is a ValueError.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_XMP = b"XML:com.adobe.xmp\x00"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_GIF_XMP = b"XMP DataXMP"
_GIF_C2PA = b"C2PA_GIF"
# Behind a packet in a GIF, whose blocks begin with their length: from any byte on it leads to the end.
_GIF_TAIL = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"


def kind_of(data: bytes) -> str:
    """``png``, ``jpeg`` or ``gif`` by the first bytes of a file; empty if it is none."""
    begins = {_PNG: "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}
    return next((kind for start, kind in begins.items() if data.startswith(start)), "")


def png(data: bytes, packet: bytes) -> bytes:
    """A PNG with the packet in an iTXt chunk in front of its pixels."""
    if not data.startswith(_PNG):
        raise ValueError("it is no PNG")
    chunk = b"iTXt" + _PNG_XMP + bytes(4) + packet
    made = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    parts, there = [_PNG], False
    for name, whole in _png_chunks(data):
        if name == b"IDAT" and not there:
            parts.append(made)
            there = True
        if name != b"caBX" and not (name == b"iTXt" and whole[8:].startswith(_PNG_XMP)):
            parts.append(whole)
    if not there:
        raise ValueError("the PNG has no pixels")
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at < len(data):
        if at + 12 > len(data):
            raise ValueError("the PNG is cut short")
        size = int.from_bytes(data[at : at + 4]) + 12
        if at + size > len(data):
            raise ValueError("the PNG is cut short")
        yield data[at + 4 : at + 8], data[at : at + size]
        at += size


def jpeg(data: bytes, packet: bytes) -> bytes:
    """A JPEG with the packet in an APP1 segment, behind JFIF's and Exif's."""
    if not data.startswith(b"\xff\xd8\xff") or b"\xff\xd9" not in data[-64:]:
        raise ValueError("it is no whole JPEG")
    body = _JPEG_XMP + packet
    made = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    first: list[bytes] = []
    parts: list[bytes] = []
    at = 2
    while data[at : at + 2] != b"\xff\xda":  # from there on pixels
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            raise ValueError("the JPEG is cut short")
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        marker, segment = data[at + 1], data[at:end]
        in_front = marker == 0xE0 or segment[4:].startswith(b"Exif\x00")
        if marker != 0xEB and not segment[4:].startswith(_JPEG_XMP):  # 0xEB holds a manifest
            (first if in_front and not parts else parts).append(segment)
        at = end
    return b"".join([b"\xff\xd8", *first, made, *parts, data[at:]])


def gif(data: bytes, packet: bytes) -> bytes:
    """A GIF with the packet in an application extension behind its last picture."""
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        raise ValueError("it is no GIF")
    made = b"\x21\xff\x0b" + _GIF_XMP + packet + _GIF_TAIL
    at = 13 + _table(data[10:11])
    parts = [b"GIF89a", data[6:at]]  # extensions came with 89a
    while data[at : at + 1] != b";":
        start = at
        if data[at : at + 1] == b"!":
            at += 2
        elif data[at : at + 1] == b",":
            at += 11 + _table(data[at + 9 : at + 10])
        else:
            raise ValueError("the GIF is cut short")
        at = _behind_blocks(data, at)
        whole = data[start:at]
        if not whole[3:].startswith((_GIF_XMP, _GIF_C2PA)):
            parts.append(whole)
    return b"".join([*parts, made, b";"])


def _table(flags: bytes) -> int:
    """Bytes of the colour table that these flags tell of."""
    if not flags:
        raise ValueError("the GIF is cut short")
    return 3 << ((flags[0] & 7) + 1) if flags[0] & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    if at >= len(data):
        raise ValueError("the GIF is cut short")
    return at + 1
