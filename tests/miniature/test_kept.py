"""The chain of identity: what is read off, and what share of it is kept."""

import pytest
import torch

from miniature.checks.kept import correlations, ridge, share_kept


def test_a_regression_reads_off_what_is_linear_in_an_embedding_and_no_more():
    rng = torch.Generator().manual_seed(0)
    E, e = (torch.randn(n, 8, generator=rng) * 3 + 1 for n in (4000, 200))
    told = lambda some: some @ torch.arange(16.0).reshape(8, 2) + 5
    luck = torch.randn(4000, 1, generator=rng), torch.randn(200, 1, generator=rng)
    guess = ridge(E, torch.cat([told(E), luck[0]], 1), e)
    r = correlations(guess, torch.cat([told(e), luck[1]], 1))
    assert r[:2] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert abs(r[2]) < 0.2


def test_correlations_are_numpys_and_0_of_what_does_not_vary():
    rng = torch.Generator().manual_seed(1)
    guess, truth = torch.randn(2, 50, 3, generator=rng)
    truth[:, 2] = 4.0
    pairs = [torch.stack([guess[:, k], truth[:, k]]) for k in (0, 1)]
    expected = [float(torch.corrcoef(pair)[0, 1]) for pair in pairs]
    assert correlations(guess, truth) == pytest.approx([*expected, 0.0], abs=1e-6)


def test_the_share_that_is_kept_is_of_the_way_from_words_to_what_can_be_painted():
    r = {"words": 0.2, "autoencoded": 0.6, "identity": 0.5, "none": 0.2}
    assert share_kept(r, "words", "identity", "autoencoded") == 0.75
    assert share_kept(r, "words", "identity", "none") == 0.0
