"""Many stories at once: our sets to measure on, a folder of story files, the public benchmark.

A set file is TOML with ``[[story]]`` tables, each in the form of a story file; instead of its
``[[story.scene]]`` tables there may be ``scenes``, a list of prompts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..errors import ConfigError, StoryError, did_you_mean
from ..types import Scene, Story
from .document import parse
from .expect import expectations
from .file import beside, load_story, make_story, slug
from .text import names_in

BUILT_IN = ("consistory_human", "little_people")
MAX_BYTES = 1 << 20


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
    if not path.exists():
        hint = did_you_mean(str(source), BUILT_IN, otherwise=f" Built in: {', '.join(BUILT_IN)}.")
        raise StoryError(f"{source}: there is no such file or set.{hint}")
    return _distinct(_folder(path) if path.is_dir() else _file(path))


def set_text(
    title: str,
    cast: Sequence[tuple[str, str]],
    scenes: Sequence[str],
    *,
    style: str = "",
    size: str = "",
) -> str:
    """One ``[[story]]`` of a set file, as TOML text: what ``load_sets`` reads.

    Args:
        title: names the run folder; of a set's stories no two are alike.
        cast: name and description of each character.
        scenes: prompts, with names in braces.
        style: of all pictures, and size (``384x256``); nothing is written without one.
    """
    quoted = lambda text: json.dumps(text, ensure_ascii=False)
    lines = ["[[story]]", f"title = {quoted(title)}"]
    shared = {"style": style, "size": size}
    lines += [f"{key} = {quoted(value)}" for key, value in shared.items() if value]
    lines += ["character = ["]
    lines += [
        f"    {{ name = {quoted(name)}, description = {quoted(said)} }}," for name, said in cast
    ]
    lines += ["]", "scenes = [", *(f"    {quoted(scene)}," for scene in scenes), "]", ""]
    return "\n".join(lines)


def _distinct(stories: list[Story]) -> list[Story]:
    """``stories``, if each would get a run folder of its own."""
    seen: set[str] = set()
    for story in stories:
        if slug(story.title) in seen:
            raise StoryError(f"two stories are called {story.title!r}; give each its own title")
        seen.add(slug(story.title))
    return stories


def _folder(path: Path) -> list[Story]:
    """Every story below ``path``; those without a title are called after their files' places."""
    files = [f for f in path.rglob("*") if f.suffix.lower() in (".toml", ".json") and f.is_file()]
    if not files:
        raise StoryError(f"{path} holds no story file (.toml or .json)")
    made = []
    for file in sorted(files, key=lambda f: _natural(f.relative_to(path).as_posix())):
        place = file.relative_to(path).with_suffix("").as_posix()
        for story in _file(file):
            made.append(replace(story, title=place) if story.title == file.stem else story)
    return made


def _natural(name: str) -> list[Any]:
    """``story_2`` before ``story_10``: words and numbers in turn."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _file(path: Path) -> list[Story]:
    if path.suffix.lower() == ".toml" and path.stat().st_size <= MAX_BYTES:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        if re.search(r"^\s*\[\[\s*story\s*\]\]", text, re.MULTILINE):
            return _set_file(text, str(path))
    return [load_story(path)]


def _set_file(text: str, source: str) -> list[Story]:
    data = parse(text, source)
    if set(data) != {"story"} or not isinstance(data["story"], list):
        raise StoryError(f"{source}: a set file holds [[story]] tables and nothing else")
    stories = (_story(entry, f"{source}: story {n}") for n, entry in enumerate(data["story"], 1))
    return [beside(story, Path(source)) for story in stories]


def _story(entry: Any, place: str) -> Story:
    if isinstance(entry, dict) and "scenes" in entry:
        entry = dict(entry)
        scenes = entry.pop("scenes")
        if not isinstance(scenes, list) or "scene" in entry:
            raise StoryError(
                f"{place}: 'scenes' must be a list of prompts, without [[story.scene]]"
            )
        entry["scene"] = [{"prompt": prompt} for prompt in scenes]
    story = make_story(entry, source=place)
    if not story.title:
        raise StoryError(f"{place} has no 'title'; it names the run folder")
    return story


def load_stories(
    where: str | Path, limit: int | None = None, scenes: int | None = None
) -> tuple[Story, ...]:
    """Stories of a file, a folder or the package; see ``story_sets.load_sets``.

    Args:
        where: see above.
        limit: how many at most: the first of one character, the first of two and so on in turn, so
            that few stories still have every split.
        scenes: how many scenes of each at most, the first ones.

    Raises:
        StoryError: none is there, one is broken, two would share a folder, or a scene takes its
            pose from one that is left out.
        ConfigError: there is nothing to paint with ``limit`` or ``scenes`` of 0.
    """
    if 0 in (limit, scenes):
        raise ConfigError("--limit and --scenes must be at least 1")
    stories = load_sets(where)
    splits: dict[int, list[Story]] = {}
    for story in stories:
        splits.setdefault(len(story.characters), []).append(story)
    turns = zip_longest(*(splits[size] for size in sorted(splits)))
    chosen = [story for turn in turns for story in turn if story is not None][:limit]
    return tuple(
        story if scenes is None else shortened(story, scenes)
        for story in stories
        if story in chosen
    )


def shortened(story: Story, scenes: int) -> Story:
    """``story`` with its first ``scenes`` scenes, and who is in them or expected there.

    Raises:
        StoryError: one of them takes its pose from a scene that is left out.
    """
    kept: tuple[Scene, ...] = story.scenes[:scenes]
    cast = {name for scene in kept for name in (*scene.cast, *names_in(scene.text))}
    for number, scene in enumerate(kept, 1):
        place = f"{story.title}: scene {number}"
        cast |= {each.who for each in expectations(story, scene, place)}
        last = max((pose.source for pose in scene.pose), default=0)
        if last > scenes:
            raise StoryError(
                f"{place} takes its pose from scene {last}, which is left out of the first {scenes}; "
                f"take {last} or more, or give it a pose of its own"
            )
    characters = tuple(c for c in story.characters if c.name in cast)
    return replace(story, characters=characters, scenes=kept)
