"""The JSON that goes out, so that OpenAPI and a typed client know it."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class Problem(TypedDict):
    """A mistake in a text; line and column from 1."""

    message: str
    line: int | None
    column: int | None


class Checked(TypedDict):
    """A text as far as it is understood."""

    problem: Problem | None
    advice: list[str]
    characters: list[dict[str, Any]]
    scenes: list[dict[str, Any]]


class Cost(TypedDict):
    """What would be painted."""

    frames: list[int]
    characters: list[str]
    calls: int
    seconds: float | None


class Check(TypedDict):
    """What `identitystory check` found in a picture: see docs/how-to/check.md."""

    suspicion: float
    marks: dict[str, str]
    likeness: dict[str, float | None]
    faults: list[str]


class Frame(TypedDict):
    """A scene and its picture."""

    index: int
    text: str
    prompt: str
    caption: str
    dialogue: list[list[str]]
    cast: list[str]
    id: str
    negative: str
    shape: str
    seed: int
    state: Literal["empty", "queued", "painting", "failed", "stale", "missing", "locked", "current"]
    why: str
    locked: bool
    picture: str | None
    width: int
    height: int
    template: bool
    takes: int
    absent: list[str]
    scores: dict[str, float] | None
    check: Check | None


class Person(TypedDict):
    """A character and its face."""

    name: str
    description: str
    noun: str
    wears: str
    words_only: bool
    state: Literal["empty", "painting", "stale", "current"]
    why: str
    portraits: str | None
    kept: int
    of: int


class Story(TypedDict):
    """A story as it stands."""

    id: str
    title: str
    text: str
    revision: str
    problem: Problem | None
    advice: list[str]
    settings: dict[str, Any]
    seed: int
    at: int
    busy: int | None
    frames: list[Frame]
    characters: list[Person]
    cost: Cost


class Row(TypedDict):
    """A story in the list."""

    id: str
    title: str
    frames: int
    painted: int
    picture: str | None
    changed: str
    busy: bool


class Stories(TypedDict):
    """All stories."""

    stories: list[Row]


class Imported(TypedDict):
    """A story made from a file."""

    story: Story
    told: list[str]
    fill_in: list[str]


class Take(TypedDict):
    """A finished picture of a scene."""

    number: int
    picture: str
    seed: int
    chosen: bool
    words: str
    same_words: bool


class Takes(TypedDict):
    """Those of a scene, the oldest first."""

    takes: list[Take]


class Job(TypedDict):
    """Something to be painted."""

    id: int
    story: str
    title: str
    kind: Literal["paint", "reroll"]
    what: str
    state: Literal["pending", "running", "done", "failed", "cancelled"]
    message: str
    device: str
    created: float
    started: float | None
    finished: float | None
    live: dict[str, Any] | None


class Jobs(TypedDict):
    """The queue."""

    jobs: list[Job]
