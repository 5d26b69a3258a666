"""An experiment: stories painted in several ways by ordinary runs side by side, and measured.

It is a folder. ``runs/VARIANT/STORY`` are run folders, so what is finished is never made again,
wherever it was cut off; ``portraits`` and ``templates`` are what runs share (they may be deleted);
``costs/VARIANT/STORY.json`` is the memory that a run took. Several experiments in one folder share
these, and the method itself, which most of them have, is painted once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config import Preset
from ..errors import RunError
from ..methods.registry import OURS
from ..metrics.measures import Score, described
from ..models.files.catalogue import DEFAULT_MODEL
from ..runs import sheets
from ..runs.cache import PORTRAITS, Cache
from ..runs.files import write_png
from ..runs.folder import RunFolder
from ..runs.request import RunRequest
from ..story.file import slug
from ..types import Story
from .evaluate import Evaluation, group_of
from .tables import Outcome, Row, compared

DIRECT = "direct-identity"

Say = Callable[[str], None]
Scorer = Callable[[Sequence[Path]], Evaluation]


def silent(line: str) -> None:
    """A ``Say`` that tells nothing, which other processes can be given."""


@dataclass(frozen=True)
class Variant:
    """One way to paint the stories.

    Attributes:
        name: of its folder; the configuration itself is ``identitystory`` or ``direct-identity``.
        label: what tables and figures call it.
        preset: the resolved configuration.
        method: as of a run.
        number: where it stands on the figure's axis, if it is a number.
    """

    name: str
    label: str
    preset: Preset
    method: str = OURS
    number: float | None = None


@dataclass(frozen=True)
class Experiment:
    """What to compare, on what, and where.

    Attributes:
        command: that makes it, ``bench`` or ``ablate NAME``.
        variants: in the order of the table.
        stories: with distinct titles, see ``story.sets.load_stories``.
        out: the folder.
        model: a built-in name, a folder or a hub id.
        seed: of every run.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto``, ``float32``, ``bfloat16``, ``float16``.
        paint: False stops after the identities.
    """

    command: str
    variants: tuple[Variant, ...]
    stories: tuple[Story, ...]
    out: Path
    model: str = DEFAULT_MODEL
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    paint: bool = True

    @property
    def name(self) -> str:
        """Of its files."""
        return self.command.split()[-1]

    @property
    def over_methods(self) -> bool:
        """Whether each variant is a method of its own, and not a setting of the same one."""
        return len({v.method for v in self.variants}) == len(self.variants)

    @property
    def reference(self) -> Variant | None:
        """What the others are compared with: IdentityStory as it is configured.

        Where only the identity generator alone is varied, it is that one as it is configured.
        """
        names = (OURS,) if self.over_methods else (OURS, DIRECT)
        found = {v.name: v for v in self.variants}
        return next((found[name] for name in names if name in found), None)

    def run(self, variant: Variant, story: Story) -> RunRequest:
        """The ordinary run of one variant over one story."""
        return RunRequest(
            story,
            self.out / "runs" / variant.name / slug(story.title),
            variant.preset,
            model=self.model,
            seed=self.seed,
            paint=self.paint,
            device=self.device,
            dtype=self.dtype,
            method=variant.method,
            cache=Cache(self.out, kinds=(PORTRAITS,)) if self.over_methods else Cache(self.out),
        )

    def runs(self) -> list[RunRequest]:
        """All of them, a variant after the other."""
        return [self.run(variant, story) for variant in self.variants for story in self.stories]

    def note(self, variant: Variant, story: Story) -> Path | None:
        """Where the memory that a run took is noted; only methods are compared in it."""
        file = self.out / "costs" / variant.name / f"{slug(story.title)}.json"
        return file if self.over_methods else None

    def groups(self) -> Mapping[str, Sequence[int]]:
        """``all``, and where they differ ``1 character`` and so on -> the stories' numbers."""
        groups: dict[str, list[int]] = {"all": list(range(len(self.stories)))}
        for index, story in enumerate(self.stories):
            groups.setdefault(group_of(people_in(story)), []).append(index)
        if len(groups) == 2:  # all of one size
            groups.popitem()
        return groups


def people_in(story: Story) -> int:
    """How many characters have a face of their own in a scene of ``story``."""
    return len({name for scene in story.scenes for name in scene.cast})


def measure(experiment: Experiment, score: Scorer, say: Say = silent) -> Outcome:
    """The scores of every variant over all stories, and over those of each number of characters.

    Args:
        experiment: whose runs are finished.
        score: evaluates run folders, see ``evaluate.scorer``.
        say: hears which variant is measured.

    Raises:
        RunError: a run lacks a frame; says which, and to give the same command again.
    """
    for run in experiment.runs():
        frames = [RunFolder(run.out).frame(n) for n in range(len(run.story.scenes))]
        if run.paint and not all(frame.is_file() for frame in frames):
            again = f"give the same {experiment.command} command again"
            raise RunError(f"{run.out} is not finished; {again}")
    rows: list[Row] = []
    notes: list[str] = []
    for variant in experiment.variants:
        say(f"measuring {variant.label}")
        folders = [experiment.run(variant, story).out for story in experiment.stories]
        found = score(folders)
        notes += found.notes
        each = [{s.name: s.value for s in found.stories[str(folder)]} for folder in folders]
        members = experiment.groups()
        for group in dict.fromkeys([*members, *found.groups]):
            here = {s.name: s for s in found.groups.get(group, ())}
            for name in (s.name for s in found.groups["all"]):
                s = here.get(name) or Score(name, float("nan"), None, None, 0)
                values = tuple(each[k].get(name, float("nan")) for k in members.get(group, ()))
                values = () if described(name).pool else values
                place = (variant.label, variant.number, name)
                rows.append(
                    Row(*place, s.value, s.low, s.high, s.stories, each=values, group=group)
                )
    reference = experiment.reference.label if experiment.reference else ""
    used = (found.measured_with, found.not_measured)
    sizes = {group: len(members) for group, members in experiment.groups().items()}
    return Outcome(compared(rows, reference), reference, *used, notes, sizes=sizes)


def write_sheets(experiment: Experiment, folder: str, *, heads: bool = False) -> list[Path]:
    """FOLDER/STORY.png for each story: a row of pictures a variant; ``heads`` are scenes' texts."""
    files = []
    for story in experiment.stories:
        rows = [(variant.label, experiment.run(variant, story)) for variant in experiment.variants]
        texts = [scene.text or scene.prompt for scene in story.scenes] if heads else ()
        files.append(experiment.out / folder / f"{slug(story.title)}.png")
        write_png(files[-1], sheets.page(rows, texts), {"title": story.title}, experiment.out)
    return files
