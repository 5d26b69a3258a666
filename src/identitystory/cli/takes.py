"""The commands on the pictures of one run that are there: ``takes``, ``choose``, ``prune``, ``strip``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from .commands import Argument
from .options import Folder, MakeService, Marks, Output, Run, say
from .runs import show_run

Scene = Annotated[int, Argument("SCENE")]


def takes(*, run: Run, scene: Scene | None = None) -> int:
    """List the pictures that were painted for the scenes of a run.

    Lists every finished picture of a run by the scene it was painted for, with its seed. The one in
    frames/ is marked; the others lie in frames/takes.

    Args:
        run: the run folder
        scene: of this scene only, numbered as in frames/
    """
    from ..runs import takes as kept
    from ..runs.folder import RunFolder
    from ..runs.request import recorded

    scenes = recorded(run).story.scenes
    if scene is not None:
        kept.check_scene(run, scene - 1, len(scenes))
    found = kept.takes(RunFolder(run))
    for n, told in enumerate(scenes, 1):
        if scene is None or n == scene:
            say(f"scene {n}: {told.text}")
            for number, take in enumerate(kept.takes_of(found, told), 1):
                mark = "*" if take.chosen else " "
                say(f"  {mark} take {number}: seed {take.seed}, {take.path}")
    return 0


def choose(
    *,
    run: Run,
    scene: Scene,
    take: Annotated[int, Argument("TAKE")],
    output: Output,
    service: MakeService,
) -> int:
    """Make another take of a scene the picture of the run.

    Puts a take, numbered as `identitystory takes` lists it, in frames/ in place of the picture that is
    there, which becomes a take. It stays until the scene is painted anew with --only and --seed, its
    words or the style are others, or somebody in it is described otherwise or has another face.

    Args:
        run: the run folder
        scene: the scene, numbered as in frames/
        take: the take's number
    """
    from ..runs import takes as kept
    from ..runs.request import recorded

    kept.choose(run, scene - 1, take)
    return show_run(replace(recorded(run), only=(scene - 1,)), output, service())


def lock(*, run: Run, scene: Scene, off: bool = False) -> int:
    """Keep the picture of a scene as it is.

    Keeps the picture of a scene, whatever becomes of its words, its characters or the settings, until it
    is unlocked. A command that asks for another seed of it is refused.

    Args:
        run: the run folder
        scene: the scene, numbered as in frames/
        off: unlock it
    """
    from ..runs import takes as kept

    kept.lock(run, scene - 1, not off)
    return 0


def prune(*, run: Run, keep: int = 0) -> int:
    """Delete the takes of a run that are not its pictures.

    Deletes the takes of a run and faces that are no character's now, and says what that frees. The
    pictures in frames/ stay, those that you chose or locked, and the faces in cast/.

    Args:
        run: the run folder
        keep: of each scene, and each character, this many of the newest takes; if any, also all that
            were painted with --no-metadata, which do not say their scene
    """
    from ..runs import takes as kept

    count, freed = kept.prune(run, keep)
    say(f"{count} takes deleted, {freed / 2**20:.1f} MiB freed")
    return 0


def strip(*, run: Run, out: Folder, marks: Marks) -> int:
    """Copy the pictures of a run without their metadata.

    Copies the finished pictures of a run, pixel by pixel, without what they say of themselves: the
    story, the settings, the model. For sharing them. IPTC's mark of what a trained algorithm made
    stays, and they are signed where there is a certificate.

    Args:
        run: the run folder
        out: where the copies go
    """
    from ..runs.strip import strip as bare

    copies = bare(run, out, marks=marks.marks is not False, signer=marks.signer())
    say("\n".join(map(str, copies)))
    return 0
