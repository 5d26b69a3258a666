"""models/clipseg.py: parity with transformers, competition, and pictures where nobody is."""

import logging

import pytest
import torch
from PIL import Image
from transformers import ViTImageProcessorPil

from identitystory.errors import ModelError
from identitystory.models.device import Room
from identitystory.models.segment.clipseg import (
    ClipSegmenter,
    by_likeness,
    compete,
    left_to_right,
    load_clipseg,
    one_each,
    within,
)
from tests.toy import toy_checkpoint  # noqa: F401


@pytest.fixture
def segmenter(toy) -> ClipSegmenter:
    return load_clipseg(toy / "segmenter", room=Room(torch.device("cpu")))


@pytest.fixture
def image():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (48, 64, 3), generator=rng, dtype=torch.uint8)
    return Image.fromarray(noise.numpy())


def blob(rows, columns, *, height=20, width=30):
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def planted(segmenter, monkeypatch, chances, alike=None, heads=None):
    """The segmenter seeing ``chances[phrase]``, (H, W) probabilities.

    If nothing else is given, what is won is like its own phrase, and one head is seen, everywhere.
    """
    see = lambda image, phrases: torch.stack([chances[p] for p in phrases]).logit()
    like = lambda image, masks, phrases: 9 * torch.eye(len(phrases)) if alike is None else alike
    monkeypatch.setattr(segmenter, "logits", see)
    monkeypatch.setattr(segmenter, "likeness", like)
    height, width = next(iter(chances.values())).shape
    known = torch.ones(1, height, width, dtype=torch.bool) if heads is None else heads
    monkeypatch.setattr(segmenter, "heads", lambda image, phrases: known)
    return Image.new("RGB", (width, height))


