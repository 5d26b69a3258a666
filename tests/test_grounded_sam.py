"""models/grounded_sam.py: who is in which box, retries, and parity with transformers at toy size."""

import itertools
import json
import logging
import shutil

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, GroundingDinoProcessor

from identitystory.errors import ModelError, PromptError
from identitystory.models.backend import load_backend
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import find_checkpoint, fingerprint
from identitystory.models.files.found import Found
from identitystory.models.parts import load_part
from identitystory.models.segment.grounded_sam import (
    _best_boxes,
    assign,
    distinct,
    in_order,
)
from identitystory.models.segment.parts import CLIPSEG, GROUNDED_SAM, joined
from identitystory.testing import check_segmenter
from identitystory.types import Segmentation
from tests.toy import toy_checkpoint, write_toy_grounded  # noqa: F401

GIRL, MAN = "a young woman with dark hair", "an old man with a grey beard"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return write_toy_grounded(tmp_path_factory.mktemp("grounded"))


@pytest.fixture(scope="module")
def loaded(folder):
    both = (folder / "detector", folder / "sam")
    return Found("grounded-sam", GROUNDED_SAM, both).open(room=Room(torch.device("cpu")))


@pytest.fixture
def segmenter(loaded, monkeypatch):
    monkeypatch.setattr(loaded, "thresholds", (0.3, 0.25, 0.2))
    return loaded


@pytest.fixture
def image():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (48, 64, 3), generator=rng, dtype=torch.uint8)
    return Image.fromarray(noise.numpy())


# --- Who is in which box -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_no_choice_of_boxes_has_more_pairs_or_a_larger_sum(seed):
    """Against every possible choice, tried one by one."""
    rng = torch.Generator().manual_seed(seed)
    s, n = 1 + seed % 3, 1 + seed % 4
    scores = torch.rand(s, n, generator=rng)
    allowed = torch.rand(s, n, generator=rng) < 0.6

    def worth(boxes):
        pairs = [(j, b) for j, b in enumerate(boxes) if b is not None]
        used = [b for _, b in pairs]
        if len(set(used)) < len(used) or not all(allowed[j, b] for j, b in pairs):
            return (-1, 0.0)
        return (len(pairs), round(sum(float(scores[j, b]) for j, b in pairs), 5))

    best = max(map(worth, itertools.product([None, *range(n)], repeat=s)))
    assert worth(assign(scores, allowed)) == best


def test_nobody_to_find_and_nothing_found():
    assert assign(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)) == [None, None]
    assert assign(torch.rand(1, 3), torch.zeros(1, 3, dtype=torch.bool)) == [None]


def test_identical_words_go_from_left_to_right_with_a_warning(caplog):
    corners = torch.tensor([[40, 0, 50, 9], [0, 0, 9, 9], [20, 0, 29, 9]]).float()
    with caplog.at_level(logging.WARNING):
        assert in_order(["a man", "a boy", "a man"], [0, 2, 1], corners) == [1, 2, 0]
    assert "2 characters are described as 'a man': told apart from left to right" in caplog.text
    assert in_order(["a man", "a man"], [None, 0], corners) == [0, None]
    caplog.clear()
    assert in_order(["a man", "a boy"], [0, 1], corners) == [0, 1]
    assert caplog.text == ""


def test_near_copies_of_a_stronger_box_go():
    corners = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [4, 0, 14, 10]]).float()
    strength = torch.tensor([0.5, 0.9, 0.4, 0.3])
    assert distinct(corners, strength) == [1, 2, 3]  # 90 % shared; 40 % shared
    assert distinct(corners, strength, overlap=0.35) == [1, 2]
    assert distinct(torch.zeros(0, 4), torch.zeros(0)) == []


def test_the_caption_closes_each_phrase_and_knows_where_it_stands():
    caption, spans = joined(["A  Woman, tall.", "an old man", "Dr. Who"])
    assert caption == "a woman, tall. an old man. dr, who."
    assert [caption[a:b] for a, b in spans] == ["a woman, tall", "an old man", "dr, who"]


