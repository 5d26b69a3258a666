"""benchmarks/consistency.py: what the identity gains."""

import pytest
import torch

from benchmarks.consistency import gained
from identitystory.metrics.intervals import mean_of


def test_a_gain_is_taken_over_the_same_drawn_stories():
    with_identity = torch.tensor([0.9, 0.5, 0.7, 0.3])
    found = gained(mean_of(with_identity), mean_of(with_identity - 0.25), 4)
    assert found == {"auc": 0.25, "low": 0.25, "high": 0.25}  # apart it would be far wider


def test_a_gain_that_one_story_makes_is_not_certain():
    before, after = torch.zeros(4), torch.tensor([1.0, 0, 0, 0])
    found = gained(mean_of(after), mean_of(before), 4)
    assert found["auc"] == pytest.approx(0.25)
    assert found["low"] == 0
    assert found["high"] > 0.5
