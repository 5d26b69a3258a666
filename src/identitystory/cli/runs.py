"""The commands that make runs: ``generate``, ``discover``, ``extend``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..errors import ConfigError, IdentityStoryError, StoryError
from ..settings import Overrides
from .check import Then, checked
from .commands import Argument
from .options import Folder, Inline, MakeService, Model, Output, Run, Shard, failure, tell
from .planning import show_plan
from .requests import from_file, request_of
from .typed import read_scenes, read_seed

if TYPE_CHECKING:
    from ..runs.request import RunRequest
    from ..runs.service import Service

StoryFile = Annotated[str, Argument("STORY")]
Seed = Annotated[str, "N"]
Size = Annotated[str, "WxH"]
How = Callable[..., int]  # what is done with a request: `show_run`, `show_plan`
Aspect = Annotated[str, "W:H"]


def generate(
    *,
    stories: tuple[StoryFile, ...] = (),
    inline: Inline,
    out: Folder | None = None,
    seed: Seed | None = None,
    only: tuple[Annotated[str, "N"], ...] = (),
    method: Annotated[str, "NAME"] | None = None,
    size: Size | None = None,
    aspect: Aspect | None = None,
    enlarge: Literal["2", "4"] | None = None,
    max_takes: int | None = None,
    metadata: bool | None = None,
    marks: bool | None = None,
    unknown: Literal["warn", "refuse", "replace"] | None = None,
    shard: Shard = None,
    plan: bool = False,
    check: bool = False,
    budget: Annotated[int, "CALLS"] | None = None,
    model: Model,
    overrides: Overrides,
    output: Output,
    service: MakeService,
) -> int:
    """Make the pictures of a story.

    Makes the pictures of a story. What is there already is kept: the same command goes on where a
    run was cut off. A folder that holds a run keeps its settings unless you give others.

    Several stories are painted one after the other by one model, each in its own folder. All are
    read before anything is painted; one that fails later does not stop the others, and the exit code
    is that of the first that failed.

    Args:
        stories: a story file, TOML or JSON, or several; a run folder, to go on with it; or a frame
            (.png) of a run, to make it again
        out: the run folder (default: runs/<title>, of a frame runs/<title>-again); of several stories
            the folder of their folders (default: runs)
        seed: 0 in a new folder; random or -1 draws one. A run that is there keeps its own unless you
            give a number
        only: paint only these scenes, numbered as in frames/ (1 is the first): 3, 3-5 or 3-5,7; may
            be repeated. With --seed, that is their new seed; identities stay as they are, and
            pictures that were there are kept as takes
        method: identitystory (default), or a method to compare it with: consistory,
            storydiffusion, story-adapter, one-prompt-one-story, general, direct-identity
        size: width x height of the pictures in pixels, such as 1216x832, instead of the story's; a
            scene's own stays (default: the story's, or the model's own)
        aspect: width to height, such as 16:9, instead of a size: the nearest that the model was
            made for
        enlarge: beside each frame, a copy at twice or four times its size, frames/001.x2.png; for
            models that have an enlarger, as the miniature has
        max_takes: earlier pictures that a run folder keeps at most (default: 1000). A command that
            would keep more is refused, and nothing is deleted; see prune
        metadata: whether pictures say in their metadata how they were made (default: yes); without it
            they hold a fingerprint of it alone, and cannot be made again from themselves
        marks: whether pictures carry IPTC's mark of what a trained algorithm made (default: yes);
            run.json and the log say so if not
        unknown: what becomes of a scene's words that the model has no picture of, where its card says
            which it has: warn of them (default), refuse the story, or replace them by the nearest
            that it knows. The run folder keeps the choice
        shard: of several stories, paint only every Nth from the Ith on, as one of N commands that are
            given the same stories and --out; auto takes both from Slurm's, Kubernetes' or SkyPilot's
            variables
        plan: paint nothing; show what would be painted and why (words, cast, style, seed, setting, checkpoint), what is
            kept, and what it would take in network calls and time
        check: look at every frame when all are painted, as the command check does
        budget: with --check, network calls to try suspicious frames again with, as repair does
            (default: none, they are only told)
    """
    then = checked(check, budget)
    more = {"seed": read_seed(seed), "only": read_scenes(only), "method": method}
    more |= {"size": size, "aspect": aspect, "max_takes": max_takes, "metadata": metadata}
    more |= {"marks": marks, "enlarge": int(enlarge or 1), "unknown": unknown}
    if plan and check:
        raise ConfigError("--plan paints nothing that --check could look at; give one of them")
    how = show_plan if plan else partial(show_run, then=then)
    return _make(stories, inline, out, model, overrides, output, service, shard, how, **more)


def discover(
    *,
    stories: tuple[StoryFile, ...] = (),
    inline: Inline,
    out: Folder | None = None,
    seed: Seed | None = None,
    candidates: Annotated[int, "N"] | None = None,
    who: tuple[Annotated[str, "NAME"], ...] = (),
    words: bool | None = None,
    like: tuple[Annotated[str, "CHARACTER"], ...] = (),
    as_: Annotated[str, "RELATION"] | None = None,
    choose: tuple[Annotated[str, "NAME=N"], ...] = (),
    size: Size | None = None,
    aspect: Aspect | None = None,
    model: Model,
    overrides: Overrides,
    output: Output,
    service: MakeService,
) -> int:
    """Find the identities of a story's characters.

    Finds the identity of every character of a story, and stops before the pictures. With --candidates
    it finds several people of each description, paints them in two scenes, and puts them on one page;
    with --like, relatives of somebody. --choose makes one of them the run's.

    Args:
        stories: a story file, TOML or JSON, or several; or a frame (.png) of a run
        out: the run folder (default: runs/<title>); of several stories the folder of their folders
        seed: as for generate; another one finds other candidates
        candidates: how many people to choose from, casting/NAME.png in the run folder
        who: of --candidates only this character, and who the relative is; may be repeated
        words: whether candidates are painted, and chosen, in words for what their portraits show and
            the description leaves open, where the checkpoint reads it (default: yes)
        like: somebody of the library, or a character file, whom the candidates of --who are relatives
            of; may be repeated, for two parents
        as_: what they are to those: sibling, parent, child, or older=20 or younger=10 for the same
            person at another age
        choose: a candidate by number, as in Mara=4, whose face the run has from now on; 0 is the
            one that is found without candidates; may be repeated
        size: of the pictures that are painted later, as for generate; portraits are square
        aspect: as for generate
    """
    more: dict[str, Any] = {"seed": read_seed(seed), "paint": False, "size": size, "aspect": aspect}
    from .casting import how_to_cast

    kin: dict[str, Any] = {"like": like, "as_": as_}
    how = how_to_cast(candidates, who, choose, words=words is not False, **kin) or show_run
    return _make(stories, inline, out, model, overrides, output, service, None, how, **more)


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

    Adds scenes to a run. Its characters keep their faces; nothing finished is made again. New scenes
    have the run's style and LoRAs, and its size unless the file gives another.

    Args:
        run: the run folder
        story: a file with more scenes
        device: auto, cpu, cuda, cuda:N or mps
    """
    from ..runs.extending import extended
    from ..runs.request import recorded
    from ..story.file import more_scenes

    more, people = from_file(story, inline)
    if more is None:
        if not inline.scene:
            raise StoryError('give a story file with more scenes, or --scene "{Mara} reads"')
        known = recorded(run).story
        more = more_scenes(known, inline.character, inline.scene, style=inline.style)
    request, _ = extended(run, more)
    request = replace(request, device=device or request.device, people=people)
    return show_run(request, output, service())