# --- Parity ----------------------------------------------------------------------------------------


def test_boxes_and_strengths_are_transformers_own(segmenter, image):
    """The stock post-processing gives the same boxes, and the same best score of all tokens."""
    corners, mean, best = segmenter.boxes(image, [GIRL, MAN], ["woman", "man"])
    processor = GroundingDinoProcessor(segmenter.detector_images, segmenter.tokenizer)
    caption = joined([GIRL, MAN])[0]
    inputs = processor(images=image, text=caption, return_tensors="pt")
    out = segmenter.detector(**inputs)
    (stock,) = processor.post_process_grounded_object_detection(
        out, inputs.input_ids, threshold=0.0, text_threshold=0.0, target_sizes=[(48, 64)]
    )
    low, high = torch.zeros(4), torch.tensor([64.0, 48, 64, 48])
    torch.testing.assert_close(corners, stock["boxes"].clamp(low, high), rtol=1e-4, atol=1e-3)
    chances = out.logits[0].sigmoid()
    words = segmenter.tokenizer.convert_ids_to_tokens(inputs.input_ids[0])
    stop = words.index(".")
    torch.testing.assert_close(mean[0], chances[:, 1:stop].mean(dim=1))
    noun = segmenter.tokenizer("man", add_special_tokens=False).input_ids
    tokens = inputs.input_ids[0, stop + 1 :].tolist()
    first = next(n for n in range(len(tokens)) if tokens[n : n + len(noun)] == noun)
    man = range(stop + 1 + first, stop + 1 + first + len(noun))
    torch.testing.assert_close(best[1], chances[:, man].amax(dim=1))
    *_, whole = segmenter.boxes(image, [GIRL, MAN], ["", "x"])
    torch.testing.assert_close(whole[1], chances[:, stop + 1 : len(words) - 2].amax(dim=1))


def test_masks_are_sams_own_made_exclusive(segmenter, image):
    segmenter.thresholds = (0.0,)
    found = segmenter.segment(image, [GIRL, MAN])
    corners, mean, best = segmenter.boxes(image, [GIRL, MAN], ["woman", "man"])
    kept = distinct(corners, best.amax(dim=0))
    chosen = [kept[b] for b in assign(mean[:, kept], best[:, kept] >= 0)]
    inputs = segmenter.sam_images(
        image, input_boxes=[corners[chosen].tolist()], return_tensors="pt"
    )
    sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    inputs = {k: v.float() for k, v in inputs.items()}
    out = segmenter.sam(**inputs, multimask_output=False)
    stock = segmenter.sam_images.post_process_masks(out.pred_masks, *sizes)[0][:, 0]
    assert stock.any()
    assert torch.equal(found.masks.any(dim=0), stock.any(dim=0))
    assert found.masks.shape == (2, 48, 64)
    assert not found.masks.all(dim=0).any()
    torch.testing.assert_close(
        torch.tensor(found.scores), mean[range(2), chosen], rtol=1e-4, atol=1e-5
    )


# --- Retries -------------------------------------------------------------------------------------


def plant(segmenter, monkeypatch, table):
    """``table[phrase]``: its score in each of three boxes from left to right; masks are the boxes."""
    corners = torch.tensor([[0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20]]).float()
    asked = []

    def boxes(image, phrases, nouns):
        asked.append(list(phrases))
        scores = torch.tensor([table.get(p, [0.0] * 3) for p in phrases])
        return corners, scores, scores

    def post_process(masks, sizes, reshaped):
        drawn = torch.zeros(len(masks[0]), 1, 20, 60, dtype=torch.bool)
        for mask, box in zip(drawn, plant.boxes, strict=True):
            mask[0, :, int(box[0]) : int(box[2])] = True
        return [drawn]

    class Sam:
        device = torch.device("cpu")

        def __call__(self, *, input_boxes, **_):
            plant.boxes = input_boxes[0] / input_boxes[0].amax() * 50
            return type("Out", (), {"pred_masks": input_boxes[..., None]})

    monkeypatch.setattr(segmenter, "boxes", boxes)
    monkeypatch.setattr(segmenter.sam_images, "post_process_masks", post_process)
    monkeypatch.setattr(segmenter, "sam", Sam())
    return Image.new("RGB", (60, 20)), asked


