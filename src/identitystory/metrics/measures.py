"""The table of measures, and the scores of any group of stories by it.

A score of one story is the mean over its pictures, or over the pairs of each of its characters; a
score of a group is the mean of its stories' scores, so that every story weighs the same. ``auc``
and the similarity of different characters need several characters and pool the pairs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..extensions import Registry
from . import pooling, scores
from .evidence import Evidence, Instruments
from .intervals import SAMPLES, bootstrap, mean_of
from .pooling import Pool, similarity

Of = Callable[[Evidence, Instruments], float]


@dataclass(frozen=True)
class Measure:
    """A row of the table of measures; all that is shown, opened and chosen follows from it.

    Attributes:
        name: in every table.
        instrument: see `Instruments.there`; ``pictures`` are always there, in ``Evidence.story``.
        unit: ``%`` is a share, which the terminal shows in percent; ``0-1``, ``1-5`` and ``°`` are
            shown as they are.
        better: ``more``, ``less``, or "" where neither is better by itself.
        of: its value for one story; nan where nothing could be measured.
        pool: instead of ``of``, its value over several stories that have faces, as a function of
            how often each counts.
        among: with ``pool``, which of several stories take part.
    """

    name: str
    instrument: str
    unit: str = "%"
    better: str = "more"
    of: Of = lambda evidence, instruments: float("nan")
    pool: Pool | None = None
    among: Callable[[Sequence[Evidence]], list[Evidence]] = pooling.with_faces

    @property
    def label(self) -> str:
        """The name with its unit, if that is not percent, and an arrow to where it is better."""
        unit = "" if self.unit == "%" else f" ({self.unit})"
        return self.name + unit + {"more": " ↑", "less": " ↓"}.get(self.better, "")


@dataclass(frozen=True)
class Score:
    """One number of the table.

    Attributes:
        name: of the measure.
        value: nan where nothing could be measured.
        low, high: of its 95 % interval over stories, or None.
        stories: how many stories it was measured on.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    stories: int


def _mean(values: Tensor | Sequence[bool]) -> float:
    values = torch.as_tensor(values).double()
    return float(values.mean()) if len(values) else float("nan")


