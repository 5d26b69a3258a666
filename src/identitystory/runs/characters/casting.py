"""The character files that a story names: in its own folder, or in the user's library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...errors import ConfigError, RunError, StoryError, did_you_mean, quoted
from ...story.file import load_story
from ...story.text import noun_in
from ...types import Character, Story
from .. import inside
from ..files import read_facts
from ..folder import RunFolder, read_record
from ..request import story_from_dict
from . import consent, library
from .archive import SUFFIX, CharacterFile, open_file

People = Mapping[str, CharacterFile]  # by `CharacterFile.face`


class StoryCast:
    """The `story.file.Cast` of a story in a folder; ``people`` are those that it was asked for.

    Without a folder, as in the studio, a story names nobody but who is in the library.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.people: dict[str, CharacterFile] = {}

    def __call__(self, reference: str, look: str | None, place: str) -> Character:
        """Who the file tells of, in that look.

        Raises:
            StoryError: there is no such file, person or look, or they may not be used any more.
        """
        try:
            person = self._file(reference)
            if why := consent.why_not(person.told.consent):
                raise consent.refused(person.told.name, why)
            self.people[person.face] = person
            return character(person, look)
        except (RunError, ConfigError, OSError) as error:
            reason = error if not isinstance(error, OSError) else f"{reference}: {error.strerror}"
            raise StoryError(f"{place}: 'cast': {reason}") from None

    def _file(self, reference: str) -> CharacterFile:
        """By its path inside the story's folder, or by its name in the library."""
        if not reference.lower().endswith(SUFFIX):
            return library.read(reference)
        way = Path(reference)
        if self.folder is None:
            raise RunError(
                f"{reference!r} is a file; import it into the library, and give the name"
            )
        if way.is_absolute() or "\0" in reference:
            raise RunError(
                f"{reference!r} is outside of the story's folder; copy the file there, or import it "
                "into the library"
            )
        return open_file(self.folder / way, self.folder)


def read_story(path: str | Path) -> tuple[Story, People]:
    """The story in a file, and the character files that it names.

    Raises:
        StoryError: as `story.file.load_story`.
    """
    cast = StoryCast(Path(path).parent)
    return load_story(path, cast), cast.people


def character(person: CharacterFile, look: str | None = None) -> Character:
    """Somebody of a story, in one of their looks.

    Raises:
        ConfigError: they have no such look.
    """
    told = person.told
    if look is not None and look not in told.looks:
        hint = did_you_mean(
            look, told.looks, otherwise=f" There are: {quoted(told.looks) or 'none'}."
        )
        raise ConfigError(f"{told.name!r} has no look {look!r}.{hint}")
    who = Character(
        told.name,
        told.description,
        told.noun,
        face=person.face,
        file=person.sha256,
        consent=consent.short(told.consent),
    )
    if look is None:
        return who
    worn = told.looks[look]
    if worn.description:
        noun = noun_in(worn.description) or told.noun
        who = replace(who, description=worn.description, noun=noun)
    return replace(who, wears=worn.wears)


def chosen(run: Path, who: Character) -> CharacterFile | None:
    """The file of a candidate that a run's folder keeps, if it has the face of ``who``; else None.

    Candidates are nobody's photos: a file of those is not taken from there.

    Raises:
        RunError: it cannot be read, as `open_file`.
    """
    file = RunFolder(run).identity(who.name).with_suffix(SUFFIX)
    if not who.face or not os.path.lexists(file):
        return None
    person = open_file(file, run)
    return person if person.face == who.face and person.told.consent is None else None


def forget(run: Path) -> list[Path]:
    """Deletes what the run in a folder keeps of faces whose consent has ended; returns what that was.

    Numbers and contact sheets, by what they say of themselves and by the run's story, which may name
    somebody no more, and what a method was in the middle of.
    """
    folder, named = RunFolder(run), list[str]()
    with suppress(RunError):  # a broken record says so itself
        record = read_record(folder) if run.is_dir() else None
        story = story_from_dict(record["story"]) if record else None
        named = [c.name for c in story.faced if consent.why_not_now(c.consent)] if story else []
    files = {place(name) for name in named for place in (folder.identity, folder.contact_sheet)}
    files |= {file for file in folder.identity("_").parent.glob("*.*") if _is_over(file, run)}
    gone = [file for file in sorted(files) if file.exists()]
    if (named or gone) and folder.notes.exists():
        gone.append(folder.notes)
    for file in gone:
        inside.remove(file, run)
    return gone


def _is_over(file: Path, run: Path) -> bool:
    """Whether a file of a run is of a face whose consent has ended, as it says itself."""
    told = read_facts(file, run).get("consent") if file.suffix in (".png", ".safetensors") else None
    return isinstance(told, str) and bool(consent.why_not_now(told))