def test_each_gets_the_box_that_fits_both_best_whatever_the_order(segmenter, monkeypatch):
    """The girl's best box is the man's only one: she takes her second best."""
    table = {GIRL: [0.5, 0.6, 0.0], MAN: [0.0, 0.9, 0.0]}
    image, _ = plant(segmenter, monkeypatch, {**table, "x": [0, 0, 0.9]})
    one = segmenter.segment(image, [GIRL, MAN, "x"])
    assert one.outcomes == ("found", "found", "found")
    assert one.scores[:2] == pytest.approx((0.5, 0.9))
    other = segmenter.segment(image, ["x", MAN, GIRL])
    assert torch.equal(one.masks, other.masks.flip(0))
    assert [int(m.any(dim=0).nonzero().min()) // 20 for m in one.masks] == [0, 1, 2]


def test_lower_thresholds_then_the_noun_then_missing(segmenter, monkeypatch):
    table = {GIRL: [0.5, 0, 0], MAN: [0, 0.22, 0], "man": [0, 0.9, 0], "boy": [0, 0, 0.26]}
    image, asked = plant(segmenter, monkeypatch, table)
    weak = segmenter.segment(image, [GIRL, MAN], fallbacks=["woman", "man"])
    assert weak.outcomes == ("found", "weak")
    assert len(asked) == 1  # nobody was missing, the nouns were not needed
    noun = segmenter.segment(image, [GIRL, "a lad", "a ghost"], fallbacks=["woman", "boy", "x"])
    assert asked[-1] == [GIRL, "boy", "x"]
    assert noun.outcomes == ("found", "noun", "missing")
    assert noun.found == (True, True, False)
    assert not noun.masks[2].any()
    plain = segmenter.segment(image, [GIRL, "a lad"])
    assert plain.outcomes == ("found", "missing")
    assert segmenter.segment(image, []).masks.shape == (0, 20, 60)


def test_a_box_of_hair_is_not_the_person(segmenter, image, monkeypatch):
    """Three boxes: hair that is surely hair, the woman, and a man in whom no word of hers is weak."""
    caption, ((_, end), _) = joined([GIRL, MAN])
    offsets = segmenter.tokenizer(caption, return_offsets_mapping=True).offset_mapping
    said = lambda word: [
        n for n, (a, b) in enumerate(offsets)
        if a < b and caption.index(word) <= a and b <= caption.index(word) + len(word)
    ]  # fmt: skip
    chances = torch.full((1, 3, len(offsets)), 0.05)
    chances[0, 0, [n for n, (a, b) in enumerate(offsets) if a < b <= end]] = 0.28
    chances[0, 0, said("hair")] = 0.95
    chances[0, 0, said("woman")] = 0.1
    chances[0, 1, said("woman")] = 0.4
    chances[0, 2, said("old man")] = 0.6

    class Detector:
        device = torch.device("cpu")
        config = type("Config", (), {"max_text_len": 256})

        def __call__(self, **_):
            boxes = torch.tensor([[[0.1, 0.5, 0.1, 1], [0.4, 0.5, 0.2, 1], [0.8, 0.5, 0.2, 1]]])
            return type("Out", (), {"logits": chances.logit(), "pred_boxes": boxes})

    monkeypatch.setattr(segmenter, "detector", Detector())
    corners, mean, best = segmenter.boxes(image, [GIRL, MAN], ["woman", "man"])
    assert mean[0].argmax() == 0  # the hair has the larger mean
    chosen = _best_boxes([GIRL, MAN], corners, mean, best, 0.3)
    assert chosen == [1, 2]


# --- From folders ----------------------------------------------------------------------------------


def test_a_checkpoint_with_detector_and_sam_paints(toy, folder, tmp_path):
    whole = shutil.copytree(toy, tmp_path / "whole")
    shutil.rmtree(whole / "segmenter")
    shutil.copytree(folder, whole / "segmenter")
    backend = load_backend(whole, device="cpu", num_steps=2)
    assert backend.segmenter.uses_nouns
    G = backend.general
    (image,) = G.decode(G.noise(0)[None])
    assert backend.segmenter.segment(image, ["a woman"]).masks.shape == (1, 64, 64)
    assert backend.fingerprint == fingerprint(find_checkpoint(whole))
    assert backend.fingerprint != fingerprint(find_checkpoint(toy))
    with pytest.raises(ModelError, match=r"holds a sam; CLIPSeg, or detector/ and sam/"):
        Found("clipseg", CLIPSEG, (folder / "sam",)).open(room=Room(torch.device("cpu")))


def test_code_in_the_detectors_folder_is_never_offered_to_run(folder, tmp_path, monkeypatch):
    strange, marker = shutil.copytree(folder / "detector", tmp_path / "strange"), tmp_path / "ran"
    (strange / "code.py").write_text(f"open({str(marker)!r}, 'w')\nclass Strange: pass\n")
    told = {"tokenizer_class": "Strange", "auto_map": {"AutoTokenizer": ["code.Strange", None]}}
    (strange / "tokenizer_config.json").write_text(json.dumps(told))
    config = {"model_type": "strange", "auto_map": {"AutoConfig": "code.Strange"}}
    (strange / "config.json").write_text(json.dumps(config))
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "n")
    with pytest.raises(ModelError, match="cannot be opened as AutoTokenizer"):
        load_part(AutoTokenizer, strange)
    assert not asked
    assert not marker.exists()


