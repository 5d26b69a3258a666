"""From what a command line gives, a story or its parts, to the request for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, StoryError
from ..settings import Overrides
from .options import Inline, Model

if TYPE_CHECKING:
    from ..runs.characters.casting import People
    from ..runs.request import RunRequest
    from ..types import Story


def request_of(
    story: str | None,
    inline: Inline,
    out: Path | None,
    model: Model,
    overrides: Overrides,
    *,
    parent: Path | None = None,
    taken: Sequence[Path] = (),
    **more: Any,
) -> RunRequest:
    """The request for one story, one run or one finished frame, as a command line names it.

    Args:
        story: a story file, a run folder, its run.json or a frame; None where the line itself tells it.
        inline: the story told by the line.
        out: the run folder; chosen by the story's name if None.
        model: the checkpoint, device and preset.
        overrides: settings.
        parent: of folders that are chosen.
        taken: folders that are not to be chosen.
        more: further fields of the request.

    Raises:
        ConfigError, StoryError: what was given does not fit together, or is no story.
    """
    from ..runs.options import again_request, default_folder, new_request, source_of
    from ..runs.request import recorded
    from ..story.file import inline_story

    where = model.where(own="")
    if story and (Path(story) / "run.json").is_file():
        story, out = str(Path(story) / "run.json"), out or Path(story)
    if story and Path(story).name == "run.json":
        run = Path(story).parent
        if inline != Inline():
            raise StoryError(
                f"{run} is a run with a story of its own; leave --character, --scene and --style "
                f"out, or add scenes with identitystory extend {run}"
            )
        return new_request(
            recorded(run).story, out or run, overrides, preset_name=model.preset, **where, **more
        )
    if story and story.lower().endswith(".png"):
        _check_again(inline, model, overrides, more)
        kept = {k: more[k] for k in ("enlarge", "max_takes", "paint") if more.get(k) is not None}
        return replace(again_request(Path(story), out, **where), **kept)
    told, people = from_file(story, inline)
    if told is None:
        if not (inline.character or inline.scene):
            raise StoryError(
                'give a story file, or --character "Mara: a woman" --scene "{Mara} reads"'
            )
        told = inline_story(inline.character, inline.scene, style=inline.style or "")
    out = out or default_folder(told, source_of(story) if story else "", parent, taken)
    more |= {"preset_name": model.preset, "file": story}
    return replace(new_request(told, out, overrides, **where, **more), people=people)


def _check_again(
    inline: Inline, model: Model, overrides: Overrides, more: Mapping[str, Any]
) -> None:
    """ConfigError for what a frame that is made again has of its own."""
    given = {key for key, value in more.items() if value not in (None, ())}
    own = (
        ("by its own method; leave --method out", given & {"method"}),
        (
            "as it was; leave size, metadata and marks out",
            given & {"size", "aspect", "metadata", "marks"},
        ),
        (
            "from its own words; leave --character, --scene, --style and --unknown out",
            given & {"unknown"} or inline != Inline(),
        ),
        (
            "with its own settings; leave --preset, --set, --steps and the like out",
            model.preset is not None or overrides != Overrides(),
        ),
        ("with its own seed; leave --seed and --only out", given & {"seed", "only"}),
    )
    for how, refused in own:
        if refused:
            raise ConfigError(f"a frame is made again {how}")


def from_file(story: str | None, inline: Inline) -> tuple[Story | None, People]:
    """The story of the file, if there is one, and the character files that it names."""
    from ..runs.characters.casting import read_story

    if not story:
        return None, {}
    if inline.character or inline.scene or inline.style:
        raise StoryError(
            "give a story file or --character, --scene and --style, not both; "
            "in the file they are [[character]], [[scene]] and style"
        )
    return read_story(story)
