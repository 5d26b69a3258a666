"""Run folders as a stranger might send them: each file mutated, then read by every command.

``python -m tests.fuzz_runs --count 2000 --seed 1`` is the long round; `test_fuzz_runs` a short one.
A finding is a traceback, another exit code than 0, 1 and 2, more than one line of error, a control
character on the terminal, or a file that changed outside of the run.
"""

import argparse
import contextlib
import io
import json
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import traceback
import zlib
from pathlib import Path
from unittest import mock

import torch
from safetensors import safe_open
from safetensors.torch import load, save

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.protocols import Backend
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.story.file import make_story
from tests.conftest import MARA, FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T
from tests.workshop import FACTS

SECRET = "export MINE=1\n"
PRESET = Preset(
    "test",
    num_steps=T,
    attempts=1,
    discovery=DiscoveryConfig(num_portraits=4, rank=2, iterations=1),
    injection=InjectionConfig(start=2),
)
STORY = make_story(
    {
        "title": "Fuzz",
        "locations": {"pier": "the old pier"},
        "character": [{"name": MARA.name, "description": MARA.description, "wears": "a hat"}],
        "scene": [
            {"prompt": "{Mara} reads", "id": "first", "expect": ["one person", "Mara is present"]},
            {
                "prompt": "{Mara} swims at {pier}",
                "wears": {"Mara": "a red coat"},
                "caption": "Cold.",
                "dialogue": [{"who": "Mara", "says": "Brr"}],
            },
        ],
    },
    source="the fuzzer",
)
STRANGE = (
    None, True, -1, 2**63, 2**64, 10**400, 1.5, float("inf"), float("nan"), "", "x", "\x1b[2J\x07",
    "\ud800", "a" * 5000, "../../outside", "~nobody/x", "/dev/zero", [], {}, [[]], [None], {"": None},
    ["a", 1], -0.0, 2**53, "..", "CON", "NUL", "a" * 300, "\u202eMara", "\ufeffMara", "Mara\0", "1e999",
    {"yaw": 1e308}, [{"who": "Mara", "says": "\u202e"}], {"Mara": "a red coat"}, "f" * 64,
)  # fmt: skip


def service():
    """The fakes of conftest."""
    boxes = {MARA.description: (16, 8, 56, 24)}
    backend = Backend("fake", FakeGenerator(), FakeIdentityGenerator(), FakeSegmenter(boxes))
    return Service(load=lambda *_, **__: backend, describe=lambda *_: FACTS)


def finished(out):
    """A finished run with a take, and portraits left over in it as if it had been cut off."""
    for only, seed in (((), 0), ((1,), 9)):
        list(service().run(RunRequest(STORY, out, PRESET, seed=seed, only=only)))
    for more in (["lock", str(out), "1"], ["expect", str(out)]):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main(more, service=service)
    return out


def commands(run):
    """Each command that reads a run; the last paint what is broken."""
    return [
        ["takes", str(run)],
        ["generate", str(run / "frames" / "001.png"), "--out", str(run.parent / "again")],
        ["evaluate", str(run), "--clip", "none", "--faces", "none", "--out", str(run.parent / "m")],
        ["generate", str(run), "--out", str(run)],
        ["choose", str(run), "1", "1"],
        ["prune", str(run)],
        ["study", "make", str(run), str(run), "--out", str(run.parent / "study.html")],
        ["extend", str(run), "--scene", "{Mara} walks"],
        ["lock", str(run), "1"],
        ["check", str(run)],
        ["expect", str(run)],
        ["repair", str(run), "--budget", "1"],
        ["generate", str(run), "--out", str(run), "--plan"],
        ["cast", "add", str(run), "Mara"],
        ["takes", str(run), "1"],
        ["strip", str(run), "--out", str(run.parent / "bare")],
        ["verify", *map(str, sorted(run.glob("frames/*.png")))],
        ["verify", "--json", str(run / "run.json"), str(run / "index.html")],
        *(["export", str(run), "--as", kind] for kind in ("otio", "edl", "html", "contact", "cbz")),
    ]


# --- Mutations: each changes one file ---------------------------------------------------------------


def cut(rng, file):
    """Some bytes off the end."""
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content) + 1)])


def flip(rng, file):
    """Some bytes become others."""
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 4, 64))):
        if content:
            content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(content)


def replaced(rng, file):
    """Something that is no file of ours, or of another kind."""
    other = rng.choice(
        [b"", b"\0" * 100, b"[" * 100_000, b'{"a":' * 100_000, b"null", b"\xff\xfe{}"]
    )
    file.write_bytes(other)


def sibling(rng, file):
    """Another file of the run."""
    others = sorted(p for p in file.parent.parent.rglob("*") if p.is_file() and p != file)
    file.write_bytes(rng.choice(others).read_bytes())


def link(rng, file):
    """A link to a file, a folder, a device, or nowhere, outside."""
    outside = ROOT / "outside"
    target = rng.choice([outside / "secret", outside, Path("/dev/zero"), outside / "none"])
    file.unlink()
    file.symlink_to(target)


