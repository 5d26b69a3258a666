"""The measures against independent computations, and on planted truth."""

import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from identitystory.metrics import scores
from identitystory.metrics.intervals import bootstrap, expanded_tail, mean_of


def vectors(n, d=5, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def naive_cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def naive_mean_of_pairs(rows, value):
    found = [value(a, b) for k, a in enumerate(rows) for b in rows[k + 1 :]]
    return sum(found) / len(found)


def test_cosine_is_that_of_school():
    a, b = vectors(3), vectors(4, seed=1)
    expected = [[naive_cosine(x, y) for y in b.tolist()] for x in a.tolist()]
    assert_close(scores.cosine(a, b), torch.tensor(expected, dtype=torch.float64))


def test_clip_t_compares_each_picture_with_its_own_prompt():
    pictures, prompts = vectors(4), vectors(4, seed=1)
    expected = [
        naive_cosine(x, y) for x, y in zip(pictures.tolist(), prompts.tolist(), strict=True)
    ]
    assert_close(scores.clip_t(pictures, prompts), torch.tensor(expected, dtype=torch.float64))
    assert_close(scores.clip_t(pictures, 3 * pictures), torch.ones(4, dtype=torch.float64))
    shuffled = scores.clip_t(pictures, pictures[[1, 2, 3, 0]])
    assert (shuffled < 0.99).all()


def test_clip_i_is_the_mean_over_pairs():
    x = vectors(5)
    assert scores.clip_i(x) == pytest.approx(naive_mean_of_pairs(x.tolist(), naive_cosine))
    assert scores.clip_i(x[:1].expand(4, -1)) == pytest.approx(1)
    assert math.isnan(scores.clip_i(x[:1]))


def test_identical_faces_have_face_sim_1_and_each_pair_counts_once():
    S = torch.tensor([[1, 0.2, 0.6], [0.2, 1, 0.4], [0.6, 0.4, 1]], dtype=torch.float64)
    assert scores.face_sim(S) == pytest.approx((0.2 + 0.6 + 0.4) / 3)
    assert scores.face_sim(torch.ones(6, 6)) == 1
    assert math.isnan(scores.face_sim(torch.ones(1, 1)))


def test_a_missing_face_lowers_the_strict_score_alone():
    S = torch.full((3, 3), 0.8, dtype=torch.float64)
    assert scores.face_sim_strict(S, 3) == pytest.approx(scores.face_sim(S))
    assert scores.face_sim_strict(S, 4) == pytest.approx(0.8 * 3 / 6)
    assert scores.face_sim_strict(torch.zeros(0, 0), 4) == 0
    assert math.isnan(scores.face_sim_strict(torch.ones(1, 1), 1))


def test_detection_is_a_share():
    assert scores.detection(3, 4) == 0.75
    assert math.isnan(scores.detection(0, 0))


def test_permuted_identities_drop():
    """Faces near two centres: with the right names Face-Sim is high, with mixed ones it is not."""
    centres = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0]])
    faces = centres.repeat_interleave(4, 0) + 0.05 * vectors(8)
    right, mixed = list("aaaabbbb"), list("abababab")
    similarity = scores.cosine(faces, faces)

    def within(who):
        rows = [[k for k, w in enumerate(who) if w == name] for name in "ab"]
        return sum(scores.face_sim(similarity[r][:, r]) for r in rows) / 2

    assert within(right) > 0.95 > 0.6 > within(mixed)
    story = torch.zeros(8, dtype=torch.long)
    for who, low, high in ((right, 1, 1), (mixed, 0.2, 0.6)):
        same, _ = scores.same(similarity, who, story)
        other, _, _ = scores.different(similarity, who)
        assert low <= scores.auc(same, other) <= high


def test_different_takes_the_pairs_of_two_characters_and_of_one_description_if_asked():
    S = torch.arange(16, dtype=torch.float64).view(4, 4)
    who, words = ["a", "b", "b", "c"], ["tall", "tall", "tall", "short"]
    values, i, j = scores.different(S, who)
    assert values.tolist() == [S[x, y].item() for x, y in ((0, 1), (0, 2), (0, 3), (1, 3), (2, 3))]
    assert (i[0], j[0]) == (0, 1)
    values, _, _ = scores.different(S, who, words)
    assert values.tolist() == [S[0, 1].item(), S[0, 2].item()]


def test_same_takes_the_pairs_of_one_character_in_one_story():
    S = torch.arange(16, dtype=torch.float64).view(4, 4)
    values, i = scores.same(S, ["a", "a", "a", "b"], torch.tensor([0, 0, 1, 1]))
    assert (values.tolist(), i.tolist()) == ([S[0, 1].item()], [0])


def test_auc_is_the_share_of_ordered_pairs_counted_one_by_one():
    rng = np.random.default_rng(0)
    same, other = rng.integers(0, 6, 20) / 5, rng.integers(0, 5, 30) / 5
    a, b = rng.integers(0, 3, 20), rng.integers(0, 3, 30)
    won = weighted = 0.0
    for s, x in zip(same, a, strict=True):
        for o, y in zip(other, b, strict=True):
            score = 1.0 if s > o else 0.5 if s == o else 0.0
            won, weighted = won + score, weighted + score * x * y
    arguments = [torch.tensor(v, dtype=torch.float64) for v in (same, other, a, b)]
    assert scores.auc(*arguments[:2]) == pytest.approx(won / 600)
    assert scores.auc(*arguments) == pytest.approx(weighted / (a.sum() * b.sum()))
    assert math.isnan(scores.auc(arguments[0], torch.zeros(0, dtype=torch.float64)))


