"""Many stories at once: our sets to measure on, a folder of story files, the public benchmark.

A set file is TOML with ``[[story]]`` entries: ``title``, ``style``, ``character`` (tables with
``name``, ``description`` and perhaps ``noun``) and ``scenes``, a list of prompts with names in braces.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import StoryError
from .scenes import did_you_mean
from .story import load_story, make_story
from .types import Story

BUILT_IN = ("consistory_human", "little_people")
MAX_BYTES = 16 << 20


def load_sets(source: str | Path) -> list[Story]:
    """The stories of ``source``, each with a title of its own.

    Args:
        source: ``consistory_human`` (100 sets of 10 prompts, for SDXL), ``little_people`` (40 sets
            of 10, in the miniature's words), a set file, a single story file, or a folder whose
            .toml and .json files, also those in folders inside it, are stories: the folder of the
            public ConsiStory-Human benchmark is one.

    Raises:
        StoryError: there is nothing of that name, no story in it, or a mistake in one.
    """
    if str(source) in BUILT_IN:
        data = resources.files("identitystory") / "data" / f"{source}.toml"
        return _set_file(data.read_text(encoding="utf-8"), str(source))
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        hint = did_you_mean(str(source), BUILT_IN, otherwise=f" Built in: {', '.join(BUILT_IN)}.")
        raise StoryError(f"{source}: there is no such file or set.{hint}")
    if path.suffix.lower() == ".toml" and path.stat().st_size <= MAX_BYTES:
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(r"^\s*\[\[\s*story\s*\]\]", text, re.MULTILINE):
            return _set_file(text, str(source))
    return [load_story(path)]


def _folder(path: Path) -> list[Story]:
    files = [f for f in path.rglob("*") if f.suffix.lower() in (".toml", ".json") and f.is_file()]
    if not files:
        raise StoryError(f"{path} holds no story file (.toml or .json)")
    files.sort(key=lambda f: _natural(f.relative_to(path).as_posix()))
    named = [(f.relative_to(path).with_suffix("").as_posix(), load_story(f)) for f in files]
    return [replace(story, title=name) for name, story in named]


def _natural(name: str) -> list[tuple[int, str]]:
    """``story_2`` before ``story_10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _set_file(text: str, source: str) -> list[Story]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StoryError(f"{source}: not valid TOML: {' '.join(str(error).split())}") from None
    if set(data) != {"story"} or not isinstance(data["story"], list):
        raise StoryError(f"{source}: a set file holds [[story]] tables and nothing else")
    stories = [_story(entry, f"{source}: story {n}") for n, entry in enumerate(data["story"], 1)]
    titles = [story.title for story in stories]
    for title in titles:
        if not title or titles.count(title) > 1:
            raise StoryError(f"{source}: the title {title!r} is missing or given twice")
    return stories


def _story(entry: Any, place: str) -> Story:
    scenes = entry.get("scenes") if isinstance(entry, dict) else None
    if not isinstance(scenes, list):
        raise StoryError(f"{place}: 'scenes' must be a list of prompts")
    rest = {key: value for key, value in entry.items() if key != "scenes"}
    return make_story(rest | {"scene": [{"prompt": prompt} for prompt in scenes]}, source=place)
