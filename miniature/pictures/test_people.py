"""The held-out people that the tests look at: ``python -m miniature.pictures.test_people``.

Writes ``tests/data/people.png``, one row a person and one column a picture, and ``people_masks.png``
beside it, 255 where the person is. Nothing was trained on these people.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from ..paths import BUILD, ROOT
from .dataset import PictureSet


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "data")
    parser.add_argument("--people", type=int, default=8)
    options = parser.parse_args()
    data = PictureSet(options.data)
    per, rows = data.spec["pictures"], {r["n"]: r for r in data.facts}
    images, masks = [], []
    for who in range(data.known_people, data.spec["people"]):
        mine = [n for n in range(who * per, (who + 1) * per) if rows[n]["framing"] == "portrait"]
        if len(mine) < 3:
            continue
        images.append(np.concatenate([data.images[n] for n in mine[:3]], 1))
        masks.append(np.concatenate([(data.masks[n] > 0) * np.uint8(255) for n in mine[:3]], 1))
        if len(images) == options.people:
            break
    options.out.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(images)).save(options.out / "people.png", optimize=True)
    Image.fromarray(np.concatenate(masks)).save(options.out / "people_masks.png", optimize=True)


if __name__ == "__main__":
    main()
