"""Character files as a stranger might send them: damaged, or made with care to do harm.

``python -m tests.fuzz_characters --seconds 600 --seed 1`` is the long round; `test_characters` has a
short one. A finding is a traceback, another exit code than 0 and 2, more than one line of error, a
control character on the terminal, or a file that is written where none should be; and a file that is
taken although it is not, byte for byte, what its content is packed as.
"""

import argparse
import contextlib
import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load, save

from identitystory.cli.main import main
from identitystory.runs.characters.archive import TOLD
from identitystory.runs.characters.form import write_told
from tests.characters import person
from tests.fuzz_runs import changed, chunk, service

NAMES = ("../x.png", "/etc/passwd", "portraits/000.png", "portraits/../../x", "x", "portraits/9.png",
         "embeddings/" + "0" * 64 + ".safetensors", "character.json", "portraits/003.png", "\x1b[2J",
         "CON", "portraits/NUL.png", "a" * 300, "portraits/" + "b" * 300 + ".png", "portraits\\000.png",
         "portraits/000.png\0", "\u202egnp.000", "\ufeffcharacter.json", "embeddings/../character.json", "")  # fmt: skip
STORY = """
[[character]]
name = "Mara"
cast = "in.character"
[[scene]]
prompt = "{Mara} reads"
"""


def parts_of(made):
    """Every entry by name."""
    return {TOLD: write_told(made.told), **made.parts}


def packed(parts, method=zipfile.ZIP_STORED, comment=b"", date=(1980, 1, 1, 0, 0, 0), mode=0o644):
    """A zip of entries, (name, content), as another program might pack them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in parts:
            entry = zipfile.ZipInfo(name, date)
            entry.create_system, entry.external_attr = 3, mode << 16
            entry.compress_type = method
            made.writestr(entry, content)
        made.comment = comment
    return buffer.getvalue()


def named_right(parts):
    """``parts`` with the hashes of its entries in its JSON, so that only what they hold is wrong."""
    told = json.loads(parts[TOLD])
    hashes = {name: sha256(content).hexdigest() for name, content in parts.items()}
    told["portraits"] = [hashes[name] for name in sorted(parts) if name.startswith("portraits/")]
    told["embeddings"] = {
        name[11:75]: hashes[name] for name in sorted(parts) if name.startswith("embeddings/")
    }
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return {**parts, TOLD: text.encode()}


# --- Mutations: (draw, the whole character) -> the bytes of a file -----------------------------------


def cut(draw, made):
    """Some bytes off the end, or off the beginning."""
    at = draw.randrange(len(made.content))
    return draw.choice([made.content[:at], made.content[at:]])


def flip(draw, made):
    """Some bytes become others."""
    content = bytearray(made.content)
    for _ in range(draw.choice((1, 1, 1, 4, 64))):
        content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    return bytes(content)


def insert(draw, made):
    """More bytes, somewhere."""
    at = draw.choice([0, len(made.content), draw.randrange(len(made.content))])
    more = draw.choice([b"\0", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, draw.randbytes(50)])
    return made.content[:at] + more + made.content[at:]


def strange(draw, made):
    """No character at all."""
    return draw.choice(
        [b"", b"PK", b"PK\x03\x04", b"PK\x03\x04" * 5000, b"PK\x03\x04" + b"\xff" * 100, b"\0" * 4096,
         b"[" * 99_999, packed([]), packed([(TOLD, b"{}")]), packed([(TOLD, b"null")])]
    )  # fmt: skip


def zipped(draw, made):
    """A zip with entries that are compressed, linked, named or ordered otherwise, or there twice."""
    parts = list(parts_of(made).items())
    how = draw.randrange(6)
    if how == 0:
        bomb = [(draw.choice(NAMES[4:9]), b"\0" * 5_000_000)]
        return packed(parts + bomb * draw.choice((0, 1)), zipfile.ZIP_DEFLATED)
    if how == 1:
        return packed(sorted(parts), mode=draw.choice((0o120777, 0o40755, 0o644)), comment=b"hi")
    if how == 2:
        return packed(sorted([*parts, (draw.choice(NAMES), draw.choice(parts)[1])]))
    if how == 3:
        draw.shuffle(parts)
        return packed(parts, date=(2026, 1, 1, 0, 0, 0))
    if how == 4:
        return packed(sorted(draw.sample(parts, draw.randrange(len(parts)))))
    name, _ = draw.choice(parts)
    return packed(sorted({**dict(parts), name: draw.choice(parts)[1]}.items()))


def told(draw, made):
    """JSON with something else in it, packed as it should be."""
    parts = parts_of(made)
    value = changed(draw, json.loads(parts[TOLD]))
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    content = draw.choice([text, text, text, '{"a":' * 50_000, "[" + "1," * 200_000, "NaN"])
    parts[TOLD] = content.encode("utf-8", "surrogatepass")
    return packed(sorted(parts.items()))


def numbers(draw, made):
    """Other numbers, shapes and names in an embedding's file, whose hash is right."""
    parts = parts_of(made)
    name = next(each for each in parts if each.startswith("embeddings/"))
    t = load(parts[name])
    key = draw.choice(["E", "embedding"])
    t[key] = draw.choice(
        [t[key] * float("nan"), t[key] * float("inf"), t[key].double(), t[key].half(), t[key][:1],
         t[key][None], torch.zeros_like(t[key]), t[key] + 1, torch.zeros(0), torch.zeros(3, 0),
         torch.ones(3, 100_000), torch.tensor(1.0), t[key].to(torch.complex64), t[key].bool()]
    ).contiguous()  # fmt: skip
    if draw.random() < 0.2:
        t = draw.choice([{}, {"E": t["E"]}, {**t, "more": torch.ones(1)}])
    content = save(t)
    if draw.random() < 0.3:
        content = draw.choice(
            [b"", b"\xff" * 8, (2**62).to_bytes(8, "little") + content[8:], content + b"\0",
             content[: draw.randrange(len(content))]]
        )  # fmt: skip
    return packed(sorted(named_right({**parts, name: content}).items()))


