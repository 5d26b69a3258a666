from dataclasses import replace

import pytest
import torch

from identitystory.config import DiscoveryConfig
from identitystory.discovery import (
    cohesion,
    discover,
    distance_to_mean,
    faced,
    mean,
    medoid,
    reconstruction_error,
    settled,
)
from identitystory.errors import ConfigError, ModelError


def embeddings(m=64, d=24, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(m, d, generator=rng) + 2 * torch.randn(d, generator=rng)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotation(d, seed=7):
    rng = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(d, d, generator=rng, dtype=torch.float64)).Q


def test_the_error_is_the_distance_from_the_leading_directions_over_d():
    """Orthogonal rows of lengths 5, 4, 3: their own directions are the singular vectors."""
    E = torch.diag(torch.tensor([3.0, 5.0, 4.0, 0.0]))
    torch.testing.assert_close(reconstruction_error(E, 1), torch.tensor([3.0, 0, 4, 0]) / 4)
    torch.testing.assert_close(reconstruction_error(E, 2), torch.tensor([3.0, 0, 0, 0]) / 4)


def test_the_error_is_that_of_the_explicit_projection_and_ranks_as_the_mean_square():
    E, k = embeddings().double(), 5
    eigen = torch.linalg.eigh(E.T @ E).eigenvectors[:, -k:]  # another way to V_k
    residual = E - E @ (eigen @ eigen.T)
    got = reconstruction_error(E, k)
    torch.testing.assert_close(
        got.double(), residual.norm(dim=1) / E.shape[1], atol=1e-7, rtol=1e-6
    )
    assert torch.equal(got.argsort(), residual.square().mean(dim=1).argsort())


@pytest.mark.parametrize(
    ("rounding", "counts"), [("floor", [64, 38, 22, 13]), ("round", [64, 38, 23, 14])]
)
def test_each_round_keeps_a_share_of_what_is_left(rounding, counts):
    found = discover(embeddings(), DiscoveryConfig(rounding=rounding))
    assert [len(e) for e in found.errors] + [len(found.kept)] == counts
    assert found.kept.tolist() == sorted(set(found.kept.tolist()))


def test_every_round_drops_exactly_the_largest_errors():
    E, config = embeddings(), DiscoveryConfig(iterations=1)
    found = discover(E, config)
    eps = reconstruction_error(E, config.rank)
    assert set(found.kept.tolist()) == set(eps.argsort()[:38].tolist())
    torch.testing.assert_close(found.errors[0], eps)


def test_the_identity_is_the_mean_of_the_surviving_raw_rows():
    E = embeddings()
    for config in (DiscoveryConfig(), DiscoveryConfig(normalize=True, center=True)):
        found = discover(E, config)
        torch.testing.assert_close(found.embedding, E[found.kept].mean(dim=0))
        assert found.embedding.dtype == torch.float32


def test_the_order_of_the_rows_does_not_matter():
    E = embeddings()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    found, shuffled = discover(E, DiscoveryConfig()), discover(E[order], DiscoveryConfig())
    assert set(order[shuffled.kept].tolist()) == set(found.kept.tolist())
    torch.testing.assert_close(shuffled.embedding, found.embedding, rtol=1e-6, atol=1e-7)


def test_a_rotation_of_the_space_rotates_the_identity_and_keeps_the_rows():
    E = embeddings()
    R = rotation(E.shape[1])
    found, turned = discover(E, DiscoveryConfig()), discover(E.double() @ R, DiscoveryConfig())
    assert torch.equal(turned.kept, found.kept)
    torch.testing.assert_close(turned.embedding, (found.embedding.double() @ R).float())


def test_twice_is_the_same_bit_for_bit():
    first, second = (discover(embeddings(), DiscoveryConfig()) for _ in range(2))
    assert torch.equal(first.embedding, second.embedding)


@pytest.mark.parametrize("selection", ["svd", "trim"])
def test_planted_strangers_are_thrown_out(selection):
    """50 portraits near one face and 14 far from it and from each other."""
    rng = torch.Generator().manual_seed(5)
    face = torch.randn(40, generator=rng)
    E = face + 0.1 * torch.randn(64, 40, generator=rng)
    strangers = torch.randperm(64, generator=rng)[:14]
    E[strangers] = torch.randn(14, 40, generator=rng)
    found = discover(E, DiscoveryConfig(rank=1, selection=selection))
    assert not set(found.kept.tolist()) & set(strangers.tolist())
    assert cohesion(E[found.kept]) > cohesion(E)


