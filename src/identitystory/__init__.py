"""Story pictures with people who stay themselves: IdentityStory (AAAI 2026).

What stands here is public. Importing it brings torch, but neither diffusers nor transformers;
those come with `identitystory.models`, when a checkpoint is opened.
"""

from .config import DiscoveryConfig, InjectionConfig, Preset
from .discovery import discover
from .errors import IdentityStoryError
from .injection import make_template, redenoise
from .models.files.suited import preset
from .pipeline import find_identity, paint
from .protocols import Backend
from .types import Character, Frame, Identity, Scene, Story, Template

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "Character",
    "DiscoveryConfig",
    "Frame",
    "Identity",
    "IdentityStoryError",
    "InjectionConfig",
    "Preset",
    "Scene",
    "Story",
    "Template",
    "discover",
    "find_identity",
    "make_template",
    "paint",
    "preset",
    "redenoise",
]