def pixels(draw, made):
    """A portrait that is none, of another size or kind, or with something beside its pixels."""
    parts = parts_of(made)
    name = draw.choice([each for each in parts if each.startswith("portraits/")])
    content = parts[name]
    head, rest = content[:8], content[33:]
    side = draw.choice([0, 1, 7, 9, 2048, 2049, 20_000, 2**31 - 1])
    size = side.to_bytes(4, "big") * 2
    depth = draw.choice(
        [b"\x08\x02\0\0\0", b"\x10\x02\0\0\0", b"\x08\x06\0\0\0", b"\x08\x02\x01\0\1"]
    )
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 3_000_000))
    parts[name] = draw.choice(
        [head + chunk(b"IHDR", size + depth) + rest, content[:33] + bomb + rest, content + b"\0",
         content[:33] + chunk(b"eXIf", b"MM\0*") + rest, content[: draw.randrange(len(content))],
         head + chunk(b"IHDR", content[16:29]) + chunk(b"IDAT", zlib.compress(b"\0" * 5_000_000)) +
         chunk(b"IEND", b""), b"GIF89a" + b"\0" * 50, flip(draw, replace_content(content))]
    )  # fmt: skip
    return packed(sorted(named_right(parts).items()))


def replace_content(content):
    """Something with ``content``, for `flip`."""
    return argparse.Namespace(content=content)


MUTATIONS = (
    cut,
    flip,
    flip,
    insert,
    strange,
    zipped,
    zipped,
    told,
    told,
    told,
    numbers,
    numbers,
    pixels,
)


def one(made, place, seed):
    """What is wrong with how one mutated file is taken; empty if nothing is. ``place`` is a folder."""
    draw = random.Random(seed)
    mutation = draw.choice(MUTATIONS)
    content = mutation(draw, made)
    file = place / "in.character"
    file.write_bytes(content)
    (place / "story.toml").write_text(STORY)
    library = place / "identitystory" / "cast"
    command = draw.choice(("import", "import", "show", "story"))
    argv = ["generate", str(place / "story.toml"), "--out", str(place / "run"), "--only", "9"]
    argv = argv if command == "story" else ["cast", command, str(file)]
    name, out, err = f"seed {seed}: {mutation.__name__}: {command}", io.StringIO(), io.StringIO()
    os.environ["XDG_DATA_HOME"] = str(place)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv, service=service)
    except SystemExit as error:
        code = error.code
    except BaseException:
        return [f"{name}: {traceback.format_exc()}"]
    wrong, text = [], out.getvalue() + err.getvalue()
    if code not in (0, 2) or (code and len(err.getvalue().splitlines()) != 1):
        wrong.append(f"{name}: exit {code}: {err.getvalue()[-500:]!r}")
    if any(not (ch.isprintable() or ch in "\n\u200c\u200d") for ch in text):
        wrong.append(f"{name}: control characters: {text[-500:]!r}")
    kept = list(library.glob("*")) if library.exists() else []
    if code == 0 and command == "import" and [each.read_bytes() for each in kept] != [content]:
        wrong.append(f"{name}: the library holds something else")
    if (code and kept) or (place / "run").exists():
        wrong.append(f"{name}: a refused file was written: {kept}")
    if code == 0 and content != made.content and mutation in (cut, flip, insert, strange, zipped):
        wrong.append(f"{name}: a damaged file was taken")
    for each in kept:
        each.unlink()
    return wrong


def rounds(seed, place, *, count=None, seconds=None, say=lambda line: None):
    """How many files were tried, and what is wrong, in an empty folder."""
    made = person()
    found, number, start = [], 0, time.monotonic()
    before = os.environ.get("XDG_DATA_HOME")
    try:
        while (count is None or number < count) and (
            seconds is None or time.monotonic() - start < seconds
        ):
            wrong = one(made, place, seed + number)
            number += 1
            found += wrong
            for line in wrong:
                say(line)
    finally:
        os.environ.pop("XDG_DATA_HOME")
        if before is not None:
            os.environ["XDG_DATA_HOME"] = before
    return number, found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tell = lambda line: sys.stdout.write(line + "\n")
    with tempfile.TemporaryDirectory() as folder:
        tried, bad = rounds(given.seed, Path(folder), seconds=given.seconds, say=tell)
    tell(f"{tried} files, {len(bad)} findings")
    sys.exit(bool(bad))
