"""A page of pictures to look at: ``python -m miniature.world.sheet OUT.png``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from .people import draw_moment, draw_person
from .places import FRAMINGS, draw_view


def sheet(images: list[np.ndarray], columns: int) -> Image.Image:
    """Pictures of one size side by side."""
    h, w = images[0].shape[:2]
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * w, rows * h))
    for i, image in enumerate(images):
        page.paste(Image.fromarray(image), (i % columns * w, i // columns * h))
    return page


def main() -> None:
    """One row a person, one column a picture of them."""
    from ..paths import add_world_options, open_world

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--framing", choices=FRAMINGS)
    parser.add_argument("--seed", type=int, default=0)
    add_world_options(parser)
    options = parser.parse_args()
    world = open_world(options)
    images = []
    for i in range(options.people):
        person = draw_person(world.body, options.seed, i)
        for j in range(options.pictures):
            number = i * options.pictures + j
            framing = options.framing or FRAMINGS[0 if j % 3 else 1]
            view = draw_view(number, framing=framing)
            cast = [(person, draw_moment(person, number))]
            images.append(world.render(cast, view).image)
    sheet(images, options.pictures).save(options.out)


if __name__ == "__main__":
    main()
