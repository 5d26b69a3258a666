"""The form of a story file, and its mistakes in the words of a story's writer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import did_you_mean, quoted
from .pose_entry import POSE_TAGS, PoseEntry, Poses

MAX_NAME = 40
MAX_NOUN = 40
MAX_DESCRIPTION = 400
MAX_PROMPT = 1000
MAX_FILLED = 4000  # with descriptions, clothes and locations in it
MAX_ALL_FILLED = 400_000  # of all scenes together
MAX_STYLE = 200
MAX_TITLE = 200
MAX_CHARACTERS = 20
MAX_SCENES = 1000
MAX_SHAPE = 20
MAX_WEARS = 200
MAX_NEGATIVE = 400
MAX_CAPTION = 1000
MAX_LINES = 100
MAX_LOCATIONS = 100
MAX_ID = 40
MAX_LORAS = 10
MAX_NAME_OF_FILE = 200
MAX_SHOT = 200
MAX_SECONDS = 600
MAX_CAST = 200
MAX_EXPECT = 200
MAX_EXPECTED = 20
MAX_ALL_EXPECTED = 4000  # of all scenes together
MAX_SEED = 2**53 - 1  # as far as every reader of JSON counts exactly
ID = r"^[^\W\d_][\w-]*$"
# Never a way out of the story's folder.
LORA = r"^\w[\w .-]*(/\w[\w .-]*)*\.safetensors(:-?\d+(\.\d+)?)?$"
_SIZE = "Of the pictures in pixels, width and height: [1216, 832] or '1216x832'."
_ASPECT = (
    "Width to height: '16:9'. The nearest size that the model was made for; instead of 'size'."
)
WrittenSize = (
    Annotated[str, Field(max_length=MAX_SHAPE)]
    | Annotated[list[int], Field(min_length=2, max_length=2)]
)
_STRICT = ConfigDict(extra="forbid", strict=True)
_Wears = Annotated[str, Field(max_length=MAX_WEARS)]
_Location = Annotated[str, Field(max_length=MAX_DESCRIPTION)]


class CharacterEntry(BaseModel):
    """Somebody of the story, ``[[character]]``."""

    model_config = ConfigDict(
        **_STRICT,
        json_schema_extra={"anyOf": [{"required": ["description"]}, {"required": ["cast"]}]},
    )
    name: str = Field(
        max_length=MAX_NAME,
        description="As written between braces in a scene: letters, digits, spaces, - _ and '.",
    )
    description: str = Field(
        default="",
        max_length=MAX_DESCRIPTION,
        description="Put in place of the name, e.g. 'a middle-aged woman with dark curly hair'; with "
        "'cast' it may be left out, or say other hair.",
    )
    cast: str | None = Field(
        default=None,
        max_length=MAX_CAST,
        description="Whose face it is: somebody of your library, or a file in the story's folder, "
        "'mara.character'.",
    )
    look: str | None = Field(
        default=None, max_length=MAX_NAME, description="A look of the character file: 'winter'."
    )
    seed: int | None = Field(
        default=None,
        ge=1,
        le=MAX_SEED,
        description="Of the search for the face: another number finds another person of these words.",
    )
    noun: str | None = Field(
        default=None,
        max_length=MAX_NOUN,
        description="The word of the description that says who it is ('woman'); found if left out.",
    )
    wears: _Wears = Field(
        default="", description="Said in scenes, not in portraits: 'a blue suit'."
    )
    identity: bool = Field(
        default=True,
        description="false paints from words alone: animals, machines. No face is kept.",
    )


class LineEntry(BaseModel):
    """Something that is said, ``dialogue = [{who = "Mara", says = "..."}]``."""

    model_config = _STRICT
    who: str = Field(max_length=MAX_NAME, description="A character.")
    says: str = Field(max_length=MAX_CAPTION, description="For a page; no model reads it.")


class SceneEntry(BaseModel):
    """One picture to make, ``[[scene]]``."""

    model_config = _STRICT
    prompt: str = Field(
        max_length=MAX_PROMPT, description="What happens; characters in braces: '{Mara} reads'."
    )
    id: str | None = Field(
        default=None,
        max_length=MAX_ID,
        pattern=ID,
        description="A name that the scene keeps when its words change, and with it its seed: "
        "a letter, then letters, digits, - and _.",
    )
    size: WrittenSize | None = Field(default=None, description=f"{_SIZE} Instead of the story's.")
    aspect: str | None = Field(default=None, max_length=MAX_SHAPE, description=_ASPECT)
    negative: str = Field(
        default="", max_length=MAX_NEGATIVE, description="More that is not to be seen: 'glasses'."
    )
    wears: dict[str, _Wears] = Field(
        default={}, description="By name, instead of the characters' own: {Mara = 'a red coat'}."
    )
    pose: Poses | None = Field(
        default=None,
        description="How the person's head is held, or people's by name: {Mara = {yaw = -30}}.",
    )
    caption: str = Field(
        default="", max_length=MAX_CAPTION, description="For a page; no model reads it."
    )
    dialogue: list[LineEntry] = Field(
        default=[], max_length=MAX_LINES, description="Who says what, in order; no model reads it."
    )
    shot: str = Field(
        default="", max_length=MAX_SHOT, description="For a storyboard: 'close-up'; not painted."
    )
    camera: str = Field(
        default="", max_length=MAX_SHOT, description="Likewise: 'slow push in'; not painted."
    )
    notes: str = Field(
        default="", max_length=MAX_CAPTION, description="Likewise, for those who work on it."
    )
    seconds: float | None = Field(
        default=None,
        ge=0.5,
        le=MAX_SECONDS,
        description="How long the picture stands in an animatic; left out, as long as reading takes.",
    )
    expect: list[Annotated[str, Field(max_length=MAX_EXPECT)]] = Field(
        default=[],
        max_length=MAX_EXPECTED,
        description="What the picture is tested for: ['Mara has red hair', 'two people', 'at night'].",
    )


class StoryFile(BaseModel):
    """A story for identitystory: who is in it and which pictures to make."""

    model_config = _STRICT
    schema_: str | None = Field(
        default=None, alias="$schema", description="For editors; not read by identitystory."
    )
    title: str = Field(default="", max_length=MAX_TITLE, description="Names the run folder.")
    style: str = Field(
        default="", max_length=MAX_STYLE, description="Put in front of every prompt: 'watercolour'."
    )
    size: WrittenSize | None = Field(
        default=None, description=f"{_SIZE} The model's own if left out."
    )
    aspect: str | None = Field(default=None, max_length=MAX_SHAPE, description=_ASPECT)
    negative: str = Field(
        default="", max_length=MAX_NEGATIVE, description="What is not to be seen in any scene."
    )
    locations: dict[str, _Location] = Field(
        default={},
        max_length=MAX_LOCATIONS,
        description="Words by name, for scenes to name in braces: harbour = 'an old harbour by day'.",
    )
    lora: list[Annotated[str, Field(max_length=MAX_NAME_OF_FILE, pattern=LORA)]] = Field(
        default=[],
        max_length=MAX_LORAS,
        description="Put on the model: ['ink.safetensors:0.8'], files beside the story and weights.",
    )
    character: list[CharacterEntry] = Field(max_length=MAX_CHARACTERS)
    scene: list[SceneEntry] = Field(max_length=MAX_SCENES)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a story file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **StoryFile.model_json_schema(by_alias=True),
    }


def first_mistake(error: ValidationError) -> str:
    """The first mistake of a story file in one sentence, and how many more there are."""
    mistakes = error.errors()
    mistake = mistakes[0]
    more = len(mistakes) - 1
    tail = f" (and {more} more mistake{'s' * (more > 1)})" if more else ""
    return _sentence(mistake["type"], mistake["loc"], mistake["input"], mistake.get("ctx")) + tail


def _sentence(kind: str, loc: tuple[int | str, ...], value: Any, ctx: Any) -> str:
    """A pydantic mistake in the words of a story's writer."""
    if not loc:
        return "a key holds half a character (a lone surrogate); remove it"
    if "pose" in loc:
        loc = tuple(part for part in loc if part not in POSE_TAGS)
    if "size" in loc:
        loc, kind = loc[: loc.index("size") + 1], "size"
    if "lora" in loc[:1]:
        return (
            f"{_place(loc)} is {_shown(value)}; lora = ['ink.safetensors:0.8'] lists up to {MAX_LORAS} "
            "files beside the story, or in folders there, and their weights"
        )
    entries: dict[Any, type[BaseModel]]
    entries = {"character": CharacterEntry, "scene": SceneEntry, "dialogue": LineEntry}
    entries |= {"pose": PoseEntry}
    key, field, owner = loc[-1], _place(loc), _place(loc[:-1]) or "the story"
    lists = [part for part in loc[: -1 if kind == "extra_forbidden" else None] if part in entries]
    table = entries[lists[-1]] if lists else StoryFile
    keys = [f.alias or k for k, f in table.model_fields.items() if k != "schema_"]
    if "pose" in loc and kind in ("float_type", "int_type", "finite_number"):
        return f"{field} must be a number, not {_shown(value)}"
    if kind == "size":
        return f"{field} is {_shown(value)}; it must be [1216, 832] or '1216x832', width and height"
    if key == "seed" and kind != "extra_forbidden":
        return f"{field} is {_shown(value)}; it must be a whole number from 1 to {MAX_SEED}"
    if kind == "missing":
        return f"{owner} has no {key!r}"
    if kind == "extra_forbidden":
        hint = did_you_mean(str(key), keys, otherwise=f" There are: {quoted(keys)}.")
        return f"{owner} has an unknown key {key!r}.{hint}"
    if kind == "string_type":
        return f"{field} must be text, not {_shown(value)}"
    if kind == "bool_type":
        return f"{field} must be true or false, not {_shown(value)}"
    if kind in ("float_type", "greater_than_equal", "less_than_equal", "finite_number"):
        return f"{field} is {_shown(value)}; it must be a number from 0.5 to {MAX_SECONDS}"
    if kind == "list_type" and key == "expect":
        return (
            f"{field} must be a list of texts; write expect = ['Mara has red hair', 'two people']"
        )
    if kind == "list_type":
        how = f"[[{key}]], with two brackets" if len(loc) == 1 else '[{who = "Mara", says = "Yes"}]'
        return f"{field} must be a list of tables; write {how}"
    if kind == "dict_type":
        return f"{field} must be a table of texts by name, not {_shown(value)}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{field} must be a table with {quoted(keys)}, not {_shown(value)}"
    if kind == "string_too_long":
        limit = ctx["max_length"]
        return f"{field} has {len(value):,} characters; at most {limit:,} are taken. Shorten it."
    if kind == "string_pattern_mismatch":
        return f"{field} is {_shown(value)}; it must be a letter, then letters, digits, - and _"
    if kind == "too_long":
        what = "expectation" if key == "expect" else str(key).rstrip("s")
        return f"there are {len(value):,} {what}s; at most {ctx['max_length']:,} are taken"
    if kind == "string_unicode":
        return f"{field} holds half a character (a lone surrogate); remove it"
    return f"{field} cannot be {_shown(value)}"


def _place(loc: tuple[int | str, ...]) -> str:
    """``scene 3: 'prompt'``."""
    parts: list[str] = []
    for part in loc:
        if isinstance(part, int):
            parts[-1] = parts[-1].strip("'") + f" {part + 1}"
        else:
            parts.append(repr(part))
    return ": ".join(parts)


def _shown(value: Any) -> str:
    kinds = {bool: "true or false", dict: "a table", list: "a list", type(None): "null"}
    if type(value) in kinds:
        return kinds[type(value)]
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
