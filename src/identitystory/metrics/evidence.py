"""What the instruments see in the pictures of one story; the measures are computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..masks import clean
from ..protocols import FaceRecogniser, FindsHeads, PictureEncoder, QualityJudge, Segmenter
from . import scores
from .attributes import AttributeReader
from .faces import match

GREY = (127, 127, 127)
CUT = "cut out along its mask onto grey, in a square around the mask"


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
    """One finished picture: its file, prompt T_i, cast, and the run's masks (s, H, W) bool.

    ``turn`` are the angles, yaw and so on in degrees, that the one who is alone in it should have;
    ``people`` how many there may be, as many as its cast if it is empty.
    """

    file: Path
    prompt: str
    cast: tuple[Member, ...]
    masks: Tensor
    turn: Mapping[str, float] = field(default_factory=dict)
    people: Sequence[int] = ()


@dataclass(frozen=True)
class MeasuredStory:
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

    @property
    def there(self) -> set[str]:
        """The names, as measures have them; characters are cut out by masks for CLIP alone."""
        names = {
            "pictures": self,
            "CLIP": self.encoder,
            "masks": self.encoder,
            "faces": self.recogniser,
            "heads": self.segmenter if isinstance(self.segmenter, FindsHeads) else None,
            "attributes": self.reader,
            "Q-Align": self.judge,
        }
        return {name for name, instrument in names.items() if instrument is not None}


@dataclass
class Evidence:
    """A story after looking: everything that the scores are made of.

    Attributes:
        story: the story.
        clip_t: (n,) a picture. clip_t_c: (c,) a segmented character.
        crops: (c, d) CLIP's vectors of segmented characters; crop_who: the identity of each.
        faces: (f, d) embeddings; face_who, face_words, face_frame: identity, description and
            frame of each; chips: (f, h, w).
        wanted: identity -> pictures that should show it.
        crowds: of the pictures with several characters, whether all their faces were found.
        everybody: of each picture (n, d), the embeddings of all faces in it, whoever's.
        counted: of each picture, whether as many heads are in it as there may be people.
        verdicts: one mapping a picture, what was read right.
        turns: one mapping a picture with a ``turn``, by how many degrees each angle is off.
        aesthetic, quality: (n,).
    """

    story: MeasuredStory
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
    everybody: list[Tensor] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    verdicts: list[dict[str, bool]] = field(default_factory=list)
    turns: list[dict[str, float]] = field(default_factory=list)
    aesthetic: Tensor = field(default_factory=lambda: torch.zeros(0))
    quality: Tensor = field(default_factory=lambda: torch.zeros(0))


Rates = tuple[Tensor, Tensor]  # (n,) aesthetic and (n,) general quality of a story's pictures


def rate(stories: Sequence[MeasuredStory], judge: QualityJudge) -> list[Rates]:
    """Each story's rates, all asked for in one call: a judge may load 16 GB to answer it."""
    aesthetic, quality = judge.rate([p.file for story in stories for p in story.pictures])
    counts = [len(story.pictures) for story in stories]
    return list(zip(aesthetic.split(counts), quality.split(counts), strict=True))


def look(story: MeasuredStory, instruments: Instruments, rates: Rates | None = None) -> Evidence:
    """Looks at every picture of a story with every instrument but the judge, who gave ``rates``."""
    evidence = Evidence(story)
    images = [Image.open(p.file).convert("RGB") for p in story.pictures]
    for picture in story.pictures:
        for member in picture.cast:
            evidence.wanted[member.identity] = evidence.wanted.get(member.identity, 0) + 1
    masks = [
        _masks(instruments.segmenter, image, picture)
        for image, picture in zip(images, story.pictures, strict=True)
    ]
    if isinstance(instruments.segmenter, FindsHeads):
        for image, picture in zip(images, story.pictures, strict=True):
            heads = instruments.segmenter.heads(image, [m.description for m in picture.cast])
            evidence.counted.append(len(heads) in (picture.people or [len(picture.cast)]))
    if instruments.encoder is not None:
        _look_with_clip(evidence, images, masks, instruments.encoder)
    if instruments.recogniser is not None:
        _look_for_faces(evidence, images, masks, instruments.recogniser)
    if instruments.reader is not None:
        for image, picture in zip(images, story.pictures, strict=True):
            people = len(picture.cast)
            evidence.verdicts.append(instruments.reader.verdicts(image, picture.prompt, people))
            if picture.turn:
                read = instruments.reader.turns(image)
                off = {k: abs(read[k] - v) for k, v in picture.turn.items() if k in read}
                evidence.turns.append(off)
    if rates is not None:
        evidence.aesthetic, evidence.quality = rates
    return evidence


def _masks(segmenter: Segmenter | None, image: Image.Image, picture: Picture) -> Tensor:
    """(s, H, W) bool, exclusive, in cast order; see ``Instruments``."""
    if segmenter is None or not picture.cast:
        return picture.masks
    found = segmenter.segment(image, [member.description for member in picture.cast])
    return clean(found.masks.cpu().bool())


def _look_with_clip(
    evidence: Evidence, images: list[Image.Image], masks: list[Tensor], encoder: PictureEncoder
) -> None:
    pictures = evidence.story.pictures
    prompts = encoder.texts([p.prompt for p in pictures])
    evidence.clip_t = scores.clip_t(encoder.pictures(images), prompts)
    crops, words = [], []
    for image, picture, M in zip(images, pictures, masks, strict=True):
        for member, mask in zip(picture.cast, M, strict=True):
            crop = cut_out(image, mask)
            if crop is not None:
                crops.append(crop)
                words.append(member.description)
                evidence.crop_who.append(member.identity)
    evidence.crops = encoder.pictures(crops)
    evidence.clip_t_c = scores.clip_t(evidence.crops, encoder.texts(words))


def _look_for_faces(
    evidence: Evidence, images: list[Image.Image], masks: list[Tensor], recogniser: FaceRecogniser
) -> None:
    embeddings, chips = [], []
    looked_at = zip(images, evidence.story.pictures, masks, strict=True)
    for frame, (image, picture, M) in enumerate(looked_at):
        faces = recogniser.faces(image)
        found = match(faces, M)
        evidence.everybody.append(
            torch.stack([f.embedding for f in faces]) if faces else torch.zeros(0, 1)
        )
        if len(found) > 1:
            evidence.crowds.append(all(face is not None for face in found))
        for member, face in zip(picture.cast, found, strict=True):
            if face is not None:
                embeddings.append(face.embedding)
                chips.append(face.chip)
                evidence.face_who.append(member.identity)
                evidence.face_words.append(member.description)
                evidence.face_frame.append(frame)
    if embeddings:
        evidence.faces, evidence.chips = torch.stack(embeddings), torch.stack(chips)


def cut_out(image: Image.Image, mask: Tensor) -> Image.Image | None:
    """The masked part of ``image`` on grey, in the smallest square around it; None if it is empty.

    The paper says only that characters are segmented. Grey hides the background, which is the
    scene's and not the character's; the square keeps proportions where an encoder takes squares.

    Args:
        image: W x H.
        mask: (H, W) bool.
    """
    inside = mask.cpu().numpy()
    if not inside.any():
        return None
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pixels = np.where(inside[..., None], np.asarray(image.convert("RGB")), np.array(GREY, np.uint8))
    part = Image.fromarray(pixels[top:bottom, left:right])
    side = max(part.size)
    page = Image.new("RGB", (side, side), GREY)
    page.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return page
