"""Are faces that are marked as somebody's hers? ``python -m benchmarks.marks --calibrate 120 --test 250``.

Draws two held-out people at a time, whom the world knows: portraits, whose mean is the identity, and
frames of both together and of each alone, which are looked at as ``identitystory check`` looks at a
frame. From the first groups the thresholds are taken (``metrics/conformal.py``); on others it is
counted what they promised: how many of a character's faces are marked as hers, how many of other
people's, and, where the two change places, whether any is. ``--painted RUN...`` asks the same of
painted frames: how many are marked as who they were painted as, and how many as somebody of the next
run. ``--write`` puts the thresholds into the package.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from identitystory.cli.main import default_service
from identitystory.discovery import mean
from identitystory.errors import ModelError
from identitystory.injection import heads_in
from identitystory.metrics.checking import Asked, Inspected, inspect
from identitystory.metrics.conformal import FILE, Marks, calibrated
from identitystory.metrics.faces import load_recogniser
from identitystory.metrics.heads import heads_of
from identitystory.metrics.likeness import OWN, ByFaces, Knows, OwnEncoder, likenesses
from identitystory.models.describe import describe_model
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.photomaker import load_identity_encoder
from identitystory.protocols import Segmenter
from identitystory.runs.files import read_picture
from identitystory.runs.folder import RunFolder, find_runs
from identitystory.runs.looking import check, eyes
from identitystory.runs.sheets import read_masks, thumbnails
from miniature.pictures.recipe import HELD_OUT
from miniature.world.captions import describe
from miniature.world.picture import paint
from miniature.world.records import Record
from miniature.world.sampling import draw_person, draw_record

PORTRAITS = 3  # of each person, for the identity
FIRST = HELD_OUT + 700_000  # numbers of people whom no other set has
TOGETHER = 2  # frames of both in each group; and one of each alone
HEAD = """\
# From which likeness on a face is marked as a character's, by recogniser and checkpoint.
# Written by `python -m benchmarks.marks --write`; see identitystory.metrics.conformal.Marks.
"""


@dataclass(frozen=True)
class Shot:
    """A drawn frame: the picture, (s, H, W) masks of where each of ``who`` is, everybody's descriptions."""

    image: Image.Image
    masks: Tensor
    who: tuple[int, ...]
    words: tuple[str, ...]


@dataclass
class Tools:
    """What frames are looked at with."""

    segmenter: Segmenter
    knows: OwnEncoder | ByFaces

    def heads(self, shot: Shot) -> Tensor:
        """(n, H, W) bool: everybody's."""
        found = heads_in(self.segmenter, shot.image, shot.words)
        if found is None:
            raise ModelError("this checkpoint's segmenter knows no heads")
        return found

    def once(self, shot: Shot) -> tuple[Tensor, Knows]:
        """A frame's heads, and who knows what was seen of them without looking again."""
        heads = self.heads(shot)
        return heads, Seen(self.knows, self.knows.seen(shot.image, heads))

    def identity(self, portraits: Sequence[Image.Image]) -> Tensor:
        """(k, d): what a run would know of somebody with these portraits."""
        if isinstance(self.knows, OwnEncoder):
            return mean(self.knows.embed(portraits).float())[None]
        return self.knows.portraits([Image.fromarray(t.numpy()) for t in thumbnails(portraits)])

    def alike(self, shot: Shot, known: Sequence[Tensor]) -> Tensor:
        """(s, s): the likeness of each of a frame's people, as far as their head was found, to each identity."""
        heads = self.heads(shot)
        S = likenesses(self.knows, shot.image, heads, known)
        mine = heads_of(shot.masks, heads)
        lost = torch.full((1, len(known)), float("nan"), dtype=torch.float64)
        return torch.cat([lost if h is None else S[h : h + 1] for h in mine])


@dataclass(frozen=True)
class Seen:
    """Who tells people apart, having looked at one picture's heads already."""

    by: Knows
    vectors: list[Tensor | None]

    @property
    def name(self) -> str:
        """Its name."""
        return self.by.name

    def seen(self, image: Image.Image, heads: Tensor) -> list[Tensor | None]:
        """What was seen of them."""
        return self.vectors

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """As `Knows`."""
        return self.by.similarity(a, b)


@dataclass
class Scores:
    """Likenesses whose truth is known, and how many faces were not found."""

    own: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    lost: int = 0


def shot(record: Record, people: Sequence[int], seed: int) -> Shot:
    """A frame of ``record``, whose ``people`` stand from left to right."""
    drawn, rng = paint(record), np.random.default_rng(seed)
    numbers = torch.from_numpy(drawn.person)
    masks = torch.stack([numbers == k + 1 for k in range(len(people))])
    words = tuple(describe(person, rng) for person in record.people)
    return Shot(Image.fromarray(drawn.rgb), masks, tuple(people), words)


