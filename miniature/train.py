"""The miniature, from nothing: ``make miniature`` or ``python -m miniature.train [--scale S]``.

Renders the people, trains every part in turn and packs the checkpoint into the package. Each stage
stores what it has done and goes on there, so the command may be broken off and given again. The
budget of a stage is training time; ``--scale 2`` doubles them all. ``--scale 0.01 --people 500`` goes
through everything in minutes, to see that it works; its pictures are noise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

STAGES = {  # stage: (arguments, minutes of training on two cores; 0 for stages that just end)
    "data": (["--people", "{people}", "--pictures", "4"], 0),
    "data --two": (
        ["--people", "{pairs}", "--of", "{people}", "--pictures", "4", "--out", "build/pairs"],
        0,
    ),
    "text": ([], 3),
    "vae": ([], 17),
    "vae --decoder": ([], 15),
    "teacher": ([], 9),
    "identity": ([], 20),
    "segmenter": ([], 6),
    "reader": ([], 6),
    "perception": ([], 4),
    "unet": ([], 400),
    "identity_lora": ([], 60),
    "ip_adapter": ([], 15),
    "few_steps": ([], 10),
    "pack": ([], 0),
}
ROOMS = {"data": "pictures.dataset", "pack": "pack"}  # what is no training


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every budget")
    parser.add_argument("--people", type=int, default=6400, help="at least 500")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--assets", help="MakeHuman's system assets, a zip; simpler hair without")
    parser.add_argument("--only", choices=[s.split()[0] for s in STAGES], nargs="*")
    options = parser.parse_args()
    for stage, (arguments, minutes) in STAGES.items():
        name, *flags = stage.split()
        if options.only and name not in options.only:
            continue
        drawn = {"people": options.people, "pairs": max(50, options.people * 5 // 32)}
        given = [argument.format_map(drawn) for argument in arguments]
        module = ROOMS.get(name, f"stages.{name}")
        command = [sys.executable, "-m", f"miniature.{module}", *flags, *given]
        if options.assets and name == "data":
            command += ["--assets", options.assets]
        if minutes:
            command += [
                "--minutes",
                str(minutes * options.scale),
                "--threads",
                str(options.threads),
            ]
        print(" ".join(command[1:]), flush=True)
        if subprocess.run(command).returncode:
            raise SystemExit(f"{name} failed; what is done is kept, give the command again")


if __name__ == "__main__":
    main()
