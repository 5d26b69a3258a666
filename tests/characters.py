"""Characters for tests: a person that the fakes found, and the golden file.

``python -m tests.characters`` writes tests/data/golden/mara.character anew; that is only right when the
format counts up, for the file is there to be opened by every later version.
"""

from pathlib import Path

import torch
from PIL import Image

from identitystory.protocols import ModelFacts
from identitystory.runs.characters.form import Look
from identitystory.runs.characters.making import found
from identitystory.types import Character

GOLDEN = Path(__file__).parent / "data" / "golden" / "mara.character"
FACTS = ModelFacts("w1", "cpu", "float32", encoder="e" * 64)


def person(seed=0, portraits=3, side=8, **changes):
    """A small character file, the same for the same numbers."""
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (portraits, side, side, 3), generator=rng, dtype=torch.uint8)
    E = torch.randn(portraits, 4, generator=rng)
    made = found(
        Character("Mara", "a young woman with long red hair", "woman", wears="a blue sweater"),
        model="miniature",
        facts=FACTS,
        preset={"name": "test", "num_steps": 10, "guidance": 3.5},
        seed=seed,
        kept=range(portraits),
        portraits=[Image.fromarray(each.numpy()) for each in pixels],
        E=E,
        embedding=E.double().mean(dim=0).float(),
        versions={"identitystory": "0.1.0"},
    )
    looks = {**made.told.looks, "winter": Look(wears="a red coat")}
    looks["short"] = Look(description="a young woman with short black hair")
    told = made.told.model_copy(update={"looks": looks, **changes})
    return type(made)(told, made.parts)


if __name__ == "__main__":
    GOLDEN.write_bytes(person().content)
