"""Runs without a model: drawn people whose faces and masks are known exactly."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from identitystory.pages.book import Panel
from identitystory.runs.files import write_png
from identitystory.runs.folder import RunFolder
from identitystory.runs.sheets import masks_picture
from identitystory.types import Scene

RECORD = json.loads((Path(__file__).parent / "data" / "golden" / "ours" / "run.json").read_text())
WORDS = [
    "the",
    "lamp",
    "is",
    "lit",
    "at",
    "last",
    "and",
    "nobody",
    "knows",
    "who",
    "climbed",
    "up",
    "there",
    "before",
    "us",
    "tonight",
]
NAMES = ("Mara", "Tom", "Nell")


@dataclass(frozen=True)
class Drawn:
    """Somebody in a picture: where the face is, (left, top, right, bottom), and every pixel of them."""

    face: tuple[float, float, float, float]
    mask: np.ndarray


@dataclass(frozen=True)
class Planted(Panel):
    """A panel that lies in no file."""

    people: dict[str, Drawn] = field(default_factory=dict)
    shape: tuple[int, int] = (128, 128)

    @property
    def size(self):
        return self.shape

    @property
    def masks(self):
        return {name: each.mask for name, each in self.people.items()}

    def picture(self):
        return drawn(self.shape, self.people)


def somebody(rng, size, centre):
    """A head with hair, and below it shoulders to the picture's edge, or a whole figure."""
    _wide, high = size
    standing = rng.random() < 0.3
    head = high * (
        rng.uniform(0.07, 0.1) if standing else rng.uniform(0.12, 0.22)
    )  # half its height
    x, y = centre, rng.uniform(0.1, 0.3) * high + head
    face = (x - 0.8 * head, y - 0.8 * head, x + 0.8 * head, y + head)
    picture = Image.new("L", size)
    pen = ImageDraw.Draw(picture)
    hair = head * rng.uniform(1.0, 1.3)
    pen.ellipse((x - hair, y - 1.2 * head, x + hair, y + head), fill=255)
    if rng.random() < 0.5:
        pen.rectangle((x - hair, y, x + hair, y + 1.8 * head), fill=255)
    side = head * rng.uniform(1.2, 2.0)
    low = min(high, y + 7 * head) if standing else high
    pen.rounded_rectangle((x - side, y + 1.1 * head, x + side, low + head), head, fill=255)
    pen.rectangle((x - 0.4 * head, y, x + 0.4 * head, y + 1.5 * head), fill=255)
    return Drawn(face, np.asarray(picture) > 0)


def crowd(rng, size, count):
    """People side by side, by name; where two overlap the first is in front."""
    taken = np.zeros(size[::-1], bool)
    people = {}
    for n, name in enumerate(NAMES[:count]):
        each = somebody(rng, size, size[0] * (n + 0.5 + rng.uniform(-0.15, 0.15)) / count)
        people[name] = Drawn(each.face, each.mask & ~taken)
        taken |= each.mask
    return people


def sentence(rng, longest=14):
    return (
        " ".join(rng.choice(WORDS) for _ in range(int(rng.integers(1, longest)))).capitalize() + "."
    )


def scene_of(rng, people, lines):
    text = " and ".join(f"{{{name}}}" for name in people) or "an empty room"
    who = [str(rng.choice([*people, "Nell"])) for _ in range(lines)]
    return Scene(
        text,
        tuple(people),
        text,
        caption=sentence(rng) if rng.random() < 0.5 else "",
        dialogue=tuple((name, sentence(rng)) for name in who),
    )


def drawn(size, people):
    picture = np.full((*size[::-1], 3), (150, 190, 220), np.uint8)
    for n, each in enumerate(people.values()):
        picture[each.mask] = (90 + 40 * n, 80, 110)
    image = Image.fromarray(picture)
    for each in people.values():
        ImageDraw.Draw(image).ellipse(each.face, fill=(240, 200, 170))
    return image


def planted_run(folder, scenes, size=(64, 64), *, title="A planted story", unknown=()):
    """A finished run whose scenes are ``scenes``: the people of each, as `crowd` draws them.

    ``unknown`` are indexes of the scenes that have no masks.
    """
    rng = np.random.default_rng(1)
    folder.mkdir()
    there = [crowd(rng, size, len(scene.cast)) for scene in scenes]
    people = [{"name": n, "description": "a person", "noun": "person", "wears": ""} for n in NAMES]
    story = {"title": title, "characters": people, "scenes": [asdict(s) for s in scenes]}
    record = RECORD | {"story": story, "places": list(range(len(scenes))), "parts": {}}
    (folder / "run.json").write_text(json.dumps(record), "utf-8")
    run = RunFolder(folder)
    for index, crowd_ in enumerate(there):
        facts = {"part": "frame", "key": f"k{index}", "frame_seed": 1000 + index}
        write_png(run.frame(index), drawn(size, crowd_), facts)
        if index not in unknown:
            masks = torch_masks([each.mask for each in crowd_.values()])
            write_png(run.masks(index), masks_picture(masks, size), facts)
    return folder


def torch_masks(masks):
    import torch

    return torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, 1, 1, dtype=torch.bool)
