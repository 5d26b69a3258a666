"""``identitystory evaluate``: run folders in, the paper's measures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from ..errors import RunError
from ..metrics.evidence import MeasuredStory, Member, Picture, Rates, look, rate
from ..metrics.intervals import HOW
from ..metrics.measures import Score, attribute_scores, described, score
from ..runs import files
from ..runs.files import canonical
from ..runs.folder import RunFolder, find_runs, told_frames
from ..runs.request import recorded
from ..runs.sheets import read_masks
from ..wording import crowd
from .instruments import EvaluationRequest, Tools, open_tools
from .tables import Table, percent, plain, write_files


@dataclass(frozen=True)
class Evaluation:
    """The outcome.

    Attributes:
        groups: "all", and where they differ "1 character" and so on -> the scores of those stories.
        stories: a story's name -> its scores.
        attributes: how often each attribute was right, over all stories.
        sizes: group or story -> (stories, pictures).
        measured_with: instrument -> what it is.
        not_measured: instrument -> why.
        pictures: ``frames`` or ``templates``.
        samples: drawings of the bootstrap.
        notes: what else the reader should know.
    """

    groups: dict[str, list[Score]]
    stories: dict[str, list[Score]]
    attributes: list[Score]
    sizes: dict[str, tuple[int, int]]
    measured_with: dict[str, dict[str, Any]]
    not_measured: dict[str, str]
    pictures: str
    samples: int
    notes: list[str] = field(default_factory=list)


def evaluate(
    request: EvaluationRequest,
    say: Callable[[str], None] = lambda line: None,
    *,
    tools: Tools | None = None,
) -> Evaluation:
    """Looks at every picture of the runs and scores them; ``say`` hears what goes on.

    ``tools`` are opened by `open_tools` if they are not given.

    Raises:
        RunError: a folder holds no run, or a run no picture, or the runs are not of one method.
        ConfigError, ModelError: an instrument that was asked for is not here.
    """
    folders = find_runs(request.runs)
    methods = sorted({recorded(folder).method for folder in folders})
    if len(methods) > 1:  # the mean of two methods is nobody's
        raise RunError(
            f"the runs are of several methods ({', '.join(methods)}); evaluate the runs of one at a "
            "time, or compare them with identitystory bench"
        )
    notes: list[str] = []
    stories = [read_run(folder, templates=request.templates, notes=notes) for folder in folders]
    tools = tools or open_tools(request, sorted({recorded(folder).model for folder in folders}))
    instruments = tools.instruments
    rates: list[Rates | None] = [None] * len(stories)
    if instruments.judge is not None:  # first, for what is wrong with it shows at once
        say(f"Q-Align: {sum(len(story.pictures) for story in stories)} pictures")
        rates = [*rate(stories, instruments.judge)]
    seen = []
    for number, (story, rated) in enumerate(zip(stories, rates, strict=True), 1):
        say(f"{number} of {len(stories)}: {story.name}, {len(story.pictures)} pictures")
        seen.append(look(story, instruments, rated))
    if len(seen) > 1:
        say(f"intervals from {request.samples} drawings of {len(seen)} stories")
    groups = {"all": seen}
    counts = sorted({e.story.people for e in seen})
    if len(counts) > 1:
        for count in counts:
            groups[group_of(count)] = [e for e in seen if e.story.people == count]
    sizes = {name: (len(g), sum(len(e.story.pictures) for e in g)) for name, g in groups.items()}
    sizes |= {e.story.name: (1, len(e.story.pictures)) for e in seen}
    table = partial(score, instruments=instruments, samples=request.samples, only=request.measures)
    return Evaluation(
        groups={name: table(some) for name, some in groups.items()},
        stories={e.story.name: table([e]) for e in seen},
        attributes=attribute_scores(seen, samples=request.samples),
        sizes=sizes,
        measured_with=dict(tools.measured_with),
        not_measured=dict(tools.not_measured),
        pictures="templates" if request.templates else "frames",
        samples=request.samples,
        notes=notes,
    )


def scorer(request: EvaluationRequest, tools: Tools) -> Callable[[Sequence[Path]], Evaluation]:
    """`evaluate` of any run folders with ``tools``, as ``request`` says; its own runs do not count."""
    return lambda folders: evaluate(replace(request, runs=tuple(folders)), tools=tools)


def group_of(people: int) -> str:
    """The name of the group of stories with so many characters: ``1 character``."""
    return f"{people} character{'s' * (people != 1)}"


def read_run(
    root: Path, *, templates: bool = False, notes: list[str] | None = None
) -> MeasuredStory:
    """The finished pictures of a run, each with what its own metadata says of it.

    Args:
        root: the run folder.
        templates: the templates' files instead of the frames'.
        notes: gets a line if frames are missing.

    Raises:
        RunError: there is no run, or no finished picture in it.
    """
    folder, story = RunFolder(root), recorded(root).story
    made = []
    for frame in told_frames(folder):
        scenes = story.scenes[int(frame.stem) - 1 :]
        facts, masks = files.read_png_facts(frame, root), frame.with_suffix(".masks.png")
        file = frame.with_suffix(".template.png") if templates else frame
        if facts is not None and file.is_file() and masks.is_file():
            meant = crowd(story, scenes[0]) if scenes else ()
            made.append(replace(_picture(root, file, masks, facts), people=meant))
    if not made:
        raise RunError(f"{root} has no finished picture; paint it with identitystory generate")
    if len(made) < len(story.scenes) and notes is not None:
        notes.append(f"{root}: {len(made)} of {len(story.scenes)} frames are there")
    people = len({member.name for picture in made for member in picture.cast})
    told = [[s.prompt, [story.character(n).description for n in s.cast]] for s in story.scenes]
    return MeasuredStory(str(root), tuple(made), people, origin=canonical(told))


def _picture(root: Path, file: Path, masks: Path, facts: dict[str, Any]) -> Picture:
    try:
        characters = {c["name"]: c for c in facts["characters"]}
        cast = tuple(
            Member(
                name,
                characters[name]["description"],
                _identity(facts, characters[name]),
            )
            for name in facts["scene"]["cast"]
        )
        size = files.read_picture(file, root).size
        M = read_masks(masks, len(cast), size, root)
        poses = [p for p in facts["scene"].get("pose", ()) if len(cast) == 1 and p.get("who")]
        turn = {k: float(poses[0][k]) for k in ("yaw", "pitch", "roll")} if poses else {}
        return Picture(file, facts["scene"]["prompt"], cast, M, turn)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{file}: what it says of itself is broken: {error!r}") from None


def _identity(facts: dict[str, Any], character: dict[str, Any]) -> str:
    """As `Member.identity`: the found one's key, or without one all that a search would go by."""
    known = {k: v for k, v in character.items() if k not in ("wears", "file", "consent")}
    return character.get("identity") or canonical([known, facts.get("seed")])


