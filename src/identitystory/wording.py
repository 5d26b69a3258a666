"""Which words are painted from: for portraits, templates and faces, and the segmenter's phrases; prompts of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .config import DiscoveryConfig, InjectionConfig
from .errors import ConfigError
from .types import Character, Control, Identity, Prompt, Scene, Story

_NAMES = re.compile(r"\{([^{}]*)\}")
_LEADING_NAMES = re.compile(r"[\s,]*(?:\{[^{}]*\}(?:\s*,|\s+and\b)*\s*)+")
PREPOSITIONS = ("at", "by", "for", "from", "in", "of", "on", "showing", "with")


def styled(style: str, prompt: str) -> str:
    """``watercolour, an old man sleeps``; no comma where a style goes on: ``a photo of an old man``."""
    if not style:
        return prompt
    goes_on = style.lower().split()[-1] in PREPOSITIONS
    return f"{style} {prompt}" if goes_on else f"{style}, {prompt}"


def dressed(description: str, wears: str) -> str:
    """The description with what they wear: ``an old man wearing a blue suit``."""
    return f"{description} wearing {wears}" if wears else description


def search_prompt(character: Character, config: DiscoveryConfig) -> str:
    """What a character's portraits are painted from; never the story's style."""
    return config.search_prompt.replace("{description}", character.searched.description)


def template_prompt(story: Story, scene: Scene, config: InjectionConfig) -> str:
    """T_i. With ``config.identity_words`` of ``release`` several people are named up to their nouns.

    ``watercolour, a girl and an old man, on a pier`` of "a girl in a red coat, an old man with a beard,
    on a pier", for 77 tokens do not hold whole descriptions. Only where the people come first and
    once, as in the public benchmark; elsewhere the release has no words.
    """
    said = scene.text.removeprefix(story.style)
    names = _LEADING_NAMES.match(said)
    setting = said[names.end() :] if names else "{"
    if config.identity_words != "release" or len(scene.cast) < 2 or "{" in setting:
        return scene.prompt
    people = " and ".join(_up_to_noun(story.character(name)) for name in scene.cast)
    return styled(story.style, ", ".join(filter(None, (people, setting))))


def _up_to_noun(character: Character) -> str:
    found = re.search(rf"\b{re.escape(character.noun)}\b", character.description, re.IGNORECASE)
    return character.description[: found.end()] if found else character.description


def identity_prompt(
    story: Story, scene: Scene, character: Character, config: InjectionConfig
) -> str:
    """c_j as re-denoising sees it: the description and what they wear, the story's style in front.

    With ``config.identity_words`` of ``scene`` somebody who is alone gets the scene's whole prompt:
    what they do, wear and feel is in it. Where there are several it would speak of the others too.
    With ``release`` the style is left out for somebody alone, and joined by a blank for several.
    """
    alone = len(scene.cast) == 1 and max(crowd(story, scene)) == 1
    words = worn(character, scene)
    if config.identity_words == "scene" and alone:
        return scene.prompt
    if config.identity_words == "release":
        return words if alone else f"{story.style} {words}".strip()
    return styled(story.style, words)


def crowd(story: Story, scene: Scene) -> range:
    """How many people a picture may show: the cast, and as many more as are painted from words alone."""
    return range(len(scene.cast), len(scene.cast) + len(beside(story, scene)) + 1)


def beside(story: Story, scene: Scene) -> list[Character]:
    """Who is in a scene, and painted from words alone."""
    names = {" ".join(n.split()).replace("\u2019", "'") for n in _NAMES.findall(scene.text)}
    return [c for c in story.characters if c.words_only and c.name in names]


def surplus(people: int | None, story: Story, scene: Scene) -> int:
    """How many more or fewer ``people`` than `crowd`; 0 if nobody counted."""
    meant = crowd(story, scene)
    return 0 if people is None else max(meant.start - people, people - meant.stop + 1, 0)


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


def asked_template(
    story: Story, scene: Scene, seed: int, config: InjectionConfig, control: Control | None = None
) -> Prompt:
    """T_i as the general generator paints it."""
    return Prompt(
        template_prompt(story, scene, config),
        negative(config.negative, scene),
        config.guidance_template,
        config.guidance_interval,
        seed,
        control=control,
    )


def identity_prompts(
    story: Story,
    scene: Scene,
    names: Sequence[str],
    identities: Mapping[str, Identity],
    config: InjectionConfig,
    *,
    seed: int,
    control: Control | None = None,
) -> list[Prompt]:
    """c_j with e_j, one for each of the ``names`` in ``scene``; ``seed`` is the template's.

    ``control`` is the whole scene's, the same for each.

    Raises:
        ConfigError: nobody has discovered one of them yet.
    """
    unknown = [name for name in names if name not in identities]
    if unknown:
        raise ConfigError(f"no identity for {unknown[0]!r}; discover it before painting.")
    return [
        Prompt(
            identity_prompt(story, scene, c, config),
            negative(config.negative, scene),
            config.guidance_identity,
            config.guidance_interval,
            seed,
            identities[c.name].embedding,
            c.noun,
            control,
        )
        for c in map(story.character, names)
    ]
