"""The commands ``cast from-photos`` and ``cast withdraw``: faces of photos, and consent to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..settings import Overrides
from .cast import Who, face_of
from .commands import Argument
from .options import MakeService, Model, say


@dataclass(frozen=True)
class Consented:
    """What the person in the photos agreed to.

    Attributes:
        by: who attests that the person in the photos agreed
        purpose: to what they agreed
        until: the last day on which that holds, 2027-12-31
    """

    by: Annotated[str, "WHO"]
    purpose: Annotated[str, "WHAT"]
    until: Annotated[str, "DAY"]


def from_photos(
    *,
    name: Who,
    photos: tuple[Annotated[Path, Argument("PHOTO")], ...],
    description: Annotated[str, "WORDS"],
    noun: Annotated[str, "WORD"] | None = None,
    consent: Consented,
    model: Model,
    service: MakeService,
) -> int:
    """Put somebody into your library whose face photos show, with their consent.

    Makes a character of photos of a person who agreed to it. Who attests that, to what, and until when
    is kept in the file; after that day, or when it is withdrawn, nothing is painted with the face, and
    portraits and vectors are deleted.

    Args:
        name: what stories and the library call them
        photos: of head and shoulders, one person in each; their middle square is kept
        description: who it is, "a young woman with long red hair"
        noun: the word of the description that says who it is (default: found in it)
    """
    from ..models.files.catalogue import DEFAULT_MODEL
    from ..runs.characters import library
    from ..runs.characters.making import from_photos, new_consent
    from ..story.file import make_character

    agreed = new_consent(consent.by, consent.purpose, consent.until)
    who = make_character(name, description, noun, place="the command line")
    library.free(name)
    made, where = service(), model.where()
    asked = where.get("model", DEFAULT_MODEL)
    preset, _ = model.chosen_preset(Overrides())
    person = from_photos(
        who,
        photos,
        agreed,
        model=asked,
        facts=made.describe(asked, where.get("device", "auto"), where.get("dtype", "auto")),
        load=made.load,
        preset=preset,
    )
    say(f"{library.add(person)}: {face_of(person)}")
    return 0


def withdraw(*, name: Who, runs: tuple[Annotated[Path, Argument("RUN")], ...] = ()) -> int:
    """End the consent for a face that is of photos.

    Deletes portraits and vectors of a character whose face is of photos, from your library and from
    the run folders that are given, and notes it: no copy of the file is used on this machine again.
    Pictures that were painted stay; delete them, and copies of the file elsewhere, by hand.

    Args:
        name: somebody of the library
        runs: run folders that they were painted in
    """
    from ..runs.characters import casting, library
    from ..runs.folder import RunFolder, no_run, read_record

    for run in runs:
        if read_record(RunFolder(run)) is None:
            raise no_run(run)
    library.withdraw(name)
    say(f"{name}: consent withdrawn; portraits and vectors are deleted from the library")
    for file in (file for run in runs for file in casting.forget(run)):
        say(f"{file} deleted")
    return 0
