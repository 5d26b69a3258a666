"""A checkpoint's card, ``card.toml`` beside its weights: what it says to presets and to tables.

No picture depends on it but through the settings that a run records, so it is not in the
checkpoint's fingerprint. A checkpoint may do without; it is then used as full-size models are.

    sizes = ["1024x1024"]       # all that it was trained on; SDXL's list, scaled, without it

    [suits]                     # of the presets that the paper does not fix
    guidance = 3.0
    steps = 20
    search_steps = 8            # of a portrait; as many as a frame takes without it
    sampler = "ancestral"
    negative = ""               # an empty prompt; without it none at all, which is zeros
    identity_words = "scene"    # "description" without it
    average = "medoid"          # of kept portraits, where a mean of embeddings is nobody; "mean" without it
    start = 19                  # t', where equal steps are other noise than the paper's; its share without it
    stories = "little_people"   # a story set's name, what `bench` and `ablate` paint
    caveats = ["..."]           # sentences on the page of results

    [parts]                     # where the files in the folder do not tell
    identity_generator = "..."
    segmenter = "..."
    enlarger = "..."

    [paints]                    # what it has pictures of, see `story.paints`
    places = ["on a beach"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import IdentityStoryError, ModelError
from ...presets import Suits
from ...sizes import Size, parse_size

CARD = "card.toml"


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        suits: what the checkpoint is used with.
        parts: names of the parts beside the base, by ``identity_generator``, ``segmenter`` and ``enlarger``.
        sizes: (width, height) of all pictures that the checkpoint was made for.
        values: all of it, as the file has it.
    """

    suits: Suits = field(default_factory=Suits)
    parts: Mapping[str, str] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def read_card(folder: Path) -> Card:
    """The card in ``folder``; one that says nothing if there is none.

    Raises:
        ModelError: it is broken, or says something that cannot be.
    """
    file = folder / CARD
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Card()
    except RecursionError:
        raise ModelError(f"{file} cannot be read: it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    suits, parts = values.get("suits", {}), values.get("parts", {})
    known = [each.name for each in fields(Suits)]
    for table, names in ((suits, known), (parts, ["identity_generator", "segmenter", "enlarger"])):
        if not isinstance(table, dict) or (strange := sorted(table.keys() - set(names))):
            what = strange[0] if isinstance(table, dict) else table
            raise ModelError(f"{file} says {what!r}; there are {', '.join(names)}")
    if strange := [name for name in parts.values() if not isinstance(name, str)]:
        raise ModelError(f'{file} says {strange[0]!r} of [parts]; each is named, as in "clipseg"')
    listed = values.get("sizes", [])
    if not isinstance(listed, list):
        raise ModelError(f"{file} says {listed!r} of sizes; it must be a list, ['1024x1024']")
    try:
        sizes = tuple(parse_size(str(size)) for size in listed)
        return Card(Suits(**suits), parts, sizes, values)
    except (IdentityStoryError, TypeError) as error:
        raise ModelError(f"{file}: {error}") from error
