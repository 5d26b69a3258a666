"""The command ``expect``: the pictures of a run held against what their scenes expect of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import RunError
from .options import MakeService, Run, answer, heed_terms


def expect(
    *, run: Run, allow_noncommercial: bool = False, json: bool = False, service: MakeService
) -> int:
    """Hold the pictures of a run against what its story expects of them.

    Holds every finished picture against the `expect` lines of its scene, as in expect = ["Mara has red
    hair", "Tom is absent", "two people", "at night"], and says of each line that does not hold which
    picture it is and what was read instead. generate does the same after painting. Ends with 1 if a line does
    not hold, like a test.

    Args:
        run: the run folder
        allow_noncommercial: as for generate, of a run that needs it
        json: print one JSON object
    """
    from ..runs.events import Expected
    from ..runs.expect import ready
    from ..runs.request import recorded

    heed_terms(allow_noncommercial)
    request, made = recorded(run), service()
    request = replace(request, only=ready(request, made.outlook(request)))
    if lost := [fate.part for fate in made.outlook(request).parts if fate.paints]:
        raise RunError(f"{run}/{lost[0]} is not whole any more; generate {run} makes it again")
    found: list[dict[str, Any]] = []
    for event in made.run(request):
        if isinstance(event, Expected):
            picture = str(Path(run) / f"{event.part}.png")
            where = {"scene": event.index + 1, "picture": picture}
            found += [where | dict(each) for each in event.expected]
    wrong = [each for each in found if each["holds"] is False]
    marks = {True: "holds", False: "FAILS", None: "cannot be read"}
    lines = [
        f"{marks[each['holds']]}: {each['picture']}: {each['line']}"
        + (f" ({each['read']})" if each["read"] else "")
        for each in found
    ]
    lines.append(f"{len(found)} expectations, {len(wrong)} of them fail")
    answer(json, {"failed": len(wrong), "expectations": found}, "\n".join(lines))
    return 1 if wrong else 0
