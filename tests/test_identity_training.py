"""The identity tower's training, and the probe of what its embeddings hold."""

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.models.pixels import normalised, square
from miniature.checks.embedding import ridge, told_apart
from miniature.pictures.face_shapes import components
from miniature.pictures.portraits import (
    COARSE,
    MARGIN,
    PICTURE,
    SIZE,
    look_alikes,
    middles,
    pixels,
    varied,
)


def a_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (128, 128, 3), dtype=np.uint8)


def test_the_tower_is_trained_on_what_the_package_will_show_it():
    images = np.stack([a_picture(0), a_picture(1)])
    shown = [square(Image.fromarray(image), SIZE, PICTURE) for image in images]
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    torch.testing.assert_close(pixels(images), normalised(shown, mean, std))


def test_a_view_and_its_parts_are_moved_alike():
    """Each block of 4 x 4 pixels has one part, which is its colour too."""
    parts = np.random.default_rng(0).integers(0, 7, (64, 32, 32)).astype(np.uint8)
    masks = parts.repeat(4, 1).repeat(4, 2)
    images = np.repeat(masks[..., None] * 30, 3, axis=3)
    mirrored, places = 0, set()
    x, drawn = varied(images, masks, np.random.default_rng(1))
    assert x.shape == (64, 3, SIZE, SIZE)
    assert drawn.shape == (64, SIZE // COARSE, SIZE // COARSE)
    offsets = [(t, left) for t in range(8, 25) for left in range(8, 25)]
    for part, mask in zip(drawn.numpy(), masks, strict=True):
        found = []
        for t, left in offsets:
            box = mask[t : t + SIZE, left : left + SIZE]
            for way in (1, -1):
                if (box[:, ::way][2::4, 2::4] == part).all():
                    found.append((way, t, left))
        assert found, "the parts are not a window of the picture's"
        mirrored += found[0][0] < 0
        places.add(found[0][1:])
    assert 16 < mirrored < 48
    assert len(places) > 10
    sharp = x[:, 1, COARSE // 2 :: COARSE, COARSE // 2 :: COARSE].flatten(1)
    agreement = [
        torch.corrcoef(torch.stack([a, b.flatten().float()]))[0, 1]
        for a, b in zip(sharp, drawn, strict=True)
    ]
    assert min(agreement) > 0.6


def test_the_middle_of_a_picture():
    image = np.zeros((1, 128, 128, 3), np.uint8)
    image[:, MARGIN:-MARGIN, MARGIN:-MARGIN] = 1
    assert middles(image).shape == (1, SIZE, SIZE, 3)
    assert middles(image).min() == 1


def test_components_are_the_singular_vectors_scores():
    x = np.random.default_rng(0).normal(size=(50, 7)) @ np.diag([9, 7, 5, 3, 1, 0.5, 0.1]) + 4
    scores = components(x, 4)
    u = np.linalg.svd(x - x.mean(0))[0][:, :4] * np.sqrt(50)
    np.testing.assert_allclose(np.abs(scores), np.abs(u), atol=1e-6)
    np.testing.assert_allclose(scores.T @ scores / 50, np.eye(4), atol=1e-8)


def test_half_of_a_batch_look_alike_and_nobody_comes_twice():
    kinds = np.arange(300) % 5  # 60 people of each
    for seed in range(5):
        chosen = look_alikes(kinds, 40, np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == 40
        assert (kinds[chosen[:20]] == kinds[chosen[0]]).all()
        assert len(set(kinds[chosen[20:]])) > 1


def test_a_rare_kind_is_filled_up_with_anybody():
    kinds = np.arange(50)
    chosen = look_alikes(kinds, 20, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 20


def test_ridge_finds_a_linear_rule_and_a_constant_where_there_is_none():
    rng = torch.Generator().manual_seed(0)
    x, of = (torch.randn(400, 6, generator=rng) * 3 + 1 for _ in range(2))
    weights = torch.randn(6, 4, generator=rng)
    assert torch.allclose(
        ridge(x, x @ weights + 2, of, 1e-6), (of @ weights + 2).double(), atol=1e-3
    )
    y = torch.randn(400, 4, generator=rng)
    strict = ridge(x, y, of, 1e9)
    assert torch.allclose(strict, y.double().mean(0).expand(400, -1), atol=1e-4)


def test_own_faces_are_told_apart_and_shuffled_ones_are_not():
    faces = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
    kinds = np.arange(60) % 3
    assert told_apart(faces, faces, kinds) == {"auc": 1.0, "alike": 1.0}
    shuffled = told_apart(faces.roll(1, 0), faces, kinds)
    assert shuffled["auc"] == pytest.approx(0.5, abs=0.15)
