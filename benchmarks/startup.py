"""What starting costs in processor time: ``python -m benchmarks.startup [--turns N]``.

Each thing is a Python process of its own, and the least of its turns counts. All are given as ratios
to importing torch alone in the same run, which says more of the package than of the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

OPEN = """
from identitystory.models.backend import load_backend
load_backend("miniature", device="cpu", num_steps=50)
"""
THINGS = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "identitystory --version": ["-m", "identitystory", "--version"],
    "identitystory --help": ["-m", "identitystory", "--help"],
    "import identitystory": ["-c", "import identitystory"],
    "the miniature, loaded": ["-c", OPEN],
}


def processor_time(arguments: list[str]) -> float:
    """Seconds of processor time, the system's included, of one Python process on one thread."""
    before = os.times()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def measure(turns: int) -> dict[str, float]:
    """The least of ``turns`` of each thing; in turn, so that a busy minute meets all alike."""
    taken = [{name: processor_time(each) for name, each in THINGS.items()} for _ in range(turns)]
    return {name: min(turn[name] for turn in taken) for name in THINGS}


def as_markdown(taken: dict[str, float]) -> str:
    """The table: seconds, and times importing torch."""
    rows = ["| | processor s | times torch |", "| --- | --- | --- |"]
    torch = taken["import torch"]
    return "\n".join(
        [*rows, *(f"| {name} | {s:.2f} | {s / torch:.2f} |" for name, s in taken.items())]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    print(as_markdown(measure(parser.parse_args().turns)))
