"""Do the text encoders hear what is said? ``python -m miniature.checks.heard``.

Captions of records that nothing was trained on; of each attribute that a caption says beyond doubt
(by the phrases of the attribute reader), how often the linear heads tell it right. What a caption
leaves out nobody can know, so it is not asked.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from .. import paths
from ..package import said
from ..pictures.labels import CATEGORY_NAMES, CATEGORY_SIZES
from ..pictures.recipe import record_of
from ..stages.phrases import phrases
from ..stages.reader import VALUES
from ..stages.text import NAME, Teaching, make_tokenizers, tokens
from ..training.loop import load_trained
from ..world.captions import caption
from ..world.records import CATEGORIES, categories

FIRST = 70_000_000  # numbers of pictures that no set has
OUTPUTS = ("states", "pooled", "first pooled")


@torch.inference_mode()
def report(count: int = 600) -> dict[str, dict[str, float]]:
    """Output -> attribute -> how often it was told right where it was said."""
    tokenizers = make_tokenizers()
    model = load_trained(NAME, Teaching(len(tokenizers[0])))
    table, rng = phrases(VALUES), np.random.default_rng(3)
    records = [record_of("singles", FIRST + n) for n in range(count)]
    records = [r for r in records if r.people]
    texts = [caption(r, rng) for r in records]
    heard = [said(t, table) for t in texts]
    logits, _ = model(*(tokens(t, texts) for t in tokenizers))
    result: dict[str, dict[str, float]] = {}
    for name, answers in zip(OUTPUTS, logits, strict=True):
        told = [p.argmax(1) for p in answers.split(CATEGORY_SIZES * 2, 1)[: len(CATEGORY_SIZES)]]
        hits: dict[str, list[float]] = {}
        for n, (record, spoken) in enumerate(zip(records, heard, strict=True)):
            true = categories(record, 0)
            for k, attribute in enumerate(CATEGORY_NAMES):
                values = spoken.get(attribute, ())
                if len(values) == 1 and true[attribute] in values:
                    guess = CATEGORIES[attribute][int(told[k][n])]
                    hits.setdefault(attribute, []).append(float(guess == true[attribute]))
        result[name] = {k: round(float(np.mean(v)), 3) for k, v in hits.items() if len(v) > 9}
        result[name]["all"] = round(float(np.mean([x for v in hits.values() for x in v])), 4)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    options = parser.parse_args()
    paths.use_state(options.state)
    torch.set_num_threads(1)
    print(json.dumps(report(), indent=1))


if __name__ == "__main__":
    main()
