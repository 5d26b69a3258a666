"""Where do faces go missing? ``python benchmarks/missing.py RUN... --words glasses half-body``.

Looks for the face in every finished picture of one character with dlib, and compares the pictures
whose prompt has a word with those whose prompt has not. Intervals are over stories.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from identitystory.errors import IdentityStoryError
from identitystory.evaluation import read_run
from identitystory.metrics.faces import Dlib, match
from identitystory.metrics.intervals import bootstrap
from identitystory.metrics.suite import Told

WORDS = ("portrait", "half-body", "glasses", "beard", "dark skin", "night", "sunset", "girl", "boy")


def found(story: Told, recogniser: Dlib) -> list[tuple[str, bool]]:
    """(prompt, whether the face was found) of each picture, as ``evaluate`` looks for it."""
    looked = []
    for picture in story.pictures:
        with Image.open(picture.file) as image:
            face = match(recogniser.faces(image.convert("RGB")), picture.masks)[0]
        looked.append((picture.prompt, face is not None))
    return looked


def shares(
    stories: Sequence[Sequence[tuple[str, bool]]], word: str
) -> tuple[float, float, tuple[float, float] | None, int]:
    """Found with ``word``, without it, the interval of the difference, pictures with it.

    A share is over all pictures; nan where there are none.
    """
    kinds = (True, False)
    hits = [[[hit for text, hit in s if (word in text) is k] for k in kinds] for s in stories]
    sums, counts = (
        torch.tensor([[measure(some) for some in pair] for pair in hits], dtype=torch.float64)
        for measure in (sum, len)
    )  # (stories, 2)

    def both(weights: Tensor) -> Tensor:
        return (weights @ sums) / (weights @ counts)

    def less(weights: Tensor) -> float:
        with_word, without = both(weights).tolist()
        return float(with_word - without)

    with_word, without = both(torch.ones(len(stories), dtype=torch.float64)).tolist()
    return with_word, without, bootstrap(less, len(stories)), int(counts[:, 0].sum())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--words", nargs="+", default=WORDS, metavar="WORD")
    options = parser.parse_args()
    try:
        recogniser = Dlib()
        told = [read_run(run) for run in options.runs]
    except IdentityStoryError as error:
        parser.error(str(error))
    stories = [found(story, recogniser) for story in told if story.people == 1]
    print("| word | pictures | found with it | without | difference |\n" + "| --- " * 5 + "|")
    for word in options.words:
        with_word, without, interval, count = shares(stories, word)
        between = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        less = f"{with_word - without:.3f}{between}"
        print(f"| {word} | {count} | {with_word:.3f} | {without:.3f} | {less} |")


if __name__ == "__main__":
    main()
