"""benchmarks/consistency.py: what the identity gains."""

import pytest
import torch

from benchmarks.consistency import gained, gains
from identitystory.metrics.evidence import Evidence, Instruments, MeasuredStory
from identitystory.metrics.intervals import mean_of


def test_a_gain_is_taken_over_the_same_drawn_stories():
    with_identity = torch.tensor([0.9, 0.5, 0.7, 0.3])
    found = gained(mean_of(with_identity), mean_of(with_identity - 0.25), 4)
    assert found == {"auc": 0.25, "low": 0.25, "high": 0.25}  # apart it would be far wider


def test_faces_gain_story_by_story_and_a_story_without_is_left_out():
    """Two faces of four pictures at planted distances; the last of five stories has none."""

    def seen(*stories):
        return [
            Evidence(
                MeasuredStory(str(k), (), 1),
                faces=torch.tensor([[0.0], [d]]) if d is not None else torch.zeros(0, 1),
                face_who=["Ada"] * (0 if d is None else 2),
                face_words=["a woman"] * (0 if d is None else 2),
                face_frame=[] if d is None else [0, 1],
                chips=torch.rand(0 if d is None else 2, 4, 4),
                wanted={"Ada": 4},
            )
            for k, d in enumerate(stories)
        ]

    class Near:
        def similarity(self, a, b):
            return 1 - (a - b.T).abs()

    near = Instruments(recogniser=Near())
    found = gains(seen(0.1, 0.2, 0.3, 0.4, None), seen(0.3, 0.4, 0.5, 0.6, None), near)
    assert found["Face-Sim"] == [0.2, 0.2, 0.2]
    assert found["face detection"] == [0, 0, 0]
    half_more = gains(seen(0.1, 0.2, 0.3, 0.4), seen(None, None, None, None), near)
    assert half_more["face detection"] == [0.5, 0.5, 0.5]
    assert half_more["Face-Sim"] == [None, None, None]


def test_a_gain_that_one_story_makes_is_not_certain():
    before, after = torch.zeros(4), torch.tensor([1.0, 0, 0, 0])
    found = gained(mean_of(after), mean_of(before), 4)
    assert found["auc"] == pytest.approx(0.25)
    assert found["low"] == 0
    assert found["high"] > 0.5
