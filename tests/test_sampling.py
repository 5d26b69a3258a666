import copy
import dataclasses

import pytest
import torch

from identitystory.config import InjectionConfig
from identitystory.errors import ConfigError
from identitystory.injection import kept_latents, make_template, redenoise
from identitystory.models.backend import load_backend
from identitystory.protocols import Backend
from identitystory.sampling import Watched, step_noise, trajectory, unwatched, watched
from identitystory.types import Prompt, Template

from .conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T, asked
from .toy import toy_checkpoint  # noqa: F401


def test_a_trajectory_counts_down_from_the_given_noise_to_clean():
    G = FakeGenerator()
    z = G.noise(3)[None]
    cond = G.condition(asked(["a pier"], guidance=5))
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
    cond = G.condition(asked(["a pier"], guidance=5))
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
    cond = W.condition(asked(["a", "b", "c"], guidance=5, faces=torch.ones(3, 4), nouns=["x"] * 3))
    watched = [z_i for _, z_i in trajectory(W, z, cond)]
    plain = [z_i for _, z_i in trajectory(G, z, cond)]
    assert all(torch.equal(a, b) for a, b in zip(watched, plain, strict=True))
    assert seen == [6] * T
    assert W.evaluations == 2 * 3 * T
    assert W.name == "identity"  # anything else is the wrapped one's
    assert copy.copy(W).wrapped is G
    with pytest.raises(AttributeError):
        W.nonsense  # noqa: B018


def test_another_size_is_watched_by_the_same_and_counts_for_itself():
    seen = []
    W = Watched(FakeGenerator(), seen.append)
    assert W.with_size(W.size) is W
    wide = W.with_size((128, 64))
    wide.step(wide.noise(0)[None], 1, wide.condition(asked(["a"], guidance=1)))
    assert (wide.size, wide.noise(0).shape[-1]) == ((128, 64), 16)
    assert (seen, W.evaluations, wide.evaluations) == ([1], 0, 1)


def test_of_a_backend_every_generator_is_watched_and_the_one_that_searches():
    G, G_id, few = FakeGenerator(), FakeIdentityGenerator(), FakeIdentityGenerator()
    for search in (few, None):
        told = []
        backend = watched(Backend("x", G, G_id, FakeSegmenter({}), search=search), told.append)
        made = [unwatched(g) for g in (backend.general, backend.identity, backend.search)]
        assert made == [G, G_id, search or G_id]
        for g in (backend.general, backend.identity, backend.search):
            g.step(G.noise(1)[None], 1, g.condition(asked(["x"])))
        assert len(told) == 3


def test_who_is_not_watched_is_himself():
    G = FakeGenerator()
    assert unwatched(G) is unwatched(Watched(G)) is G


def test_raising_in_on_step_cancels_before_the_step():
    G = FakeGenerator()

    def cancel(_):
        raise KeyboardInterrupt

    W = Watched(G, cancel)
    with pytest.raises(KeyboardInterrupt):
        list(trajectory(W, W.noise(0)[None], W.condition(asked(["a"], guidance=1))))
    assert G.asked == []
    assert W.evaluations == 0


# --- New noise at each step -----------------------------------------------------------------------


@pytest.fixture
def ancestral(toy):
    return load_backend(toy, device="cpu", dtype="float32", sampler="ancestral", num_steps=5)


def test_noise_is_of_the_seed_and_the_step():
    a = step_noise(3, 7, (4, 2, 2))
    assert (a.dtype, a.shape) == (torch.float32, (4, 2, 2))
    assert torch.equal(a, step_noise(3, 7, (4, 2, 2)))
    assert not torch.equal(a, step_noise(3, 6, (4, 2, 2)))
    assert not torch.equal(a, step_noise(4, 7, (4, 2, 2)))
    many = step_noise(2**62, 1, (4, 100, 100))
    assert many.mean().abs() < 0.02
    assert many.std() == pytest.approx(1, abs=0.02)


def test_only_an_ancestral_sampler_draws_and_from_the_prompts_seed(toy, ancestral):
    plain = load_backend(toy, device="cpu", dtype="float32", num_steps=5)
    one, other = asked(["a woman"] * 2, guidance=3.0, seeds=[1, 2])
    z = plain.general.noise(0)[None]
    for G in (plain.general, plain.identity):
        assert torch.equal(G.step(z, 3, G.condition([one])), G.step(z, 3, G.condition([other])))
    for G in (ancestral.general, ancestral.identity, Watched(ancestral.general)):
        made = [G.step(z, 3, G.condition([prompt])) for prompt in (one, other)]
        drawn = [step_noise(seed, 3, z.shape[1:]) for seed in (1, 2)]
        start, end = ancestral.general.sampler.levels[5 - 3].double()
        share = ((1 - end) / (1 - start) * (1 - start / end)).sqrt()
        difference = share * (drawn[0] - drawn[1])  # all else is the same
        torch.testing.assert_close((made[0] - made[1])[0], difference.float(), rtol=1e-4, atol=1e-5)


def test_a_picture_does_not_depend_on_its_company(ancestral):
    """The noise is each picture's own; a batch may differ in the last bits alone."""
    G = Watched(ancestral.general)
    both = asked(["a woman"] * 2, guidance=3.0, interval=(0.0, 0.6), seeds=[5, 6])
    alone = [kept_latents(G, [one])[0] for one in both]
    assert not torch.allclose(*alone)
    together = kept_latents(G, both)
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert torch.equal(kept_latents(G, both[:1])[0], alone[0])


def test_a_template_denoised_again_by_its_own_generator_goes_the_same_way(ancestral):
    G, said = ancestral.general, Prompt("a woman on a pier", guidance=3.0, seed=9)
    z = kept_latents(G, [said])[0]
    M = torch.ones(1, *G.size, dtype=torch.bool)
    template = Template(G.decode(z[:1])[0], z, M, (), 9)
    config = InjectionConfig(start=4)
    again = redenoise(G, template, G.condition([said]), config)
    assert torch.equal(again, z[0])
    other = G.condition([dataclasses.replace(said, seed=10)])
    assert not torch.allclose(redenoise(G, template, other, config), z[0])


def test_a_template_remembers_the_seed_of_its_noise(ancestral):
    prompt = Prompt("a pier at dawn", guidance=3.0, seed=4)
    made = make_template(ancestral.general, ancestral.segmenter, prompt, [], [])
    assert made.seed == 4
    assert torch.equal(made.latents, kept_latents(ancestral.general, [prompt])[0])
