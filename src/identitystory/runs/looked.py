"""checked.json: what a check found in each picture of a run, by the picture's key.

It lies beside the run and is no part of it: without it nothing is painted anew. Pictures that were
looked at with the same instruments are not looked at again, nor what a repair tried and threw away.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, ValidationError

from ..errors import RunError
from ..metrics.checking import Inspected
from ..story.plain import plain_json
from . import inside
from .files import write_whole
from .folder import RunFolder
from .record import Key, Line, Name, Told, first

FORMAT, MAX_BYTES = 1, 1 << 26


class FaultTold(Told):
    """Something that is wrong; see `metrics.checking.Fault`."""

    kind: Line
    who: Line = ""
    words: Line = ""
    weight: float = 0.0


class FrameTold(Told):
    """What was found in a picture; see `metrics.checking.Inspected`.

    ``template`` says that it was thrown away as a template, before faces were put in.
    """

    people: int | None = None
    likeness: dict[Name, float | None] = Field(default_factory=dict)
    marks: dict[Name, Line] = Field(default_factory=dict)
    faults: list[FaultTold] = Field(default_factory=list)
    template: bool = False

    @property
    def suspicion(self) -> float:
        """The faults' weights together."""
        return sum(fault.weight for fault in self.faults)

    @property
    def rank(self) -> tuple[float, float]:
        """What orders pictures of one scene, the best first: suspicion, then likeness."""
        values = [-1.0 if v is None else v for v in self.likeness.values()]
        return self.suspicion, -(sum(values) / len(values) if values else 0.0)

    @property
    def words(self) -> str:
        """The faults in one line."""
        return "; ".join(dict.fromkeys(fault.words for fault in self.faults))


class Looked(Told):
    """checked.json.

    Attributes:
        format: of the file.
        by: what was looked with: recogniser, checkpoint, thresholds.
        frames: what was found, by the picture's key.
        repaired: keys of the takes that a repair chose, by place: those a later one may replace.
    """

    format: int = FORMAT
    by: dict[str, Any] = Field(default_factory=dict)
    frames: dict[Key, FrameTold] = Field(default_factory=dict)
    repaired: dict[Line, Key] = Field(default_factory=dict)


def told(found: Inspected, *, template: bool = False) -> FrameTold:
    """``found`` as the file has it."""
    faults = [FaultTold(**vars(fault)) for fault in found.faults]
    return FrameTold(
        people=found.people,
        likeness=found.likeness,
        marks={name: str(mark) for name, mark in found.marks.items()},
        faults=faults,
        template=template,
    )


def read_looked(folder: RunFolder) -> Looked:
    """checked.json; an empty one where there is none.

    Raises:
        RunError: it is broken, or of another format.
    """
    file = folder.checked
    try:
        content = inside.read(file, folder.root, most=MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return Looked()
    try:
        found = Looked.model_validate(plain_json(content))
    except ValidationError as error:
        raise RunError(f"{file} is broken ({first(error)}); delete it") from None
    except ValueError as error:
        raise RunError(f"{file} is broken ({error}); delete it") from None
    if found.format != FORMAT:
        raise RunError(f"{file} is of format {found.format}, not {FORMAT}; delete it")
    return found


def write_looked(folder: RunFolder, looked: Looked) -> None:
    """Writes checked.json, whole or not at all."""
    plain = looked.model_dump(exclude_defaults=True) | {"format": FORMAT}
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    write_whole(folder.checked, text.encode(), folder.root)