def folder_link(rng, file):
    """The folder of a file becomes a link to a copy outside."""
    if file.parent.name == "run":
        return link(rng, file)
    moved = ROOT / "outside" / file.parent.name
    shutil.move(file.parent, moved)
    file.parent.symlink_to(moved)
    return None


def leftover(rng, file):
    """A link where a killed process leaves its unfinished file, or unfinished work lies."""
    name = rng.choice(
        [f"{file.name}.{os.getpid()}.part~", "Mara.partial", "frames.partial", "takes"]
    )
    place = file.parent / name
    if not place.exists():
        place.symlink_to(ROOT / "outside")


def pipe(rng, file):
    """A pipe that nobody writes to."""
    file.unlink()
    os.mkfifo(file)


def folder(rng, file):
    """A folder of its name."""
    file.unlink()
    file.mkdir()


def huge(rng, file):
    """A file of 3 TB that takes no space."""
    with file.open("r+b") as stream:
        stream.truncate(3 << 40)


def changed(rng, value):
    """JSON with one value that is strange, missing, or deep."""
    paths = [()]

    def walk(part, path):
        for key, below in part.items() if isinstance(part, dict) else enumerate(part):
            paths.append((*path, key))
            if isinstance(below, dict | list):
                walk(below, (*path, key))

    if not isinstance(value, dict | list):
        return rng.choice(STRANGE)
    walk(value, ())
    path = rng.choice(paths)
    if not path:
        return rng.choice([*STRANGE, [value], {"format": 1}])
    there = value
    for key in path[:-1]:
        there = there[key]
    how = rng.random()
    if how < 0.2 and isinstance(there, dict):
        del there[path[-1]]
    elif how < 0.3 and isinstance(there, dict):
        there[rng.choice(["x", "\x1b", "9" * 30, "-1"])] = there[path[-1]]
    elif how < 0.35:
        for _ in range(rng.choice((30, 300))):
            there[path[-1]] = [there[path[-1]]]
    else:
        there[path[-1]] = rng.choice(STRANGE)
    return value


def chunk(kind, data):
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw(rng, file):
    """Text that JSON's writer would not write: numbers out of range, marks in front, halves, twice a key."""
    if file.suffix != ".json":
        return lying(rng, file)
    content = file.read_bytes()
    numbers = list(re.finditer(rb"(?<=[ \[:])\d+(?=[,\n}\]])", content)) or [re.match(b"", content)]
    at = rng.choice(numbers)
    odd = rng.choice(
        [b"1e999", b"-0", b"-1e999", b"NaN", b"-Infinity", b"9" * 5000, b"1e-999", b"01"]
    )
    file.write_bytes(
        rng.choice(
            [
                content[: at.start()] + odd + content[at.end() :],
                b"\xef\xbb\xbf" + content,
                content + b"\0",
                content.replace(b'"format"', b'"format": 1, "format"', 1),
                content.replace(
                    b"Mara", rng.choice([b"\\ud83d", b"\\u202eM", b"\\u0000", b"\x1b[2J"])
                ),
                content.decode().encode("utf-16"),
            ]
        )
    )
    return None


def lying(rng, file):
    """A picture with a chunk that is not what it says: twice there, too long, a bomb, or of others."""
    content = file.read_bytes()
    if file.suffix != ".png":
        return flip(rng, file)
    bomb = zlib.compress(b"\0" * 30_000_000)
    more = rng.choice(
        [
            content[8:33],  # the head, once more
            chunk(b"iTXt", b"identitystory\0\1\0\0\0" + bomb),
            chunk(b"zTXt", b"identitystory\0\0" + bomb),
            chunk(b"tEXt", b"identitystory\0{}"),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" * 50_000),
            chunk(
                b"caBX", rng.choice([b"", b"\xff" * 40, (2**32 - 1).to_bytes(4, "big") + b"jumb"])
            ),
            chunk(b"iCCP", b"x\0\0" + bomb),
            chunk(b"acTL", b"\xff" * 8),
            chunk(b"tRNS", b"\0" * 6),
            struct.pack(">I", rng.choice([2**31, 2**32 - 1, 0])) + b"iTXt" + b"identitystory",
            chunk(b"\x1b[2J", b""),
            chunk(b"IEND", b""),
        ]
    )
    file.write_bytes(content[:33] + more + content[33:])
    return None


def named(rng, file):
    """A file more, with a name that is none of ours."""
    name = rng.choice(
        ["..\\x", "CON", "NUL.png", "a" * 250, "\u202egnp.100", "\ufeff001.png", "0.png", "9" * 30 + ".png",
         "-1.png", "\x1b[2J.png", "001.png.png", "lock.json", "lock.json.part~", "take-1.png", "x\ny.json"]
    )  # fmt: skip
    place = file.parent / name
    if not place.exists():
        rng.choice([lambda: place.write_bytes(file.read_bytes()), place.mkdir, lambda: os.mkfifo(place),
                    lambda: place.symlink_to(ROOT / "outside" / "secret")])()  # fmt: skip


