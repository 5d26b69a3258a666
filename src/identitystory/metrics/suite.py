"""From pictures to a table: look at every story once, then score any group of stories.

A score of one story is the mean over its pictures, or over the pairs of each of its characters; a
score of a group is the mean of its stories' scores, so that every story weighs the same. ``auc``
and the similarity of different characters need several characters and pool the pairs instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..masks import clean
from ..protocols import FaceRecogniser, PictureEncoder, QualityJudge, Segmenter
from . import scores
from .attributes import AttributeReader
from .crops import cut_out
from .faces import match
from .intervals import SAMPLES, Statistic, bootstrap, mean_of


@dataclass(frozen=True)
class Member:
    """Somebody who should be in a picture.

    Attributes:
        name: within the story.
        description: c_j; people of one description are the hard case of ``auc alike``.
        identity: who it is across stories: equal only for one and the same character.
    """

    name: str
    description: str
    identity: str


@dataclass(frozen=True)
class Picture:
    """One finished picture: its file, prompt T_i, cast, and the run's masks (s, H, W) bool."""

    file: Path
    prompt: str
    cast: tuple[Member, ...]
    masks: Tensor


@dataclass(frozen=True)
class Told:
    """A finished story.

    Attributes:
        name: of its run.
        pictures: those that are there.
        people: how many characters it has.
        origin: the same for runs that tell the same scenes of the same descriptions, whatever their
            seed; they count as one story in intervals. "" is a story of its own.
    """

    name: str
    pictures: tuple[Picture, ...]
    people: int
    origin: str = ""


@dataclass(frozen=True)
class Instruments:
    """What to measure with; what is None is not measured.

    The segmenter looks for the characters in every finished picture. IdentityStory's own masks are
    its template's, widened where so configured; other methods' are their pictures'. Without it the
    masks are those of the runs.
    """

    encoder: PictureEncoder | None = None
    recogniser: FaceRecogniser | None = None
    reader: AttributeReader | None = None
    judge: QualityJudge | None = None
    segmenter: Segmenter | None = None


@dataclass
class Seen:
    """A story after looking: everything that the scores are made of.

    Attributes:
        told: the story.
        clip_t: (n,) a picture. clip_t_c: (c,) a segmented character.
        crops: (c, d) CLIP's vectors of segmented characters; crop_who: the identity of each.
        faces: (f, d) embeddings; face_who, face_words, face_frame: identity, description and
            frame of each; chips: (f, h, w).
        wanted: identity -> pictures that should show it.
        crowds: of the pictures with several characters, whether all their faces were found.
        verdicts: one mapping a picture, what was read right.
        aesthetic, quality: (n,).
    """

    told: Told
    clip_t: Tensor = field(default_factory=lambda: torch.zeros(0))
    clip_t_c: Tensor = field(default_factory=lambda: torch.zeros(0))
    crops: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    crop_who: list[str] = field(default_factory=list)
    faces: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    face_who: list[str] = field(default_factory=list)
    face_words: list[str] = field(default_factory=list)
    face_frame: list[int] = field(default_factory=list)
    chips: Tensor = field(default_factory=lambda: torch.zeros(0, 1, 1))
    wanted: dict[str, int] = field(default_factory=dict)
    crowds: list[bool] = field(default_factory=list)
    verdicts: list[dict[str, bool]] = field(default_factory=list)
    aesthetic: Tensor = field(default_factory=lambda: torch.zeros(0))
    quality: Tensor = field(default_factory=lambda: torch.zeros(0))


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


Rates = tuple[Tensor, Tensor]  # (n,) aesthetic and (n,) general quality of a story's pictures


def rate(told: Sequence[Told], judge: QualityJudge) -> list[Rates]:
    """Each story's rates, all asked for in one call: a judge may load 16 GB to answer it."""
    aesthetic, quality = judge.rate([p.file for story in told for p in story.pictures])
    counts = [len(story.pictures) for story in told]
    return list(zip(aesthetic.split(counts), quality.split(counts), strict=True))


def look(told: Told, instruments: Instruments, rates: Rates | None = None) -> Seen:
    """Looks at every picture of a story with every instrument but the judge, who gave ``rates``."""
    seen = Seen(told)
    images = [Image.open(p.file).convert("RGB") for p in told.pictures]
    for picture in told.pictures:
        for member in picture.cast:
            seen.wanted[member.identity] = seen.wanted.get(member.identity, 0) + 1
    masks = [
        _masks(instruments.segmenter, image, picture)
        for image, picture in zip(images, told.pictures, strict=True)
    ]
    if instruments.encoder is not None:
        _look_with_clip(seen, images, masks, instruments.encoder)
    if instruments.recogniser is not None:
        _look_for_faces(seen, images, masks, instruments.recogniser)
    if instruments.reader is not None:
        for image, picture in zip(images, told.pictures, strict=True):
            people = len(picture.cast)
            seen.verdicts.append(instruments.reader.verdicts(image, picture.prompt, people))
    if rates is not None:
        seen.aesthetic, seen.quality = rates
    return seen


