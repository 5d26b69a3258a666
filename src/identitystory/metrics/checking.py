"""Who is in one finished picture, and what is wrong with it: people counted, each held against their own.

Heads are counted, and each is the character's whose mask it lies in. A likeness to the own identity is
`marked` by thresholds that were calibrated (`conformal.Marks`). Two are exchanged where all heads
together are more alike to the identities of others; somebody is there twice where a second head is
marked as theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from . import scores
from .attributes import AttributeReader, said
from .conformal import Marks
from .heads import heads_of, square
from .likeness import Knows, likenesses
from .torso import undressed

Mark = Literal["own", "unsure", "unlike", "unseen", ""]
TRUSTED = 0.9  # of what a reader says wrong, it is told where it is right so often
# What is read off a square around one of several, as right as off somebody alone: of 80 drawn people in
# pairs .90, .94 and .95; glasses are in .81 and beards in .75.
TOGETHER = ("sex", "skin", "hair colour")
# How suspicious what was found makes a picture; "people" counts for each too many or too few.
WEIGHTS: Mapping[str, float] = {
    "missing": 3.0,
    "exchanged": 3.0,
    "people": 2.0,
    "twice": 2.0,
    "bare": 2.0,
    "unlike": 2.0,
    "words": 0.5,
}


@dataclass(frozen=True)
class Asked:
    """What a picture was to show.

    Attributes:
        cast: names; masks (s, H, W) bool of where each is, exclusive; known: (k, d) of each.
        people: how many there may be.
        prompt: of the whole picture.
        described: what is said of each of the cast.
    """

    cast: Sequence[str]
    masks: Tensor
    known: Sequence[Tensor]
    people: Sequence[int]
    prompt: str = ""
    described: Sequence[str] = ()


@dataclass(frozen=True)
class Fault:
    """Something that is wrong: one of `WEIGHTS`, who it is about, and a few words that say it."""

    kind: str
    who: str
    words: str
    weight: float


@dataclass(frozen=True)
class Inspected:
    """What was found.

    Attributes:
        people: heads; None if nobody counted.
        likeness: of each of the cast to their own identity, in [-1, 1]; None without a head.
        marks: ``own`` as calibrated, ``unlike`` where strangers are as alike, ``unsure`` between,
            ``unseen`` without a head; "" where nothing was calibrated.
        faults: the gravest first.
    """

    people: int | None
    likeness: dict[str, float | None] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @property
    def suspicion(self) -> float:
        """The faults' weights together; 0 where nothing is wrong."""
        return sum(fault.weight for fault in self.faults)

    @property
    def alike(self) -> float:
        """The mean likeness; who was not seen counts -1. 0 where nobody was to be seen."""
        values = [-1.0 if v is None else v for v in self.likeness.values()]
        return sum(values) / len(values) if values else 0.0

    @property
    def rank(self) -> tuple[float, float]:
        """What orders pictures of one scene, the best first."""
        return self.suspicion, -self.alike


def inspect(
    image: Image.Image,
    heads: Tensor | None,
    asked: Asked,
    knows: Knows | None = None,
    marks: Marks | None = None,
    reader: AttributeReader | None = None,
) -> Inspected:
    """Looks at one picture; what there is no instrument for is not looked at.

    Args:
        image: W x H.
        heads: (n, H, W) bool, everybody's (`protocols.FindsHeads`); None if nobody can tell.
        asked: who it should show, and where.
        knows: tells people apart.
        marks: its calibration for the checkpoint that painted.
        reader: reads attributes off pictures like this.
    """
    s = len(asked.cast)
    faults: list[Fault] = []
    if heads is None:
        likeness: dict[str, float | None] = dict.fromkeys(asked.cast)
        none = [name for name, mask in zip(asked.cast, asked.masks, strict=True) if not mask.any()]
        faults += [_fault("missing", name, f"{name} is not there") for name in none]
        faults += _words(image, None, [None] * s, asked, reader)
        return Inspected(None, likeness, dict.fromkeys(asked.cast, ""), _sorted(faults))
    mine = heads_of(asked.masks, heads)
    S = torch.full((len(heads), s), float("nan"), dtype=torch.float64)
    if knows is not None and len(heads) and s:
        S = likenesses(knows, image, heads, asked.known)
    likeness = {n: _number(S, h, j) for j, (n, h) in enumerate(zip(asked.cast, mine, strict=True))}
    found = {
        n: _mark(S, h, j, marks) for j, (n, h) in enumerate(zip(asked.cast, mine, strict=True))
    }
    off = max(asked.people[0] - len(heads), len(heads) - asked.people[-1], 0)
    absent = [name for name, h in zip(asked.cast, mine, strict=True) if h is None]
    faults += [_fault("missing", name, f"{name} is not there") for name in absent]
    if off > (len(absent) if len(heads) < asked.people[0] else 0):  # those were told by name
        seen = f"{len(heads) or 'nobody'} seen, {asked.people[0] or 'nobody'} meant"
        faults.append(Fault("people", "", seen, WEIGHTS["people"] * off))
    swapped = exchanged(S, mine)
    for name, j in zip(asked.cast, swapped, strict=True):
        if j is not None:
            faults.append(_fault("exchanged", name, f"{name} looks like {asked.cast[j]}"))
            found[name] = "unlike"
        elif found[name] == "unlike":
            faults.append(_fault("unlike", name, f"{name} is no more like {name} than a stranger"))
    if marks is not None:
        for j in twice(S, mine, marks.own):
            faults.append(_fault("twice", asked.cast[j], f"{asked.cast[j]} is there twice"))
    faults += _words(image, heads, mine, asked, reader)
    return Inspected(len(heads), likeness, found, _sorted(faults))


