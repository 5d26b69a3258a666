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
    why: list[str]
    characters: list[str]
    calls: int
    seconds: float | None


class Scores(TypedDict):
    """What was measured of a picture, see docs/studio_api.md; null is not measured."""

    same_person: float | None
    words: float | None
    faces: int | None


class Check(TypedDict):
    """What `identitystory check` found in a picture: see docs/how-to/check.md."""

    suspicion: float
    marks: dict[str, str]
    likeness: dict[str, float | None]
    faults: list[str]


class Expected(TypedDict):
    """A line that a scene expects of its picture; ``holds`` is null where nothing here can tell."""

    line: str
    holds: bool | None
    read: str


class Frame(TypedDict):
    """A scene and its picture; ``written`` is its table in the story's text, as it stands there."""

    index: int
    written: dict[str, Any]
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
    scores: Scores | None
    check: Check | None
    people: int | None
    expected: list[Expected]


class Face(TypedDict):
    """A face that was found for a character's words."""

    portraits: str
    kept: int
    of: int
    seed: int
    chosen: bool


class Candidate(TypedDict):
    """One of several people of a character's words, and the keys of what they were painted in.

    A relative has a ``kin``, which `take` is told, what they are, and to whom of the library; empty is somebody who
    is not there any more.
    """

    number: int
    kin: str
    relation: str
    like: list[str]
    description: str
    pictures: list[str]
    chosen: bool


class Person(TypedDict):
    """A character and its face."""

    name: str
    description: str
    noun: str
    wears: str
    words_only: bool
    seed: int
    state: Literal["empty", "painting", "stale", "current"]
    why: str
    cast: str
    look: str
    portraits: str | None
    kept: int
    of: int
    takes: list[Face]
    candidates: list[Candidate]
    candidate: int


class Story(TypedDict):
    """A story as it stands; ``written`` are its own keys, without characters and scenes."""

    id: str
    title: str
    text: str
    written: dict[str, Any]
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


class Look(TypedDict):
    """Clothes and hair."""

    wears: str
    description: str


class Agreed(TypedDict):
    """Consent of the person in the photos."""

    by: str
    purpose: str
    given: str
    until: str
    ended: str | None


class Kept(TypedDict):
    """Somebody of the user's library; ``why`` says why the face may not be used."""

    name: str
    called: str
    description: str
    noun: str
    looks: dict[str, Look]
    portraits: int
    model: str
    licence: str
    commercial: bool
    consent: Agreed | None
    usable: bool
    why: str
    sha256: str


class Withdrawn(TypedDict):
    """Somebody whose consent was withdrawn, and the ids of the stories that kept something of the face."""

    character: Kept
    stories: list[str]


class Characters(TypedDict):
    """The user's library."""

    characters: list[Kept]


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
    scores: Scores | None


class Takes(TypedDict):
    """Those of a scene, the oldest first."""

    takes: list[Take]


class Job(TypedDict):
    """Something to be painted."""

    id: int
    story: str
    title: str
    kind: Literal["paint", "reroll", "find", "keep", "candidates", "take", "check"]
    what: str
    person: str
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
