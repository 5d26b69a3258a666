"""The JSON that comes in, bounded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..methods.registry import METHODS
from ..presets import PRESETS
from ..story.schema import (
    MAX_CAPTION,
    MAX_CAST,
    MAX_CHARACTERS,
    MAX_DESCRIPTION,
    MAX_ID,
    MAX_LINES,
    MAX_LOCATIONS,
    MAX_NAME,
    MAX_NEGATIVE,
    MAX_NOUN,
    MAX_PROMPT,
    MAX_SCENES,
    MAX_SECONDS,
    MAX_SEED,
    MAX_SHAPE,
    MAX_SHOT,
    MAX_STYLE,
    MAX_TITLE,
    MAX_WEARS,
)

MODELS = ("miniature", "sdxl", "sdxl-light")
EXPORTS = ("comic", "storyboard", "contact", "cbz", "epub", "mp4", "gif", "html", "otio", "edl")
MAX_TEXT = 1 << 20  # letters
Export = Literal[
    "comic", "storyboard", "contact", "cbz", "epub", "mp4", "gif", "html", "otio", "edl"
]
Kind = Literal["frame", "template", "masks", "portraits"]
Width = Literal["0", "160", "320", "640"]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Revision = Annotated[str, Field(max_length=64)]
Index = Annotated[int, Field(ge=0, lt=MAX_SCENES)]
Indexes = Annotated[list[Index], Field(max_length=MAX_SCENES)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]  # as far as a page counts exactly
Count = Annotated[int, Field(ge=1, le=16)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Caption = Annotated[str, Field(max_length=MAX_CAPTION)]
Shot = Annotated[str, Field(max_length=MAX_SHOT)]
Wears = Annotated[str, Field(max_length=MAX_WEARS)]
Location = Annotated[str, Field(max_length=MAX_DESCRIPTION)]
Degrees = Annotated[float, Field(ge=-90, le=90, strict=False)]


class Asked(BaseModel):
    """What all that comes in keeps to: no other keys, no other types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TextAsked(Asked):
    """A text, to be checked or to begin with."""

    text: Text | None = None
    title: Annotated[str, Field(max_length=MAX_TITLE)] | None = None


class ReadAsked(Asked):
    """A text as it is typed, of a ``story``, or of one that is not there yet."""

    text: Text = ""
    story: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None = None


class SaveAsked(Asked):
    """Another text of a story."""

    text: Text
    revision: Revision


class SettingsAsked(Asked):
    """Settings of a story; null is the run's own, or the default."""

    preset: Annotated[str, Field(max_length=40, json_schema_extra={"enum": [*PRESETS]})] | None = (
        None
    )
    method: Annotated[str, Field(max_length=40, json_schema_extra={"enum": [*METHODS]})] | None = (
        None
    )
    model: Literal["miniature", "sdxl", "sdxl-light"] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    portraits: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance: Annotated[float, Field(ge=1, le=100, strict=False)] | None = None


class LineSet(Asked):
    """Something that is said."""

    who: Name
    says: Caption


class PoseSet(Asked):
    """How a head is held; a page names no file."""

    yaw: Degrees | None = None
    pitch: Degrees | None = None
    roll: Degrees | None = None
    x: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None
    height: Annotated[float, Field(ge=0.02, le=1.5, strict=False)] | None = None


class SceneSet(Asked):
    """Keys of a scene; null takes one out."""

    prompt: Annotated[str, Field(max_length=MAX_PROMPT)] = ""
    caption: Caption | None = None
    dialogue: Annotated[list[LineSet], Field(max_length=MAX_LINES)] | None = None
    shot: Shot | None = None
    camera: Shot | None = None
    notes: Caption | None = None
    seconds: Annotated[float, Field(ge=0.5, le=MAX_SECONDS, strict=False)] | None = None
    wears: Annotated[dict[Name, Wears], Field(max_length=MAX_CHARACTERS)] | None = None
    pose: Annotated[dict[Name, PoseSet], Field(max_length=MAX_CHARACTERS)] | None = None
    negative: Annotated[str, Field(max_length=MAX_NEGATIVE)] | None = None
    id: Annotated[str, Field(max_length=MAX_ID)] | None = None
    size: Annotated[str, Field(max_length=MAX_SHAPE)] | None = None
    aspect: Annotated[str, Field(max_length=MAX_SHAPE)] | None = None


