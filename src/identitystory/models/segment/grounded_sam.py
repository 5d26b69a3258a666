"""Grounding DINO + SAM as a ``Segmenter``: boxes by phrase, one a character, masks from boxes.

The paper's segmenter. All phrases of a picture go into one caption. A box can be a phrase's only if
the tokens of its noun reach the threshold there, so that hair or a coat is not taken for the person;
whose it is the mean probability of all of the phrase's tokens decides, so that hair and age count.
Boxes are given out by the largest total score (Sec. 3.2 leaves open whose mask is whose).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from transformers import (
    AutoTokenizer,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    SamImageProcessorPil,
    SamModel,
    SamProcessor,
)

from ...masks import distinct_heads, exclusive
from ...story.text import noun_in
from ...types import Outcome, Segmentation
from ..device import Room
from ..parts import load_part
from .parts import check_tokens, joined

logger = logging.getLogger(__name__)

THRESHOLDS = (0.3, 0.25, 0.2)  # the release's box threshold first, then two chances more
HEAD = "head"
OVERLAP = 0.7  # intersection over union from which two boxes are one person's


# --- Who is in which box --------------------------------------------------------------------------


def assign(scores: Tensor, allowed: Tensor) -> list[int | None]:
    """A box for each phrase, none twice: as many as can be had, then the largest total score.

    Args:
        scores: (s, n) in [0, 1], of each phrase for each box.
        allowed: (s, n) bool, the pairs that may be chosen.

    Returns:
        The box's number for each phrase, or None.
    """
    gain = torch.where(allowed, 1 + scores / (len(scores) + 1), 0.0)  # a pair more beats any score
    rows, columns = linear_sum_assignment(gain.numpy(), maximize=True)
    boxes: list[int | None] = [None] * len(scores)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if allowed[row, column]:
            boxes[row] = column
    return boxes


def in_order(
    phrases: Sequence[str], boxes: Sequence[int | None], corners: Tensor
) -> list[int | None]:
    """``boxes`` with those of identical phrases from left to right, in the order of the phrases.

    Args:
        phrases: one a character; equal ones cannot be told apart by words.
        boxes: what ``assign`` gave.
        corners: (n, 4) left, top, right, bottom of every box.
    """
    ordered = list(boxes)
    for phrase in dict.fromkeys(phrases):
        places = [j for j, other in enumerate(phrases) if other == phrase]
        if len(places) == 1:
            continue
        logger.warning(
            "%d characters are described as %r: told apart from left to right", len(places), phrase
        )
        centre = lambda box: float(corners[box, 0] + corners[box, 2])
        mine = sorted((b for j in places if (b := boxes[j]) is not None), key=centre)
        for place, box in zip(places, [*mine, *[None] * len(places)], strict=False):
            ordered[place] = box
    return ordered


def distinct(corners: Tensor, strength: Tensor, overlap: float = OVERLAP) -> list[int]:
    """Numbers of the boxes that remain, strongest first, when near copies of stronger ones go.

    Args:
        corners: (n, 4) left, top, right, bottom.
        strength: (n,) what decides between two copies.
        overlap: intersection over union above which two boxes are copies.
    """
    kept: list[int] = []
    areas = (corners[:, 2:] - corners[:, :2]).clamp(min=0).prod(dim=1)
    for n in strength.argsort(descending=True, stable=True).tolist():
        others = corners[kept]
        low = torch.maximum(corners[n, :2], others[:, :2])
        high = torch.minimum(corners[n, 2:], others[:, 2:])
        shared = (high - low).clamp(min=0).prod(dim=1)
        if bool((shared <= overlap * (areas[n] + areas[kept] - shared)).all()):
            kept.append(n)
    return kept


# --- The segmenter --------------------------------------------------------------------------------


@dataclass(eq=False)
class GroundedSegmenter:
    """Finds characters by phrase with Grounding DINO and outlines them with SAM.

    Attributes:
        thresholds: the probability that a phrase's noun has to reach in a box, tried in turn while
            somebody is not found.
        uses_nouns: asks the pipeline for each character's noun, which is looked for where the whole
            description was not found at any threshold.
        room: brings the two models to the device.
    """

    detector: GroundingDinoForObjectDetection
    tokenizer: Any
    detector_images: Any
    sam: SamModel
    sam_images: Any
    room: Room
    thresholds: Sequence[float] = THRESHOLDS
    uses_nouns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for model in (self.detector, self.sam):
            model.eval().requires_grad_(False)

    def segment(
        self, image: Image.Image, phrases: Sequence[str], *, fallbacks: Sequence[str] | None = None
    ) -> Segmentation:
        """Masks with scores and, for each phrase, how it was found; see `protocols.Segmenter`.

        Phrases said twice are told apart from left to right, in their order, with a logged warning.
        ``fallbacks`` are nouns, one a phrase, looked for where the phrase is not found; without them
        a phrase's noun is read off it.

        Raises:
            PromptError: the phrases together have more tokens than the detector reads.
        """
        image = image.convert("RGB")
        if not phrases:
            return Segmentation(torch.zeros(0, image.height, image.width, dtype=torch.bool))
        nouns = fallbacks or [noun_in(phrase) or "" for phrase in phrases]
        seen = self.boxes(image, phrases, nouns)
        how: Outcome = "found"
        found: list[int | None] = [None] * len(phrases)
        outcomes: list[Outcome] = ["missing"] * len(phrases)
        for threshold in self.thresholds:
            found = _best_boxes(phrases, *seen, threshold)
            outcomes = _outcomes(found, outcomes, how)
            how = "weak"
            if None not in found:
                break
        if fallbacks is not None and None in found:
            words = [
                noun if box is None else phrase
                for phrase, noun, box in zip(phrases, fallbacks, found, strict=True)
            ]
            again = self.boxes(image, words, nouns)
            second = _best_boxes(words, *again, self.thresholds[-1])
            if second.count(None) < found.count(None):
                seen, found, outcomes = again, second, _outcomes(second, outcomes, "noun")
        return self._outlined(image, seen[0], seen[1], found, outcomes)

    @torch.inference_mode()
    def boxes(
        self, image: Image.Image, phrases: Sequence[str], nouns: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Every box with its scores, before any threshold, float32 on the CPU.

        Returns:
            (n, 4) left, top, right, bottom in pixels; (s, n) the mean probability of each phrase's
            tokens in each box; (s, n) the largest of its noun's, of all where it has no noun.

        Raises:
            PromptError: the phrases together have more tokens than the detector reads.
        """
        caption, spans = joined(phrases)
        tokens = self.tokenizer(caption, return_offsets_mapping=True, return_tensors="pt")
        offsets = tokens.pop("offset_mapping")[0].tolist()
        check_tokens(len(offsets), self.detector.config.max_text_len)
        pixels = self.detector_images(images=image, return_tensors="pt")
        with self.room.holding(self.detector):
            device = self.detector.device
            out = self.detector(**pixels.to(device), **tokens.to(device))
        chances = out.logits[0].float().sigmoid().cpu()  # (n, tokens)
        centre = out.pred_boxes[0].float().cpu()  # (n, 4): x, y, width, height of the picture
        corners = torch.cat(
            [centre[:, :2] - centre[:, 2:] / 2, centre[:, :2] + centre[:, 2:] / 2], 1
        )
        corners = corners.clamp(0, 1) * torch.tensor([image.width, image.height] * 2)
        inside = lambda start, end: [
            n for n, (a, b) in enumerate(offsets) if a < b and start <= a and b <= end
        ]
        heads = [_place(noun, caption, span) for noun, span in zip(nouns, spans, strict=True)]
        mean = torch.stack([chances[:, inside(*span)].mean(dim=1) for span in spans])
        best = torch.stack([chances[:, inside(*head)].amax(dim=1) for head in heads])
        return corners, mean, best

    def heads(self, image: Image.Image, phrases: Sequence[str]) -> Tensor:
        """As `protocols.FindsHeads`: every box for the word, outlined; ``phrases`` are not needed."""
        image = image.convert("RGB")
        corners, _, best = self.boxes(image, [HEAD], [HEAD])
        strong = (best[0] >= self.thresholds[0]).nonzero().flatten()
        kept = strong[distinct(corners[strong], best[0, strong])].tolist()
        scores = best.expand(len(kept), -1)
        masks = self._outlined(image, corners, scores, kept, ["found"] * len(kept)).masks
        return distinct_heads(list(masks), masks.shape[1:])

    @torch.inference_mode()
    def _outlined(
        self,
        image: Image.Image,
        corners: Tensor,
        scores: Tensor,
        found: Sequence[int | None],
        outcomes: Sequence[Outcome],
    ) -> Segmentation:
        masks = torch.zeros(len(found), image.height, image.width, dtype=torch.bool)
        here = [j for j, box in enumerate(found) if box is not None]
        if here:
            chosen = [corners[box].tolist() for box in found if box is not None]
            seen = self.sam_images(image, input_boxes=[chosen], return_tensors="pt")
            sizes, reshaped = seen.pop("original_sizes"), seen.pop("reshaped_input_sizes")
            with self.room.holding(self.sam):
                seen = {k: v.to(self.sam.device, torch.float32) for k, v in seen.items()}
                out = self.sam(**seen, multimask_output=False)
            drawn = self.sam_images.post_process_masks(out.pred_masks.cpu(), sizes, reshaped)[0]
            masks[here] = drawn[:, 0].bool()
        areas = tuple(masks.flatten(1).sum(dim=1).tolist())
        masks = exclusive(masks)
        given = [float(scores[j, box]) if box is not None else 0.0 for j, box in enumerate(found)]
        how = tuple(o if m.any() else "missing" for o, m in zip(outcomes, masks, strict=True))
        return Segmentation(
            masks, tuple(given), tuple(outcome != "missing" for outcome in how), how, areas
        )