def told(rng, file):
    """What the file says of itself, changed, everything around it right."""
    if file.suffix == ".json":
        file.write_text(
            json.dumps(changed(rng, json.loads(file.read_bytes()))), "utf-8", "surrogatepass"
        )
    elif file.suffix == ".png":
        content, made, at = file.read_bytes(), b"\x89PNG\r\n\x1a\n", 8
        where = rng.random()
        while at < len(content):
            size = struct.unpack(">I", content[at : at + 4])[0]
            kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
            at += 12 + size
            head = b"identitystory\0\0\0\0\0"
            if kind == b"iTXt" and data.startswith(head) and where < 0.8:
                facts = json.dumps(changed(rng, json.loads(data[len(head) :])))
                data = head + facts.encode("utf-8", "surrogatepass")
            if kind == b"IHDR" and where >= 0.8:
                side = rng.choice([0, 1, 63, 11_000, 20_000, 2**31 - 1])
                data = struct.pack(">II", side, side) + data[8:]
            made += chunk(kind, data)
        file.write_bytes(made)
    elif file.suffix == ".safetensors":
        tensors, metadata = tensors_of(file)
        if rng.random() < 0.5:
            facts = changed(rng, json.loads(metadata["identitystory"]))
            metadata["identitystory"] = json.dumps(facts)
        else:
            metadata = rng.choice([{}, {"identitystory": "[" * 100_000}, {"identitystory": "{}"}])
        file.write_bytes(save(tensors, metadata))
    else:
        cut(rng, file)


def numbers(rng, file):
    """Other numbers under the right key, with or without the checksum."""
    if file.suffix != ".safetensors":
        return told(rng, file)
    tensors, metadata = tensors_of(file)
    name = rng.choice(sorted(tensors))
    t = tensors[name]
    nan = t.clone().float().fill_(float("nan"))
    tensors[name] = rng.choice(
        [
            torch.zeros_like(t),
            nan,
            t[:0],
            t[None],
            t.double(),
            torch.randn(3),
            torch.tensor(1),
            t + 1,
        ]
    ).contiguous()
    if rng.random() < 0.2:
        del tensors[name]
    if rng.random() < 0.5:
        facts = {k: v for k, v in json.loads(metadata["identitystory"]).items() if k != "sha256"}
        metadata["identitystory"] = json.dumps(facts)
    file.write_bytes(save(tensors, metadata))
    return None


def tensors_of(file):
    """The tensors and the metadata of a file."""
    with safe_open(file, framework="pt") as opened:
        return load(file.read_bytes()), dict(opened.metadata())


MUTATIONS = (
    cut, flip, replaced, sibling, link, folder_link, leftover, pipe, folder, huge, told, told, told,
    told, numbers, numbers, raw, raw, lying, lying, named,
)  # fmt: skip


# --- A round ----------------------------------------------------------------------------------------

ROOT = Path()


def state(folder):
    """Every file below it that no run is, by path."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def one(model, place, seed):
    """What is wrong with how a mutated copy of the run ``model`` is read; empty if nothing is."""
    global ROOT
    ROOT = place
    rng = random.Random(seed)
    run, outside = place / "run", place / "outside"
    for left in place.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    shutil.copytree(model, run)
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    (outside / "old.part~").write_text(SECRET)
    file = rng.choice(sorted(p for p in run.rglob("*") if p.is_file()))
    mutation = rng.choice(MUTATIONS)
    mutation(rng, file)
    before, wrong = state(outside), []
    told_all = commands(run)
    for argv in [*rng.sample(told_all, 3), told_all[3]]:
        name = f"seed {seed}: {mutation.__name__} {file.relative_to(run)}: {' '.join(argv[:1])}"
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(argv, service=service)
        except SystemExit as error:
            code = error.code
        except BaseException:
            wrong.append(f"{name}: {traceback.format_exc()}")
            continue
        last = [line for line in err.getvalue().splitlines() if line.startswith("identitystory:")]
        text = out.getvalue() + err.getvalue()
        if code not in (0, 1, 2) or (code and len(last) != 1):
            wrong.append(f"{name}: exit {code}: {err.getvalue()[-500:]!r}")
        if any(not (ch.isprintable() or ch in "\n") for ch in text):
            wrong.append(f"{name}: control characters: {text[-500:]!r}")
        if state(outside) != before:
            wrong.append(f"{name}: wrote outside")
            before = state(outside)
    return wrong


def rounds(count, seed, place, say=lambda line: None):
    """What is wrong in ``count`` rounds from ``seed`` on, in the empty folder ``place``."""
    wrong = []
    with mock.patch.dict(os.environ, XDG_DATA_HOME=str(place / "at" / "home")):
        model = finished(place / "model")
        (place / "at").mkdir()
        for number in range(seed, seed + count):
            found = one(model, place / "at", number)
            wrong += found
            for line in found:
                say(line)
    return wrong


def say_(line):
    """Tells a finding."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder_:
        found_ = rounds(given.count, given.seed, Path(folder_), say_)
    say_(f"{given.count} rounds, {len(found_)} findings")
    sys.exit(bool(found_))
