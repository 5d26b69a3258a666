"""The identity tower's training, and the probe of what its embeddings hold."""

import numpy as np
import pytest
import torch

from miniature.embedded import ridge, told_apart
from miniature.identity import look_alikes


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
