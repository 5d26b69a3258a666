"""A painted frame as its files: template, masks and picture, each telling what it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..injection import heads_in
from ..methods.method import find_cast
from ..protocols import FindsBare, Segmenter
from ..types import Frame, Story
from ..wording import crowd, phrases
from . import files, inside, people, sheets


@dataclass(frozen=True)
class Stored:
    """Who is in a picture that was stored.

    Attributes:
        missing: names of those who were not found.
        seen: how many people are in it; None if nobody counted.
        meant: how many there may be.
        bare: names of those who seem to wear nothing.
        said: what run.json says of it, see `people.told`.
    """

    missing: tuple[str, ...]
    seen: int | None
    meant: tuple[int, ...]
    bare: tuple[str, ...]
    said: dict[str, Any]


def store(
    frame: Frame,
    facts: dict[str, Any],
    story: Story,
    find: Segmenter,
    place: Callable[[str], Path],
    root: Path,
    *,
    bare: FindsBare | None = None,
    metadata: bool = True,
) -> Stored:
    """Writes the files of ``frame``, the picture last: without it nobody takes the others for finished.

    Args:
        facts: what they tell of themselves.
        story: that it is of.
        find: counts people, and finds them where there is no template.
        place: where a file of each of `takes.KINDS` goes.
        root: the run's folder.
        bare: sees who wears nothing.
        metadata: whether the picture tells who is missing and who is bare.
    """
    write, template = partial(files.write_png, root=root), frame.template
    heads = heads_in(find, frame.image, phrases(story, frame.scene))
    seen, meant = None if heads is None else len(heads), tuple(crowd(story, frame.scene))
    if template is None:
        M, missing = find_cast(find, story, frame.scene, frame.image, heads)
        inside.remove(place(".template"), root)  # another method's
    else:
        M, missing = template.masks, template.missing
        facts = facts | {"template_seed": template.seed}
    undressed = (
        tuple(frame.scene.cast[j] for j in bare(frame.image, M, heads, False)) if bare else ()
    )
    said = people.told(missing, seen, meant, undressed)
    facts |= {k: v for k, v in said.items() if k == "people"}
    if metadata:
        facts |= {"missing": list(missing)} | {k: v for k, v in said.items() if k == "bare"}
    if template is not None:
        write(place(".template"), template.image, facts | {"part": "template"})
    masks = sheets.masks_picture(M, frame.image.size)
    write(place(".masks"), masks, facts | {"part": "masks"})
    write(place(""), frame.image, facts)
    return Stored(tuple(missing), seen, meant, undressed, said)
