"""Story pictures with people who stay themselves: IdentityStory (AAAI 2026).

What stands here is public. Each name is imported when it is first used (PEP 562), so that importing
the package is cheap: torch comes with the first name that needs it, diffusers and transformers when
a checkpoint is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import IdentityStory
    from .config import DiscoveryConfig, InjectionConfig, Preset
    from .discovery import discover
    from .errors import IdentityStoryError
    from .injection import make_template, redenoise
    from .models.files.suited import preset
    from .person import Person
    from .pipeline import find_identity, paint
    from .protocols import Backend
    from .types import Character, Frame, Identity, Scene, Story, Template

__version__ = "0.1.0"

_NAMES = {
    "api": ("IdentityStory", "Person"),
    "config": ("DiscoveryConfig", "InjectionConfig", "Preset"),
    "discovery": ("discover",),
    "errors": ("IdentityStoryError",),
    "injection": ("make_template", "redenoise"),
    "models.files.suited": ("preset",),
    "pipeline": ("find_identity", "paint"),
    "protocols": ("Backend",),
    "types": ("Character", "Frame", "Identity", "Scene", "Story", "Template"),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [
    "Backend",
    "Character",
    "DiscoveryConfig",
    "Frame",
    "Identity",
    "IdentityStory",
    "IdentityStoryError",
    "InjectionConfig",
    "Person",
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


def __getattr__(name: str) -> Any:
    """The public name, imported from the file it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    """The public names, those not yet imported too."""
    return sorted({*globals(), *__all__})
