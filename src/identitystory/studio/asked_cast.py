"""The JSON that comes in about the cast, bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..story.file import MAX_NAME_BYTES
from ..story.schema import MAX_DESCRIPTION, MAX_NAME, MAX_SEED
from .asked import Asked, Name, Revision, Wears

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
