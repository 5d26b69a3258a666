"""Where do faces go missing? ``python benchmarks/missing.py RUN... --words glasses half-body``.

Looks for the face in every finished picture of one character with dlib, and compares the pictures
whose prompt has a word with those whose prompt has not. Intervals are over stories.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from identitystory.errors import IdentityStoryError
from identitystory.experiments.evaluate import read_run
from identitystory.experiments.tables import Table
from identitystory.metrics.evidence import Evidence, Instruments, look
from identitystory.metrics.faces import Dlib
from identitystory.metrics.intervals import bootstrap

WORDS = ("portrait", "half-body", "glasses", "beard", "dark skin", "night", "sunset", "girl", "boy")
Looked = Sequence[tuple[str, bool]]  # a story's pictures: prompt, whether the face was found


def looked(seen: Evidence) -> Looked:
    """The pictures of a story of one character."""
    return [(p.prompt, n in seen.face_frame) for n, p in enumerate(seen.story.pictures)]


def shares(
    stories: Sequence[Looked], word: str
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


def table(stories: Sequence[Looked], words: Sequence[str]) -> str:
    """Markdown: a line for each word."""
    rows = []
    for word in words:
        with_word, without, interval, count = shares(stories, word)
        shown = [f"{share:.3f}" for share in (with_word, without)]
        between = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        rows.append([word, count, *shown, f"{with_word - without:.3f}{between}"])
    head = ["word", "pictures", "found with it", "without", "difference"]
    return "\n".join(Table(head, rows).markdown())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--words", nargs="+", default=WORDS, metavar="WORD")
    options = parser.parse_args()
    try:
        instruments = Instruments(recogniser=Dlib())
        told = [read_run(run) for run in options.runs]
    except IdentityStoryError as error:
        parser.error(str(error))
    alone = [look(story, instruments) for story in told if story.people == 1]
    print(table([looked(seen) for seen in alone], options.words))


if __name__ == "__main__":
    main()
