"""Eight people that the miniature was never trained on: three rendered portraits, masks, facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

DATA = Path(__file__).parent / "data"
PICTURES = 3  # of each person


def tiles(name: str = "people.png", mode: str = "RGB") -> list[list[Image.Image]]:
    """The pictures (or, from ``people_masks.png`` in mode L, the masks) of each person."""
    page = Image.open(DATA / name).convert(mode)
    s = page.width // PICTURES
    return [
        [page.crop((x * s, y * s, x * s + s, y * s + s)) for x in range(PICTURES)]
        for y in range(page.height // s)
    ]


def portraits() -> list[Image.Image]:
    """All 24 pictures, person by person."""
    return [image for row in tiles() for image in row]


def facts() -> list[dict[str, Any]]:
    """What is true of each of the 24 pictures."""
    return json.loads((DATA / "people_facts.json").read_text())
