"""Which words are painted from: for portraits, for faces, and the phrases of the segmenter."""

from __future__ import annotations

from .config import DiscoveryConfig, InjectionConfig
from .types import Character, Scene, Story, dressed, styled


def search_prompt(character: Character, config: DiscoveryConfig) -> str:
    """What a character's portraits are painted from; never the story's style."""
    return config.search_prompt.replace("{description}", character.description)


def identity_prompt(
    story: Story, scene: Scene, character: Character, config: InjectionConfig
) -> str:
    """c_j as re-denoising sees it: the description and what they wear, the story's style in front.

    With ``config.identity_words`` of ``scene`` somebody who is alone gets the scene's whole prompt:
    what they do, wear and feel is in it. Where there are several it would speak of the others too.
    """
    if config.identity_words == "scene" and len(scene.cast) == 1:
        return scene.prompt
    return styled(story.style, worn(character, scene))


def worn(character: Character, scene: Scene) -> str:
    """Their description with what they wear in ``scene``."""
    return dressed(character.description, dict(scene.wears).get(character.name, ""))


def negative(own: str | None, scene: Scene) -> str | None:
    """The negative prompt of a picture of ``scene``: a preset's or a method's ``own``, and its."""
    return ", ".join(filter(None, (own, scene.negative))) if scene.negative else own


def phrases(story: Story, scene: Scene) -> list[str]:
    """What the segmenter looks for, one a character of the cast: whole descriptions.

    Two women in one picture are told apart by them; a bare noun could not.
    """
    return [story.character(name).description for name in scene.cast]
