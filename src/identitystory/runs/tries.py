"""What a repair tries on a suspicious frame, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ..config import InjectionConfig
from ..methods.method import Kept
from ..types import Template
from .looked import FrameTold
from .looking import Frame

FACES = {"unlike", "exchanged", "twice"}  # faults of a face rather than of the picture around it


def wider(config: InjectionConfig) -> InjectionConfig:
    """Masks half as much wider again at the end, and wider from the start on."""
    return replace(config, k_max=1.5 * config.k_max, margin=config.margin + 16)


def stronger(config: InjectionConfig) -> InjectionConfig:
    """Guidance of faces by half as much again."""
    return replace(config, guidance_identity=min(100.0, 1.5 * config.guidance_identity))


def later(config: InjectionConfig) -> InjectionConfig:
    """Three quarters of the steps t', so that more of the template stays."""
    return replace(config, start=round(0.75 * config.start))


Change = Callable[[InjectionConfig], InjectionConfig]
FOR_FACES: Mapping[str, Change] = {"wider masks": wider, "stronger guidance": stronger}
FOR_PICTURES: Mapping[str, Change] = {"a later start": later}


@dataclass
class Mended:
    """What a repair did.

    Attributes:
        frames: as they are now, the most suspicious first.
        chosen: scene indexes whose picture is another now, with the suspicion before and after.
        calls: network calls that were spent.
        tries: how many tries were made, those that ended at a template too.
        budget: that was given.
    """

    frames: list[Frame] = field(default_factory=list)
    chosen: dict[int, tuple[float, float]] = field(default_factory=dict)
    calls: int = 0
    tries: int = 0
    budget: int = 0


class RejectedError(Exception):
    """A template that is no better than the picture that is there, and what was found in it."""

    def __init__(self, found: FrameTold) -> None:
        self.found = found


class Templates(Kept[int, Template]):
    """The last template, by frame, so that faces can be put into it again; ``good`` if it was kept."""

    def __init__(self) -> None:
        self.there: dict[int, Template] = {}
        self.good = False

    def read(self, key: int, /) -> Template | None:
        return self.there.get(key)

    def write(self, key: int, value: Template, /) -> None:
        self.there[key] = value


@dataclass
class Best:
    """The best picture of a scene so far, and how many seeds were tried."""

    index: int
    key: str
    found: FrameTold
    seeds: int = 0
    first: FrameTold | None = None

    def __post_init__(self) -> None:
        """What was there first is what was found."""
        self.first = self.first or self.found