def exchanged(S: Tensor, mine: Sequence[int | None]) -> list[int | None]:
    """Of each of the cast whose identity their head has instead of their own; None where its own.

    Of those with a head, the likenesses of all together are made as large as they can be, see
    `scores.exchanged`.

    Args:
        S: (n, s) likeness of heads and identities; nan where nothing was seen.
        mine: the head of each of the cast.
    """
    result: list[int | None] = [None] * len(mine)
    there = [j for j, h in enumerate(mine) if h is not None and not S[h].isnan().any()]
    if len(there) < 2:
        return result
    alike = S[[mine[j] for j in there]][:, there]  # (r, r), heads by identities
    for row, column in enumerate(scores.exchanged(alike)):
        result[there[row]] = there[column] if column != row else None
    return result


def twice(S: Tensor, mine: Sequence[int | None], own: float) -> list[int]:
    """Those of the cast as whom a head of somebody else or of nobody is marked, which is nearest to them."""
    others = [h for h in range(len(S)) if not S[h].isnan().any()]
    return [
        j
        for j, h in enumerate(mine)
        if h is not None
        and any(
            o != h and S[o, j] >= own and S[o].argmax() == j and S[h].argmax() == j for o in others
        )
    ]


def _mark(S: Tensor, h: int | None, j: int, marks: Marks | None) -> Mark:
    """The mark of somebody whose head is ``h`` and whose identity is ``j``."""
    if h is None:
        return "unseen"
    value = float(S[h, j])
    if marks is None or value != value:
        return ""
    if value >= marks.own and int(S[h].argmax()) == j:
        return "own"
    return "unlike" if value < marks.unlike else "unsure"


def _number(S: Tensor, h: int | None, j: int) -> float | None:
    value = float("nan") if h is None else float(S[h, j])
    return None if value != value else round(value, 4)


def _words(
    image: Image.Image,
    heads: Tensor | None,
    mine: Sequence[int | None],
    asked: Asked,
    reader: AttributeReader | None,
) -> list[Fault]:
    """What a reader sees that is not what was said, and who is not dressed, each as in `undressed`."""
    if reader is None:
        return []
    s, faults = len(asked.cast), []
    wrong = _misread(reader, image, asked.prompt, reader.accuracy if s == 1 else reader.scene)
    alone = s == 1 and (heads is None or len(heads) == 1)
    for name in (asked.cast[j] for j in undressed(reader, image, asked.masks, heads)):
        faults.append(_fault("bare", name, f"{name} seems to wear nothing"))
    faults += [_fault("words", asked.cast[0] if alone else "", told) for told in wrong]
    if s < 2 or heads is None:
        return faults
    for name, h, words in zip(asked.cast, mine, asked.described, strict=True):
        if h is not None:
            read = _misread(reader, square(image, heads[h]), words, TOGETHER)
            faults += [_fault("words", name, f"{name}: {told}") for told in read]
    return faults


def _misread(
    reader: AttributeReader, image: Image.Image, prompt: str, of: Collection[str]
) -> list[str]:
    """``hair colour black, not red`` for each attribute ``of`` those that is said, trusted, and shown otherwise."""
    wanted = {
        k: v
        for k, v in said(prompt, reader.phrases).items()
        if k in of and reader.accuracy.get(k, 0) >= TRUSTED
    }
    if not wanted:
        return []
    shown = reader.read(image)
    return [
        f"{k} {shown[k]}, not {' or '.join(sorted(v))}"
        for k, v in wanted.items()
        if shown[k] not in v
    ]


def _fault(kind: str, who: str, words: str) -> Fault:
    return Fault(kind, who, words, WEIGHTS[kind])


def _sorted(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: -fault.weight))
