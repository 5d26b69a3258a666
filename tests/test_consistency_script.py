"""benchmarks/consistency.py: what the identity gains."""

import math

import pytest
import torch

from benchmarks.consistency import gained, gains
from identitystory.evaluation import Evaluation
from identitystory.metrics.intervals import mean_of
from identitystory.metrics.suite import Score


def test_a_gain_is_taken_over_the_same_drawn_stories():
    with_identity = torch.tensor([0.9, 0.5, 0.7, 0.3])
    found = gained(mean_of(with_identity), mean_of(with_identity - 0.25), 4)
    assert found == {"auc": 0.25, "low": 0.25, "high": 0.25}  # apart it would be far wider


def test_faces_gain_story_by_story_and_a_story_without_is_left_out():
    def evaluation(values):
        stories = {
            str(k): [Score("Face-Sim", v, None, None, 1), Score("face detection", v, None, None, 1)]
            for k, v in enumerate(values)
        }
        return Evaluation({}, stories, [], {}, {}, {}, "frames", 0)

    templates = [0.1, 0.9, 0.5, 0.3, math.nan]
    found = gains(evaluation([v + 0.2 for v in templates]), evaluation(templates))
    assert found["Face-Sim"] == found["face detection"] == [0.2, 0.2, 0.2]
    assert found["Face-Sim strict"] == [None, None, None]


def test_a_gain_that_one_story_makes_is_not_certain():
    before, after = torch.zeros(4), torch.tensor([1.0, 0, 0, 0])
    found = gained(mean_of(after), mean_of(before), 4)
    assert found["auc"] == pytest.approx(0.25)
    assert found["low"] == 0
    assert found["high"] > 0.5
