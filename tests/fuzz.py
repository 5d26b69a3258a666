"""Stories and command lines as no user means them, from a seed; what must hold of each.

    python -m tests.fuzz --seconds 600 --seed 3     # a longer round than the test's

Every command runs in this process, on a model that is never opened: what is looked for is what
happens before anything is painted. The exit code is 0, 1 or 2; an error is one line without control
characters; it takes bounded processor time; a refused command writes nothing.
"""

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from identitystory.cli.main import main
from identitystory.models.describe import describe_model
from identitystory.runs.service import Service
from identitystory.settings import setting_types

LIMIT = 2.0  # seconds of processor time for one command
NUMBERS = [
    "0", "-1", "1", "10000000000", "9" * 19, "9" * 5000, "1e999", "-1e999", "nan", "inf", "0x10",
    "1_0", "\u0663", "", " ", "1.5", "null", "true", "[]", "[[", "1,2,3", "+1", "\x00"[:0], "1e-400",
]  # fmt: skip
ODD = [
    "\x1b[31m", "\x07", "\u202e", "\u200b", "\ud83d", "\udcff", "\U0001f600", "\ufeff", "\u0000", "\r",
    "{", "}", "{}", "{Mara}", "{{Mara}}", "../", "/etc/passwd", "%s", "a" * 9999, "\n\n", "e\u0301" * 99,
    "'", '"', "\\", "a.b", "\u0410\u043d\u043d\u0430", "\t", "\x7f", "\x85", "\u2028",
    "..", "CON", "NUL.toml", "a" * 300, "\u202eMara\u202c", "-0", "1e999", "\ufeffMara", "Mara\u0000",
]  # fmt: skip
DEVICES = ["mps", "xpu", "vulkan", "meta", "cuda:99", "cuda", "hpu", "cpu:3", "none", "auto "]
STORY = {
    "title": "Mara",
    "style": "watercolour",
    "character": [{"name": "Mara", "description": "a young woman with long red hair"}],
    "scene": [{"prompt": "a portrait of {Mara} on a beach"}, {"prompt": "{Mara} reads"}],
}
INLINE = ["--character", "Mara: a woman", "--scene", "{Mara} reads"]


def never(*_, **__):
    """The model, which nothing that is looked for here reaches."""
    raise SystemExit("opened")


SERVICE = Service(load=never, describe=describe_model)


def odd_text(draw: random.Random) -> str:
    return "".join(draw.choices([*ODD, "Mara", "a woman", " "], k=draw.randint(1, 4)))


def odd_value(draw: random.Random, depth: int = 3):
    kinds = [
        lambda: odd_text(draw),
        lambda: draw.choice([10**400, 2**63, -1, 0, -0.0, 1e308, True, None, float("inf")]),
        lambda: [odd_value(draw, depth - 1) for _ in range(draw.randint(0, 3))],
        lambda: {odd_text(draw): odd_value(draw, depth - 1) for _ in range(draw.randint(0, 3))},
    ]
    return draw.choice(kinds if depth else kinds[:2])()


# Values that are nearly right, by key; two of three are taken as they are, or others are put into them.
NEARLY = {
    "wears": [{"Mara": "a red coat"}, {"Nobody": "a hat"}, {"Mara": "{Mara}"}, {"..": ""}, "a red coat"],
    "locations": [{"harbour": "the harbour"}, {"Mara": "x"}, {"a": "{b}", "b": "{a}"}, {"": ""}],
    "pose": [
        {"yaw": -30}, {"Mara": {"yaw": 30}}, {"from": 2}, {"from": -1}, {"from": 2**63}, {"yaw": 1e999},
        {"file": "../../etc/passwd"}, {"file": "s.toml"}, {"file": "NUL"}, {"file": "a" * 300},
        {"file": "/dev/zero", "kind": "depth"}, {"Nobody": {}}, {"height": -0.0}, [],
    ],
    "expect": [
        ["one person"], ["nobody"] * 20, ["Mara has red hair"], ["Mara is absent"], ["in " * 60],
        ["Mara wears " + "a " * 90], ["9 people", "\u0669 people"], ["x"] * 21, [[]], "one person",
    ],
    "cast": ["mara", "../mara.character", "s.toml", "/dev/zero.character", "..", "NUL.character", "\u202e"],
    "look": ["winter", "..", "a" * 300],
    "seed": [1, 0, -1, 2**53, 2**63, 1.5, float("nan"), True],
    "lora": [["a.safetensors"], ["../a.safetensors:1"], ["a.safetensors:" + "9" * 200], ["s.toml"], []],
    "dialogue": [[{"who": "Mara", "says": "\u202eYes"}], [{"who": "..", "says": ""}], [{}] * 200],
    "id": ["a", "..", "a\n", "CON", "\u0661", "a" * 41],
    "seconds": [1, -0.0, 1e999, float("nan"), 601],
    "negative": ["glasses", "a" * 400, "{Mara}", "\x1b[2J"],
    "identity": [False, True, 0, "no"],
}  # fmt: skip


