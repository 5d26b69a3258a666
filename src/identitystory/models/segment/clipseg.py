"""CLIPSeg as a ``Segmenter``: one exclusive mask for each character's phrase."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, normalize

from ...masks import around_heads, distinct_heads, largest_component, with_heads
from ...types import Segmentation
from ..clip import text_vectors
from ..device import Room
from ..libraries import CLIPSegForImageSegmentation, CLIPTokenizer
from ..parts import load_part
from ..pixels import Preprocessing, preprocessing

logger = logging.getLogger(__name__)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HEAD, HEAD_OF = "head", "the head of {}"  # as the miniature's was taught
MAX_HEADS = 9  # that are told apart in a picture


def compete(logits: Tensor, threshold: float, reach: int = 0) -> Tensor:
    """(n, H, W) bool, exclusive: each pixel to its most probable phrase, or to none.

    Where two people stand together CLIPSeg wavers from patch to patch, so that each gets pieces of
    the other. With ``reach`` a pixel that is somebody's goes to the phrase that is most probable
    around it: two running means over the pixels that are somebody's.

    Args:
        logits: (n, H, W); sigmoid gives each phrase's probability.
        threshold: the background's probability, in (0, 1).
        reach: pixels that a mean goes to each side; 0 looks at the pixel alone.
    """
    somebody = logits.amax(dim=0) > torch.tensor(threshold).logit()  # (H, W)
    if reach and len(logits) > 1:
        window, weight = 2 * reach + 1, somebody[None].float()
        mean = lambda x: avg_pool2d(x[None], window, 1, reach)[0]
        share = mean(weight).clamp(min=1e-6)
        for _ in range(2):
            logits = mean(logits * weight) / share
    winner = torch.where(somebody, logits.argmax(dim=0), -1)
    return winner == torch.arange(len(logits), device=logits.device).view(-1, 1, 1)


def within(logits: Tensor, masks: Tensor) -> Tensor:
    """(m, n): the mean of each of n logits (n, H, W) inside each of m masks (m, H, W); 0 in an empty one."""
    share = masks.flatten(1).to(logits)
    return share @ logits.flatten(1).T / share.sum(dim=1, keepdim=True).clamp(min=1)


def by_likeness(masks: Tensor, alike: Tensor) -> Tensor:
    """The masks (n, H, W) bool of n phrases, each given to the phrase that it is most like.

    The decoder gives every phrase some pixels of somebody, also of somebody who is not there; what
    is of one person is like one phrase. Who gets none has an empty mask.

    Args:
        masks: exclusive; row j is what phrase j won.
        alike: (n, n), how much what phrase j won, row j, is like each of the phrases.
    """
    owner = alike.argmax(dim=1)
    return torch.stack([masks[owner == j].any(dim=0) for j in range(len(masks))])


def one_each(masks: Tensor, alike: Tensor) -> Tensor:
    """One of the masks (m, H, W) bool for each of n <= m phrases, all together as alike as they can be.

    Args:
        masks: of a person each.
        alike: (m, n), how much what is under each is like each of the phrases.
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and seldom asked for

    return masks[linear_sum_assignment(alike.T.numpy(), maximize=True)[1]]


def left_to_right(mask: Tensor, count: int, min_pixels: float) -> list[Tensor]:
    """``count`` masks: the largest pieces of ``mask`` from left to right, empty where there are fewer.

    Pieces smaller than ``min_pixels`` do not count.
    """
    pieces: list[Tensor] = []
    rest = mask.clone()
    while len(pieces) < count:
        piece = largest_component(rest)
        if piece.sum() < max(1, min_pixels):
            break
        pieces.append(piece)
        rest &= ~piece
    pieces.sort(key=lambda piece: float(piece.nonzero()[:, 1].float().mean()))
    return pieces + [torch.zeros_like(mask)] * (count - len(pieces))


