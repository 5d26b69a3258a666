"""The commands ``cast``: characters as files, and the user's library of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import ConfigError, one_line
from .commands import Argument
from .options import MakeService, Run, answer, say, tell

if TYPE_CHECKING:
    from ..runs.characters.archive import CharacterFile

Who = Annotated[str, Argument("NAME")]
OutFile = Annotated[Path, "FILE"]


def list_(*, json: bool = False) -> int:
    """List who is in your library.

    Lists the characters of your library: $XDG_DATA_HOME/identitystory/cast, or
    ~/.local/share/identitystory/cast.

    Args:
        json: print one JSON object
    """
    from ..runs.characters import consent, library

    people, lines = {}, []
    for name, person in library.everybody():
        if isinstance(person, Exception):
            people[name], line = {"error": str(person)}, str(person)
        else:
            people[name], line = _facts(person), f"{person.told.description}; {face_of(person)}"
        lines.append(f"{name}: {one_line(line)}")
    return answer(json, people, "\n".join(lines) or f"nobody is in {consent.library_folder()}")


def show(*, name: Who, sheet: OutFile | None = None, json: bool = False) -> int:
    """Show what a character file holds.

    Shows the words, looks, portraits, licence and consent of a character, and how the face was found.

    Args:
        name: somebody of the library, or a character file
        sheet: write the portraits on one page there, a PNG
        json: print one JSON object
    """
    person = _person(name)
    facts = _facts(person)
    lines = [f"{key}: {one_line(_plain(value))}" for key, value in facts.items() if value]
    files = []
    if sheet is not None and person.parts:
        from ..marks.packet import PLAIN
        from ..runs import inside, sheets
        from ..runs.strip import check_free
        from ..types import png

        check_free(sheet)
        portraits = person.portraits
        page = sheets.contact_sheet(sheets.thumbnails(portraits), range(len(portraits)))
        claim = None if person.told.consent else PLAIN  # photos were made by no algorithm
        inside.write_whole(sheet, png(page, claim))
        files.append(sheet)
    return answer(json, facts, "\n".join(lines), *files)


def add(
    *, run: Run, name: Who, called: Annotated[str, "NAME"] | None = None, service: MakeService
) -> int:
    """Put somebody whom a run found into your library.

    Takes a character of a finished run into your library, with the portraits that the face was found
    in; the run's model paints these again.

    Args:
        run: the run folder
        name: a character of its story
        called: what the library calls them (default: their name)
    """
    from ..runs.characters import library
    from ..runs.characters.making import from_run
    from ..runs.request import in_precision, recorded

    library.free(called or name)  # before minutes of painting
    request, made = recorded(run), service()
    facts = made.describe(request.painted_with, request.device, request.dtype)
    facts = in_precision(facts, request.dtype, request.preset)
    tell("painting the kept portraits again")
    person = from_run(run, name, facts, made.load)
    say(f"{library.add(person, called or name)}: {face_of(person)}")
    return 0


def export(*, name: Who, out: OutFile | None = None) -> int:
    """Write somebody of your library to a file.

    Writes a character of your library to a file for another machine or a story's folder. No file is
    ever overwritten.

    Args:
        name: somebody of the library
        out: the file (default: NAME.character)
    """
    from ..runs import inside
    from ..runs.characters import consent, library

    person = library.read(name)
    if why := consent.why_not(person.told.consent):
        raise consent.refused(name, why)
    file = out or Path(library.place(name).name)
    _check_file(file)
    inside.write_whole(file, person.content)
    say(str(file))
    return 0


def import_(
    *, file: Annotated[Path, Argument("FILE")], called: Annotated[str, "NAME"] | None = None
) -> int:
    """Put a character file into your library.

    Looks through a character file, and puts it into your library as it is.

    Args:
        file: the character file
        called: what the library calls them (default: their name)
    """
    from ..runs.characters import library
    from ..runs.characters.archive import open_file

    person = open_file(file.resolve())
    say(f"{library.add(person, called or '')}: {face_of(person)}")
    return 0


def rename(*, name: Who, to: Annotated[str, Argument("NEW")]) -> int:
    """Call somebody of your library otherwise.

    Renames a character of your library. The file stays as it is, and stories that are painted with it.

    Args:
        name: somebody of the library
        to: the new name
    """
    from ..runs.characters import library

    say(str(library.rename(name, to)))
    return 0


def remove(*, name: Who) -> int:
    """Delete somebody of your library.

    Deletes a character of your library. Runs and exported files stay.

    Args:
        name: somebody of the library
    """
    from ..runs.characters import library

    say(f"{library.remove(name)} deleted")
    return 0


def look(
    *,
    name: Who,
    look: Annotated[str, Argument("LOOK")],
    wears: Annotated[str, "WORDS"] | None = None,
    description: Annotated[str, "WORDS"] | None = None,
) -> int:
    """Give somebody of your library a look: other clothes, other hair.

    Adds a look to a character of your library, or deletes it if nothing is said of it. A story names
    it beside the character: look = "winter". The face stays.

    Args:
        name: somebody of the library
        look: the look's name
        wears: clothes, "a red coat"
        description: instead of the character's, "a young woman with short black hair"
    """
    from ..runs.characters import library

    person = library.look(name, look, wears or "", description or "")
    say(f"{library.place(name)}: {_plain(person.told.looks)}")
    return 0


def _person(name: str) -> CharacterFile:
    from ..runs.characters import library
    from ..runs.characters.archive import SUFFIX, open_file

    if name.lower().endswith(SUFFIX):
        return open_file(Path(name).resolve())
    return library.read(name)


def _check_file(file: Path) -> None:
    from ..runs.characters.archive import SUFFIX

    if file.suffix.lower() != SUFFIX:
        raise ConfigError(f"--out {file} must end in {SUFFIX}")
    if file.exists():
        raise ConfigError(f"{file} is there; no file is overwritten")


def _facts(person: CharacterFile) -> dict[str, Any]:
    """What is told of a character, as plain values."""
    told = person.told.model_dump(exclude_defaults=True)
    told["portraits"] = len(person.told.portraits)
    told["embeddings"] = [*person.told.embeddings]
    if found := told.get("found"):
        found.pop("preset")
    told["made"].pop("versions")
    return {**told, "sha256": person.sha256, "face": person.face}


def face_of(person: CharacterFile) -> str:
    """``13 portraits, found by miniature, Apache-2.0``."""
    told, agreed = person.told, person.told.consent
    parts = [f"{len(told.portraits)} portraits", f"{told.made.model}, {told.licence.name}"]
    if agreed is not None and agreed.ended:
        return f"consent ended on {agreed.ended}, nothing is kept of the face"
    if agreed is not None:
        parts.append(
            f"photos, consent for {agreed.purpose} until {agreed.until}, attested by {agreed.by}"
        )
    return "; ".join(parts)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(exclude_defaults=True))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
