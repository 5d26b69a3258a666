"""The user's library: character files in one folder, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...errors import ConfigError, RunError, did_you_mean, quoted
from ...story.file import file_stem
from .. import inside
from . import consent
from .archive import SUFFIX, CharacterFile, open_file
from .archive import read as read_bytes
from .consent import library_folder, today
from .form import Look


def names() -> list[str]:
    """Who is in the library, in order."""
    return sorted(file.stem for file in library_folder().glob(f"*{SUFFIX}"))


def place(name: str) -> Path:
    """The file of somebody who is there.

    Raises:
        ConfigError: nobody of this name is.
    """
    known = names()
    for each in known:
        if each.casefold() == file_stem(name).casefold():
            return library_folder() / f"{each}{SUFFIX}"
    hint = did_you_mean(name, known, otherwise=f" There are: {quoted(known) or 'none'}.")
    raise ConfigError(f"nobody in the library is called {name!r}.{hint}")


def read(name: str, *, whole: bool = True) -> CharacterFile:
    """Somebody of the library; if their consent has ended, what is kept of the face is deleted first.

    Raises:
        ConfigError: nobody is called so.
        RunError: the file is damaged.
    """
    file = place(name)
    found = open_file(file, file.parent, whole=whole)
    if found.parts and consent.why_not(found.told.consent):
        found = bare(found)
        inside.write_whole(file, found.content, file.parent)
    return found


def everybody() -> Iterator[tuple[str, CharacterFile | RunError]]:
    """Name and file of each, or what is wrong with it."""
    for name in names():
        try:
            yield name, read(name, whole=False)
        except RunError as error:
            yield name, error


def add(person: CharacterFile, name: str = "") -> Path:
    """Puts somebody into the library, called ``name`` or by their own.

    Raises:
        ConfigError: somebody of this name is there.
        RunError: their consent holds no more, or the folder cannot be written.
    """
    name = name or person.told.name
    if why := consent.why_not(person.told.consent):
        raise consent.refused(name, why)
    file = free(name)
    inside.write_whole(file, person.content, file.parent)
    return file


def free(name: str) -> Path:
    """The file of somebody who is not there yet.

    Raises:
        ConfigError: somebody of this name is.
    """
    for each in names():
        if each.casefold() == file_stem(name).casefold():
            raise ConfigError(
                f"{each!r} is in the library; choose another name, or remove it first"
            )
    return library_folder() / f"{file_stem(name)}{SUFFIX}"


def rename(name: str, to: str) -> Path:
    """Calls somebody otherwise; the file stays as it is."""
    old, new = place(name), free(to)
    inside.move(old, new, old.parent)
    return new


def remove(name: str) -> Path:
    """Deletes somebody's file."""
    file = place(name)
    inside.remove(file, file.parent)
    return file


def put(name: str, person: CharacterFile) -> Path:
    """Writes somebody's file anew.

    Raises:
        RunError: the file would be none: a look with a brace, say.
    """
    file = place(name)
    inside.write_whole(file, read_bytes(person.content, "this character").content, file.parent)
    return file


def look(name: str, called: str, wears: str, description: str) -> CharacterFile:
    """Gives somebody a look, or deletes it if nothing is said of it; the file as it is now.

    Raises:
        ConfigError: nobody is called so, or there is no look to delete.
        RunError: the file would be none.
    """
    person = read(name)
    looks = {key: value for key, value in person.told.looks.items() if key != called}
    if wears or description:
        looks[called] = Look(wears=wears, description=description)
    elif called not in person.told.looks:
        raise ConfigError(f"{name!r} has no look {called!r}; give it --wears or --description")
    made = replace(person, told=person.told.model_copy(update={"looks": looks}))
    put(name, made)
    return made


def withdraw(name: str) -> CharacterFile:
    """Ends the consent for somebody's face, and deletes portraits and vectors from the library.

    No copy of it is used on this machine again.

    Raises:
        ConfigError: their face is invented.
    """
    person = read(name, whole=False)
    gone = bare(person)
    if gone.told.consent is not None:
        consent.withdraw(gone.told.consent.id)
    put(name, gone)
    return gone


def bare(person: CharacterFile) -> CharacterFile:
    """Somebody whose consent has ended: without portraits and vectors.

    Raises:
        ConfigError: their face is invented.
    """
    told = person.told
    if told.consent is None:
        raise ConfigError(f"{told.name!r} has an invented face, which needs no consent")
    ended = told.consent.model_copy(update={"ended": told.consent.ended or today().isoformat()})
    gone = {"portraits": [], "embeddings": {}, "consent": ended}
    return CharacterFile(told.model_copy(update=gone))
