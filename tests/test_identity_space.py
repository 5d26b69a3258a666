"""Fig. 2a on planted clouds."""

import csv
import io
import math

import pytest
import torch
from torch.testing import assert_close

from identitystory.experiments.identity_space import (
    ALL,
    KEPT,
    Cloud,
    measure_space,
    nearest_own,
    points_csv,
    project,
    to_others,
)


def test_the_projection_finds_the_directions_that_were_planted():
    """Spread 3 along one direction and 1 along another of a 20-dimensional space: shares 9 to 1."""
    rng = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(20, 20, generator=rng, dtype=torch.float64)).Q
    angles = torch.arange(8, dtype=torch.float64) * math.pi / 4
    flat = torch.stack([3 * angles.cos(), angles.sin()], dim=1)
    middle, axes, shares = project(flat @ Q[:2] + 5)
    assert_close(middle, torch.full((20,), 5.0, dtype=torch.float64))
    assert_close((axes @ Q[:2].mT).abs(), torch.eye(2, dtype=torch.float64), atol=1e-9, rtol=0)
    assert_close(shares, torch.tensor([0.9, 0.1], dtype=torch.float64))
    assert (axes.amax(dim=1) == axes.abs().amax(dim=1)).all()


def test_a_row_does_not_vote_for_itself():
    """Two far groups are told apart; a stray of two is nearer to the others than to its partner."""
    a = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert nearest_own([a, a + 10]) == [1.0, 1.0]
    stray = torch.tensor([[10.0, 10.0], [0.0, 0.2]])
    assert nearest_own([a, stray]) == [1.0, 0.0]  # with itself in the mean the first would be right
    assert math.isnan(nearest_own([a, stray[:1]])[1])


def test_cosines_are_those_of_all_pairs_written_out():
    rng = torch.Generator().manual_seed(1)
    groups = [torch.randn(n, 5, generator=rng) for n in (3, 4, 2)]
    cosine = torch.nn.functional.cosine_similarity
    for number, found in enumerate(to_others(groups)):
        others = [row for k, g in enumerate(groups) if k != number for row in g]
        pairs = [float(cosine(a, b, dim=0)) for a in groups[number] for b in others]
        assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    assert math.isnan(to_others(groups[:1])[0])


def test_kept_portraits_are_measured_beside_all():
    """Strangers among the portraits: without them each lies with its own."""
    own = [torch.eye(4)[k].repeat(3, 1) for k in range(2)]
    E = [torch.cat([own[0], own[1][:1]]), torch.cat([own[1], own[0][:1]])]
    found = [Cloud(n, e, torch.arange(3), e[0]) for n, e in zip("ab", E, strict=True)]
    outcome = measure_space(found)
    value = lambda label, name: outcome.row(label, name).value
    assert value(ALL, "nearest to own mean") == pytest.approx(3 / 4)
    assert value(KEPT, "nearest to own mean") == 1
    assert value(ALL, "cosine to own") == pytest.approx(1 / 2)
    assert value(KEPT, "cosine to own") == pytest.approx(1)
    assert value(KEPT, "cosine to others") == pytest.approx(0)
    assert outcome.row(KEPT, "cosine to own").gain == pytest.approx(1 / 2)
    table = list(csv.DictReader(io.StringIO(points_csv(found))))
    assert [r["kept"] for r in table] == ["1", "1", "1", "0", ""] * 2
    assert {(r["x"], r["y"]) for r in table if r["kept"] == "1" and r["character"] == "a"} == {
        (table[4]["x"], table[4]["y"])
    }