def _place(noun: str, caption: str, span: tuple[int, int]) -> tuple[int, int]:
    """Where ``noun`` stands in a phrase's ``span`` of the caption; the span if it does not."""
    start, end = span
    found = noun and re.search(rf"(?<!\w){re.escape(noun.lower())}(?!\w)", caption[start:end])
    return (start + found.start(), start + found.end()) if found else span


def _best_boxes(
    phrases: Sequence[str], corners: Tensor, mean: Tensor, best: Tensor, threshold: float
) -> list[int | None]:
    """A box's number for each phrase at a threshold."""
    strong = (best >= threshold).any(dim=0).nonzero().flatten()
    kept = strong[distinct(corners[strong], best[:, strong].amax(dim=0))]
    chosen = assign(mean[:, kept], best[:, kept] >= threshold)
    return in_order(phrases, [None if n is None else int(kept[n]) for n in chosen], corners)


def _outcomes(
    found: Sequence[int | None], before: Sequence[Outcome], how: Outcome
) -> list[Outcome]:
    """How each was found: as before, or in the way ``how`` if it was missing."""
    pairs = zip(found, before, strict=True)
    return ["missing" if box is None else how if was == "missing" else was for box, was in pairs]


def load_grounded_sam(
    detector: Path, sam: Path, *, room: Room, **options: Any
) -> GroundedSegmenter:
    """A segmenter from two folders as the hub has them (safetensors), in float32.

    ``options`` are ``GroundedSegmenter``'s.

    Raises:
        ModelError: a folder is missing or does not hold its model.
    """
    return GroundedSegmenter(
        room.place(load_part(GroundingDinoForObjectDetection, detector, dtype=torch.float32)),
        load_part(AutoTokenizer, detector),
        load_part(GroundingDinoImageProcessorPil, detector),
        room.place(load_part(SamModel, sam, dtype=torch.float32)),
        SamProcessor(image_processor=load_part(SamImageProcessorPil, sam)),
        room,
        **options,
    )