@dataclass(frozen=True)
class Group:
    """Two people, known from portraits, and frames of them."""

    number: int
    known: tuple[Tensor, Tensor]
    shots: tuple[Shot, ...]

    def record(self, seed: int) -> Record:
        """What a frame of both shows."""
        rng = np.random.default_rng([7, self.number, seed])
        return draw_record(rng, [draw_person(n) for n in self.people])

    @property
    def people(self) -> tuple[int, int]:
        """Their numbers in the world."""
        return FIRST + 2 * self.number, FIRST + 2 * self.number + 1


def groups(tools: Tools, first: int, count: int) -> Iterator[Group]:
    """Groups number ``first`` and so on, with their frames."""
    for number in range(first, first + count):
        group = Group(number, (torch.zeros(0), torch.zeros(0)), ())
        rng, people = np.random.default_rng([8, number]), group.people
        drawn = [draw_person(n) for n in people]
        known = []
        for person in drawn:
            records = (draw_record(rng, [person], "portrait") for _ in range(PORTRAITS))
            known.append(tools.identity([Image.fromarray(paint(r).rgb) for r in records]))
        shots = [shot(group.record(n), people, n) for n in range(TOGETHER)]
        for n, person in zip(people, drawn, strict=True):
            shots.append(shot(draw_record(rng, [person], ("portrait", "half-body")[n % 2]), [n], n))
        yield replace(group, known=(known[0], known[1]), shots=tuple(shots))


def add(scores: Scores, tools: Tools, group: Group) -> None:
    """The likenesses of a group's frames: of each face to the own identity, and the most to the other's.

    Two who look alike do so in every frame: a group is one draw of strangers, not as many as it has faces.
    """
    others: list[float] = []
    for one in group.shots:
        S = tools.alike(one, group.known)
        for row, n in zip(S, one.who, strict=True):
            own = group.people.index(n)
            if row.isnan().any():
                scores.lost += 1
            else:
                scores.own.append(float(row[own]))
                others.append(float(row[1 - own]))
    scores.others += [max(others)] if others else []


def seen(
    one: Shot, once: tuple[Tensor, Knows], group: Group, marks: Marks, who: Sequence[int]
) -> Inspected:
    """A frame as it is checked when ``who`` should be in it, from left to right."""
    names = [str(n) for n in who]
    known = [group.known[group.people.index(n)] for n in who]
    asked = Asked(names, one.masks, known, range(len(names), len(names) + 1))
    return inspect(one.image, once[0], asked, once[1], marks)


@dataclass
class Kept:
    """What became of a promise: faces of the right people and of others, and how many were marked."""

    frames: int = 0
    own: int = 0
    own_marked: int = 0
    others: int = 0
    others_marked: int = 0
    swaps: int = 0
    swaps_marked: int = 0
    swaps_told: int = 0

    def told(self) -> dict[str, float]:
        """The shares."""
        marked = self.own_marked + self.others_marked
        return {
            "frames": self.frames,
            "faces": self.own,
            "of a character's faces marked as hers": round(self.own_marked / max(1, self.own), 4),
            "of other people's faces marked as hers": round(
                self.others_marked / max(1, self.others), 4
            ),
            "of faces marked as hers, hers": round(self.own_marked / max(1, marked), 4),
            "frames with two exchanged": self.swaps,
            "of them with a face marked": self.swaps_marked,
            "of them told as exchanged": self.swaps_told,
        }


def count(kept: Kept, tools: Tools, group: Group, marks: Marks, swap: bool) -> None:
    """Holds a group's frames against ``marks``; with ``swap`` also two in which both change places."""
    for one in group.shots:
        kept.frames, once = kept.frames + 1, tools.once(one)
        right = seen(one, once, group, marks, one.who).marks.values()
        kept.own += sum(mark != "unseen" for mark in right)
        kept.own_marked += sum(mark == "own" for mark in right)
        if len(one.who) == 1:  # somebody else should have been there
            other = group.people[1 - group.people.index(one.who[0])]
            wrong = seen(one, once, group, marks, [other]).marks.values()
            kept.others += sum(mark != "unseen" for mark in wrong)
            kept.others_marked += sum(mark == "own" for mark in wrong)
    for n in range(TOGETHER, TOGETHER + 2) if swap else ():
        record = group.record(n)
        turned = replace(record, people=record.people[::-1])  # moments and places stay
        one = shot(turned, group.people[::-1], n)
        found = seen(one, tools.once(one), group, marks, group.people)
        kept.swaps += 1
        kept.swaps_marked += "own" in found.marks.values()
        kept.swaps_told += any(fault.kind == "exchanged" for fault in found.faults)


