"""The commands that look at a run's frames and mend them: ``check``, ``repair``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import ConfigError
from .options import MakeService, Output, Run, answer, heed_terms, say, tell

if TYPE_CHECKING:
    from ..runs.looking import Eyes, Frame
    from ..runs.service import Service

Faces = Annotated[str, "F"]
Models = Annotated[Path, "FOLDER"]
Then = Callable[[Path, Output, "Service"], None]


def check(
    *,
    run: Run,
    faces: Faces = "own",
    face_models: Models | None = None,
    again: bool = False,
    allow_noncommercial: bool = False,
    json: bool = False,
    service: MakeService,
) -> int:
    """Look at a run's frames: who is in them, and what is wrong.

    Looks at every finished frame: people are counted by their heads, each character is held against
    their own identity and the others', and where the checkpoint has a reader, words and clothes are
    read off. Prints a table, the most suspicious frame first, and writes checked.json and the page.
    Paints nothing.

    Args:
        run: the run folder
        faces: what tells people apart: own, the encoder of the run's checkpoint (default), or a
            recogniser as for evaluate: little-people, dlib, sface, arcface
        face_models: the folder with a recogniser's weights
        again: look also at frames that were looked at before
        allow_noncommercial: as for generate, of a run that needs it
        json: print what was found as one JSON object
    """
    from ..runs.looking import check as look
    from ..runs.looking import eyes

    heed_terms(allow_noncommercial)
    by = eyes(service(), run, faces, face_models)
    output = Output(json)
    return shown(by, look(by, again=again, say=_teller(output)), output)


def repair(
    *,
    run: Run,
    budget: Annotated[int, "CALLS"] | None = None,
    faces: Faces = "own",
    face_models: Models | None = None,
    allow_noncommercial: bool = False,
    json: bool = False,
    service: MakeService,
) -> int:
    """Check a run's frames and try the suspicious ones again.

    Checks a run, then tries its suspicious frames again by what costs least: another seed, whose
    template is looked at before faces are put into it; wider masks, stronger guidance, a later start.
    Stops when nothing is suspicious or the budget is spent. Every picture stays as a take and the best
    is chosen, but never in place of one that you locked or chose. The same command goes on.

    Args:
        run: the run folder
        budget: network calls to spend (default: what painting all its frames once more would take)
        faces: as for check
        face_models: as for check
        allow_noncommercial: as for check
        json: print what was found and done as one JSON object
    """
    from ..runs.looking import eyes

    heed_terms(allow_noncommercial)
    made = service()
    return _mend(eyes(made, run, faces, face_models), made, budget, Output(json))


def checked(check: bool, budget: int | None) -> Then | None:
    """What ``generate`` does with a run that is painted: a check, with a ``budget`` a repair.

    Raises:
        ConfigError: a budget without a check.
    """

    def after(out: Path, output: Output, service: Service) -> None:
        from ..runs.looking import check as look
        from ..runs.looking import eyes

        by = eyes(service, out)
        if budget is None:
            shown(by, look(by, say=_teller(output)), output)
        else:
            _mend(by, service, budget, output)

    if budget is not None and not check:
        raise ConfigError("--budget is what --check may spend; give --check, too")
    return after if check else None


def _teller(output: Output) -> Callable[[str], None]:
    """What tells how far the work is."""
    return lambda line: None if output.json or output.quiet else tell(line)


def _mend(by: Eyes, service: Service, budget: int | None, output: Output) -> int:
    from ..runs.repair import repair as mend

    done = mend(by, service, budget, _teller(output))
    lines = [
        f"frame {index + 1}: another picture, suspicion {before:.1f} before, {now:.1f} now"
        for index, (before, now) in done.chosen.items()
    ]
    spent = f"{done.tries} tries, {done.calls:,} of {done.budget:,} network calls"
    if not (output.json or output.quiet):
        say("\n".join([*lines, spent]))
    changed = [
        {"scene": n + 1, "before": before, "now": now} for n, (before, now) in done.chosen.items()
    ]
    more = {"tries": done.tries, "calls": done.calls, "budget": done.budget, "changed": changed}
    return shown(by, done.frames, output, **more)


def shown(by: Eyes, found: Sequence[Frame], output: Output, **more: Any) -> int:
    """Prints what was found, unless it is to be quiet; exit code 0."""
    if output.quiet and not output.json:
        return 0
    return answer(output.json, as_json(by, found) | more, table(by, found))


def as_json(by: Eyes, found: Sequence[Frame]) -> dict[str, Any]:
    """What was found, the most suspicious first."""
    frames = [
        {
            "scene": f.index + 1,
            "file": f"frames/{f.index + 1:03d}.png",
            "key": f.key,
            "suspicion": round(f.found.suspicion, 3),
            **f.found.model_dump(),
        }
        for f in found
    ]
    return {"run": str(by.request.out), "by": by.by, "frames": frames}


def table(by: Eyes, found: Sequence[Frame]) -> str:
    """A line for each frame, the most suspicious first, and what a mark means."""
    if not found:
        return "there is no finished frame; paint them with identitystory generate"
    rows = [("frame", "suspicion", "likeness and mark", "what is wrong")]
    for f in found:
        who = ", ".join(_who(name, f) for name in f.found.likeness)
        rows.append((f"{f.index + 1:03d}", f"{f.found.suspicion:.1f}", who, f.found.words))
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3]]).rstrip() for row in rows]
    wrong = sum(bool(f.found.faults) for f in found)
    return "\n".join([*lines, f"{wrong} of {len(found)} frames are suspicious; {promise(by)}"])


def _who(name: str, frame: Frame) -> str:
    """``Mara .91 own``."""
    value, mark = frame.found.likeness[name], frame.found.marks.get(name, "")
    return " ".join(filter(None, [name, "" if value is None else f"{value:.2f}", mark]))


def promise(by: Eyes) -> str:
    """What the marks promise."""
    told = by.marks
    if told is None:
        return f"no marks: {by.recogniser} is not calibrated for this checkpoint"
    return (
        f'of drawn people {told.found:.0%} are marked "own", from {told.own:.2f} on, and at most '
        f"{told.wrong:.1%} of strangers ({told.faces} faces)"
    )