def test_descriptions_longer_than_the_detector_reads_are_refused(segmenter, image):
    with pytest.raises(PromptError, match=r"\d+ tokens together; the detector reads 64"):
        segmenter.segment(image, ["a woman " * 40])


# --- Heads ---------------------------------------------------------------------------------------


def test_heads_are_the_boxes_for_the_word_each_once_and_none_below_the_threshold(
    segmenter, image, monkeypatch
):
    boxes = [(4, 4, 20, 24), (5, 4, 20, 24), (40, 2, 56, 22), (24, 30, 36, 46)]
    asked, scores = [], torch.tensor([[0.9, 0.8, 0.5, 0.29]])

    def seen(picture, phrases, nouns):
        asked.append((phrases, nouns))
        return torch.tensor(boxes).float(), scores, scores

    def outlined(picture, corners, given, found, outcomes):
        assert len(given) == len(found) == len(outcomes)
        masks = torch.zeros(len(found), picture.height, picture.width, dtype=torch.bool)
        for mask, box in zip(masks, found, strict=True):
            left, top, right, bottom = map(int, corners[box])
            mask[top:bottom, left:right] = True
        return Segmentation(masks)

    monkeypatch.setattr(segmenter, "boxes", seen)
    monkeypatch.setattr(segmenter, "_outlined", outlined)
    heads = segmenter.heads(image, [GIRL])
    assert asked == [(["head"], ["head"])]
    assert sorted(heads.flatten(1).sum(dim=1).tolist()) == [320, 320]
    scores[:] = 0.2
    assert segmenter.heads(image, []).shape == (0, image.height, image.width)


def test_heads_keep_their_contract_at_toy_size(segmenter, image, monkeypatch):
    monkeypatch.setattr(segmenter, "thresholds", (0.0,))
    check_segmenter(segmenter, images=[image], phrases=(GIRL, MAN))