# --- What is written and shown of it --------------------------------------------------------------


def as_json(e: Evaluation) -> dict[str, Any]:
    """metrics.json: every number as a fraction (Q-Align: 1 to 5), null where nothing was measured."""
    groups = {}
    for name, table in e.groups.items():
        stories, pictures = e.sizes[name]
        scores = {s.name: _values(s) for s in table}
        groups[name] = {"stories": stories, "pictures": pictures, "scores": scores}
    return {
        "format": 1,
        "pictures": e.pictures,
        "measured_with": e.measured_with,
        "not_measured": e.not_measured,
        "interval": f"{HOW}, {e.samples} drawings, seed 0",
        "notes": e.notes,
        "groups": groups,
        "attributes": {s.name: _values(s) for s in e.attributes},
        "stories": {
            name: {"pictures": e.sizes[name][1], "scores": {s.name: plain(s.value) for s in t}}
            for name, t in e.stories.items()
        },
        "versions": files.versions(),
    }


def _values(s: Score) -> dict[str, Any]:
    return {"value": plain(s.value), "low": s.low, "high": s.high, "stories": s.stories}


def as_csv(e: Evaluation) -> str:
    """metrics.csv: a line for each measure of each group and story, with what measured it."""
    head = ["level", "name", "measure", "value", "low", "high", "stories", "measured_with"]
    levels = [("group", e.groups), ("story", e.stories), ("attribute", {"all": e.attributes})]
    rows = []
    for level, tables in levels:
        for name, table in tables.items():
            for s in table:
                instrument = level + "s" if level == "attribute" else described(s.name).instrument
                used = e.measured_with.get(instrument, {}).get("name", instrument)
                rows.append([level, name, s.name, s.value, s.low, s.high, s.stories, used])
    return Table(head, rows).csv()


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """metrics.json and metrics.csv in ``out``, whole or not at all.

    Raises:
        RunError: ``out`` cannot be written.
    """
    texts = {out / "metrics.json": as_json(evaluation), out / "metrics.csv": as_csv(evaluation)}
    return write_files(texts, indent=2)


def show(e: Evaluation, out: TextIO, *, width: int | None = None) -> None:
    """A row for each measure, a column for each group; below it what measured, and what is missing."""
    head = ["measure"]
    for name in e.groups:
        stories, pictures = e.sizes[name]
        plural = "story" if stories == 1 else "stories"
        before = "" if len(e.groups) == 1 else f"{name}: "
        head.append(f"{before}{stories} {plural}, {pictures} pictures")
    sizes = [e.sizes[name][0] for name in e.groups]
    rows = [
        [described(row[0].name).label, *map(percent, row, sizes)]
        for row in zip(*e.groups.values(), strict=True)
        if any(s.stories for s in row)
    ]
    above = f"{e.pictures}; percent unless said otherwise, [95 % interval]"
    Table(head, rows).terminal(out, above=above, below=_below(e), width=width)


def _below(e: Evaluation) -> list[str]:
    """The lines under the table."""
    lines = []
    if e.attributes:
        known = e.measured_with.get("attributes", {}).get("held-out accuracy", {})
        read = ", ".join(
            f"{s.name} {s.value * 100:.0f}"
            + (f" ({known[s.name] * 100:.0f})" if s.name in known else "")
            for s in e.attributes
        )
        lines.append(
            f"attributes read right (in brackets, by the reader on held-out renders): {read}"
        )
    for what, facts in e.measured_with.items():
        more = [f"; {fact}: {facts[fact]}" for fact in ("scale", "licence") if fact in facts]
        lines.append(f"{what}: {facts['name']}{''.join(more)}")
    lines += [f"not measured: {what}: {why}" for what, why in e.not_measured.items()]
    return [*lines, *e.notes]
