"""The public ConsiStory-Human files (``story_*.json``), read as they are.

One story a file: ``prompts``, ``token`` and ``character`` (text, or a list of them where there are
several people), ``style``; ``settings`` and ``settings_types`` only describe the prompts. The
prompts are kept word for word, since the published scores are measured on them.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import StoryError
from ...types import Character, Scene, Story
from .. import text
from .draft import Draft, Shot, drafted

MAX_PROMPTS = 1000
MAX_TEXT = 1000


def fits(data: Any) -> bool:
    """Whether a parsed document has the benchmark's shape rather than ours."""
    return isinstance(data, dict) and "prompts" in data and "scene" not in data


def draft(data: dict[str, Any], source: str) -> Draft:
    """The draft of one benchmark file; raises as `story`."""
    told = story(data, source, "")
    people = {c.name: c.description for c in told.characters}
    shots = [Shot(scene.text, scene.cast) for scene in told.scenes]
    return drafted(people, shots, source=source)


def story(data: dict[str, Any], source: str, title: str) -> Story:
    """The story of one benchmark file.

    Characters are called after their token (``girl`` -> ``Girl``, ``Girl 2``); a scene's text is
    the prompt with the character's description replaced by its placeholder.

    Raises:
        StoryError: a key is missing or of the wrong type; a prompt shows none of the characters.
    """
    prompts = _texts(data, "prompts", source)
    tokens = _texts(data, "token", source)
    descriptions = _texts(data, "character", source)
    style = data.get("style", "")
    if not isinstance(style, str):
        raise StoryError(f"{source}: 'style' must be text")
    if len(tokens) != len(descriptions):
        raise StoryError(
            f"{source}: {len(tokens)} in 'token' but {len(descriptions)} in 'character'; "
            "there must be one token for each character"
        )
    if len(prompts) > MAX_PROMPTS:
        raise StoryError(f"{source}: {len(prompts):,} prompts; at most {MAX_PROMPTS:,} are taken")
    characters: list[Character] = []
    for number, (token, said) in enumerate(zip(tokens, descriptions, strict=True), 1):
        description = _with_article(text.clean_description(said))
        noun = text.whole_word(token, description)
        if noun is None or " " in noun:
            noun = text.noun_in(description)
        if noun is None:
            raise StoryError(
                f"{source}: character {number}: the token {token!r} is not a word of {said!r}"
            )
        name = _name(token, {c.name for c in characters})
        characters.append(Character(name, description, noun))
    made = [_scene(p, characters, f"{source}: prompt {i}") for i, p in enumerate(prompts, 1)]
    return Story(title, tuple(characters), tuple(made), text.words(style, f"{source}: 'style'"))


def _scene(prompt: str, characters: list[Character], place: str) -> Scene:
    """The prompt untouched; the cast is whoever's description (or else noun) stands in it."""
    text_, found = prompt, []
    for c in characters:
        _, bare = text.split_article(c.description)
        for words in (rf"(?:(?:an?|the)\s+)?{re.escape(bare)}", rf"(?:(?:an?|the)\s+)?{c.noun}"):
            match = re.search(rf"(?<![\w{{-]){words}(?![\w}}-])", text_, re.IGNORECASE)
            if match:
                found.append(c.name)
                text_ = f"{text_[: match.start()]}{{{c.name}}}{text_[match.end() :]}"
                break
    if not found:
        raise StoryError(f"{place} shows none of the characters: {prompt[:60]!r}")
    cast = sorted(found, key=lambda name: text_.index(f"{{{name}}}"))
    return Scene(prompt=prompt, cast=tuple(cast), text=text_)


def _texts(data: dict[str, Any], key: str, source: str) -> list[str]:
    value = data.get(key)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise StoryError(f"{source}: {key!r} must be text or a list of texts")
    for number, item in enumerate(values, 1):
        if not isinstance(item, str) or not item.strip():
            raise StoryError(f"{source}: {key!r}, item {number} must be text")
        if len(item) > MAX_TEXT:
            raise StoryError(
                f"{source}: {key!r}, item {number} has {len(item):,} characters; "
                f"at most {MAX_TEXT:,} are taken. Shorten it."
            )
    return [text.words(item, f"{source}: {key!r}, item {n}") for n, item in enumerate(values, 1)]


def _with_article(description: str) -> str:
    article, bare = text.split_article(description)
    if article:
        return description
    return f"{'an' if bare[:1].lower() in 'aeiou' else 'a'} {bare}"


def _name(token: str, taken: set[str]) -> str:
    base = re.sub(r"[^\w' -]", "", token).strip()[:30].capitalize() or "Somebody"
    names = [base, *(f"{base} {i}" for i in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
