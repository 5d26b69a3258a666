"""The form of a pose in a story file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

MAX_NAME = 200  # of a file


class PoseEntry(BaseModel):
    """How a head is held, ``pose = {yaw = -30}``; or what says it of a whole scene."""

    model_config = ConfigDict(extra="forbid", strict=True)
    yaw: float | None = Field(
        default=None, description="Degrees, -90 to 90; above 0 towards the picture's right."
    )
    pitch: float | None = Field(default=None, description="Likewise; above 0 upwards.")
    roll: float | None = Field(default=None, description="Likewise; above 0 clockwise.")
    x: float | None = Field(
        default=None, description="The head's middle, 0 at the picture's left edge, 1 at its right."
    )
    height: float | None = Field(
        default=None,
        description="Crown to chin, as a share of the picture's height; 0.5 if left out.",
    )
    file: str | None = Field(
        default=None,
        max_length=MAX_NAME,
        description="A picture in the story's folder that says it of all: of 'kind'.",
    )
    kind: str | None = Field(
        default=None, max_length=20, description="What the picture shows: 'openpose' or 'depth'."
    )
    source: int | None = Field(
        default=None, alias="from", description="Number of the scene that it is taken over from."
    )


def _which_pose(value: Any) -> str:
    inner = value.values() if isinstance(value, dict) else ()
    return "by name" if any(isinstance(each, dict) for each in inner) else "one"


POSE_TAGS = ("one", "by name")
Poses = Annotated[
    Annotated[PoseEntry, Tag("one")] | Annotated[dict[str, PoseEntry], Tag("by name")],
    Discriminator(_which_pose),
]
