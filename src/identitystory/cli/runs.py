"""The commands on one run: ``generate``, ``discover``, ``extend``, ``takes``, ``choose``, ``prune``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import ConfigError, StoryError
from ..settings import Overrides
from .commands import Argument
from .options import Folder, Inline, MakeService, Model, Output, say

if TYPE_CHECKING:
    from ..runs.request import RunRequest
    from ..types import Story

StoryFile = Annotated[str, Argument("STORY")]
Run = Annotated[Path, Argument("RUN")]
Size = Annotated[str, "WxH"]
Aspect = Annotated[str, "W:H"]


def generate(
    *,
    story: StoryFile | None = None,
    inline: Inline,
    out: Folder | None = None,
    seed: int | None = None,
    only: tuple[int, ...] = (),
    method: Annotated[str, "NAME"] | None = None,
    size: Size | None = None,
    aspect: Aspect | None = None,
    model: Model,
    overrides: Overrides,
    output: Output,
    service: MakeService,
) -> int:
    """Make the pictures of a story.

    Makes the pictures of a story. What is there already is kept: the same command goes on where a
    run was cut off. A folder that holds a run keeps its settings unless you give others.

    Args:
        story: a story file, TOML or JSON; a run folder, to go on with it; or a frame (.png) of a
            run, to make it again
        out: the run folder (default: runs/<title>)
        seed: 0 in a new folder
        only: paint only frame N, numbered as in frames/ (0 is the first); may be repeated. With
            --seed, that is the frame's new seed; identities stay as they are, and the picture
            that was there is kept as a take
        method: identitystory (default), or a method to compare it with: consistory,
            storydiffusion, story-adapter, one-prompt-one-story, general, direct-identity
        size: width x height of the pictures in pixels, such as 1216x832, instead of the story's; a
            scene's own stays (default: the story's, or the model's own)
        aspect: width to height, such as 16:9, instead of a size: the nearest that the model was
            made for
    """
    more = {"seed": seed, "only": only, "method": method, "size": size, "aspect": aspect}
    return _show(_request(story, inline, out, model, overrides, **more), output, service)


def discover(
    *,
    story: StoryFile | None = None,
    inline: Inline,
    out: Folder | None = None,
    seed: int | None = None,
    size: Size | None = None,
    aspect: Aspect | None = None,
    model: Model,
    overrides: Overrides,
    output: Output,
    service: MakeService,
) -> int:
    """Find the identities of a story's characters.

    Finds the identity of every character of a story, and stops before the pictures.

    Args:
        story: a story file, TOML or JSON; or a frame (.png) of a run, to make it again
        out: the run folder (default: runs/<title>)
        seed: 0 in a new folder
        size: of the pictures that are painted later, as for generate; portraits are square
        aspect: as for generate
    """
    more = {"seed": seed, "paint": False, "size": size, "aspect": aspect}
    request = _request(story, inline, out, model, overrides, **more)
    return _show(request, output, service)


def extend(
    *,
    run: Run,
    story: StoryFile | None = None,
    inline: Inline,
    device: Annotated[str, "D"] | None = None,
    output: Output,
    service: MakeService,
) -> int:
    """Add scenes to a run, with its cast.

    Adds scenes to a run. Its characters keep their faces; nothing finished is made again.

    Args:
        run: the run folder
        story: a file with more scenes
        device: auto, cpu, cuda, cuda:N or mps
    """
    from ..runs.request import extended, recorded
    from ..story.file import more_scenes

    more = _from_file(story, inline)
    if more is None:
        if not inline.scene:
            raise StoryError('give a story file with more scenes, or --scene "{Mara} reads"')
        known = recorded(run).story
        more = more_scenes(known, inline.character, inline.scene, style=inline.style)
    request, _ = extended(run, more)
    return _show(replace(request, device=device or request.device), output, service)


def takes(*, run: Run, frame: Annotated[int, Argument("FRAME")] | None = None) -> int:
    """List the pictures that were painted for the scenes of a run.

    Lists every finished picture of a run by the scene it was painted for, with its seed. The one in
    frames/ is marked; the others lie in frames/takes.

    Args:
        run: the run folder
        frame: of this frame only, numbered as in frames/
    """
    from ..runs.folder import RunFolder
    from ..runs.request import recorded
    from ..runs.takes import takes_of

    for n, scene in enumerate(recorded(run).story.scenes):
        if frame is None or n == frame:
            say(f"frame {n}: {scene.text}")
            for number, take in enumerate(takes_of(RunFolder(run), scene.text), 1):
                mark = "*" if take.chosen else " "
                say(f"  {mark} take {number}: seed {take.seed}, {take.path}")
    return 0


def choose(
    *,
    run: Run,
    frame: Annotated[int, Argument("FRAME")],
    take: Annotated[int, Argument("TAKE")],
    output: Output,
    service: MakeService,
) -> int:
    """Make another take of a scene the picture of the run.

    Puts a take, numbered as `identitystory takes` lists it, in frames/ in place of the picture that is
    there, which becomes a take. It stays until the frame is painted anew with --only and --seed.

    Args:
        run: the run folder
        frame: the frame, numbered as in frames/
        take: the take's number
    """
    from ..runs import takes as kept
    from ..runs.request import recorded

    kept.choose(run, frame, take)
    return _show(replace(recorded(run), only=(frame,)), output, service)


def prune(*, run: Run, keep: int = 0) -> int:
    """Delete the takes of a run that are not its pictures.

    Deletes the takes of a run, and says what that frees. The pictures in frames/ stay.

    Args:
        run: the run folder
        keep: of each scene this many of the newest takes
    """
    from ..runs import takes as kept

    count, freed = kept.prune(run, keep)
    say(f"{count} takes deleted, {freed / 2**20:.1f} MiB freed")
    return 0


def _request(
    story: str | None,
    inline: Inline,
    out: Path | None,
    model: Model,
    overrides: Overrides,
    **more: Any,
) -> RunRequest:
    from ..runs.options import again_request, new_request
    from ..runs.request import recorded
    from ..story.file import inline_story

    where = model.where()
    if story and (Path(story) / "run.json").is_file():
        story, out = str(Path(story) / "run.json"), out or Path(story)
    if story and Path(story).name == "run.json":
        run = Path(story).parent
        return new_request(
            recorded(run).story, out or run, overrides, preset_name=model.preset, **where, **more
        )
    if story and story.lower().endswith(".png"):
        if more.get("method") is not None:
            raise ConfigError("a frame is made again by its own method; leave --method out")
        if more.get("size") or more.get("aspect"):
            raise ConfigError("a frame is made again in its own size; leave it out")
        if overrides.set:
            raise ConfigError("a frame is made again with its own settings; leave --set out")
        return again_request(Path(story), out, **where)
    told = _from_file(story, inline)
    if told is None:
        if not (inline.character or inline.scene):
            raise StoryError(
                'give a story file, or --character "Mara: a woman" --scene "{Mara} reads"'
            )
        told = inline_story(inline.character, inline.scene, style=inline.style or "")
    more |= {"preset_name": model.preset, "file": story}
    return new_request(told, out, overrides, **where, **more)


def _from_file(story: str | None, inline: Inline) -> Story | None:
    """The story of the file, if there is one."""
    from ..story.file import load_story

    if not story:
        return None
    if inline.character or inline.scene or inline.style:
        raise StoryError(
            "give a story file or --character, --scene and --style, not both; "
            "in the file they are [[character]], [[scene]] and style"
        )
    return load_story(story)


def _show(request: RunRequest, output: Output, service: MakeService) -> int:
    from .progress import show

    events = service().run(request)
    try:
        show(events, as_json=output.json, quiet=output.quiet)
    finally:
        events.close()  # type: ignore[attr-defined]
    return 0
