"""Which other format a file has, and the draft of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...errors import StoryError
from ...types import Story
from ..document import Kind, kind_of, parse, read_text
from . import consistory, fountain, shots, storydiffusion, vistory
from .draft import Draft


@dataclass(frozen=True)
class Format:
    """A way to write stories that is not ours.

    Attributes:
        name: as in "FILE is a Fountain screenplay".
        kind: what a reader takes: the file's text, or the values of parsed JSON or YAML.
        draft: makes the draft of that; takes it and the file's name for errors.
        suffixes: of files that have this format whatever is in them.
        fits: whether text or values of other files have it.
        story: reads it as it is, where it lacks nothing: takes also the title.
    """

    name: str
    kind: Kind | Literal["text"]
    draft: Callable[[Any, str], Draft]
    suffixes: tuple[str, ...] = ()
    fits: Callable[[Any], bool] = lambda _: False
    story: Callable[[Any, str, str], Story] | None = None


FORMATS = (
    Format("a Fountain screenplay", "text", fountain.draft, fountain.SUFFIXES, fountain.fits),
    Format("a StoryDiffusion story", "text", storydiffusion.draft, fits=storydiffusion.fits),
    Format("a shot list", "text", shots.from_csv, shots.SUFFIXES),
    Format("a shot list", "YAML", shots.from_yaml, (".yaml", ".yml")),
    Format("a ViStoryBench story", "JSON", vistory.draft, fits=vistory.fits),
    Format(
        "a ConsiStory-Human story",
        "JSON",
        consistory.draft,
        fits=consistory.fits,
        story=consistory.story,
    ),
)


def read(path: Path, source: str, *, ours: bool = True) -> tuple[Format | None, Any]:
    """The format of a file, None if it is to be one of our own, and its text or parsed values.

    Unless ``ours``, TOML is not parsed, since no other format is written in it.

    Raises:
        StoryError: it cannot be read, or is not valid TOML, JSON or YAML.
    """
    content = read_text(path, source)
    suffix = path.suffix.lower()
    by_name = [each for each in FORMATS if suffix in each.suffixes]
    if not by_name and suffix not in (".toml", ".json"):
        by_name = [each for each in FORMATS if each.kind == "text" and each.fits(content)]
    if by_name and by_name[0].kind == "text":
        return by_name[0], content
    kind = kind_of(path, content)
    if kind == "TOML" and not ours:
        return None, None
    data = parse(content, source, kind)
    if kind == "JSON":
        by_name = [each for each in FORMATS if each.kind == kind and each.fits(data)]
    return (by_name[0] if by_name else None), data


def draft_of(path: Path) -> Draft:
    """The draft of a file in another format.

    Raises:
        StoryError: it cannot be read, has no format that is known, or nothing to paint in it.
    """
    source = str(path)
    found, data = read(path, source, ours=False)
    if found is None:
        known = ", ".join(dict.fromkeys(each.name for each in FORMATS))
        raise StoryError(
            f"{source} is none of these: {known}. A story file of ours needs no import"
        )
    return found.draft(data, source)
