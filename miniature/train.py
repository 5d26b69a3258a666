"""The miniature, from nothing: ``python -m miniature.train [--state FOLDER] [--scale S]``.

Draws the sets, trains every part in turn and packs the checkpoint. Each stage stores what it has done
and goes on there, so the command may be broken off and given again. The budget of a stage is minutes
of one core's training; ``--scale 2`` doubles them all. ``--tiny`` goes through everything in minutes,
to see that it works; its pictures are noise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import paths


@dataclass(frozen=True)
class Step:
    """A command of the workshop: its name, arguments, and minutes where it trains; ``shared`` ones draw
    other batches in each of several processes, all others would compute the same twice."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    minutes: float = 0.0
    shared: bool = False


def drawing(kind: str, count: int) -> Step:
    """A set of so many pictures."""
    return Step(f"draw {kind}", "pictures.draw", (kind, "--count", str(count)))


STEPS = (
    drawing("held_out", 1024),
    drawing("held_out_pairs", 256),
    drawing("singles", 40960),
    drawing("pairs", 12288),
    drawing("threes", 2048),
    drawing("strangers", 8192),
    Step("text", "stages.text", minutes=20),
    Step("look", "stages.look", minutes=8),
    Step("reader", "stages.reader", minutes=25),
    Step("vae", "stages.vae", minutes=120, shared=True),
    Step("vae --cool", "stages.vae", ("--cool",), 25, shared=True),
    Step("latents", "pictures.latents"),
    Step("teacher", "stages.teacher", minutes=30, shared=True),
    Step("tower", "stages.tower", minutes=50, shared=True),
    Step("segmenter", "stages.segmenter", minutes=30),
    Step("numbers", "stages.numbers", minutes=15),
    Step("little_people --through", "stages.little_people", ("--through",)),
    Step("little_people", "stages.little_people", minutes=30, shared=True),
    Step("enlarger", "stages.enlarger", minutes=12),
    Step("unet", "stages.unet", minutes=900, shared=True),
    Step("unet --cool", "stages.unet", ("--cool",), 60, shared=True),
    Step("perception", "stages.perception", minutes=12),
    Step("identity_lora", "stages.identity_lora", minutes=120, shared=True),
    Step("decoder", "stages.decoder", ("--believed",), 60),
    Step("ip_adapter", "stages.ip_adapter", minutes=30, shared=True),
    Step("few_steps", "stages.few_steps", minutes=20, shared=True),
    Step("pose_control", "stages.pose_control", minutes=30, shared=True),
    Step("pack", "pack"),
)
TINY = {
    "held_out": 64,
    "held_out_pairs": 64,
    "singles": 128,
    "pairs": 64,
    "threes": 64,
    "strangers": 64,
}


def command_of(
    step: Step, *, scale: float, processes: int, tiny: bool, out: Path | None
) -> list[str]:
    """The command line of a step."""
    arguments = list(step.arguments)
    if tiny and step.module == "pictures.draw":
        arguments[2] = str(TINY[arguments[0]])
    if step.minutes:
        arguments += ["--minutes", str(step.minutes * scale)]
        arguments += ["--processes", str(processes)] if step.shared else []
        arguments += ["--tiny"] if tiny else []
    if step.name == "pack" and out:
        arguments += ["--out", str(out)]
    return [sys.executable, "-m", f"miniature.{step.module}", *arguments]


def chosen(names: Sequence[str]) -> list[Step]:
    """The steps of these names; the first word of a name stands for all that begin with it where no
    step is called so itself.

    Raises:
        ValueError: no step has one of the names.
    """
    found: set[str] = set()
    for name in names:
        some = {s.name for s in STEPS if s.name == name} or {
            s.name for s in STEPS if s.name.split()[0] == name
        }
        if not some:
            known = ", ".join(s.name for s in STEPS)
            raise ValueError(f"no step is called {name!r}; there are: {known}")
        found |= some
    return [s for s in STEPS if s.name in found]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, help="folder of everything that training makes")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every budget")
    parser.add_argument(
        "--processes", type=int, default=1, help="that train a large part together, one a core"
    )
    parser.add_argument("--tiny", action="store_true", help="a rehearsal of a few steps")
    parser.add_argument("--only", nargs="+", metavar="STEP", help="these steps, by name")
    parser.add_argument("--out", type=Path, help="where to pack; the package's own folder without")
    options = parser.parse_args()
    paths.use_state(options.state)
    if options.tiny and options.out is None:
        options.out = paths.state() / "packed"
    try:
        steps = chosen(options.only) if options.only else STEPS
    except ValueError as error:
        parser.error(str(error))
    for step in steps:
        command = command_of(
            step, scale=options.scale, processes=options.processes, tiny=options.tiny,
            out=options.out,
        )  # fmt: skip
        print(time.strftime("%H:%M:%S"), " ".join(command[2:]), flush=True)
        if subprocess.run(command).returncode:
            raise SystemExit(f"{step.name} failed; what is done is kept, give the command again")


if __name__ == "__main__":
    main()