def _over_pairs(values: Iterable[tuple[float, int]]) -> float:
    """The mean of characters' values, each of so many pictures and weighing as their pairs."""
    known = [(value, n * (n - 1) // 2) for value, n in values if n > 1]
    total = sum(pairs for _, pairs in known)
    return sum(value * pairs for value, pairs in known) / total if total else float("nan")


def _of(identity: str, who: Sequence[str]) -> Tensor:
    return torch.tensor([k for k, w in enumerate(who) if w == identity], dtype=torch.long)


def _each(who: Sequence[str], measure: Callable[[Tensor], float]) -> float:
    """The mean over all pairs of all characters: ``measure`` takes the rows of one."""
    rows = [_of(identity, who) for identity in dict.fromkeys(who)]
    return _over_pairs((measure(some), len(some)) for some in rows)


def _face_sim(e: Evidence, instruments: Instruments) -> float:
    of_one = lambda rows: scores.face_sim(similarity(e.faces[rows], instruments))
    return _each(e.face_who, of_one)


def _face_sim_strict(e: Evidence, instruments: Instruments) -> float:
    of_one = lambda identity: similarity(e.faces[_of(identity, e.face_who)], instruments)
    return _over_pairs(
        (scores.face_sim_strict(of_one(identity), wanted), wanted)
        for identity, wanted in e.wanted.items()
    )


def _nearest_own(e: Evidence, instruments: Instruments) -> float:
    return _mean(scores.nearest_own(similarity(e.faces, instruments), e.face_who, e.face_frame))


def _exchanged(e: Evidence, instruments: Instruments) -> float:
    return _mean(scores.exchanges(similarity(e.faces, instruments), e.face_who, e.face_frame))


def _twice(e: Evidence, instruments: Instruments) -> float:
    usual = _face_sim(e, instruments)  # then two faces of one picture are one character's, too
    alike = [similarity(faces, instruments) >= usual for faces in e.everybody if len(faces)]
    return _mean([bool(pairs.triu(1).any()) for pairs in alike]) if usual == usual else usual


def _off(angle: str, e: Evidence) -> float:
    return _mean(torch.tensor([turn[angle] for turn in e.turns if angle in turn]))


def _found(who: Sequence[str], e: Evidence) -> float:
    return scores.detection(len(who), sum(e.wanted.values()))


MEASURES = (
    Measure("CLIP-T", "CLIP", of=lambda e, _: _mean(e.clip_t)),
    Measure("CLIP-T-C", "CLIP", of=lambda e, _: _mean(e.clip_t_c)),
    Measure(
        "CLIP-I", "CLIP", of=lambda e, _: _each(e.crop_who, lambda k: scores.clip_i(e.crops[k]))
    ),
    Measure("segmented", "masks", better="", of=lambda e, _: _found(e.crop_who, e)),
    Measure(
        "attributes",
        "attributes",
        of=lambda e, _: _mean([v for p in e.verdicts for v in p.values()]),
    ),
    Measure("yaw error", "attributes", "°", "less", of=lambda e, _: _off("yaw", e)),
    Measure("pitch error", "attributes", "°", "less", of=lambda e, _: _off("pitch", e)),
    Measure("Face-Sim", "faces", of=_face_sim),
    Measure("Face-Sim strict", "faces", of=_face_sim_strict),
    Measure("face detection", "faces", of=lambda e, _: _found(e.face_who, e)),
    Measure(
        "face diversity",
        "faces",
        better="",
        of=lambda e, _: _each(e.face_who, lambda k: scores.diversity(e.chips[k])),
    ),
    Measure("all faces of a crowd", "faces", of=lambda e, _: _mean(e.crowds)),
    Measure("nearest to own", "faces", of=_nearest_own),
    Measure("people counted", "heads", of=lambda e, _: _mean(e.counted)),
    Measure("exchanged", "faces", better="less", of=_exchanged),
    Measure("twice", "faces", better="less", of=_twice),
    Measure("Face-Sim different", "faces", better="less", pool=pooling.different),
    Measure("AUC", "faces", "0-1", pool=pooling.auc),
    Measure(
        "Face-Sim different alike",
        "faces",
        better="less",
        pool=pooling.different_alike,
        among=pooling.with_doubles,
    ),
    Measure("AUC alike", "faces", "0-1", pool=pooling.auc_alike, among=pooling.with_doubles),
    Measure("Q-Align-Aes", "Q-Align", "1-5", of=lambda e, _: _mean(e.aesthetic)),
    Measure("Q-Align-Gen", "Q-Align", "1-5", of=lambda e, _: _mean(e.quality)),
)


REGISTRY = Registry(
    "measure",
    "identitystory.measures",
    {measure.name: measure for measure in MEASURES},
    needs=("name", "instrument", "unit", "better", "of", "pool", "among"),
)


def measures() -> Mapping[str, Measure]:
    """Every measure there is, by name, in the order of the tables; other packages' come last."""
    return {**REGISTRY.own, **REGISTRY.others()}


def described(name: str) -> Measure:
    """The row of a measure; for any other number a share, of which more is better."""
    return measures().get(name) or Measure(name, name)


def chosen_measures(text: str) -> tuple[str, ...]:
    """The measures of ``all`` or ``a,b,c``, each once.

    Raises:
        ConfigError: one does not exist; says which there are.
    """
    names = REGISTRY.names() if text == "all" else [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(map(REGISTRY.check, names)))


def score(
    evidence: Sequence[Evidence],
    instruments: Instruments,
    *,
    samples: int = SAMPLES,
    only: Sequence[str] = (),
) -> list[Score]:
    """Every score of a group of stories, with its interval; in the table's order.

    Args:
        evidence: of the stories.
        instruments: that they were looked at with; what is not among them is not measured.
        samples: drawings of the bootstrap.
        only: names of measures; all that can be measured if empty.
    """
    return [
        _score(measure, evidence, instruments, samples)
        for measure in measures().values()
        if measure.instrument in instruments.there and (not only or measure.name in only)
    ]


def attribute_scores(evidence: Sequence[Evidence], *, samples: int = SAMPLES) -> list[Score]:
    """How often each attribute that a prompt says was read off its picture."""
    names = dict.fromkeys(name for e in evidence for verdict in e.verdicts for name in verdict)
    of = lambda name: lambda e, _: _mean([v[name] for v in e.verdicts if name in v])
    rows = [Measure(name, "attributes", of=of(name)) for name in names]
    return [_score(row, evidence, Instruments(), samples) for row in rows]


def _score(
    measure: Measure, evidence: Sequence[Evidence], instruments: Instruments, samples: int
) -> Score:
    """The value over the stories that have one, and its interval."""
    if measure.pool is not None:
        there = measure.among(evidence)
        statistic = measure.pool(there, instruments) if there else mean_of(torch.zeros(0))
    else:
        values = [measure.of(e, instruments) for e in evidence]
        there = [e for e, value in zip(evidence, values, strict=True) if value == value]  # not nan
        known = torch.tensor(values, dtype=torch.float64)
        statistic = mean_of(known[~known.isnan()])
    value = statistic(torch.ones(len(there), dtype=torch.float64))
    if value != value:
        return Score(measure.name, value, None, None, 0)
    low, high = bootstrap(statistic, pooling.origins(there), samples=samples) or (None, None)
    return Score(measure.name, value, low, high, len(there))
