"""Relatives in the studio: somebody of a story who is like people of the user's library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256

from ..errors import ConfigError, RunError
from ..metrics.kinship import relation
from ..protocols import ModelFacts
from ..runs.characters import archive, consent, library
from ..runs.characters.archive import CharacterFile
from ..runs.characters.kin import Kin, family
from .kept import said

MOST = 2  # whom somebody is to be like: two parents


def asked(like: Sequence[str], as_: str) -> tuple[list[str], str]:
    """The faces of those called ``like`` in the library, and what somebody is to be to them.

    Raises:
        ConfigError: nobody is called so, it is no relation, or one is asked for without the other.
        RunError: a file is damaged.
    """
    if bool(like) != bool(as_):
        raise ConfigError(
            "'like' says whom somebody is to be like and 'as' what they are; give both"
        )
    text = relation(as_).text if as_ else ""
    return [library.read(name, whole=False).face for name in like], text


def kin(faces: Sequence[str], as_: str, model: ModelFacts) -> Kin | None:
    """Those whose relatives are looked for; None is nobody.

    Raises:
        ConfigError: one of them is not in the library any more; as `kin.family`.
        RunError: a file is damaged; as `kin.family`.
    """
    if not faces:
        return None
    there = people(faces)
    if {*faces} - there.keys():
        raise ConfigError(
            "somebody whose relatives are looked for is not in your library any more; bring them back"
        )
    return family([there[face] for face in faces], relation(as_), model)


def people(faces: Iterable[str]) -> dict[str, CharacterFile]:
    """Those of the library who have these faces, by them."""
    known = names()
    return {face: library.read(known[face]) for face in faces if face in known}


def names() -> dict[str, str]:
    """What each face is called in the library; whose file is damaged is nobody here."""
    found: dict[str, str] = {}
    for name in library.names():
        with suppress(RunError, OSError):
            file = consent.library_folder() / f"{name}{archive.SUFFIX}"
            found.setdefault(said(file).face, name)
    return found


def id_of(kin: Sequence[str]) -> str:
    """What tells candidates of one kin (`Character.kin`) from others; empty for nobody's relatives."""
    return sha256("\n".join(kin[1:]).encode()).hexdigest()[:12] if kin else ""
