"""A scene of a story file, from its entry to the `Scene` whose prompt is painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from .. import wording
from ..errors import ConfigError, StoryError, did_you_mean, quoted
from ..sizes import shape_of
from ..types import Character, Scene, Story
from . import text
from .expect import expectations
from .poses import poses_of
from .schema import MAX_ALL_EXPECTED, MAX_ALL_FILLED, MAX_FILLED, SceneEntry, StoryFile
from .text import line, words


def make_scene(
    prompt: str,
    characters: Sequence[Character],
    *,
    style: str,
    source: str,
    number: int,
    locations: Mapping[str, str] = MappingProxyType({}),
    wears: Mapping[str, str] = MappingProxyType({}),
) -> Scene:
    """One scene with its placeholders filled; ``source`` and ``number`` (from 1) name it in errors.

    ``locations`` may be named in braces too. ``wears`` stands instead of what characters wear.

    Raises:
        StoryError: an empty scene, an unknown name, a stray brace, or more words than a prompt may
            have. What is never painted is `safety.check_story`'s to refuse.
    """
    place = f"{source}: scene {number}"
    written = text.with_locations(line(prompt, f"{place}: 'prompt'"), locations)
    if not written:
        raise StoryError(f"{place}: 'prompt' is empty. Say what happens, e.g. \"{{Mara}} reads\"")
    _check_length(written, f"{place} with its locations")
    there = text.names_in(written)
    worn = {c.name: wears.get(c.name, c.wears) for c in characters if c.name in there}
    try:
        filled, cast = text.fill(written, characters, worn)
    except text.UnknownNameError as error:
        names = [*(c.name for c in characters), *locations]
        raise StoryError(f"{place} names {_nobody(error.args[0], names)}") from None
    except ValueError:
        raise StoryError(
            f"{place} has a brace without its partner. Names stand in braces: {{Mara}}"
        ) from None
    _check_length(filled, f"{place} with its characters")
    clothes = tuple((name, said) for name, said in worn.items() if said)
    return Scene(prompt=wording.styled(style, filled), cast=cast, text=written, wears=clothes)


def _check_length(prompt: str, place: str) -> None:
    if len(prompt) > MAX_FILLED:
        raise StoryError(
            f"{place} in words has {len(prompt):,} characters; at most {MAX_FILLED:,} are taken. "
            "Shorten their descriptions, or name fewer"
        )


def recast(story: Story, who: Character) -> Story:
    """``story`` with another in the place of the character of that name, and the words of its scenes."""
    people = tuple(who if c.name == who.name else c for c in story.characters)
    said = lambda s: wording.styled(story.style, text.fill(s.text, people, dict(s.wears))[0])
    scenes = tuple(
        replace(s, prompt=said(s)) if who.name in text.names_in(s.text) else s for s in story.scenes
    )
    return replace(story, characters=people, scenes=scenes)


def scene_of(
    entry: SceneEntry, story: Story, source: str, number: int, folder: Path | None = None
) -> Scene:
    """A scene of ``story``, with all that its entry says; pictures that it names lie in ``folder``."""
    place = f"{source}: scene {number}"
    names = [c.name for c in story.characters]
    lines = tuple((text.plain_name(each.who), line(each.says, place)) for each in entry.dialogue)
    wears = {
        name: words(said, f"{place}: what {name!r} wears")
        for name, said in text.by_name(entry.wears, f"{place}: 'wears'").items()
    }
    for key, named in (("dialogue", [who for who, _ in lines]), ("wears", wears)):
        for name in named:
            if name not in names:
                raise StoryError(f"{place}: {key!r} names {_nobody(name, names)}")
    made = make_scene(
        entry.prompt,
        story.characters,
        style=story.style,
        source=source,
        number=number,
        locations=dict(story.locations),
        wears=wears,
    )
    for name in wears:
        if name not in text.names_in(made.text):
            raise StoryError(f"{place}: 'wears' names {name!r}, who is not in it")
    made = replace(
        made,
        shape=written_shape(entry, place),
        negative=", ".join(
            filter(None, (story.negative, words(entry.negative, f"{place}: 'negative'")))
        ),
        caption=line(entry.caption, f"{place}: 'caption'"),
        dialogue=lines,
        id=entry.id or "",
        shot=line(entry.shot, f"{place}: 'shot'"),
        camera=line(entry.camera, f"{place}: 'camera'"),
        notes=line(entry.notes, f"{place}: 'notes'"),
        seconds=entry.seconds or 0.0,
        pose=poses_of(entry.pose, made.cast, place, folder),
        expect=tuple(line(each, f"{place}: 'expect'") for each in entry.expect),
    )
    expectations(story, made, place)  # says what is no sentence of theirs
    return made


def check_ids(scenes: Sequence[Scene], source: str) -> None:
    """StoryError, which ``source`` names them in, if two scenes have the same id."""
    first: dict[str, int] = {}
    for number, scene in enumerate(scenes, 1):
        if scene.id and first.setdefault(scene.id, number) != number:
            raise StoryError(
                f"{source}: scenes {first[scene.id]} and {number} have the id {scene.id!r}; "
                "ids must differ"
            )


def check_sizes(scenes: Sequence[Scene], source: str) -> None:
    """StoryError if all scenes of ``source`` together are more than is read within seconds."""
    sizes = (
        (sum(len(s.prompt) for s in scenes), MAX_ALL_FILLED, "characters of prompts, in words"),
        (sum(len(s.expect) for s in scenes), MAX_ALL_EXPECTED, "expectations"),
    )
    for size, most, what in sizes:
        if size > most:
            raise StoryError(
                f"{source}: its scenes have {size:,} {what}; at most {most:,} are taken. "
                "Split the story"
            )


def written_shape(entry: StoryFile | SceneEntry, place: str) -> str:
    """The shape that an entry gives, as `types.Scene` has it; a StoryError that names its place."""
    size = entry.size
    try:
        return shape_of("{}x{}".format(*size) if isinstance(size, list) else size, entry.aspect)
    except ConfigError as error:
        raise StoryError(f"{place}: {error}") from None


def _nobody(name: str, names: Sequence[str]) -> str:
    hint = did_you_mean(name, names, otherwise=f" There are: {quoted(names)}.")
    return f"{name!r}, who is not a character.{hint}"