def painted(runs: Sequence[Path], marks: Marks) -> dict[str, float]:
    """Of the faces in the frames of runs, who is marked as who they were painted as, or as somebody else."""
    opened = [eyes(default_service(), run, marks.recogniser) for run in find_runs(runs)]
    own: list[bool] = []
    others: list[bool] = []
    for by, other in zip(opened, opened[1:] + opened[:1], strict=True):
        found, (stranger, *_) = check(by), other.request.story.faced
        own += [mark == "own" for f in found for mark in f.found.marks.values() if mark != "unseen"]
        folder, known = RunFolder(by.request.out), other.known(stranger.name)
        for f in found:
            if len(f.found.likeness) == 1 and "unseen" not in f.found.marks.values():
                image = read_picture(folder.frame(f.index), folder.root).convert("RGB")
                masks = read_masks(folder.masks(f.index), 1, image.size, folder.root)
                heads = heads_in(
                    by.backend.segmenter, image, [by.request.story.faced[0].description]
                )
                asked = Asked([stranger.name], masks, [known], [1])
                there = inspect(image, heads, asked, by.knows, marks).marks
                others += [mark == "own" for mark in there.values()]
    share = lambda some: round(sum(some) / max(1, len(some)), 4)
    return {
        "painted faces": len(own),
        "marked as who they are": share(own),
        "held against somebody else": len(others),
        "marked as them": share(others),
    }


def write(marks: Marks) -> None:
    """Puts ``marks`` into the package's file, in place of those of the same recogniser and checkpoint."""
    file = Path(str(resources.files("identitystory") / "data" / FILE))
    known = tomllib.loads(file.read_text()).get("marks", [])
    there = [
        m for m in known if (m["recogniser"], m["weights"]) != (marks.recogniser, marks.weights)
    ]
    blocks = []
    for one in [*there, asdict(marks)]:
        lines = [f"{k} = {json.dumps(v)}" for k, v in one.items()]
        blocks.append("\n".join(["[[marks]]", *lines]) + "\n")
    file.write_text("\n".join([HEAD, *blocks]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--faces", default=OWN, help="own, or a recogniser of evaluate")
    parser.add_argument(
        "--calibrate", type=int, default=120, metavar="N", help="groups, 4 frames each"
    )
    parser.add_argument("--test", type=int, default=250, metavar="N", help="other groups")
    parser.add_argument("--begin", type=int, default=0, metavar="N", help="the first other group")
    parser.add_argument(
        "--swaps", type=int, default=100, metavar="N", help="of them, 2 frames each"
    )
    parser.add_argument("--promise", type=float, default=0.95)
    parser.add_argument("--painted", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument(
        "--scores", type=Path, help="keep the likenesses here, or take them from it"
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    checkpoint = find_checkpoint(options.model)
    segmenter = checkpoint.segmenter.open(room=Room(torch.device("cpu")))
    if options.faces == OWN:
        encoder = load_identity_encoder(checkpoint.base / "photomaker.safetensors").eval()
        with_encoder = lambda images: encoder.embed(encoder.pixels(images))
        knows: OwnEncoder | ByFaces = OwnEncoder(with_encoder)
    else:
        knows = ByFaces(load_recogniser(options.faces), options.faces)
    tools, scores = Tools(segmenter, knows), Scores()
    weights = describe_model(options.model, "cpu", "auto").fingerprint[:16]
    with torch.inference_mode():
        if options.scores and options.scores.is_file():
            scores = Scores(**json.loads(options.scores.read_text()))
        else:
            for group in groups(tools, 0, options.calibrate):
                add(scores, tools, group)
        if options.scores:
            options.scores.write_text(json.dumps(asdict(scores)))
        marks = calibrated(options.faces, weights, scores.own, scores.others, 1 - options.promise)
        short = {k: round(v, 4) for k, v in asdict(marks).items() if isinstance(v, float)}
        marks = replace(marks, **short)
        print(json.dumps({**asdict(marks), "right": marks.right, "lost": scores.lost}), flush=True)
        if options.write:
            write(marks)
        if options.painted:
            print(json.dumps(painted(options.painted, marks), indent=1), flush=True)
        kept = Kept()
        for n, group in enumerate(groups(tools, 100_000 + options.begin, options.test)):
            count(kept, tools, group, marks, swap=n < options.swaps)
            if n % 25 == 24:
                print(json.dumps(kept.told()), flush=True)
    print(json.dumps({**asdict(kept), **kept.told()}, indent=1))


if __name__ == "__main__":
    main()