def _masks(segmenter: Segmenter | None, image: Image.Image, picture: Picture) -> Tensor:
    """(s, H, W) bool, exclusive, in cast order; see ``Instruments``."""
    if segmenter is None or not picture.cast:
        return picture.masks
    found = segmenter.segment(image, [member.description for member in picture.cast])
    return clean(found.masks.cpu().bool())


def _look_with_clip(
    seen: Seen, images: list[Image.Image], masks: list[Tensor], encoder: PictureEncoder
) -> None:
    pictures = seen.told.pictures
    prompts = encoder.texts([p.prompt for p in pictures])
    seen.clip_t = scores.clip_t(encoder.pictures(images), prompts)
    crops, words = [], []
    for image, picture, M in zip(images, pictures, masks, strict=True):
        for member, mask in zip(picture.cast, M, strict=True):
            crop = cut_out(image, mask)
            if crop is not None:
                crops.append(crop)
                words.append(member.description)
                seen.crop_who.append(member.identity)
    seen.crops = encoder.pictures(crops)
    seen.clip_t_c = scores.clip_t(seen.crops, encoder.texts(words))


def _look_for_faces(
    seen: Seen, images: list[Image.Image], masks: list[Tensor], recogniser: FaceRecogniser
) -> None:
    embeddings, chips = [], []
    looked_at = zip(images, seen.told.pictures, masks, strict=True)
    for frame, (image, picture, M) in enumerate(looked_at):
        found = match(recogniser.faces(image), M)
        if len(found) > 1:
            seen.crowds.append(all(face is not None for face in found))
        for member, face in zip(picture.cast, found, strict=True):
            if face is not None:
                embeddings.append(face.embedding)
                chips.append(face.chip)
                seen.face_who.append(member.identity)
                seen.face_words.append(member.description)
                seen.face_frame.append(frame)
    if embeddings:
        seen.faces, seen.chips = torch.stack(embeddings), torch.stack(chips)


Measure = Callable[[Seen, FaceRecogniser | None], float]


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


def _clip_i(seen: Seen, _: FaceRecogniser | None) -> float:
    return _each(seen.crop_who, lambda rows: (scores.clip_i(seen.crops[rows]), _pairs(len(rows))))


def _face_sim(seen: Seen, recogniser: FaceRecogniser | None) -> float:
    def of_one(rows: Tensor) -> tuple[float, int]:
        faces = seen.faces[rows]
        return scores.face_sim(_similarity(recogniser, faces)), _pairs(len(rows))

    return _each(seen.face_who, of_one)


def _face_sim_strict(seen: Seen, recogniser: FaceRecogniser | None) -> float:
    total, count = 0.0, 0
    for identity, wanted in seen.wanted.items():
        rows = [k for k, w in enumerate(seen.face_who) if w == identity]
        value = scores.face_sim_strict(_similarity(recogniser, seen.faces[rows]), wanted)
        if wanted > 1:
            total, count = total + value * _pairs(wanted), count + _pairs(wanted)
    return total / count if count else float("nan")


def _diversity(seen: Seen, _: FaceRecogniser | None) -> float:
    return _each(
        seen.face_who, lambda rows: (scores.diversity(seen.chips[rows]), _pairs(len(rows)))
    )


def _detection(seen: Seen, _: FaceRecogniser | None) -> float:
    return scores.detection(len(seen.face_who), sum(seen.wanted.values()))


def _found(seen: Seen, _: FaceRecogniser | None) -> float:
    return scores.detection(len(seen.crop_who), sum(seen.wanted.values()))


def _crowds(seen: Seen, _: FaceRecogniser | None) -> float:
    return _mean(torch.tensor(seen.crowds, dtype=torch.float64))


def _nearest_own(seen: Seen, recogniser: FaceRecogniser | None) -> float:
    similarity = _similarity(recogniser, seen.faces)
    return _mean(scores.nearest_own(similarity, seen.face_who, seen.face_frame))


def _attributes(seen: Seen, _: FaceRecogniser | None) -> float:
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


def score(seen: Sequence[Seen], instruments: Instruments, *, samples: int = SAMPLES) -> list[Score]:
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


def attribute_scores(seen: Sequence[Seen], *, samples: int = SAMPLES) -> list[Score]:
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
    seen: Sequence[Seen],
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


def _origins(seen: Sequence[Seen]) -> list[str]:
    return [s.told.origin or s.told.name for s in seen]


def _across(seen: Sequence[Seen], recogniser: FaceRecogniser, samples: int) -> list[Score]:
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
    similarity: Tensor, seen: Sequence[Seen], words: Sequence[str] | None = None
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