class CharacterSet(Asked):
    """Keys of a character; null takes one out."""

    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None = ""
    wears: Wears | None = None
    noun: Annotated[str, Field(max_length=MAX_NOUN)] | None = None
    cast: Annotated[str, Field(max_length=MAX_CAST)] | None = None
    look: Annotated[str, Field(max_length=MAX_NAME)] | None = None
    seed: Annotated[int, Field(ge=1, le=MAX_SEED)] | None = None


class PersonSet(CharacterSet):
    """A new character."""

    name: Name


class StorySet(Asked):
    """Keys of the story itself; null takes one out."""

    title: Annotated[str, Field(max_length=MAX_TITLE)] | None = None
    style: Annotated[str, Field(max_length=MAX_STYLE)] | None = None
    negative: Annotated[str, Field(max_length=MAX_NEGATIVE)] | None = None
    aspect: Annotated[str, Field(max_length=MAX_SHAPE)] | None = None
    locations: Annotated[dict[Name, Location], Field(max_length=MAX_LOCATIONS)] | None = None


class OrderEdit(Asked):
    """Scenes in another order: the index that each had."""

    do: Literal["order"]
    scenes: Indexes


class SceneEdit(Asked):
    """Keys of one scene."""

    do: Literal["scene"]
    index: Index
    set: SceneSet


class AddEdit(Asked):
    """A new scene, to stand at ``index``."""

    do: Literal["add"]
    index: Index
    set: SceneSet


class RemoveEdit(Asked):
    """A scene less."""

    do: Literal["remove"]
    index: Index


class CharacterEdit(Asked):
    """Keys of one character."""

    do: Literal["character"]
    name: Name
    set: CharacterSet


class PersonEdit(Asked):
    """A new character."""

    do: Literal["person"]
    set: PersonSet


class DismissEdit(Asked):
    """A character less; no scene may name them."""

    do: Literal["dismiss"]
    name: Annotated[str, Field(max_length=MAX_NAME)]


class StoryEdit(Asked):
    """Keys of the story."""

    do: Literal["story"]
    set: StorySet


Edit = Annotated[
    OrderEdit
    | SceneEdit
    | AddEdit
    | RemoveEdit
    | CharacterEdit
    | PersonEdit
    | DismissEdit
    | StoryEdit,
    Field(discriminator="do"),
]


Edits = Annotated[list[Edit], Field(min_length=1, max_length=100)]


class EditsAsked(Asked):
    """Edits, all or none."""

    revision: Revision
    edits: Edits


def plain_edits(edits: list[Edit]) -> list[dict[str, Any]]:
    """``edits`` as `edits.edited` takes them."""
    return [each.model_dump(exclude_unset=True) for each in edits]


class PaintAsked(Asked):
    """What is to be painted: ``only`` those scenes, or all that is not there."""

    revision: Revision
    only: Indexes | None = None
    cast_only: bool = False


class RerollAsked(Asked):
    """Scenes to be painted with new seeds: ``count`` of them, or those that are given."""

    revision: Revision
    indexes: Annotated[list[Index], Field(min_length=1, max_length=MAX_SCENES)]
    count: Count = 1
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=16)] | None = None


class CostAsked(Asked):
    """What would be painted, and what it would take."""

    revision: Revision
    only: Indexes | None = None
    reroll: Count | None = None
    text: Text | None = None
    edits: Edits | None = None


class ChooseAsked(Asked):
    """The take that is to be a scene's picture."""

    revision: Revision
    picture: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LockAsked(Asked):
    """Whether a scene's picture is to stay as it is."""

    revision: Revision
    locked: bool


class OrderAsked(Asked):
    """Jobs in the order in which they are to be painted."""

    order: Annotated[list[Annotated[int, Field(ge=0, lt=2**53)]], Field(max_length=1000)]


class TokenAsked(Asked):
    """The token that the server printed."""

    token: Annotated[str, Field(max_length=200)]