def odd_story(draw: random.Random) -> tuple[str, bytes]:
    """A file's name and content: a story with one or more things wrong, or no story at all."""
    story = json.loads(json.dumps(STORY))
    for _ in range(draw.randint(0, 3)):
        tables = [story, *story["character"], *story["scene"]]
        table = draw.choice([each for each in tables if isinstance(each, dict)] or [{}])
        key = draw.choice([*table, odd_text(draw), "size", "aspect", "noun", "$schema"])
        value = odd_value(draw)
        if draw.random() < 0.5:
            key = draw.choice(list(NEARLY))
            value = draw.choice(NEARLY[key])
            if isinstance(value, dict) and draw.random() < 0.3:
                value = {**value, odd_text(draw): odd_value(draw)}
        if table is story and key in ("character", "scene"):
            value = story[key] * draw.choice([1, 3, 1200])
        table[key] = value
    content = json.dumps(story).encode()
    if draw.random() < 0.5:
        name = draw.choice(["s.json", "s", "S.JSON"])
    else:
        name, content = draw.choice(["s.toml", "s.TOML", "s.txt"]), toml(story)
    how = draw.randrange(10)
    if how == 0:
        content = content[: draw.randrange(len(content) + 1)]
    elif how == 1:
        place = draw.randrange(len(content) + 1)
        content = content[:place] + draw.randbytes(draw.randint(1, 9)) + content[place:]
    elif how == 2:
        mark = draw.choice(
            ["a.", "[", "{", '"', "'", "a=", "[a]\n", "#", "\\", "[[a.", '"a".', "{a="]
        )
        content = mark.encode() * draw.choice([10, 2000, 60_000])
    elif how == 3:
        content = draw.randbytes(draw.choice([0, 3, 3000]))
    return name, content


def toml(story) -> bytes:
    """The story as TOML, near enough: values that TOML lacks stay JSON's."""
    lines = []
    for key, value in story.items():
        if key not in ("character", "scene"):
            lines.append(f"{json.dumps(key)} = {json.dumps(value)}")
    for key in ("character", "scene"):
        for table in story[key] if isinstance(story[key], list) else []:
            lines.append(f"[[{key}]]")
            values = table.items() if isinstance(table, dict) else ()
            lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in values]
    return "\n".join(lines).encode()


def odd_options(draw: random.Random, command: str) -> list[str]:
    settings = list(setting_types())
    numbers = lambda: draw.choice(NUMBERS)
    makers = [
        lambda: [f"--portraits={numbers()}"],
        lambda: [f"--steps={numbers()}"],
        lambda: [f"--guidance={numbers()}"],
        lambda: [f"--batch={numbers()}"],
        lambda: [f"--reuse={numbers()}"],
        lambda: [f"--seed={numbers()}"],
        lambda: [f"--set={draw.choice(settings)}={draw.choice([*NUMBERS, odd_text(draw)])}"],
        lambda: [f"--set={odd_text(draw)}"],
        lambda: [f"--device={draw.choice([*DEVICES, odd_text(draw)])}"],
        lambda: [f"--dtype={odd_text(draw)}"],
        lambda: [f"--preset={draw.choice(['fast', 'paper', odd_text(draw)])}"],
        lambda: [f"--model={draw.choice(['sdxl', 'a/b', '.', odd_text(draw)])}"],
        lambda: [f"--size={draw.choice(['99999x1', '1x1', '128x128', '-1x2', odd_text(draw)])}"],
        lambda: [f"--aspect={draw.choice(['99999:1', '0:0', '16:9', odd_text(draw)])}"],
        lambda: [f"--scene={odd_text(draw)}"],
        lambda: [f"--character={odd_text(draw)}"],
        lambda: [f"--style={odd_text(draw)}"],
    ]
    if command == "generate":
        makers += [
            lambda: [f"--only={numbers()}"],
            lambda: [f"--method={draw.choice(['consistory', 'general', odd_text(draw)])}"],
        ]
    return [word for _ in range(draw.randint(0, 3)) for word in draw.choice(makers)()]