def _make(
    stories: Sequence[str],
    inline: Inline,
    out: Path | None,
    model: Model,
    overrides: Overrides,
    output: Output,
    service: MakeService,
    share: str | None = None,
    how: How | None = None,
    **more: Any,
) -> int:
    """Makes one story, or several one after the other, or a share of them."""
    from ..runs.folder import RunFolder
    from ..runs.service import one_model
    from ..runs.shards import Shard as Share
    from ..runs.shards import shard

    how, made = how or show_run, one_model(service())
    mine = Share() if share is None else shard(share)
    if len(stories) < 2:
        if share is not None:
            raise ConfigError(f"--shard {share} is a share of several stories; give more than one")
        request = request_of(stories[0] if stories else None, inline, out, model, overrides, **more)
        return how(request, output, made)
    if out is not None and RunFolder(out).record.is_file():
        raise ConfigError(f"{out} is a run; --out of several stories is a folder for their folders")
    requests: list[RunRequest] = []
    for story in stories:
        if story.lower().endswith(".png"):
            raise ConfigError(f"{story}: a frame is made again by itself; give it alone")
        more |= {"parent": out, "taken": [request.out for request in requests]}
        requests.append(request_of(story, inline, None, model, overrides, **more))
    for places in map(Path, stories), (request.out for request in requests):
        if len({place.resolve() for place in places}) < len(stories):
            raise ConfigError("two of the stories are the same; give each once")
    for story, request in zip(stories, requests, strict=True):
        try:
            made.check(request)
        except IdentityStoryError as error:
            raise ConfigError(f"{story}: {error}") from None
    codes = []
    work = mine.of(list(zip(stories, requests, strict=True)))
    for story, request in work:
        try:
            how(request, output, made)
        except BrokenPipeError:
            raise
        except Exception as error:
            failed = failure(error)
            if failed is None:
                raise
            codes.append(failed[0])
            tell(f"identitystory: {story}: {' '.join(failed[1].split())}")
    if codes:
        failed_of = f"{len(codes)} of {len(work)} stories failed"
        tell(f"identitystory: {failed_of}; the same command tries them again")
    return next(iter(codes), 0)


def show_run(
    request: RunRequest,
    output: Output,
    service: Service,
    then: Then | None = None,
    *,
    step: bool = False,
) -> int:
    """Makes what is asked for, shows it, and does ``then`` with it; exit code 0.

    A ``step`` of several says no folder where that is all that is to be said.
    """
    from ..runs.events import Finished
    from .progress import show

    events = service.run(request)
    still = step and output.quiet and not output.json
    told = (e for e in events if not isinstance(e, Finished)) if still else events
    try:
        show(told, as_json=output.json, quiet=output.quiet)
    finally:
        events.close()  # type: ignore[attr-defined]
    if then is not None:
        then(request.out, output, service)
    return 0
