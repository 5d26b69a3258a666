"""From pictures to a table: look at every story once, then score any group of stories.

A score of one story is the mean over its pictures, or over the pairs of each of its characters; a
score of a group is the mean of its stories' scores, so that every story weighs the same. ``auc``
and the similarity of different characters need several characters and pool the pairs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocols import FaceRecogniser
from . import scores
from .evidence import Instruments, Evidence
from .intervals import SAMPLES, Statistic, bootstrap, mean_of


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


Measure = Callable[[Evidence, FaceRecogniser | None], float]


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else float("nan")


def _each(who: Sequence[str], measure: Callable[[Tensor], tuple[float, int]]) -> float:
    """The mean over all pairs of all characters: (mean, pairs) a character, weighted by pairs."""
    total, count = 0.0, 0
    for identity in dict.fromkeys(who):
        rows = torch.tensor([k for k, w in enumerate(who) if w == identity])
        value, pairs = measure(rows)
        if pairs:
            total, count = total + value * pairs, count + pairs
    return total / count if count else float("nan")


def _pairs(n: int) -> int:
    return n * (n - 1) // 2


def _clip_i(seen: Evidence, _: FaceRecogniser | None) -> float:
    return _each(seen.crop_who, lambda rows: (scores.clip_i(seen.crops[rows]), _pairs(len(rows))))


def _face_sim(seen: Evidence, recogniser: FaceRecogniser | None) -> float:
    def of_one(rows: Tensor) -> tuple[float, int]:
        faces = seen.faces[rows]
        return scores.face_sim(_similarity(recogniser, faces)), _pairs(len(rows))

    return _each(seen.face_who, of_one)


def _face_sim_strict(seen: Evidence, recogniser: FaceRecogniser | None) -> float:
    total, count = 0.0, 0
    for identity, wanted in seen.wanted.items():
        rows = [k for k, w in enumerate(seen.face_who) if w == identity]
        value = scores.face_sim_strict(_similarity(recogniser, seen.faces[rows]), wanted)
        if wanted > 1:
            total, count = total + value * _pairs(wanted), count + _pairs(wanted)
    return total / count if count else float("nan")


def _diversity(seen: Evidence, _: FaceRecogniser | None) -> float:
    return _each(
        seen.face_who, lambda rows: (scores.diversity(seen.chips[rows]), _pairs(len(rows)))
    )


def _detection(seen: Evidence, _: FaceRecogniser | None) -> float:
    return scores.detection(len(seen.face_who), sum(seen.wanted.values()))


def _found(seen: Evidence, _: FaceRecogniser | None) -> float:
    return scores.detection(len(seen.crop_who), sum(seen.wanted.values()))


def _crowds(seen: Evidence, _: FaceRecogniser | None) -> float:
    return _mean(torch.tensor(seen.crowds, dtype=torch.float64))


def _nearest_own(seen: Evidence, recogniser: FaceRecogniser | None) -> float:
    similarity = _similarity(recogniser, seen.faces)
    return _mean(scores.nearest_own(similarity, seen.face_who, seen.face_frame))


def _attributes(seen: Evidence, _: FaceRecogniser | None) -> float:
    right = [float(v) for verdict in seen.verdicts for v in verdict.values()]
    return _mean(torch.tensor(right, dtype=torch.float64))


def _similarity(recogniser: FaceRecogniser | None, faces: Tensor) -> Tensor:
    if recogniser is None or not len(faces):
        return torch.zeros(len(faces), len(faces), dtype=torch.float64)
    return recogniser.similarity(faces, faces)


CLIP: Mapping[str, Measure] = {
    "CLIP-T": lambda seen, _: _mean(seen.clip_t),
    "CLIP-T-C": lambda seen, _: _mean(seen.clip_t_c),
    "CLIP-I": _clip_i,
    "segmented": _found,
}
FACES: Mapping[str, Measure] = {
    "Face-Sim": _face_sim,
    "Face-Sim strict": _face_sim_strict,
    "face detection": _detection,
    "face diversity": _diversity,
    "all faces of a crowd": _crowds,
    "nearest to own": _nearest_own,
}
ACROSS = ("Face-Sim different", "AUC", "Face-Sim different alike", "AUC alike")
QUALITY: Mapping[str, Measure] = {
    "Q-Align-Aes": lambda seen, _: _mean(seen.aesthetic),
    "Q-Align-Gen": lambda seen, _: _mean(seen.quality),
}


def instrument_of(measure: str) -> str:
    """What a measure is read with: masks, CLIP, faces, attributes or Q-Align."""
    if measure == "segmented":
        return "masks"
    for instrument, names in (("CLIP", CLIP), ("Q-Align", QUALITY), ("faces", {*FACES, *ACROSS})):
        if measure in names:
            return instrument
    return measure


def score(
    seen: Sequence[Evidence], instruments: Instruments, *, samples: int = SAMPLES
) -> list[Score]:
    """Every score of a group of stories, with its interval; in the table's order."""
    recogniser = instruments.recogniser
    measures: dict[str, Measure] = {}
    if instruments.encoder is not None:
        measures |= CLIP
    if instruments.reader is not None:
        measures["attributes"] = _attributes
    table = [_score(name, measure, seen, recogniser, samples) for name, measure in measures.items()]
    if recogniser is not None:
        table += [_score(name, m, seen, recogniser, samples) for name, m in FACES.items()]
        table += _across(seen, recogniser, samples)
    if instruments.judge is not None:
        table += [_score(name, m, seen, recogniser, samples) for name, m in QUALITY.items()]
    return table


