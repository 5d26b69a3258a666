"""What the workshop takes from the package whose checkpoint it makes, in one place."""

from __future__ import annotations

from identitystory.models.attention import Site, attend, edited
from identitystory.models.clipseg import compete
from identitystory.models.diffusion import ddim_step
from identitystory.models.folder import ADAPTER
from identitystory.models.folder import FEW_STEPS as FEW_STEPS_FILE
from identitystory.models.hardware import resolve_dtype
from identitystory.models.photomaker import FuseModule, IdentityEncoder

from identitystory.config import FEW_STEPS
from identitystory.metrics.attributes import FOLDER as ATTRIBUTES
from identitystory.metrics.attributes import TABLE, WEIGHTS, AttributeNet, said
from identitystory.models.pixels import CLIP_MEAN, CLIP_STD

__all__ = [
    "ADAPTER", "ATTRIBUTES", "CLIP_MEAN", "CLIP_STD", "FEW_STEPS", "FEW_STEPS_FILE",
    "TABLE", "WEIGHTS", "AttributeNet", "FuseModule", "IdentityEncoder",
    "Site", "attend", "compete", "ddim_step", "edited", "resolve_dtype", "said",
]  # fmt: skip
