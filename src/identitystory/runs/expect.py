"""The pictures of a run held against what their scenes expect of them, see `story.expect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import RunError, StoryError
from ..metrics.expecting import Result, Seen, held, unreadable
from ..protocols import Backend, ModelFacts
from ..story.expect import expectations
from ..types import Scene
from .files import read_picture
from .folder import RunFolder, frame_part
from .opening import reader_of as reader_of
from .outlook import Outlook
from .plan import Plan
from .request import RunRequest

Told = Mapping[str, Any]


def check(request: RunRequest, made: Plan, model: ModelFacts) -> None:
    """Nothing, if the model's reader knows the words of every expectation of what is asked for.

    Raises:
        StoryError: it does not. Without a reader nothing is refused, and nothing read.
    """
    some = {n: s for n in made.wanted if (s := request.story.scenes[n]).expect}
    reader = reader_of(model) if some else None
    if reader is None:
        return
    for n, scene in some.items():
        expected = expectations(request.story, scene, f"scene {n + 1}")
        for sentence in unreadable(expected, reader.phrases, reader.scene):
            raise StoryError(f"scene {n + 1}: 'expect': {sentence}")


def look(
    folder: RunFolder,
    index: int,
    request: RunRequest,
    model: ModelFacts,
    opened: Callable[[], Backend],
) -> list[Result]:
    """The finished picture of scene ``index`` held against every line of it, in order.

    ``opened`` gives the model, whose segmenter finds people.
    """
    story, scene = request.story, request.story.scenes[index]
    image = read_picture(folder.frame(index), folder.root).convert("RGB")
    expected = expectations(story, scene, f"scene {index + 1}")
    return held(expected, Seen(image, story, scene, opened().segmenter, reader_of(model)))


def held_now(said: Told, scene: Scene, look: Callable[[], list[Result]]) -> dict[str, Any]:
    """What run.json says of a picture, with ``expected`` of these very lines; looks only if it had others."""
    bare = {key: value for key, value in said.items() if key != "expected"}
    known = said.get("expected", [])
    if [each["line"] for each in known] == [*scene.expect]:
        return bare | ({"expected": known} if known else {})
    return bare | ({"expected": [vars(result) for result in look()]} if scene.expect else {})


def failed(said: Told) -> Iterator[str]:
    """``expected 'two people', not 3 seen`` for each line that does not hold, for the page."""
    for each in said.get("expected", ()):
        if each["holds"] is False:
            yield f"expected {each['line']!r}, not {each['read']}"


def ready(request: RunRequest, told: Outlook) -> tuple[int, ...]:
    """The scenes of a run that expect something and whose pictures are finished, from 0.

    Raises:
        RunError: there is none.
    """
    kept = {fate.part for fate in told.parts if not fate.paints}
    scenes = [n for n, scene in enumerate(request.story.scenes) if scene.expect]
    if not scenes:
        raise RunError(
            f"no scene of {request.out} expects anything; write expect = ['two people'] in the story "
            "file, and give it to generate"
        )
    found = tuple(n for n in scenes if frame_part(n) in kept)
    if not found:
        raise RunError(
            f"no scene of {request.out} that expects something is painted; paint it first"
        )
    return found
