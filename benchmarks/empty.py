"""Is nobody in a picture of nobody? ``python -m benchmarks.empty --out runs/empty``.

Paints every place that the checkpoint's card lists, without a character, at one of four hours each in turn, and
once more with "nobody there". Two look for people who know nothing of each other: the checkpoint's segmenter,
which counts heads, and the recogniser ``little-people``, which looks for faces. ``--sheet`` keeps the pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from identitystory.cli.main import default_service
from identitystory.errors import IdentityStoryError
from identitystory.experiments.batch import make_run
from identitystory.experiments.tables import Table
from identitystory.injection import heads_in
from identitystory.metrics.intervals import wilson
from identitystory.metrics.little_people import load_little_people
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import find_checkpoint, find_folder
from identitystory.protocols import FaceRecogniser, Segmenter
from identitystory.runs.files import read_picture
from identitystory.runs.folder import RunFolder
from identitystory.runs.options import new_request
from identitystory.runs.service import one_model
from identitystory.settings import Overrides
from identitystory.story.file import inline_story
from identitystory.story.paints import load_paints
from miniature.sheets import grid

HOURS = ("by day", "at sunset", "at night", "early in the morning")
SAID = {"the place alone": "", "with nobody there": ", nobody there"}
CAST = ["Ida: a woman"]  # a story has somebody, who is in none of these scenes
COLUMNS = 10


def scenes(places: Sequence[str], said: str = "") -> list[str]:
    """A scene of each place without anybody, at the next hour each."""
    return [f"a view {place} {HOURS[n % len(HOURS)]}{said}" for n, place in enumerate(places)]


def empty(
    pictures: Sequence[Image.Image], segmenter: Segmenter, finder: FaceRecogniser
) -> list[tuple[str, int, str]]:
    """What is not in them, how many were looked at, in what share of these it is not, with its interval."""
    heads = [heads_in(segmenter, picture, ()) for picture in pictures]
    looked = {
        "no head": [not len(some) for some in heads if some is not None],
        "no face": [not finder.faces(picture) for picture in pictures],
    }
    told = []
    for what, found in looked.items():
        if found:
            low, high = wilson(sum(found), len(found))
            told.append(
                (what, len(found), f"{sum(found) / len(found):.3f} [{low:.3f}, {high:.3f}]")
            )
    return told


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures in rows of ten, half as large."""
    half = tuple(side // 2 for side in pictures[0].size)
    return Image.fromarray(grid([np.asarray(p.resize(half)) for p in pictures], COLUMNS, gap=0))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/empty"))
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--steps", type=int, help="of each picture (default: the preset's)")
    parser.add_argument("--places", type=int, default=1000, help="so many of the card's at most")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="all pictures on one page")
    options = parser.parse_args()
    rows, pictures, finder = [], [], load_little_people()
    try:
        taught = load_paints(find_folder(options.model))
        if taught is None:
            parser.error(f"{options.model} has no [paints] in its card")
        places, service = taught.places[: options.places], one_model(default_service())
        segmenter = find_checkpoint(options.model).segmenter.open(room=Room(torch.device("cpu")))
        for n, (name, said) in enumerate(SAID.items()):
            story = inline_story(CAST, scenes(places, said), title=name)
            few = Overrides(steps=options.steps)
            run = new_request(
                story, options.out / str(n), few, seed=n, model=options.model, method="general"
            )
            make_run(run, service)
            frames = [RunFolder(run.out).frame(i) for i in range(len(story.scenes))]
            painted = [read_picture(frame, run.out).convert("RGB") for frame in frames]
            rows += [[name, *row] for row in empty(painted, segmenter, finder)]
            pictures += painted
    except IdentityStoryError as error:
        parser.error(str(error))
    print("\n".join(Table(["said", "seen", "pictures", "share"], rows).markdown()))
    if options.sheet:
        sheet(pictures).save(options.sheet)


if __name__ == "__main__":
    main()
