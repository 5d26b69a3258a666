"""Every way to paint a story, by the name that ``--method`` takes."""

from __future__ import annotations

from ..config import Preset
from ..extensions import Registry
from .method import Method

OURS = "identitystory"

_HERE = __name__.removesuffix("registry")
REGISTRY = Registry(
    "method",
    "identitystory.methods",
    {
        "consistory": f"{_HERE}consistory:ConsiStory",
        "storydiffusion": f"{_HERE}storydiffusion:StoryDiffusion",
        "story-adapter": f"{_HERE}story_adapter:StoryAdapter",
        "one-prompt-one-story": f"{_HERE}one_prompt:OnePromptOneStory",
        "general": f"{_HERE}plain:General",
        "direct-identity": f"{_HERE}plain:DirectIdentity",
        OURS: f"{_HERE}identitystory:IdentityStory",
    },
    needs=("name", "of", "inputs", "calls", "paint"),
)
METHODS = tuple(REGISTRY.own)  # the order of Table 1: others, the controls, ours last


def check_method(name: str) -> str:
    """``name``, if a method is called so, ours or another package's.

    Raises:
        ConfigError: none is; says which there are and which was probably meant.
    """
    return REGISTRY.check(name)


def method(name: str, preset: Preset) -> Method:
    """The method called ``name``, set for ``preset`` (`method.Method.of`).

    Raises:
        ConfigError: there is none, or another package's is broken.
    """
    found: Method = REGISTRY.get(name).of(preset)
    return found
