"""What the shipped checkpoint has not, trained beside it: ``python -m miniature.addition pose --out FOLDER``.

``pose`` makes a copy of the checkpoint with a control net in it, for ``--model FOLDER``; ``"ink line"`` and
``"cut paper"`` a LoRA file in that style, for ``--lora FILE``. The shipped weights are unpacked into
a state of their own, ``build/addition``, what is trained on is drawn and encoded, and the stage goes on where it stood, so the command may be
broken off and given again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import paths
from .pictures.recipe import slug
from .stages import pose_control, style
from .world.pen import OTHER_STYLES

POSE = "pose"


def commands(what: str, *, minutes: float, singles: int, pairs: int, tiny: bool) -> list[list[str]]:
    """The workshop's commands that train ``what``, with their arguments."""
    kind = "" if what == POSE else f"_{slug(what)}"
    sets = {f"singles{kind}": singles, f"pairs{kind}": pairs}
    train = ["stages.pose_control"] if what == POSE else ["stages.style", what]
    return [
        ["unpack"],
        *(["pictures.draw", kind, "--count", str(count)] for kind, count in sets.items()),
        ["pictures.latents", "--sets", *sets],
        [*train, "--minutes", str(minutes), *(["--tiny"] if tiny else [])],
    ]


def write(what: str, out: Path) -> None:
    """What was trained, for the package to open: a folder for ``pose``, else a file."""
    if what == POSE:
        shutil.copytree(paths.TARGET, out, dirs_exist_ok=True)
        pose_control.pack(out)
    else:
        style.pack(what, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=[POSE, *OTHER_STYLES])
    parser.add_argument("--out", type=Path, required=True, help="the folder, or the LoRA's file")
    parser.add_argument("--minutes", type=float, default=20, help="of one core's training, in all")
    parser.add_argument("--singles", type=int, default=1024, help="pictures of one person")
    parser.add_argument("--pairs", type=int, default=256, help="pictures of two")
    parser.add_argument("--state", type=Path, help="build/addition without")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal of a few steps")
    options = parser.parse_args()
    if options.state or paths.VARIABLE not in os.environ:  # apart from a miniature of one's own
        paths.use_state(options.state or paths.ROOT / "build" / "addition")
    for each in commands(
        options.what, minutes=options.minutes, singles=options.singles, pairs=options.pairs,
        tiny=options.tiny,
    ):  # fmt: skip
        if subprocess.run([sys.executable, "-m", f"miniature.{each[0]}", *each[1:]]).returncode:
            raise SystemExit(f"{each[0]} failed; what is done is kept, give the command again")
    write(options.what, options.out)
    print(options.out)


if __name__ == "__main__":
    main()