def test_one_face_for_everybody_has_the_auc_of_chance():
    same, other = torch.ones(5, dtype=torch.float64), torch.ones(9, dtype=torch.float64)
    assert scores.auc(same, other) == 0.5


def test_a_pasted_face_has_no_diversity_whatever_its_light():
    face = torch.rand(48, 48, generator=torch.Generator().manual_seed(0))
    pasted = torch.stack([face, 0.5 * face, 0.7 * face + 0.2])
    assert scores.diversity(pasted) == pytest.approx(0, abs=1e-6)
    others = torch.rand(6, 48, 48, generator=torch.Generator().manual_seed(1))
    assert scores.diversity(others) == pytest.approx(1, abs=0.05)


def test_diversity_is_one_minus_numpys_correlation():
    chips = torch.rand(4, 6, 6, generator=torch.Generator().manual_seed(2))
    table = np.corrcoef(chips.flatten(1).numpy())
    assert scores.diversity(chips) == pytest.approx(1 - table[np.triu_indices(4, 1)].mean())


def test_nearest_own_asks_faces_with_company_about_other_frames():
    """Two frames with a and b, and one of a alone; b's second face is a copy of a's."""
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    faces = torch.stack([a, b, a, a, a])
    who, frames = ["a", "b", "a", "b", "a"], [0, 0, 1, 1, 2]
    S = scores.cosine(faces, faces)
    # frame 0: a has .5 a-faces (1) against b's (1): not nearer; b has b's (0) against a's (0): not
    # frame 1: a has a's (1) against b's (0): nearer; b (a copy of a) has b's (0) against a's (1)
    assert scores.nearest_own(S, who, frames).tolist() == [False, False, True, False]
    good = torch.stack([a, b, a, b, a])
    verdicts = scores.nearest_own(scores.cosine(good, good), who, frames)
    assert verdicts.tolist() == [True] * 4


def test_the_interval_of_a_mean_is_that_of_all_46656_resamples():
    """Of six stories there are 6^6 resamples, all equally likely; the tails are the expanded ones."""
    values = [1.0, 2.0, 3.0, 5.0, 6.0, 8.0]
    means = [sum(drawn) / 6 for drawn in product(values, repeat=6)]
    tail = expanded_tail(6)
    exact = tuple(np.quantile(means, [tail, 1 - tail]))
    found = bootstrap(mean_of(torch.tensor(values)), 6, samples=6000, seed=1)
    assert found == pytest.approx(exact, abs=0.2)
    plain = np.quantile(means, [0.025, 0.975])
    assert exact[0] < plain[0] - 0.4
    assert exact[1] > plain[1] + 0.4


def test_the_tails_are_those_of_students_t_for_a_mean_of_so_many():
    """The density of t with n - 1 degrees of freedom, summed up here, leaves 2.5 % beyond t."""
    for n in (5, 10, 40):
        reach = -NormalDist().inv_cdf(expanded_tail(n)) / math.sqrt(n / (n - 1))
        x = torch.linspace(0, reach, 20001, dtype=torch.float64)
        scale = math.gamma(n / 2) / math.gamma((n - 1) / 2) / math.sqrt((n - 1) * math.pi)
        inside = torch.trapezoid(scale * (1 + x**2 / (n - 1)) ** (-n / 2), x)
        assert float(inside) == pytest.approx(0.475, abs=1e-6)
    assert expanded_tail(10**6) == pytest.approx(0.025, abs=1e-5)


def test_stories_of_one_origin_are_drawn_together():
    """Two seeds of a story are no second story: the interval is that of the stories' means."""
    values = torch.tensor([1.0, 2.0, 3.0, 5.0, 6.0])
    twice = values.repeat_interleave(2)
    origins = [k for k in range(5) for _ in range(2)]
    assert bootstrap(mean_of(twice), origins) == bootstrap(mean_of(values), 5)
    low, high = bootstrap(mean_of(twice), 10)
    assert high - low < 0.8 * (6.0 - 1.0)


def test_a_story_counts_as_often_as_it_was_drawn_and_the_same_seed_draws_the_same():
    values = torch.tensor([1.0, 2.0, 4.0, 8.0, math.nan])
    assert mean_of(values)(torch.ones(5)) == pytest.approx(3.75)
    assert mean_of(values)(torch.tensor([2.0, 0, 1, 0, 9])) == pytest.approx(2)
    assert bootstrap(mean_of(values), 5, samples=50) == bootstrap(mean_of(values), 5, samples=50)


def test_few_stories_have_no_interval():
    assert bootstrap(mean_of(torch.ones(3)), 3) is None
    assert bootstrap(mean_of(torch.full((5,), math.nan)), 5, samples=10) is None


def test_equal_stories_have_an_interval_without_width():
    assert bootstrap(mean_of(torch.full((4,), 0.5)), 4, samples=20) == (0.5, 0.5)
