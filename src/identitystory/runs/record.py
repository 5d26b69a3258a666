"""What run.json and pictures say of themselves, held to the rules that story files are held to.

Only types, lengths and what belongs together are checked; what is not named here is left as it is,
so that a newer version may say more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from ..errors import ModelError
from ..models.files.names import with_loras
from ..story.file import file_stem
from ..story.plain import plain_json
from ..story.schema import ID, MAX_ID, MAX_SECONDS
from ..types import Story

Line = Annotated[str, Field(max_length=4096)]
Text = Annotated[str, Field(max_length=100_000)]  # a filled prompt
Name = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]  # it names files
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=1000)]
Id = Annotated[str, Field(pattern=ID, max_length=MAX_ID)]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


class Told(BaseModel):
    """What a file of a run says: types are strict, and more may be said."""

    model_config = ConfigDict(strict=True, extra="allow")


_STORY = TypeAdapter(Story)


def _story(values: Any) -> Story:
    """The story, if names differ as files do, and everybody in a scene is somebody."""
    try:
        story = _STORY.validate_json(json.dumps(values), strict=True)  # whose lists become tuples
    except ValidationError as error:
        raise ValueError(first(error)) from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    names = {character.name for character in story.characters}
    stems = {file_stem(name).casefold() for name in names}
    if len(stems) < len(story.characters) or not all(0 < len(name) <= 200 for name in names):
        raise ValueError("two characters have one name, or a name is too long")
    ids = [scene.id for scene in story.scenes if scene.id]
    if len(set(ids)) < len(ids) or not all(len(i) <= MAX_ID and re.fullmatch(ID, i) for i in ids):
        raise ValueError("two scenes have one id, or an id is none")
    if not all(0 <= scene.seconds <= MAX_SECONDS for scene in story.scenes):
        raise ValueError(f"a scene stands more than {MAX_SECONDS} seconds, or less than none")
    if not story.scenes:
        raise ValueError("it has no scenes")
    try:
        with_loras("", story.loras)
    except ModelError as error:
        raise ValueError(str(error)) from None
    if any(len(set(s.cast)) < len(s.cast) or set(s.cast) - names for s in story.scenes):
        raise ValueError("a scene names somebody twice, or somebody who is not in the story")
    return story


def first(error: ValidationError) -> str:
    """Where the first mistake is, and what."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg'].removeprefix('Value error, ')[:200]}"


StoryTold = Annotated[Story, PlainValidator(_story)]


class ModelTold(Told):
    """Which model painted."""

    fingerprint: Line
    dtype: Line
    name: Line = ""


class Asked(Told):
    """The request."""

    model: Line
    device: Line
    dtype: Line
    method: Line = ""
    shape: Line = ""
    source: Line = ""
    unknown: Literal["", "refuse", "replace"] = ""
    max_takes: Annotated[int, Field(ge=0)] = 0
    metadata: bool = True
    marks: bool = True
    locked: dict[Number | Id, Key] = {}


class ExpectedTold(Told):
    """A line that a scene expects of its picture."""

    model_config = ConfigDict(strict=True, extra="forbid")
    line: Line
    holds: bool | None
    read: Line = ""


class PartTold(Told):
    """An identity or a frame."""

    key: Key
    missing: list[Name] = []
    people: Count | None = None
    bare: list[Name] = []
    expected: list[ExpectedTold] = []


class Record(Told):
    """run.json."""

    request: Asked
    story: StoryTold
    configuration: dict[str, Any]
    model: ModelTold | None = None
    parts: dict[Line, PartTold] = {}
    seed: Seed = 0
    frame_seeds: dict[Number | Id, Seed] = {}
    places: list[Annotated[int, Field(ge=0, lt=10**9)] | Id] = []
    chosen: dict[Number | Id, Key] = {}

    @model_validator(mode="after")
    def _fits(self) -> Record:
        count = len(self.story.scenes)
        if self.places and not count == len(self.places) == len(set(self.places)):
            raise ValueError("places must be one a scene")
        return self


class SceneTold(Told):
    """A picture's scene."""

    prompt: Text
    cast: list[Name] = []
    text: Text = ""


class CharacterTold(Told):
    """Somebody of a picture."""

    name: Name
    description: Line
    noun: Line = ""
    identity: Key | None = None


class MethodTold(Told):
    """What a picture was painted by."""

    name: Line


class PictureFacts(Told):
    """What a picture says of itself; each kind of picture says some of it."""

    key: Key | None = None
    part: Line = ""
    title: Line = ""
    style: Line = ""
    seed: Seed = 0
    index: Annotated[int, Field(ge=0, lt=100_000)] = 0
    frame_seed: Seed = 0
    frame_seeds: dict[Number, Seed] = {}
    scene: SceneTold | None = None
    characters: list[CharacterTold] = []
    story: StoryTold | None = None
    preset: dict[str, Any] = {}
    model: ModelTold | None = None
    method: MethodTold | None = None
    missing: list[Name] = []
    people: Count | None = None
    bare: list[Name] = []


def story_told(values: Any) -> dict[str, Any]:
    """``values``, which tell a story; ValueError otherwise."""
    _checked(PictureFacts, {"story": values})
    return dict(values)


def record_told(values: Any) -> dict[str, Any]:
    """``values``, which a run.json holds; ValueError says where they are wrong."""
    return _checked(Record, values)


def picture_told(text: str) -> dict[str, Any]:
    """What a picture's text chunk holds; ValueError says where it is wrong."""
    return _checked(PictureFacts, plain_json(text))


def _checked(kind: type[BaseModel], values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError("it is no table")
    try:
        kind.model_validate(values)
    except ValidationError as error:
        raise ValueError(first(error)) from None
    return dict(values)
