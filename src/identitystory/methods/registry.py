"""Every way to paint a story, by the name that ``--method`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

from ..config import Preset
from ..errors import ConfigError, did_you_mean
from .method import StoryMethod

OURS = "identitystory"

_WHERE: Mapping[str, str] = {
    "consistory": "consistory:ConsiStory",
    "storydiffusion": "storydiffusion:StoryDiffusion",
    "story-adapter": "story_adapter:StoryAdapter",
    "one-prompt-one-story": "one_prompt:OnePromptOneStory",
    "general": "plain:General",
    "direct-identity": "plain:DirectIdentity",
}

METHODS = (*_WHERE, OURS)  # the order of Table 1, the controls, ours
_ORIGINAL_PRESETS = ("paper", "release")


def check_method(name: str) -> str:
    """``name``, if a method is called so.

    Raises:
        ConfigError: none is; says which there are and which was probably meant.
    """
    if name not in METHODS:
        hint = did_you_mean(name, METHODS)
        raise ConfigError(f"no method is called {name!r}.{hint} There are: {', '.join(METHODS)}")
    return name


def method(name: str, preset: Preset) -> StoryMethod:
    """The compared method called ``name``, set for ``preset``.

    In ``paper`` and ``release`` a method keeps the guidance of its own authors. Any other preset is
    made for the checkpoint at hand, and every method is painted with its guidance, so that methods
    are compared and not scales; 1Prompt1Story then takes each frame's own pooled vector.

    Raises:
        ConfigError: there is none, or it is IdentityStory itself, which ``pipeline`` paints.
    """
    if check_method(name) == OURS:
        raise ConfigError(f"{OURS} is not among the compared methods")
    module, _, kind = _WHERE[name].partition(":")
    made: Any = getattr(import_module(f".{module}", __package__), kind)()
    if preset.name in _ORIGINAL_PRESETS:
        return made
    config = preset.injection
    faced = name == "direct-identity"
    guidance = config.guidance_identity if faced else config.guidance_template
    changes: dict[str, Any] = {"guidance": guidance}
    if name == "one-prompt-one-story":
        changes["own_pooled"] = True
    return replace(made, **changes)


def settings(made: StoryMethod) -> dict[str, Any]:
    """The settings of a method as plain values, as a run records them; part of a frame's key."""
    found: dict[str, Any] = asdict(made)  # type: ignore[call-overload]
    return found | ({"recipe": made.recipe} if made.recipe > 1 else {})
