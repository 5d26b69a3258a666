"""Does the miniature's segmenter know who is there? ``python -m benchmarks.heads --pictures 24``.

Draws held-out pictures of one person, of two, and of nobody, whose masks the world knows, and asks for
their people: how many it counts, and whether a mask that is the right person's is kept and another
refused, for want of a head.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from identitystory.masks import clean, with_heads
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import find_checkpoint
from miniature.pictures.recipe import PER_PERSON, cast_of, record_of
from miniature.world.captions import describe
from miniature.world.picture import paint
from miniature.world.records import Record

RIGHT = 0.5  # intersection over union from which on a mask is a person's


@dataclass
class Tally:
    """What was seen in pictures of so many people."""

    counted: Counter[int] = field(default_factory=Counter)
    masks: Counter[str] = field(default_factory=Counter)

    def add(self, masks: Tensor, heads: Tensor, people: Tensor) -> None:
        """One picture: masks (s, H, W) of the phrases, heads (n, H, W), and who is where, (s, H, W)."""
        self.counted[len(heads)] += 1
        kept = with_heads(masks, heads).flatten(1).any(dim=1).tolist()
        for mask, person, there in zip(masks, people, kept, strict=True):
            shared = float((mask & person).sum() / (mask | person).sum().clamp(min=1))
            self.masks[
                f"{'right' if shared >= RIGHT else 'wrong'}, {'kept' if there else 'refused'}"
            ] += 1


def records(kind: str, people: int, count: int) -> Sequence[Record]:
    """The first ``count`` records of a set with so many people, each of other people."""
    numbers = (n for n in itertools.count() if len(cast_of(kind, n)[0]) == people)
    step = PER_PERSON if people else 1
    return [record_of(kind, n) for n in itertools.islice(numbers, 0, step * count, step)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=24, help="of each number of people")
    options = parser.parse_args()
    segmenter = find_checkpoint("miniature").segmenter.open(room=Room(torch.device("cpu")))
    for people, kind in ((1, "held_out"), (2, "held_out_pairs"), (0, "held_out")):
        tally = Tally()
        for record in records(kind, people, options.pictures):
            drawn = paint(record)
            image = Image.fromarray(drawn.rgb)
            said = [describe(person, np.random.default_rng(0)) for person in record.people]
            masks = clean(segmenter.segment(image, said).masks)
            there = torch.stack(
                [torch.from_numpy(drawn.person == k + 1) for k in range(people)] or [torch.zeros(0)]
            )
            tally.add(masks, segmenter.heads(image, said), there[:people])
        print(f"{people} in the picture: counted {dict(tally.counted)}; masks {dict(tally.masks)}")


if __name__ == "__main__":
    main()
