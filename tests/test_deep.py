"""models/deep.py: when the deep blocks run, and that what they gave is what is used again."""

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.models.backend import load_backend
from identitystory.models.sdxl.feature_cache import DeepFeatures
from identitystory.sampling import trajectory
from tests.conftest import asked
from tests.toy import WIDTHS, toy_checkpoint  # noqa: F401

STEPS = 6


@pytest.fixture
def opened(toy):
    return lambda **more: load_backend(toy, device="cpu", dtype="float32", num_steps=STEPS, **more)


def runs_of_the_middle(G) -> list[int]:
    """A list that grows by one entry whenever the middle block is really computed."""
    runs: list[int] = []
    G.unet.mid_block.resnets[0].register_forward_hook(lambda *_: runs.append(1))
    return runs


def path(G, cond, start=None):
    z = G.noise(0)[None]
    return [z_i for _, z_i in trajectory(G, z, cond, start)]


def test_every_step_is_the_plain_unet_bit_for_bit(opened):
    plain, kept = opened(), opened()
    kept.general.deep = DeepFeatures(kept.general.unet, 1)
    prompt = ["a woman on a beach"]
    for a, b in zip(
        path(plain.general, plain.general.condition(asked(prompt, guidance=3.0))),
        path(kept.general, kept.general.condition(asked(prompt, guidance=3.0))),
        strict=True,
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("every", "expected"), [(2, 3), (3, 2), (9, 1)])
def test_deep_blocks_run_at_every_nth_step(opened, every, expected):
    plain, backend = opened(), opened(reuse=every)
    G, runs = backend.general, runs_of_the_middle(backend.general)
    prompt = ["a woman on a beach"]
    z = path(G, G.condition(asked(prompt, guidance=3.0)))
    assert len(runs) == expected
    exact = path(plain.general, plain.general.condition(asked(prompt, guidance=3.0)))
    assert torch.equal(z[1], exact[1])  # the first step computes everything
    assert not torch.equal(z[2], exact[2])  # the second does not


def test_a_new_trajectory_starts_anew_also_with_the_old_conditioning(opened):
    backend = opened(reuse=STEPS)
    G, runs = backend.general, runs_of_the_middle(backend.general)
    cond = G.condition(asked(["a woman"], guidance=3.0))
    first = path(G, cond)
    second = path(G, cond)
    assert len(runs) == 2
    assert torch.equal(first[-1], second[-1])
    path(G, cond, start=4)  # not the step after the last one
    path(G, G.condition(asked(["a woman"], guidance=3.0)))
    assert len(runs) == 4


def test_the_identity_generator_keeps_its_own_features(opened):
    backend, plain = opened(reuse=2), opened()
    e = torch.ones(1, sum(WIDTHS))
    own = dict(guidance=3.0, faces=e, nouns=["woman"])
    z, prompt = backend.general.noise(0)[None], ["a woman"]
    backend.general.step(z, 5, backend.general.condition(asked(prompt, guidance=3.0)))
    made = backend.identity.step(z, 4, backend.identity.condition(asked(prompt, **own)))
    expected = plain.identity.step(z, 4, plain.identity.condition(asked(prompt, **own)))
    assert torch.equal(made, expected)


def test_two_faces_of_one_picture_each_keep_their_own(opened):
    """Step by step one after the other, as faces beside the words are: each as if it were alone."""
    together = opened(reuse=3)
    G, runs = together.general, runs_of_the_middle(together.general)
    prompts = ["a woman on a beach", "an old man"]
    conds = [G.condition(asked([prompt], guidance=3.0)) for prompt in prompts]
    z = [G.noise(n)[None] for n in (0, 1)]
    for i in range(STEPS, 0, -1):
        z = [G.step(z_i, i, cond) for z_i, cond in zip(z, conds, strict=True)]
    assert len(runs) == 2 * 2
    for n, prompt in enumerate(prompts):
        alone = opened(reuse=3).general
        z_i, cond = alone.noise(n)[None], alone.condition(asked([prompt], guidance=3.0))
        for i in range(STEPS, 0, -1):
            z_i = alone.step(z_i, i, cond)
        assert torch.equal(z[n], z_i)


def test_features_are_held_no_longer_than_a_step(opened):
    G = opened(reuse=2).general
    for i in (6, 5, 3):
        cond = G.condition(asked(["a woman"], guidance=3.0))
        G.step(G.noise(0)[None], i, cond)
    assert len(G.deep._kept) == 1


def test_a_batch_in_parts_keeps_features_of_each_part(opened):
    whole, parts = opened(reuse=2), opened(reuse=2)
    parts.general.most = 1
    made = []
    for backend in (whole, parts):
        G = backend.general
        z = torch.stack([G.noise(0), G.noise(1)])
        cond = G.condition(asked(["a woman"] * 2, guidance=3.0))
        for i in (6, 5, 4):
            z = G.step(z, i, cond)
        made.append(z)
    torch.testing.assert_close(made[1], made[0], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_is_refused(opened):
    with pytest.raises(ConfigError, match="leave out --compile or --reuse"):
        opened(reuse=2, compiled="eager")
    with pytest.raises(ConfigError, match="every 0 steps; 1 or more"):
        opened(reuse=0)
