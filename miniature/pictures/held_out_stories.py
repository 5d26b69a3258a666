"""Stories of people and scenes that training never saw: ``python -m miniature.pictures.held_out_stories OUT.json``.

Twenty stories of one character: the description is of a held-out person of the set, one scene of
four is a held-out combination of place and expression, two are portraits and two half-body.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ..paths import BUILD
from ..stages.text import random_facts
from ..world.captions import FRAMING, description, scene
from .dataset import PLACES_V0, POSES_V0, PictureSet
from .training_set import HELD_OUT_SCENES


def stories(data: PictureSet, count: int, seed: int) -> list[dict]:
    """``count`` stories of different held-out people."""
    rng = np.random.default_rng([seed, 10])
    first, people = data.known_people, data.spec["people"]
    rows = {r["index"]: r for r in data.facts}
    made: list[dict] = []
    for index in first + rng.permutation(people - first):
        who = {**rows[int(index)], "framing": "portrait"}
        said = description(who, rng)
        if len(said.split()) < 5 or any(said == m["description"] for m in made):
            continue
        scenes = []
        for k in range(4):
            facts = {**random_facts(rng), "sex": who["sex"]}
            facts["framing"] = "portrait" if k % 2 == 0 else "half-body"
            facts["place"] = PLACES_V0[int(rng.integers(len(PLACES_V0)))]
            facts["pose"] = POSES_V0[int(rng.integers(len(POSES_V0)))]
            if k == 3:
                pairs = sorted(HELD_OUT_SCENES)
                facts["place"], facts["expression"] = pairs[len(made) % len(pairs)]
            if who["sex"] == "man" and facts["outfit"] in ("dress", "blouse"):
                facts["outfit"] = "t-shirt"
            front = FRAMING[facts["framing"]][0]
            scenes.append(f"{front} {{Person}} {scene(facts, rng)}")
        made.append(dict(person=int(index), description=said, scenes=scenes))
        if len(made) == count:
            break
    return made


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=BUILD / "people")
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    made = stories(PictureSet(options.data), options.count, seed=0)
    options.out.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
