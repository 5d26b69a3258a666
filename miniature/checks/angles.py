"""How far the reader of angles is off on drawings: ``python -m miniature.checks.angles``.

Drawn people hold their heads as ``ablate pose`` asks for it, at each of its angles, and the packed reader reads the
drawings. What it is off by there is the least that any picture painted to these angles can be told to be off by; over
held-out pictures, most of which look nearly ahead, it is less (``error`` in the checkpoint's attributes.json).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from .. import paths
from ..package import ANGLES, ATTRIBUTES, read_attributes
from ..world.picture import paint
from ..world.records import Record
from ..world.sampling import draw_person, draw_record


def held(rng: np.random.Generator, yaw: float, pitch: float) -> Record:
    """A portrait of somebody who holds their head so, all else by chance."""
    record = draw_record(rng, [draw_person(int(rng.integers(1 << 30)))], "portrait")
    return replace(record, moments=(replace(record.moments[0], yaw=yaw, pitch=pitch),))


def report(
    count: int = 64, angles: Iterable[tuple[float, float]] = ANGLES
) -> dict[str, dict[str, float]]:
    """Mean absolute error of yaw and pitch at each of ``angles``, and over all of them, in degrees."""
    reader, rng = read_attributes(paths.TARGET / ATTRIBUTES), np.random.default_rng(0)
    if reader is None:
        raise SystemExit(f"{paths.TARGET} has no reader of attributes")
    off: dict[str, list[tuple[float, float]]] = {}
    for asked in angles:
        for _ in range(count):
            seen = reader.turns(Image.fromarray(paint(held(rng, *asked)).rgb))
            errors = abs(seen["yaw"] - asked[0]), abs(seen["pitch"] - asked[1])
            off.setdefault(f"yaw {asked[0]:g}, pitch {asked[1]:g}", []).append(errors)
    off["all"] = [errors for some in off.values() for errors in some]
    mean = {name: np.mean(some, axis=0).round(2).tolist() for name, some in off.items()}
    return {name: dict(zip(("yaw", "pitch"), both, strict=True)) for name, both in mean.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=64, help="people at each angle")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, errors in report(options.count).items():
        print(f"{name}: yaw {errors['yaw']:.2f}°, pitch {errors['pitch']:.2f}°")


if __name__ == "__main__":
    main()
