"""What a character file says of itself: the form of its ``character.json``.

The JSON Schema is docs/character.schema.json (``python -m identitystory.cli.reference``). A key that
is not here is refused; a form with other keys has another ``format``.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import StoryError
from ...story.file import make_character
from ...story.plain import plain_json
from ...story.schema import MAX_DESCRIPTION, MAX_NAME, MAX_NOUN, MAX_WEARS
from ...story.text import words
from ..record import Line, Seed, first

MAX_PORTRAITS = 256
MAX_LOOKS = 100
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Words = Annotated[str, Field(min_length=1, max_length=MAX_DESCRIPTION)]
ConsentId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Look(_Form):
    """Clothes and hair, apart from the face; a story names it: ``look = "winter"``."""

    wears: Annotated[str, Field(max_length=MAX_WEARS)] = Field(
        default="", description="Said in scenes: 'a red coat'."
    )
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = Field(
        default="",
        description="Instead of the character's: 'a young woman with short black hair'.",
    )


class Found(_Form):
    """The search that found the face; with the same name and words it finds it again."""

    seed: Seed
    kept: list[Annotated[int, Field(ge=0)]] = Field(
        max_length=MAX_PORTRAITS, description="Which of the portraits that were painted these are."
    )
    preset: dict[str, Any] = Field(description="Every setting, as run.json has them.")


class Made(_Form):
    """By what."""

    model: Line = Field(
        description="The model's name; of a folder its own name, not the way to it."
    )
    fingerprint: Line = Field(description="sha256 over its weights.")
    dtype: Line = ""
    versions: dict[Line, Line] = Field(max_length=50)


class Licence(_Form):
    """The strictest of what made it."""

    name: Line
    commercial: bool = Field(description="Whether pictures made with it may be sold.")
    terms: Line
    parts: dict[Line, Line] = Field(
        default={}, max_length=50, description="The licence of each part of the model, by its name."
    )


class Consent(_Form):
    """Of the person in the photos."""

    id: ConsentId = Field(description="Stays when the file is copied, renamed or changed.")
    by: Words = Field(description="Who attests it.")
    purpose: Words = Field(description="For what.")
    given: Day = Field(description="The day on which it was recorded.")
    until: Day = Field(description="The last day on which it holds.")
    ended: Day | None = Field(
        default=None, description="Since when it holds no more; portraits and vectors are gone."
    )

    @model_validator(mode="after")
    def _days(self) -> Consent:
        for day in filter(None, (self.given, self.until, self.ended)):
            date.fromisoformat(day)
        return self


class Told(_Form):
    """A character of identitystory: ``character.json`` of a ``.character`` file."""

    format: Literal[1]
    name: str = Field(min_length=1, max_length=MAX_NAME)
    description: Words
    noun: str = Field(min_length=1, max_length=MAX_NOUN)
    looks: dict[Annotated[str, Field(min_length=1, max_length=MAX_NAME)], Look] = Field(
        default={}, max_length=MAX_LOOKS, description="By name."
    )
    portraits: list[Hash] = Field(
        default=[],
        max_length=MAX_PORTRAITS,
        description="sha256 of portraits/000.png and so on: RGB, of one size, nothing but pixels and, if painted, a mark.",
    )
    embeddings: dict[Hash, Hash] = Field(
        default={},
        max_length=50,
        description="sha256 of embeddings/ENCODER.safetensors by ENCODER, the sha256 of what embedded "
        "the portraits: E, a row a portrait, and their mean, embedding; float32.",
    )
    made: Made
    licence: Licence
    found: Found | None = Field(default=None, description="Of an invented face; photos have none.")
    consent: Consent | None = Field(
        default=None, description="Of photos; an invented face has none."
    )

    @model_validator(mode="after")
    def _fits(self) -> Told:
        if (self.found is None) == (self.consent is None):
            raise ValueError("a face is found by a search, or of photos with consent")
        if self.consent is not None and self.consent.ended:
            if self.portraits or self.embeddings:
                raise ValueError("its consent has ended, and it holds portraits or vectors")
        elif not self.portraits:
            raise ValueError("it holds no portraits")
        if self.found is not None and len(self.found.kept) != len(self.portraits):
            raise ValueError("'kept' must be one a portrait")
        return self


def read_told(content: bytes) -> Told:
    """What a ``character.json`` says; a ValueError tells what is wrong with it."""
    try:
        told = Told.model_validate(plain_json(content))
        who = make_character(told.name, told.description, told.noun, place="it")
        if (who.name, who.description, who.noun) != (told.name, told.description, told.noun):
            raise ValueError("its name, description or noun is not as a story would have it")
        for look in told.looks.values():
            words(look.wears, "a look")
            if look.description:
                make_character(told.name, look.description, None, place="a look")
    except ValidationError as error:
        raise ValueError(first(error)) from None
    except StoryError as error:
        raise ValueError(str(error)) from None
    return told


def write_told(told: Told) -> bytes:
    """The ``character.json`` of it, in the one spelling that there is."""
    values = told.model_dump(exclude_defaults=True)
    return (json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``character.json``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Told.model_json_schema(by_alias=True),
    }
