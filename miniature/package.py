"""What the workshop takes from the package whose checkpoint it makes, in one place."""

from __future__ import annotations

from identitystory.experiments.ablate import ANGLES
from identitystory.metrics.attributes import FOLDER as ATTRIBUTES
from identitystory.metrics.attributes import TABLE, WEIGHTS, AttributeNet, said
from identitystory.metrics.attributes import load_reader as read_attributes
from identitystory.metrics.little_people import (
    CELL,
    LOOK,
    WIDTH,
    LittlePeople,
    found,
    head_at,
    smaller,
)
from identitystory.metrics.little_people import FOLDER as LITTLE_PEOPLE
from identitystory.models.device import resolve_dtype
from identitystory.models.enlarge import PixelShuffle
from identitystory.models.files.checkpoint import FEW_STEPS as FEW_STEPS_FILE
from identitystory.models.files.controls import CONTROLS
from identitystory.models.pixels import CLIP_MEAN, CLIP_STD
from identitystory.models.samplers import ddim_step
from identitystory.models.sdxl.attention import Site, attend, edited
from identitystory.models.sdxl.family import ADAPTER
from identitystory.models.sdxl.identity_encoder import FuseModule, IdentityEncoder
from identitystory.models.segment.clipseg import compete
from identitystory.pose import Pose
from identitystory.presets import FEW_STEPS
from identitystory.skeleton import HEAD, Point, drawn, points_at, turned

__all__ = [
    "ADAPTER", "ANGLES", "ATTRIBUTES", "CELL", "CLIP_MEAN", "CLIP_STD", "CONTROLS", "FEW_STEPS",
    "FEW_STEPS_FILE", "HEAD", "LITTLE_PEOPLE", "LOOK", "TABLE", "WEIGHTS", "WIDTH", "AttributeNet", "FuseModule",
    "IdentityEncoder", "LittlePeople", "PixelShuffle", "Point", "Pose", "Site", "attend", "compete",
    "ddim_step", "drawn", "edited", "found", "head_at", "points_at", "read_attributes", "resolve_dtype", "said", "smaller", "turned",
]  # fmt: skip