def test_logits_are_transformers_own(segmenter, image):
    """One look at the picture for all phrases equals the stock forward, upsampled."""
    phrases = ["a woman with dark hair", "an old man"]
    processor = ViTImageProcessorPil(
        size={"height": 32, "width": 32},
        resample=3,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    pixels = processor([image] * 2, return_tensors="pt").pixel_values
    text = segmenter.tokenizer(phrases, padding=True, return_tensors="pt")
    expected = segmenter.model(pixel_values=pixels, **text).logits[:, None]
    expected = torch.nn.functional.interpolate(expected, (48, 64), mode="bilinear")[:, 0]
    logits = segmenter.logits(image, phrases)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(segmenter.logits(image, phrases[:1])[0], logits[0])


def test_a_pixel_goes_to_the_likeliest_or_to_nobody():
    chances = torch.tensor([[[0.9, 0.4, 0.55, 0.2]], [[0.8, 0.45, 0.7, 0.1]]])
    won = compete(chances.logit(), 0.5)
    assert won[0, 0].tolist() == [True, False, False, False]
    assert won[1, 0].tolist() == [False, False, True, False]
    assert compete(chances.logit(), 0.42)[1, 0].tolist() == [False, True, True, False]


def test_wavering_pixels_go_with_those_around_them():
    """Two people side by side, every fifth pixel of each more like the other."""
    left = torch.zeros(16, 40, dtype=torch.bool)
    left[2:14, 2:18] = True
    right = torch.zeros_like(left)
    right[2:14, 18:36] = True
    lead = torch.where(left, 1.0, -1.0)
    lead.view(-1)[::5] *= -1
    logits = torch.where(left | right, torch.stack([3 + lead, 3 - lead]), -5.0)
    assert not torch.equal(compete(logits, 0.5)[0], left)
    won = compete(logits, 0.5, reach=3)
    assert torch.equal(won.any(0), left | right)
    assert not (won[0] & won[1]).any()
    assert (won[0] ^ left).sum() <= 12  # at the line between them
    one = compete(logits[:1], 0.5, reach=3)
    assert torch.equal(one, compete(logits[:1], 0.5))


def test_found_masks_are_the_planted_ones(segmenter, monkeypatch):
    left, right = blob(slice(2, 12), slice(1, 9)), blob(slice(2, 12), slice(15, 28))
    chances = {"a man": 0.05 + 0.9 * right.float(), "a woman": 0.05 + 0.7 * left.float()}
    picture = planted(segmenter, monkeypatch, chances)
    result = segmenter.segment(picture, ["a woman", "a man"])
    assert torch.equal(result.masks, torch.stack([left, right]))
    assert result.found == (True, True)
    assert result.scores == pytest.approx((0.75, 0.95))


@pytest.mark.parametrize("mara", [0, 1])
def test_one_person_who_won_pixels_for_two_phrases_is_whom_she_is_like(
    segmenter, monkeypatch, mara
):
    """The decoder gives the larger part of her to somebody who is not there."""
    whole = blob(slice(2, 18), slice(5, 20))
    less = whole & blob(slice(2, 8), slice(5, 20))
    more = whole & ~less
    chances = {"a woman": 0.05 + 0.85 * less.float() + 0.8 * more.float()}
    chances["a man"] = 0.05 + 0.8 * less.float() + 0.85 * more.float()
    alike = torch.zeros(2, 2)
    alike[:, mara] = 7
    picture = planted(segmenter, monkeypatch, chances, alike)
    segmenter.reach, segmenter.knows_people = 0, True
    result = segmenter.segment(picture, ["a woman", "a man"])
    assert result.found == (mara == 0, mara == 1)
    assert torch.equal(result.masks[mara], whole)
    segmenter.knows_people = False
    assert segmenter.segment(picture, ["a woman", "a man"]).found == (True, True)


def test_regions_go_to_the_phrase_that_they_are_like():
    masks = torch.stack([blob(slice(0, 5), slice(0, 9)), blob(slice(5, 9), slice(0, 9))])
    one = by_likeness(masks, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert not one[0].any()
    assert torch.equal(one[1], masks.any(dim=0))
    assert torch.equal(by_likeness(masks, torch.eye(2)), masks)


def test_one_mask_for_each_phrase_so_that_all_together_are_most_alike():
    masks = torch.stack([blob(slice(0, 5), slice(k, k + 3)) for k in (0, 10, 20)])
    assert torch.equal(one_each(masks[:2], torch.tensor([[1.0, 2.0], [3.0, 9.0]])), masks[:2])
    crossed = one_each(masks[:2], torch.tensor([[1.0, 2.0], [3.0, 3.5]]))  # 3 + 2 > 1 + 3.5
    assert torch.equal(crossed, masks[:2].flip(0))
    of_three = one_each(masks, torch.tensor([[5.0, 4.0], [0.0, 0.0], [6.0, 0.0]]))  # 6 + 4
    assert torch.equal(of_three, masks[[2, 0]])


def test_of_two_who_are_like_one_phrase_each_gets_one_if_there_are_two_heads(
    segmenter, monkeypatch
):
    """Without a second head somebody may be absent: all that was won is then the other's."""
    left, right = blob(slice(2, 18), slice(2, 12)), blob(slice(2, 18), slice(18, 28))
    chances = {"a young man": 0.05 + 0.9 * left.float(), "a man": 0.05 + 0.9 * right.float()}
    alike = torch.tensor([[15.0, 2.0], [14.0, 3.0]])
    segmenter.reach, segmenter.knows_people = 0, True
    crowns = torch.stack([blob(slice(0, 7), slice(3, 11)), blob(slice(0, 7), slice(19, 27))])
    for heads, found in ((crowns, (True, True)), (crowns[:1], (True, False))):
        picture = planted(segmenter, monkeypatch, chances, alike, heads)
        seen = segmenter.segment(picture, list(chances))
        assert seen.found == found
    assert torch.equal(seen.masks[0], left | right)
    picture = planted(segmenter, monkeypatch, chances, alike, crowns)
    masks = segmenter.segment(picture, list(chances)).masks
    assert torch.equal(masks, torch.stack([left | crowns[0], right | crowns[1]]))


def test_logits_are_averaged_inside_masks():
    masks = torch.stack([blob(slice(0, 5), slice(0, 9)), blob(slice(5, 9), slice(0, 9))])
    logits = torch.stack([masks[0] * 2.0, masks[1] * 3.0])
    empty = torch.zeros_like(masks[:1])
    means = within(logits, torch.cat([masks, empty]))
    assert torch.allclose(means, torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))


def test_likeness_of_the_whole_picture_is_that_of_the_mean_patch(segmenter, image):
    """In CLIP's own scale, whatever the mask's size; an empty mask is no error."""
    masks = torch.zeros(2, 48, 64, dtype=torch.bool)
    masks[0] = True
    clip, phrases = segmenter.model.clip, ["a woman", "an old man"]
    seen = clip.vision_model(segmenter.read([image])).last_hidden_state[0, 1:].mean(dim=0)
    person = clip.visual_projection(clip.vision_model.post_layernorm(seen))
    ids = segmenter.tokenizer(phrases, padding=True, return_tensors="pt")
    texts = clip.get_text_features(**ids).pooler_output
    expected = clip.logit_scale.exp() * torch.cosine_similarity(person[None], texts)
    result = segmenter.likeness(image, masks, phrases)
    torch.testing.assert_close(result[0], expected, rtol=1e-4, atol=1e-4)
    assert result.isfinite().all()


def test_who_is_too_small_or_too_doubtful_is_not_found(segmenter, monkeypatch):
    speck, pale = blob(slice(0, 1), slice(0, 2)), blob(slice(5, 15), slice(5, 15))
    chances = {"a mouse": 0.05 + 0.9 * speck.float(), "a ghost": 0.05 + 0.5 * pale.float()}
    picture = planted(segmenter, monkeypatch, chances)
    segmenter.min_score = 0.6
    result = segmenter.segment(picture, ["a mouse", "a ghost", "a ghost"])
    assert result.found == (False, False, False)
    assert not result.masks.any()
    assert result.scores[1] == pytest.approx(0.55)
    segmenter.min_area, segmenter.min_score = 2 / 600, 0.55
    assert segmenter.segment(picture, ["a mouse", "a ghost"]).found == (True, True)


def test_an_empty_picture_and_an_empty_cast_are_no_error(segmenter, monkeypatch):
    picture = planted(segmenter, monkeypatch, {"a man": torch.full((20, 30), 0.1)})
    result = segmenter.segment(picture, ["a man"])
    assert result.found == (False,)
    assert result.scores == (0.0,)
    assert result.masks.shape == (1, 20, 30)
    assert segmenter.segment(picture, []).masks.shape == (0, 20, 30)


def test_twins_are_told_apart_from_left_to_right(segmenter, monkeypatch, caplog):
    first, second = blob(slice(2, 12), slice(1, 9)), blob(slice(2, 18), slice(15, 28))
    speck = blob(slice(19, 20), slice(12, 13))
    chances = {"a boy": 0.05 + 0.9 * (first | second | speck).float()}
    picture = planted(segmenter, monkeypatch, chances)
    with caplog.at_level(logging.WARNING):
        result = segmenter.segment(picture, ["a boy", "a boy"])
    assert torch.equal(result.masks, torch.stack([first, second]))
    assert "told apart from left to right" in caplog.text
    third = segmenter.segment(picture, ["a boy"] * 3)
    assert third.found == (True, True, False)


def test_left_to_right_keeps_the_largest():
    small, middle, large = (
        blob(slice(0, 3), slice(0, 3)),
        blob(slice(5, 10), slice(20, 25)),
        blob(slice(5, 15), slice(5, 15)),
    )
    pieces = left_to_right(small | middle | large, 2, 1)
    assert torch.equal(torch.stack(pieces), torch.stack([large, middle]))


def test_a_fallback_is_searched_for_who_was_not_found(segmenter, monkeypatch):
    here = blob(slice(2, 12), slice(1, 9))
    nowhere = torch.full((20, 30), 0.1)
    chances = {"a tall man": nowhere, "man": 0.05 + 0.9 * here.float(), "a cat": nowhere}
    picture = planted(segmenter, monkeypatch, chances)
    result = segmenter.segment(picture, ["a tall man", "a cat"], fallbacks=["man", "a cat"])
    assert result.found == (True, False)
    assert torch.equal(result.masks[0], here)


def test_long_phrases_are_cut_not_refused(segmenter, image, caplog):
    """24 tokens are read; what comes after the cut makes no difference."""
    long = " ".join(["a woman by the sea"] * 8)
    with caplog.at_level(logging.WARNING):
        logits = segmenter.logits(image, [long, long + " and a man"])
    assert torch.equal(logits[0], logits[1])
    assert "reads 24 tokens" in caplog.text


def test_masks_are_exclusive_on_any_weights(segmenter, image):
    segmenter.threshold, segmenter.min_score = 1e-4, 0.0
    result = segmenter.segment(image, ["a woman", "an old man", "the sea"])
    assert result.masks.sum(dim=0).max() == 1
    assert result.masks.shape == (3, 48, 64)


def test_a_missing_segmenter_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        load_clipseg(tmp_path, room=Room(torch.device("cpu")))


# --- Heads ---------------------------------------------------------------------------------------


def sure(*areas, chance=0.95, side=64):
    """Logits (1, side, side) that are sure in each of the areas (top, left, bottom, right)."""
    found = torch.full((side, side), -4.0)
    for top, left, bottom, right in areas:
        found[top:bottom, left:right] = torch.tensor(chance).logit()
    return found[None]


@pytest.fixture
def heads_of(segmenter):
    return lambda *logits, counts=(): segmenter.heads_of(torch.cat(logits), counts)


ONE, OTHER, CHEEK = (8, 6, 28, 24), (8, 38, 28, 56), (16, 10, 26, 20)


@pytest.mark.parametrize(
    ("logits", "counts", "heads"),
    [
        ([sure(ONE)], [], 1),
        ([sure(ONE, OTHER)], [], 2),
        ([sure()], [], 0),
        ([sure(ONE, chance=0.8)], [], 0),  # nobody was asked for, and it is not sure
        ([sure(chance=0.8), sure(ONE, chance=0.8)], [1], 1),  # somebody was
        ([sure(ONE), sure(ONE), sure(CHEEK, chance=0.99)], [1, 1], 1),
        ([sure(ONE), sure(ONE), sure(OTHER)], [1, 1], 2),
        ([sure(ONE), sure(ONE, OTHER)], [2], 2),  # two of one description
    ],
)
def test_heads_are_those_asked_for_and_others_that_are_sure(heads_of, logits, counts, heads):
    found = heads_of(*logits, counts=counts)
    assert len(found) == heads
    assert not (found.sum(dim=0) > 1).any()