def odd_command(draw: random.Random, folder: Path) -> list[str]:
    """A command line, and its story file in ``folder``."""
    command = draw.choice(
        ["generate"] * 6 + ["discover"] * 2 + ["extend", "takes", "choose", "strip"]
    )
    if command == "extend":
        return [command, odd_text(draw), *INLINE]
    if command in ("takes", "choose", "strip"):
        more = {"takes": [], "choose": ["0", draw.choice(NUMBERS)], "strip": ["--out", "r"]}
        return [command, draw.choice([".", odd_text(draw)]), *more[command]]
    options = odd_options(draw, command)
    if draw.random() < 0.4:
        return [command, *INLINE, "--out", "r", *options]
    name, content = odd_story(draw)
    (folder / name).write_bytes(content)
    return [command, name, "--out", "r", *options]


def wrong(argv: list[str], folder: Path) -> str:
    """What must not be, of one command in ``folder``; empty if all is well."""
    words = [
        word.replace("\x00", "").replace("\ud83d", "") for word in argv
    ]  # no shell passes them
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    out, err = io.StringIO(), io.StringIO()
    start = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words, service=lambda: SERVICE)
    except SystemExit as end:
        code = end.code
    except BaseException:
        return traceback.format_exc()
    took, said = time.process_time() - start, err.getvalue()
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if took > LIMIT:
        return f"it took {took:.1f} s of processor time"
    if code == "opened":
        return ""
    if code not in (0, 1, 2):
        return f"it ended with {code!r}"
    if "Traceback" in said:
        return said
    if code == 2 and len(said.splitlines()) != 1:
        return f"its error is {len(said.splitlines())} lines: {said!r}"
    if code == 2 and len(said) > 3000:
        return f"its error has {len(said)} characters"
    if not "".join(said.splitlines()).isprintable():
        return f"its error holds a control character: {said[:500]!r}"
    if code == 2 and after != before:
        return f"it was refused and left {sorted(p.name for p in after.keys() - before.keys())}"
    return ""


def find(seconds: float, seed: int) -> tuple[int, list[str]]:
    """How many commands ran in ``seconds`` of processor time, and what was wrong with some."""

    def one(draw: random.Random, place: Path) -> tuple[str, str]:
        argv = odd_command(draw, place)
        return repr([word[:200] for word in argv]), wrong(argv, place)

    return rounds(seconds, seed, "command", one)


def rounds(
    seconds: float, seed: int, what: str, one: Callable[[random.Random, Path], tuple[str, str]]
) -> tuple[int, list[str]]:
    """How often ``one`` ran in ``seconds`` of processor time, and what was wrong with some.

    ``one`` gets what it draws from, and an empty folder that it works in; it tells what it tried, a
    ``what``, and what was wrong with it.
    """
    with tempfile.TemporaryDirectory() as place:  # what is loaded once counts for no command
        wrong(["generate", *INLINE, "--out", str(Path(place) / "r")], Path(place))
    found, count, home = [], 0, Path.cwd()
    end = time.process_time() + seconds
    while time.process_time() < end:
        draw = random.Random(f"{seed}|{count}")
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            try:
                tried, told = one(draw, Path(place))
            finally:
                os.chdir(home)
        if told:
            found.append(f"seed {seed}, {what} {count}: {tried}\n{told}")
        count += 1
    return count, found


def by_hand(about: str, what: str, look: Callable[[float, int], tuple[int, list[str]]]) -> None:
    """Looks for as long as the command line says, and ends with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    ran, found = look(given.seconds, given.seed)
    sys.stdout.write("\n\n".join([f"{ran} {what}s, {len(found)} wrong", *found, ""]))
    sys.exit(bool(found))


if __name__ == "__main__":
    by_hand(__doc__, "command", find)
