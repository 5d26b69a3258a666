import copy

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.sampling import Watched, trajectory

from .conftest import FakeGenerator, FakeIdentityGenerator, T


def test_a_trajectory_counts_down_from_the_given_noise_to_clean():
    G = FakeGenerator()
    z = G.noise(3)[None]
    cond = G.condition(["a pier"], guidance=5)
    got = list(trajectory(G, z, cond))
    assert [i for i, _ in got] == list(range(T, -1, -1))
    assert got[0][1] is z
    assert G.asked == [(1, i) for i in range(T, 0, -1)]
    by_hand = z
    for i in range(T, 0, -1):
        by_hand = G.step(by_hand, i, cond)
    assert torch.equal(got[-1][1], by_hand)


def test_a_trajectory_can_be_entered_in_the_middle():
    G = FakeGenerator()
    cond = G.condition(["a pier"], guidance=5)
    z = dict(trajectory(G, G.noise(3)[None], cond))
    again = dict(trajectory(G, z[4], cond, start=4))
    assert sorted(again) == [0, 1, 2, 3, 4]
    assert all(torch.equal(again[i], z[i]) for i in again)
    assert [i for i, _ in trajectory(G, z[0], cond, start=0)] == [0]


@pytest.mark.parametrize("start", [-1, T + 1])
def test_a_start_outside_the_steps_is_refused(start):
    G = FakeGenerator()
    with pytest.raises(ConfigError, match=f"start is {start}.*0..{T}"):
        next(trajectory(G, G.noise(0)[None], None, start=start))


def test_watching_changes_nothing_and_counts_two_evaluations_a_sample_and_step():
    G, seen = FakeIdentityGenerator(), []
    W = Watched(G, seen.append)
    z = torch.stack([W.noise(1), W.noise(2), W.noise(3)])
    cond = W.condition(["a", "b", "c"], guidance=5, identities=torch.ones(3, 4), nouns=["x"] * 3)
    watched = [z_i for _, z_i in trajectory(W, z, cond)]
    plain = [z_i for _, z_i in trajectory(G, z, cond)]
    assert all(torch.equal(a, b) for a, b in zip(watched, plain, strict=True))
    assert seen == [6] * T
    assert W.evaluations == 2 * 3 * T
    assert W.name == "identity"  # anything else is the wrapped one's
    assert copy.copy(W).wrapped is G
    with pytest.raises(AttributeError):
        W.nonsense  # noqa: B018


def test_raising_in_on_step_cancels_before_the_step():
    G = FakeGenerator()

    def cancel(_):
        raise KeyboardInterrupt

    W = Watched(G, cancel)
    with pytest.raises(KeyboardInterrupt):
        list(trajectory(W, W.noise(0)[None], W.condition(["a"], guidance=1)))
    assert G.asked == []
    assert W.evaluations == 0
