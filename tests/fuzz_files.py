"""Files of all the kinds that commands read, as a stranger might send them; what must hold of each.

    python -m tests.fuzz_files --seconds 600 --seed 3     # a longer round than the test's

Screenplays, shot lists and other tools' stories for ``import``; pictures, documents and films for
``verify`` and ``sign``; answers and keys for ``study tally``; weights for ``models add`` and ``--lora``.
A right one of each kind is damaged, or is one pattern many times, or is another kind's. What is held
against each is what `tests.fuzz` holds against every command.
"""

import io
import json
import random
import struct
import zipfile
from pathlib import Path

from PIL import Image

from identitystory.types import png
from tests.fuzz import INLINE, ODD, by_hand, odd_value, rounds, wrong

FOUNTAIN = """Title: The Lamp
Author: Nobody

INT. LIGHTHOUSE - NIGHT

MARA climbs. /* a note */ [[another]] Rain.

MARA (V.O.)
(quietly)
Who is there?

@Tom ^
Nobody!

CUT TO:

EXT. HARBOUR - LATER #2#
"""
CSV = 'Shot;Description;Characters;Location;Dialogue\n1;"Mara reads, and waits";Mara;harbour;Mara: "Yes"\n'
YAML = """title: The Lamp
characters:
  - name: Mara
    description: a woman
scenes:
  - location: harbour
    shots: [{action: Mara reads, cast: [Mara, Tom]}, "rain"]
"""
TXT = "[Mara] a woman\n[Mara] reads #a caption\n[NC] the sea\n"
JSONS = [
    {"Characters": {"Mara": {"prompt_en": "a woman"}}, "Shots": [{"Plot Correspondence": {"en": "x"}}]},
    {"prompts": ["a photo of a girl, on a pier"], "token": ["girl"], "character": ["girl"], "style": "ink"},
    {"format": 1, "questions": [], "options": {}, "study": "a", "key": {}},
]  # fmt: skip
PATTERNS = [
    "/*", "[[", "*/", "INT. ", "INT. - - - ", "(", "()", "(V.O.", "@a\n", "A\nb\n\n", ",", ";", "\t", '"', '""', "a,",
    "- ", "- - ", "{a: ", "[", "&a ", "*a", "? ", "|\n", "a: ", "[a]", "#", "[NC]", "\r", "\x1b[2J", "\u2028", "\0",
    "<svg>", "%PDF-1.7\n", "1 0 obj\n", "stream\n", "endobj ", "xref\n", "<!--", "<x:xmpmeta", "&lt;", "<rdf:RDF ",
]  # fmt: skip


def picture(kind: str) -> bytes:
    """A small marked PNG, or a plain picture of another kind."""
    image, kept = Image.new("RGB", (9, 8), (90, 120, 40)), io.BytesIO()
    if kind == "PNG":
        return png(image)
    image.save(kept, format=kind)
    return kept.getvalue()


def archive(draw: random.Random) -> bytes:
    """A ZIP with odd names, sizes that lie, or one that is far larger than it looks."""
    kept = io.BytesIO()
    with zipfile.ZipFile(
        kept, "w", draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    ) as made:
        names = [
            "../x",
            "/etc/x",
            "mimetype",
            "OEBPS/content.opf",
            "ComicInfo.xml",
            "001.png",
            "a" * 300,
        ]
        for name in draw.sample(names, draw.randint(1, 4)):
            made.writestr(
                name, draw.choice([b"", b"application/epub+zip", bytes(10_000_000), picture("PNG")])
            )
    return kept.getvalue()


def weights(draw: random.Random) -> bytes:
    """A safetensors file whose header lies."""
    name = draw.choice(
        ["lora_unet_x.lora_down.weight", "x.hada_w1_a", "__metadata__", "", "\x1b", "a" * 9999]
    )
    shape = draw.choice([[1], [2**40], [-1], [0], [1] * 5000, "x", [1.5], [2**63, 2**63]])
    told = {
        name: {
            "dtype": draw.choice(["F32", "F16", "I64", "X", 3, None]),
            "shape": shape,
            "data_offsets": draw.choice([[0, 4], [0, 2**60], [4, 0], [-4, 4], [], "x"]),
        }
    }
    if draw.random() < 0.3:
        told["__metadata__"] = odd_value(draw)
    header = json.dumps(told).encode() if draw.random() < 0.9 else b"[" * 100_000
    size = draw.choice([len(header), len(header), 0, 1, 2**31, 2**62, 2**64 - 1])
    return struct.pack("<Q", size) + header + bytes(draw.choice([0, 4, 100]))


def box(kind: bytes, content: bytes) -> bytes:
    """A box of an MP4."""
    return struct.pack(">I", 8 + len(content)) + kind + content


