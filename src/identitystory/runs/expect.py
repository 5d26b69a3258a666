"""The pictures of a run held against what their scenes expect of them, see `story.expect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import RunError, StoryError
from ..metrics.attributes import FOLDER, AttributeReader, load_reader
from ..metrics.expecting import Result, Seen, held, unreadable
from ..protocols import ModelFacts, Segmenter
from ..story.expect import expectations
from ..types import Scene, Story
from .files import read_picture
from .folder import RunFolder, frame_part
from .outlook import Outlook
from .plan import Plan
from .request import RunRequest

Told = Mapping[str, Any]


def reader_of(model: ModelFacts) -> AttributeReader | None:
    """The checkpoint's reader of attributes; None if it has none."""
    return None if model.folder is None else load_reader(model.folder / FOLDER)


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
    story: Story,
    segmenter: Segmenter,
    reader: AttributeReader | None,
) -> list[Result]:
    """The finished picture of scene ``index`` held against every line of it, in order."""
    scene = story.scenes[index]
    image = read_picture(folder.frame(index), folder.root).convert("RGB")
    expected = expectations(story, scene, f"scene {index + 1}")
    return held(expected, Seen(image, story, scene, segmenter, reader))


def told(results: Sequence[Result]) -> list[dict[str, Any]]:
    """What run.json says of them."""
    return [vars(result) for result in results]


def told_before(said: Told, scene: Scene) -> list[Result] | None:
    """What run.json said of a picture, if it was held against these very lines; None otherwise."""
    results = [Result(**each) for each in said.get("expected", ())]
    return results if [r.line for r in results] == [*scene.expect] else None


def failed(said: Told) -> Iterator[str]:
    """``'two people': 3 seen`` for each line that does not hold, for the page."""
    for each in said.get("expected", ()):
        if each["holds"] is False:
            yield f"{each['line']!r}: {each['read']}"


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