def test_the_controls_are_what_they_say():
    E = embeddings()
    everyone = discover(E, DiscoveryConfig(selection="mean"))
    assert everyone.kept.tolist() == list(range(64))
    torch.testing.assert_close(everyone.embedding, E.mean(dim=0))
    assert torch.equal(everyone.embedding, discover(E, DiscoveryConfig(iterations=0)).embedding)

    chance = [discover(E, DiscoveryConfig(selection="random"), seed=s).kept for s in (1, 1, 2)]
    assert [len(kept) for kept in chance] == [13, 13, 13]
    assert torch.equal(chance[0], chance[1])
    assert not torch.equal(chance[0], chance[2])

    trimmed = discover(E, DiscoveryConfig(selection="trim", iterations=1))
    nearest = (E - E.mean(dim=0)).norm(dim=1).argsort()[:38]
    assert set(trimmed.kept.tolist()) == set(nearest.tolist())
    torch.testing.assert_close(trimmed.errors[0], distance_to_mean(E))


def test_the_distance_to_the_mean_is_over_d():
    E = torch.tensor([[0.0, 0.0, 0.0, 0.0], [6.0, 8.0, 0.0, 0.0]])  # 5 from (3, 4, 0, 0)
    assert distance_to_mean(E).tolist() == [1.25, 1.25]


def test_the_medoid_is_the_row_nearest_to_the_mean():
    E = torch.tensor([[5.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert torch.equal(medoid(E), E[1])
    found = discover(embeddings(), DiscoveryConfig(average="medoid"))
    assert torch.equal(found.embedding, medoid(embeddings()[found.kept]))


def test_normalizing_makes_the_length_of_a_row_irrelevant():
    E = embeddings()
    longer = E * torch.linspace(0.5, 3, 64)[:, None]
    config = DiscoveryConfig(normalize=True)
    assert torch.equal(discover(longer, config).kept, discover(E, config).kept)
    assert not torch.equal(
        discover(longer, DiscoveryConfig()).kept, discover(E, DiscoveryConfig()).kept
    )


def test_centring_makes_a_common_shift_irrelevant():
    E = embeddings()
    config = DiscoveryConfig(center=True)
    assert torch.equal(discover(E + 9, config).kept, discover(E, config).kept)


@pytest.mark.parametrize("k", [0, 8, 9])
def test_a_rank_without_information_is_refused(k):
    with pytest.raises(ConfigError, match=f"rank is {k}.*1..7"):
        reconstruction_error(embeddings(8, 24), k)


def test_fewer_portraits_than_configured_still_cannot_slip_past_the_guard():
    """n centred rows span n - 1 directions, so that n - 2 may be kept and leave an error."""
    with pytest.raises(ConfigError, match="rank is 10"):
        discover(embeddings(10), DiscoveryConfig(rank=10))
    centred = DiscoveryConfig(rank=10, center=True, iterations=1)
    with pytest.raises(
        ConfigError, match=r"rank is 10; 11 centred embeddings need one in 1\.\.9\."
    ):
        discover(embeddings(11), centred)
    found = discover(embeddings(11), replace(centred, rank=9))
    assert found.errors[0].max() > 1e-3


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("selection", ["svd", "trim"])
def test_each_round_looks_at_the_rows_still_present_alone(selection, center):
    """A round's features, the centre too, are those of its own rows: two rounds are one and one."""
    E = embeddings()
    E[:20] += 9  # so that the mean moves as rows go
    once = DiscoveryConfig(iterations=1, selection=selection, center=center, normalize=True)
    first = discover(E, once)
    rest = discover(E[first.kept], once)
    both = discover(E, replace(once, iterations=2))
    torch.testing.assert_close(both.errors[1], rest.errors[0])
    assert torch.equal(both.kept, first.kept[rest.kept])


def test_the_control_random_draws_anew_in_each_round():
    found = discover(embeddings(), DiscoveryConfig(selection="random"))
    rng = torch.Generator().manual_seed(0)
    for errors in found.errors:
        assert torch.equal(errors, torch.rand(len(errors), generator=rng))


def test_embeddings_that_overflowed_are_refused_by_portrait():
    E = embeddings()
    E[3, 0], E[9, 1] = torch.inf, torch.nan
    with pytest.raises(ModelError, match=r"\[3, 9\]"):
        discover(E, DiscoveryConfig())


def test_cohesion_is_the_mean_cosine_of_pairs():
    E = torch.tensor([[1.0, 0], [0, 2], [3, 3]])
    half = 2**-0.5
    assert cohesion(E) == pytest.approx((0 + half + half) / 3)
    assert cohesion(E[:1]) == 1
    assert cohesion(E[:2]) == pytest.approx(float(torch.cosine_similarity(E[0], E[1], dim=0)))


def test_the_mean_does_not_depend_on_the_order():
    E = embeddings(1000, 4) * 1e4
    assert torch.equal(mean(E), mean(E.flip(0)))


def test_the_search_ends_when_the_identity_has_settled():
    """Rows around one direction settle at once; rows without one never do."""
    config = DiscoveryConfig(rank=2, settle=0.01)
    one = torch.ones(64, 16) + 0.1 * noise(64, 16)
    assert settled(one, 32, config)
    assert not settled(noise(64, 16), 32, config)
    assert not settled(one, 32, replace(config, settle=0.0))
    assert not settled(one, 0, config)
    assert not settled(one, 4, config)  # too few rows for a filter of rank 2
    assert not settled(one, 64, config)  # nothing new
    a, b = (discover(one[:n], config).embedding for n in (32, 64))
    distance = float(1 - torch.nn.functional.cosine_similarity(a, b, dim=0))
    assert settled(one, 32, replace(config, settle=distance * 1.01))
    assert not settled(one, 32, replace(config, settle=distance * 0.99))


def test_an_identity_has_settled_below_the_distance_and_not_at_it():
    """The mean of the first two rows is orthogonal to that of all four: their distance is 1."""
    E = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 2.0], [-1.0, 2.0]])
    config = DiscoveryConfig(selection="mean", settle=1.0)
    assert not settled(E, 2, config)
    assert settled(E, 2, replace(config, settle=1.001))
    assert settled(torch.ones(2, 3), 1, config)


