"""The script that asks how soon an identity settles."""

import torch

from benchmarks.settling import settling, table
from identitystory.config import DiscoveryConfig

CONFIG = DiscoveryConfig(num_portraits=64, iterations=1, rank=4)


def searched(noise, seed=0):
    rng = torch.Generator().manual_seed(seed)
    one = torch.nn.functional.normalize(torch.randn(32, generator=rng), dim=0)
    return one + noise * torch.randn(64, 32, generator=rng)


def test_portraits_of_one_face_settle_at_once_and_of_many_never():
    same = settling([searched(1e-3), searched(1e-3, 1)], CONFIG, orders=2)
    many = settling([searched(1.0)], CONFIG, orders=2)
    assert list(same) == list(many) == [16, 32, 48, 64]
    assert all(len(near) == 4 and near.min() > 0.999 for near, _ in same.values())
    assert [len(moved) for _, moved in same.values()] == [0, 4, 4, 4]
    assert all((moved < 0.01).all() for _, moved in list(same.values())[1:])
    assert all((moved > 0.01).all() for _, moved in list(many.values())[1:])
    assert many[16][0].max() < many[64][0].min() <= 1.0001
    assert torch.allclose(many[64][0], torch.ones(2), atol=1e-5)


def test_numbers_too_small_for_the_filter_are_left_out():
    high = DiscoveryConfig(num_portraits=64, iterations=3, rank=10)
    found = settling([searched(1.0)], high, orders=1)
    assert list(found) == [32, 48, 64]
    assert len(found[32][1]) == 0
    rows = table(found, 0.01).splitlines()
    assert rows[2].startswith("| 32 |")
    assert rows[2].endswith("|  |  |")
    assert rows[-1].startswith("| 64 | 1.000 | 1.000 |")
