"""Every way to paint a story, by the name that ``--method`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..config import Preset
from ..errors import ConfigError, did_you_mean
from .method import Method

OURS = "identitystory"

_WHERE: Mapping[str, str] = {
    OURS: "identitystory:IdentityStory",
    "consistory": "consistory:ConsiStory",
    "storydiffusion": "storydiffusion:StoryDiffusion",
    "story-adapter": "story_adapter:StoryAdapter",
    "one-prompt-one-story": "one_prompt:OnePromptOneStory",
    "general": "plain:General",
    "direct-identity": "plain:DirectIdentity",
}

METHODS = (*list(_WHERE)[1:], OURS)  # the order of Table 1: others, the controls, ours last


def check_method(name: str) -> str:
    """``name``, if a method is called so.

    Raises:
        ConfigError: none is; says which there are and which was probably meant.
    """
    if name not in METHODS:
        hint = did_you_mean(name, METHODS)
        raise ConfigError(f"no method is called {name!r}.{hint} There are: {', '.join(METHODS)}")
    return name


def method(name: str, preset: Preset) -> Method:
    """The method called ``name``, set for ``preset`` (`method.Method.of`).

    Raises:
        ConfigError: there is none.
    """
    module, _, kind = _WHERE[check_method(name)].partition(":")
    made: Any = getattr(import_module(f".{module}", __package__), kind)
    found: Method = made.of(preset)
    return found
