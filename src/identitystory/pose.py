"""How people in a scene hold their heads, as a story says it; `skeleton` draws it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_POSE_PICTURE = 200_000  # letters of a pose's picture as text
_POSE_RANGES = {
    **dict.fromkeys(("yaw", "pitch", "roll"), (-90.0, 90.0)),
    "x": (0.0, 1.0),
    "height": (0.02, 1.5),
    "source": (0, 1_000_000),
}


@dataclass(frozen=True)
class Pose:
    """How somebody in a scene holds their head; or a picture, or another scene, that says it of all.

    Attributes:
        who: a name of the cast; empty for a picture and for another scene.
        yaw, pitch, roll: degrees, above 0 towards the picture's right, upwards and clockwise.
        x: the middle of the head, as a share of the picture's width from the left; None is an even
            place, in the order of the cast.
        height: crown to chin, as a share of the picture's height; None is half of it.
        picture: a small PNG as base64, of what ``kind`` says; see `skeleton.packed`.
        kind: what the picture is of, as control nets are called: ``openpose``, ``depth``. Angles are
            drawn as ``openpose``.
        source: number of another scene, from 1, where people stand in this one as in its template; 0
            is none.
    """

    who: str = ""
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float | None = None
    height: float | None = None
    picture: str = ""
    kind: str = "openpose"
    source: int = 0

    def __post_init__(self) -> None:
        """Refuses, with a ValueError, what cannot be drawn."""
        for name, (low, high) in _POSE_RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # refuses nan too
                raise ValueError(f"{name} is {value}; it must be from {low:g} to {high:g}")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", self.kind):
            raise ValueError(
                f"kind is {self.kind[:40]!r}; it must be a word such as openpose or depth"
            )
        if len(self.picture) > MAX_POSE_PICTURE:
            raise ValueError("the picture of a pose is too large")


def poses_told(scene: Mapping[str, Any]) -> tuple[Pose, ...]:
    """The poses of a scene that is told in plain values."""
    return tuple(Pose(**each) for each in scene.get("pose", ()))