@dataclass(eq=False)
class ClipSegmenter:
    """Finds characters by phrase with CLIPSeg; phrases compete for every pixel.

    Attributes:
        read: what is done to a picture before.
        room: brings the model to the device.
        threshold: the probability that a phrase has to beat at a pixel, in (0, 1).
        reach: how far around a pixel phrases are compared, as a share of the picture's side.
        min_area: the share of the picture that a mask must cover to count as found.
        min_score: the mean probability inside a mask that it must reach to count as found.
        min_head: the same inside a head that nobody's phrase was asked for.
        knows_people: its CLIP was taught that a person's patches are like what is said of them, as the
            miniature's was; then what a phrase won must be like it, see `by_likeness`.
    """

    model: CLIPSegForImageSegmentation
    tokenizer: Any
    read: Preprocessing
    room: Room
    threshold: float = 0.5
    reach: float = 1 / 16
    min_area: float = 0.005
    min_score: float = 0.5
    min_head: float = 0.85
    knows_people: bool = False

    def __post_init__(self) -> None:
        self.model.eval().requires_grad_(False)

    @torch.inference_mode()
    def logits(self, image: Image.Image, phrases: Sequence[str]) -> Tensor:
        """(n, H, W) float32 at the picture's size on the CPU; the picture is looked at once."""
        model = self.model
        with self.room.holding(model):
            pixels = self.read([image]).to(model.device, model.dtype)
            seen = model.clip.vision_model(pixels, output_hidden_states=True).hidden_states
            activations = tuple(
                seen[layer + 1].expand(len(phrases), -1, -1) for layer in model.extract_layers
            )
            texts = text_vectors(model.clip, self.tokenizer, phrases, who="the segmenter")
            logits = model.decoder(activations, texts).logits.float()
            logits = logits.reshape(len(phrases), 1, *logits.shape[-2:])
            size = (image.height, image.width)
            return interpolate(logits, size=size, mode="bilinear", align_corners=False)[:, 0].cpu()

    @torch.inference_mode()
    def likeness(self, image: Image.Image, masks: Tensor, phrases: Sequence[str]) -> Tensor:
        """(n, k) float32: how much what is under each of n masks (H, W) is like each of k phrases.

        CLIP's logits, of the mean of the patches that a mask covers; the miniature was taught to know
        people by it (`miniature.stages.segmenter`).
        """
        clip = self.model.clip
        with self.room.holding(self.model):
            pixels = self.read([image]).to(self.model.device, self.model.dtype)
            seen = clip.vision_model(pixels).last_hidden_state[0, 1:]  # (patches, d)
            vision: Any = clip.config.vision_config
            side = pixels.shape[-1] // vision.patch_size
            share = adaptive_avg_pool2d(masks[:, None].to(seen), (len(seen) // side, side)).flatten(
                1
            )
            mean = share @ seen / share.sum(dim=1, keepdim=True).clamp(min=1e-3)
            person = clip.visual_projection(clip.vision_model.post_layernorm(mean))
            texts = text_vectors(clip, self.tokenizer, phrases, who="the segmenter")
            cosines = normalize(person, dim=1) @ normalize(texts, dim=1).T
            return (clip.logit_scale.exp() * cosines).float().cpu()

    def segment(
        self, image: Image.Image, phrases: Sequence[str], *, fallbacks: Sequence[str] | None = None
    ) -> Segmentation:
        """One exclusive mask a phrase, all False where nobody was found.

        Phrases said twice share a search; what is found is handed out from left to right, in
        their order, with a logged warning. ``fallbacks`` (a noun for each phrase, say) are
        searched instead of the phrases that were not found.
        """
        found = self._segment(image, phrases)
        if fallbacks is None or all(found.found):
            return found
        again = [
            phrase if hit else fallback
            for phrase, fallback, hit in zip(phrases, fallbacks, found.found, strict=True)
        ]
        second = self._segment(image, again)
        return second if sum(second.found) > sum(found.found) else found

    def heads(self, image: Image.Image, phrases: Sequence[str]) -> Tensor:
        """As `protocols.FindsHeads`: those of the phrases, then others that are surely heads."""
        unique = list(dict.fromkeys(phrases))
        logits = self.logits(image, [HEAD, *map(HEAD_OF.format, unique)])
        return self.heads_of(logits, [list(phrases).count(phrase) for phrase in unique])

    def heads_of(self, logits: Tensor, counts: Sequence[int]) -> Tensor:
        """`heads` from the logits (1 + n, H, W) of ``HEAD`` and of n phrases' heads.

        Args:
            logits: see above.
            counts: how many people each phrase speaks of.
        """
        reach, least = round(self.reach * min(logits.shape[1:])), self.min_area * logits[0].numel()
        found = []
        if counts:
            for own, count in zip(compete(logits[1:], self.threshold, reach), counts, strict=True):
                found += left_to_right(own, count, least)
        chance = logits[0].sigmoid()
        others = left_to_right(chance > self.threshold, MAX_HEADS, least)
        found += [mask for mask in others if mask.any() and chance[mask].mean() >= self.min_head]
        return distinct_heads(found, logits.shape[1:])

    def _segment(self, image: Image.Image, phrases: Sequence[str]) -> Segmentation:
        size = (image.height, image.width)
        if not phrases:
            return Segmentation(masks=torch.zeros(0, *size, dtype=torch.bool))
        unique = list(dict.fromkeys(phrases))
        logits = self.logits(image, unique)
        reach = round(self.reach * min(size))
        regions = compete(logits, self.threshold, reach)
        if self.knows_people and int(regions.flatten(1).any(dim=1).sum()) > 1:
            regions = self._owned(image, regions, logits, phrases)
        won = dict(zip(unique, regions, strict=True))
        chance = logits.sigmoid().amax(dim=0)  # of the pixel being somebody's
        min_pixels = self.min_area * image.height * image.width
        handed: dict[str, list[Tensor]] = {}
        for phrase in unique:
            count = list(phrases).count(phrase)
            handed[phrase] = [won[phrase]]
            if count > 1:
                told = "%d characters are described as %r: told apart from left to right"
                logger.warning(told, count, phrase)
                handed[phrase] = left_to_right(won[phrase], count, min_pixels)
        masks, scores, hits = [], [], []
        for phrase in phrases:
            mask = handed[phrase].pop(0)
            score = float(chance[mask].mean()) if mask.any() else 0.0
            hit = bool(mask.sum() >= max(1, min_pixels)) and score >= self.min_score
            masks.append(mask & hit)
            scores.append(score)
            hits.append(hit)
        return Segmentation(masks=torch.stack(masks), scores=tuple(scores), found=tuple(hits))

    def _owned(
        self, image: Image.Image, regions: Tensor, logits: Tensor, phrases: Sequence[str]
    ) -> Tensor:
        """What each of the distinct phrases won, given to whom it is like.

        Where that leaves somebody without a head, though there is one for everybody, all that was won
        and the heads are shared out among the heads, and every phrase gets one part.
        """
        unique = list(dict.fromkeys(phrases))
        alike = lambda masks: self.likeness(image, masks, unique) + within(logits, masks)
        owned = by_likeness(regions, alike(regions))
        if len(unique) < len(phrases):
            return owned
        heads = self.heads(image, phrases)
        if len(heads) < len(unique) or with_heads(owned, heads).flatten(1).any(dim=1).all():
            return owned
        people = around_heads(heads, regions.any(dim=0) | heads.any(dim=0))
        return one_each(people, alike(people))


def load_clipseg(folder: Path, *, room: Room, **options: Any) -> ClipSegmenter:
    """A segmenter from a folder with CLIPSeg's weights (safetensors) and tokenizer.

    ``options`` are the thresholds of ``ClipSegmenter``. Size and normalisation come from
    ``preprocessor_config.json``; without it, the tower's own size and ImageNet's mean and std.

    Raises:
        ModelError: the folder is missing or does not hold them.
    """
    model = room.place(load_part(CLIPSegForImageSegmentation, folder, dtype=torch.float32))
    side = model.config.vision_config.image_size
    read = Preprocessing((side, side), IMAGENET_MEAN, IMAGENET_STD, Image.Resampling.BILINEAR)
    known = preprocessing(folder, read)
    # Released CLIPSegs read larger pictures than their CLIP was taught with; nothing is known of their patches.
    options = {"knows_people": known.size == (side, side)} | options
    return ClipSegmenter(model, load_part(CLIPTokenizer, folder), read=known, room=room, **options)
