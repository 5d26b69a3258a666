"""How many people are painted without clothes? ``python -m benchmarks.torsos --out runs/torsos``.

Paints everybody of ``--people`` in every place of ``--places`` that the checkpoint's card lists, and
looks at the strip below the neck: where most of it has the colour of the face, nobody is dressed. The
checkpoint's own reader says where the face is. ``--truth N`` paints nothing: it holds the measure
against N drawn pictures, whose clothes are where the world's labels say: as they were drawn, and with
the colour of the skin put in their place. Clothes that are like the skin are told as bare, too.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from identitystory.cli.main import default_service
from identitystory.errors import IdentityStoryError
from identitystory.experiments.batch import make_run
from identitystory.metrics.attributes import FOLDER, AttributeReader, load_reader
from identitystory.metrics.torso import BARE, face_of, skin_below
from identitystory.models.files.checkpoint import find_folder
from identitystory.runs.files import read_picture
from identitystory.runs.folder import RunFolder
from identitystory.runs.options import new_request
from identitystory.runs.service import one_model
from identitystory.settings import Overrides
from identitystory.story.file import inline_story
from identitystory.story.paints import load_paints
from miniature.pictures.recipe import HELD_OUT, record_of
from miniature.world.captions import describe
from miniature.world.pen import PART_NUMBER
from miniature.world.picture import Picture
from miniature.world.picture import paint as draw
from miniature.world.sampling import draw_person

ADULT = 20  # years


def in_skin(picture: Picture) -> np.ndarray:
    """A drawn picture, (H, W, 3) uint8, whose clothes are dyed in the colour of the skin."""
    cloth = picture.part == PART_NUMBER["cloth"]
    skin = np.median(picture.rgb[picture.part == PART_NUMBER["skin"]], axis=0)
    light = picture.rgb[cloth].mean(axis=1, keepdims=True)
    folds = np.clip(light / max(1.0, float(np.median(light))), 0.85, 1.1)
    made = picture.rgb.copy()
    made[cloth] = np.clip(skin * folds, 0, 255).astype(np.uint8)
    return made


def drawn(count: int) -> Iterator[Picture]:
    """Pictures of one held-out adult each, portraits and half-bodies."""
    every = (record_of("held_out", n) for n in itertools.count())
    grown = (r for r in every if r.people and r.people[0].age >= ADULT)
    yield from map(draw, itertools.islice(grown, count))


def adults(count: int) -> list[str]:
    """Descriptions of so many held-out adults."""
    drawn_people = ((n, draw_person(HELD_OUT + n)) for n in itertools.count())
    grown = ((n, person) for n, person in drawn_people if person.age >= ADULT)
    return [describe(p, np.random.default_rng(n)) for n, p in itertools.islice(grown, count)]


def truth(reader: AttributeReader, count: int) -> dict[str, float]:
    """How often the measure is right of drawn pictures: ``bare`` and ``dressed``, shares in [0, 1].

    ``seen`` is the share of pictures whose strip lies in the picture; the others are of neither.
    """
    told: dict[str, list[float]] = {"bare": [], "dressed": []}
    for picture in drawn(count):
        for kind, rgb in (("dressed", picture.rgb), ("bare", in_skin(picture))):
            told[kind].append(skin_below(rgb, face_of(reader, Image.fromarray(rgb))))
    known = {kind: [v for v in values if v == v] for kind, values in told.items()}
    return {
        "bare": float(np.mean([v >= BARE for v in known["bare"]])),
        "dressed": float(np.mean([v < BARE for v in known["dressed"]])),
        "seen": len(known["dressed"]) / count,
    }


def scenes(places: Sequence[str], count: int, wears: str, first: int = 0) -> list[str]:
    """``count`` of the places, spread over all of them, each as a scene; ``wears`` may be empty.

    They begin at ``first``, so that people with different ones come to all places between them.
    """
    size = len(places)
    count = min(count, size)
    dressed = f", in {wears}" if wears else ""
    return [f"{{A}} {places[(n * size // count + first) % size]}{dressed}" for n in range(count)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/torsos"))
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--method", default="identitystory")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument(
        "--places", type=int, default=1000, help="of each person; all of the card's"
    )
    parser.add_argument("--wears", default="", help="a blue shirt, say, which no skin is like")
    parser.add_argument("--portraits", type=int, help="of each person (default: the preset's)")
    parser.add_argument("--steps", type=int, help="of each picture (default: the preset's)")
    parser.add_argument(
        "--templates", action="store_true", help="put no faces in; clothes are the template's"
    )
    parser.add_argument(
        "--truth", type=int, metavar="N", help="hold the measure against N drawings"
    )
    options = parser.parse_args()
    try:
        folder = find_folder(options.model)
        reader, taught = load_reader(folder / FOLDER), load_paints(folder)
        if reader is None or taught is None:
            parser.error(f"{options.model} has no {FOLDER}/ or no [paints] in its card")
        if options.truth:
            print(truth(reader, options.truth))
            return
        service, shares = one_model(default_service()), {}
        for n, who in enumerate(adults(options.people)):
            said = scenes(taught.places, options.places, options.wears, first=n)
            story = inline_story([f"A: {who}"], said, title=f"{n}")
            faces = ("injection.start=0",) if options.templates else ()
            few = Overrides(steps=options.steps, portraits=options.portraits, set=faces)
            more = {"method": options.method, "model": options.model}
            run = new_request(story, options.out / f"{n:02d}", few, seed=n, **more)
            make_run(run, service)
            for index, scene in enumerate(story.scenes):
                picture = read_picture(RunFolder(run.out).frame(index), run.out).convert("RGB")
                share = skin_below(np.array(picture), face_of(reader, picture))
                shares[f"{run.out / 'frames'}/{index + 1:03d}.png", scene.text] = share
                if share >= BARE:
                    print(f"{share:.2f}  {run.out / 'frames'}/{index + 1:03d}.png  {scene.prompt}")
    except IdentityStoryError as error:
        parser.error(str(error))
    bare = sum(share >= BARE for share in shares.values())
    unseen = sum(share != share for share in shares.values())
    print(
        f"{bare} of {len(shares)} frames are of somebody without clothes ({unseen} without a strip)"
    )


if __name__ == "__main__":
    main()
