"""The JSON that comes in about the cast, and about who is in the pictures, bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..runs.audition import MOST
from ..story.file import MAX_NAME_BYTES
from ..story.schema import MAX_DESCRIPTION, MAX_NAME, MAX_SEED
from .asked import Asked, Name, Revision, Wears
from .relatives import MOST as KIN

Called = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES)]  # in the library


class CastAsked(Asked):
    """Whose face a character of the story is to have, or a new one; null is nobody's of the library."""

    revision: Revision
    character: Called | None
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)] | None = None
    look: Name | None = None


class FindAsked(Asked):
    """Another person of the same words: of this seed, or of any."""

    revision: Revision
    name: Name
    seed: Annotated[int, Field(ge=1, le=MAX_SEED)] | None = None


class CandidatesAsked(Asked):
    """Several people of one description, each painted in two scenes.

    With ``like``, names of the library, they are relatives: ``as`` is sibling, parent, child, or the same person
    at another age, ``older=20`` or ``younger=20``.
    """

    revision: Revision
    name: Name
    count: Annotated[int, Field(ge=1, le=MOST)] = 6
    like: Annotated[list[Called], Field(default_factory=list, max_length=KIN)]
    as_: Annotated[str, Field(alias="as", max_length=40)] = ""


class TakeAsked(Asked):
    """The candidate who is to be the story's, of those of this ``kin``; 0 is whom the search alone finds."""

    revision: Revision
    name: Name
    number: Annotated[int, Field(ge=0, le=MOST)]
    kin: Annotated[str, Field(pattern="^([0-9a-f]{12})?$")] = ""


class CheckAsked(Asked):
    """What is painted, to be looked at."""

    revision: Revision


class KeepAsked(Asked):
    """Somebody of a story for the library, which calls them ``called``, or by their name."""

    revision: Revision
    name: Name
    called: Called | None = None


class RenameAsked(Asked):
    """Another name in the library."""

    to: Called


class LookAsked(Asked):
    """Clothes and hair by name; without either the look is deleted."""

    look: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    wears: Wears = ""
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""