def test_whether_it_has_settled_is_asked_of_the_same_draw():
    """With the control ``random``: the rows of this seed, and of no other, are compared."""
    E, config = noise(12, 2), DiscoveryConfig(selection="random", iterations=1, settle=0.1)
    near = lambda a, b: float(1 - torch.nn.functional.cosine_similarity(a, b, dim=0)) < 0.1
    own = [[discover(E[:n], config, seed=s).embedding for n in (6, 12)] for s in range(20)]
    answers = [settled(E, 6, config, seed=s) for s in range(20)]
    assert answers == [near(*pair) for pair in own]
    assert len(set(answers)) == 2


def test_portraits_without_a_face_take_no_part():
    E = embeddings(20)
    E[[2, 7]] = 0
    found = discover(E, DiscoveryConfig(rank=2))
    assert not {2, 7} & set(found.kept.tolist())
    assert discover(E, DiscoveryConfig(selection="mean")).kept.tolist() == faced(E).tolist()
    assert len(faced(E)) == 18
    assert faced(E[:0]).tolist() == []
    with pytest.raises(ModelError, match="no face was found in any of 3 pictures"):
        discover(torch.zeros(3, 4), DiscoveryConfig(iterations=0))


def test_while_no_portrait_has_a_face_nothing_has_settled():
    E = torch.ones(4, 3)
    E[:2] = 0
    config = DiscoveryConfig(selection="mean", settle=0.1)
    assert not settled(E, 2, config)
    assert settled(E, 3, config)


def test_too_few_faces_among_the_portraits_have_not_settled():
    """31 faces of 32 are 18 and 10 in later rounds, too few for a filter of rank 10."""
    E, config = torch.ones(48, 16) + 0.1 * noise(48, 16), DiscoveryConfig(rank=10, settle=0.1)
    assert settled(E, 32, config)
    E[5] = 0
    assert not settled(E, 32, config)
    with pytest.raises(ConfigError, match="rank is 10"):
        discover(E[:32], config)


def test_the_draw_is_of_seed_0_unless_it_is_said_otherwise():
    config = DiscoveryConfig(selection="random", iterations=1, settle=0.1)
    draws = [noise(12, 2, seed=n) for n in range(20)]
    answers = [[settled(E, 6, config, seed=s) for E in draws] for s in (0, 1)]
    assert [settled(E, 6, config) for E in draws] == answers[0] != answers[1]


def test_centring_takes_out_the_mean_of_each_column():
    E, config = embeddings(), DiscoveryConfig(center=True)
    columns = torch.arange(24) * 3.0
    assert torch.equal(discover(E + columns, config).kept, discover(E, config).kept)
    assert not torch.equal(
        discover(E + columns, DiscoveryConfig()).kept, discover(E, DiscoveryConfig()).kept
    )
