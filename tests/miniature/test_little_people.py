"""What the recogniser of drawn people is taught with."""

import numpy as np
import pytest
import torch

from miniature.package import CELL, LOOK
from miniature.stages.little_people import canvases, finding


def bright(y, x, side, size=256):
    """A picture with one bright face."""
    picture = torch.full((3, size, size), -1.0)
    top, left, s = (round(size * v) for v in (y - side / 2, x - side / 2, side))
    picture[:, top : top + s, left : left + s] = 1
    return picture


@pytest.mark.parametrize("seed", range(6))
def test_faces_are_told_where_they_lie_in_the_piece(seed):
    """One by one, side by side, mirrored, nearer: the bright square is where the list says."""
    faces = [(0.45, 0.42, 0.2), None, (0.5, 0.55, 0.25), (0.4, 0.5, 0.2)]
    x = torch.stack([bright(*f) if f else torch.full((3, 256, 256), -1.0) for f in faces])
    pieces, placed = canvases(x, faces, np.random.default_rng(seed))
    assert sum(map(len, placed)) == 3
    for piece, some in zip(pieces, placed, strict=True):
        light = (piece.mean(0) > 0).float()
        assert light.sum().item() == pytest.approx(
            sum((LOOK * s) ** 2 for _, _, s in some), rel=0.25, abs=1
        )
        for y, c, s in some:
            top, left = (round(LOOK * (v - 0.35 * s)) for v in (y, c))
            inner = light[top : top + round(0.7 * LOOK * s), left : left + round(0.7 * LOOK * s)]
            assert inner.mean() > 0.95


def test_a_right_answer_costs_nothing_and_a_wrong_one_something():
    face = (0.5, 0.7, 0.3)
    row, column = (torch.arange(n) + 0.5 for n in (16, 24))
    truth = torch.full((1, 4, 16, 24), -20.0)
    truth[0, 1] = (face[0] * LOOK / CELL - row)[:, None]
    truth[0, 2] = (face[1] * LOOK / CELL - column)[None]
    truth[0, 3] = np.log(face[2])
    truth[0, 0, int(face[0] * 16), int(face[1] * 16)] = 20
    cost = lambda answer: float(finding(answer, [[face]]))
    assert cost(truth) == pytest.approx(0, abs=1e-5)
    for channel, shift in ((0, -40), (1, 0.5), (2, 0.5), (3, 0.2)):
        wrong = truth.clone()
        wrong[0, channel, 8, 11] += shift
        assert cost(wrong) > 0.01
    assert cost(truth.roll(5, 3)) > 1