def attribute_scores(seen: Sequence[Evidence], *, samples: int = SAMPLES) -> list[Score]:
    """How often each attribute that a prompt says was read off its picture."""
    names = dict.fromkeys(name for s in seen for verdict in s.verdicts for name in verdict)

    def of(name: str) -> Measure:
        return lambda s, _: _mean(
            torch.tensor([float(v[name]) for v in s.verdicts if name in v], dtype=torch.float64)
        )

    return [_score(name, of(name), seen, None, samples) for name in names]


def _score(
    name: str,
    measure: Measure,
    seen: Sequence[Evidence],
    recogniser: FaceRecogniser | None,
    samples: int,
) -> Score:
    values = torch.tensor([measure(s, recogniser) for s in seen], dtype=torch.float64)
    there = ~values.isnan()
    known = values[there]
    origins = [
        o for o, known_here in zip(_origins(seen), there.tolist(), strict=True) if known_here
    ]
    interval = bootstrap(mean_of(known), origins, samples=samples)
    low, high = interval or (None, None)
    return Score(name, _mean(known), low, high, len(known))


def _origins(seen: Sequence[Evidence]) -> list[str]:
    return [s.story.origin or s.story.name for s in seen]


def _across(seen: Sequence[Evidence], recogniser: FaceRecogniser, samples: int) -> list[Score]:
    """Similarity of different characters and ``auc``, over everybody and within one description."""
    filled = [s for s in seen if len(s.faces)]
    if not filled:
        return [Score(name, float("nan"), None, None, 0) for name in ACROSS]
    words = [w.casefold() for s in filled for w in s.face_words]
    similarity = _similarity(recogniser, torch.cat([s.faces for s in filled]))
    statistics = (*pooled(similarity, filled), *pooled(similarity, filled, words))
    made = []
    for name, statistic in zip(ACROSS, statistics, strict=True):
        value = statistic(torch.ones(len(filled), dtype=torch.float64))
        known = value == value  # not nan
        interval = bootstrap(statistic, _origins(filled), samples=samples) if known else None
        low, high = interval or (None, None)
        made.append(Score(name, value, low, high, len(filled) if known else 0))
    return made


def pooled(
    similarity: Tensor, seen: Sequence[Evidence], words: Sequence[str] | None = None
) -> tuple[Statistic, Statistic]:
    """The mean similarity of different characters, and ``auc``, as functions of the stories' weights.

    A pair within a story, or within two of one origin, counts as often as the story; one across two
    stories as often as both together, and never between a story and itself drawn again. With
    ``words``, the description of
    each face, only different characters of one description are compared, with their own pairs.
    """
    who = [w for s in seen for w in s.face_who]
    story = torch.tensor([k for k, s in enumerate(seen) for _ in s.face_who])
    other, i, j = scores.different(similarity, who, words)
    order = other.argsort()  # once, for all drawings
    other, left, right = other[order], story[i[order]], story[j[order]]
    same, owner = scores.same(similarity, who, story)
    if words is not None:
        compared = {who[k] for k in torch.cat([i, j]).unique().tolist()}
        chosen = torch.tensor([who[k] in compared for k in owner.tolist()], dtype=torch.bool)
        same, owner = same[chosen], owner[chosen]
    home = story[owner]
    numbers = {origin: n for n, origin in enumerate(dict.fromkeys(_origins(seen)))}
    origin = torch.tensor([numbers[o] for o in _origins(seen)])
    within = origin[left] == origin[right]

    def counted(w: Tensor) -> Tensor:
        return torch.where(within, w[left], w[left] * w[right])

    def mean(w: Tensor) -> float:
        weights = counted(w)
        total = float(weights.sum())
        return float((weights * other).sum()) / total if total else float("nan")

    def area(w: Tensor) -> float:
        return scores.auc(same, other, w[home], counted(w))

    return mean, area