def film(draw: random.Random) -> bytes:
    """Boxes in boxes, whose lengths may lie."""
    content = b""
    for _ in range(draw.choice([1, 3, 2000])):
        content = box(draw.choice([b"moov", b"udta", b"uuid", b"meta", b"free"]), content)
    size = struct.pack(">I", draw.choice([0, 1, 7, 2**31, 2**32 - 1]))
    return box(b"ftyp", b"isom\0\0\0\0isom") + content + size + b"uuid" + draw.randbytes(40)


def right(draw: random.Random) -> tuple[str, bytes]:
    """A name and a content that fit each other, more or less."""
    kinds = [
        lambda: (draw.choice(["a.fountain", "a.spmd", "a.txt"]), FOUNTAIN.encode()),
        lambda: (draw.choice(["a.csv", "a.tsv"]), CSV.encode()),
        lambda: (draw.choice(["a.yaml", "a.yml"]), YAML.encode()),
        lambda: ("a.txt", TXT.encode()),
        lambda: ("a.json", json.dumps(draw.choice(JSONS)).encode()),
        lambda: ("a.json", json.dumps(odd_value(draw)).encode()),
        lambda: ("a.png", picture("PNG")),
        lambda: (draw.choice(["a.jpg", "a.jpeg"]), picture("JPEG")),
        lambda: ("a.gif", picture("GIF")),
        lambda: (draw.choice(["a.epub", "a.cbz", "a.character"]), archive(draw)),
        lambda: ("a.mp4", film(draw)),
        lambda: ("a.pdf", b"%PDF-1.7\n1 0 obj\n<</Metadata 2 0 R>>\nendobj\n2 0 obj\nstream\n<x:xmpmeta/>\n"),
        lambda: ("a.html", b"<html><head><meta name=x></head></html>"),
        lambda: ("a.safetensors", weights(draw)),
        lambda: ("a.otio", json.dumps({"OTIO_SCHEMA": "Timeline.1", "tracks": odd_value(draw)}).encode()),
    ]  # fmt: skip
    return draw.choice(kinds)()


def odd_file(draw: random.Random) -> tuple[str, bytes]:
    """One of those, damaged."""
    name, content = right(draw)
    how = draw.randrange(8)
    if how == 0:
        content = content[: draw.randrange(len(content) + 1)]
    elif how == 1:
        changed = bytearray(content)
        for _ in range(draw.choice([1, 4, 64]) if content else 0):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        content = bytes(changed)
    elif how == 2:
        at = draw.randrange(len(content) + 1)
        odd = draw.choice(ODD).encode("utf-8", "surrogatepass")
        content = content[:at] + odd * draw.choice([1, 500]) + content[at:]
    elif how == 3:
        few = "".join(draw.choices(PATTERNS, k=draw.randint(1, 3))).encode()
        content = content[: draw.choice([0, 30])] + few * (
            draw.choice([3000, 300_000, 520_000, 990_000]) // len(few)
        )
    elif how == 4:
        content = right(draw)[1]
    elif how == 5:
        content = draw.randbytes(draw.choice([0, 3, 3000]))
    return name, content


def command(draw: random.Random, name: str) -> list[str]:
    """A command that reads the file."""
    readers = [
        ["import", name, "--out", "made.toml"],
        ["import", name],
        ["verify", name],
        ["verify", name, "--json"],
        ["sign", name, "--out", "signed"],
        ["study", "tally", name, name],
        ["models", "add", name],
        ["generate", *INLINE, "--out", "r", "--model", "sdxl", "--lora", name],
        ["cast", "import", name],
        ["cast", "show", name],
        ["generate", name, "--out", "r"],
        ["export", name],
        ["evaluate", name],
        ["generate", *INLINE, "--out", "r", "--base", name],
    ]
    fitting = {"a.png": readers[2:5], "a.safetensors": [readers[6], readers[7], readers[13]]}
    likely = fitting.get(name, readers[:2] if name.rpartition(".")[2] in IMPORTED else readers[2:5])
    return draw.choice(likely if draw.random() < 0.7 else readers)


IMPORTED = ("fountain", "spmd", "txt", "csv", "tsv", "yaml", "yml", "json")


def find(seconds: float, seed: int) -> tuple[int, list[str]]:
    """How many files were read in ``seconds`` of processor time, and what was wrong with some."""

    def one(draw: random.Random, place: Path) -> tuple[str, str]:
        name, content = odd_file(draw)
        Path(name).write_bytes(content)
        argv = command(draw, name)
        return f"{argv!r} {content[:80]!r}", wrong(argv, place)

    return rounds(seconds, seed, "file", one)


if __name__ == "__main__":
    by_hand(__doc__, "file", find)
