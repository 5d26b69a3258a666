"""What would perfect pictures score? ``python -m miniature.checks.ceiling``.

Draws stories of held-out people, one picture after the other of the same person or pair, and
measures them as ``identitystory evaluate`` does, as drawn and through the autoencoder. A generator
that paints people as the world has them, each in a new moment, cannot be found better than the
latter. Goals of ``benchmarks/targets.py`` above it are out of reach. Below: where the autoencoder
loses faces, as ``benchmarks/missing.py`` has it of finished runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from benchmarks import missing
from identitystory.experiments.evaluate import group_of
from identitystory.experiments.instruments import EvaluationRequest, open_tools
from identitystory.experiments.tables import Table, cell
from identitystory.metrics.evidence import Evidence, MeasuredStory, Member, Picture, look
from identitystory.metrics.measures import Score, score

from ..paths import TARGET, state
from ..pictures.recipe import HELD_OUT
from ..stages.little_people import autoencoded
from ..world.captions import caption, describe
from ..world.picture import paint
from ..world.records import Record
from ..world.sampling import draw_person, draw_record

MEASURES = (
    "face detection", "Face-Sim", "Face-Sim strict", "face diversity", "attributes",
    "all faces of a crowd", "nearest to own", "AUC",
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One drawn picture: (H, W, 3) uint8, its caption, who is in it, and their masks."""

    image: np.ndarray
    prompt: str
    cast: tuple[Member, ...]
    masks: torch.Tensor


def shot(record: Record, seed: int) -> Shot:
    """The picture of ``record``; the wording is drawn from ``seed``."""
    picture, rng = paint(record), np.random.default_rng(seed)
    cast = tuple(Member(str(p.seed), describe(p, rng), str(p.seed)) for p in record.people)
    numbers = torch.from_numpy(picture.person)
    masks = torch.stack([numbers == k + 1 for k in range(len(cast))])
    return Shot(picture.rgb, caption(record, rng), cast, masks)


def stories(people: int, pairs: int, pictures: int) -> list[list[Shot]]:
    """Of each of so many held-out people ``pictures`` shots, then of each pair."""
    casts = [[HELD_OUT + k] for k in range(people)]
    casts += [[HELD_OUT + people + 2 * k + n for n in (0, 1)] for k in range(pairs)]
    made = []
    for cast in casts:
        rng, who = np.random.default_rng(cast), [draw_person(n) for n in cast]
        made.append([shot(draw_record(rng, who), cast[0] + n) for n in range(pictures)])
    return made


def told(shots: Sequence[Shot], images: Sequence[np.ndarray], folder: Path) -> MeasuredStory:
    """The story with these ``images``, which are written to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for n, (one, image) in enumerate(zip(shots, images, strict=True)):
        file = folder / f"{n:02d}.png"
        Image.fromarray(image).save(file)
        pictures.append(Picture(file, one.prompt, one.cast, one.masks))
    return MeasuredStory(str(folder), tuple(pictures), len(shots[0].cast))


def table(found: dict[str, dict[str, list[Score]]]) -> str:
    """Markdown of group -> column -> scores: a line for each measure that could be taken."""
    rows = []
    for group, by_column in found.items():
        for name in MEASURES:
            some = [next(s for s in scores if s.name == name) for scores in by_column.values()]
            if any(s.stories for s in some):
                rows.append([group, name, *(cell(s.value, s.low, s.high) for s in some)])
    head = ["stories of", "measure", *next(iter(found.values()))]
    return "\n".join(Table(head, rows).markdown())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=state() / "ceiling", help="for the pictures")
    parser.add_argument("--people", type=int, default=30, help="stories of one person")
    parser.add_argument("--pairs", type=int, default=10, help="stories of two")
    parser.add_argument("--pictures", type=int, default=10, help="of each story")
    parser.add_argument(
        "--faces", default="little-people", help="the recogniser, as evaluate has it"
    )
    options = parser.parse_args()
    tools = open_tools(EvaluationRequest((), clip="none", faces=options.faces), ["miniature"])
    instruments = replace(tools.instruments, segmenter=None)  # masks are known
    vae = AutoencoderKL.from_pretrained(TARGET / "vae").eval()
    seen: dict[str, list[Evidence]] = {"drawn": [], "autoencoder": []}
    for number, shots in enumerate(stories(options.people, options.pairs, options.pictures)):
        images = np.stack([one.image for one in shots])
        for column, shown in (("drawn", images), ("autoencoder", autoencoded(vae, images))):
            story = told(shots, shown, options.out / column / f"{number:02d}")
            seen[column].append(look(story, instruments))
    found: dict[str, dict[str, list[Score]]] = {}
    for people in (1, 2):
        for column, some in seen.items():
            group = [s for s in some if s.story.people == people]
            if group:
                found.setdefault(group_of(people), {})[column] = score(group, instruments)
    print(table(found))
    alone = [missing.looked(s) for s in seen["autoencoder"] if s.story.people == 1]
    print("\n" + missing.table(alone, missing.WORDS))


if __name__ == "__main__":
    main()
