"""models/attention.py on a toy U-Net: the one mechanism changes what it is told to and no more."""

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.models.backend import load_backend
from identitystory.models.sdxl.attention import attend, edited, is_edited, observed, sites
from tests.conftest import asked
from tests.toy import toy_checkpoint  # noqa: F401

STEPS = 4


@pytest.fixture(scope="module")
def backend(toy):
    return load_backend(toy, num_steps=STEPS, device="cpu", dtype="float32")


def plain(site, q, k, v):
    """The edit that changes nothing."""
    return attend(q, k, v)


@pytest.fixture
def step(backend):
    G = backend.general
    cond = G.condition(asked(["an old man", "a girl"], guidance=5.0))
    z = torch.stack([G.noise(1), G.noise(2)])
    return lambda: G.step(z, 2, cond)


def test_an_edit_that_does_nothing_gives_the_plain_step(backend, step):
    before = step()
    with edited(backend.general.unet, plain):
        during = step()
    torch.testing.assert_close(during, before, rtol=1e-5, atol=1e-6)
    assert torch.equal(step(), before)


def test_the_identity_lora_is_on_inside_an_edit(backend):
    G_id = backend.identity
    cond = G_id.condition(asked(["an old man"], guidance=5.0))
    z = G_id.noise(1)[None]
    before = G_id.step(z, 2, cond)
    with edited(G_id.unet, plain):
        torch.testing.assert_close(G_id.step(z, 2, cond), before, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(backend.general.step(z, 2, cond), before, atol=1e-3)


def test_processors_come_back_even_after_an_error(backend, step):
    unet = backend.general.unet
    before = dict(unet.attn_processors)

    def broken(site, q, k, v):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), edited(unet, broken):
        step()
    assert unet.attn_processors == before


def test_a_unet_knows_that_it_is_edited_until_the_outermost_edit_is_taken_back(backend):
    unet = backend.general.unet
    assert not is_edited(unet)
    seen = []

    def twice():
        with edited(unet, attend):
            with edited(unet, attend):
                seen.append(is_edited(unet))
            seen.append(is_edited(unet))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        twice()
    assert (seen, is_edited(unet)) == ([True, True], False)


def test_every_site_is_visited_once_a_step_with_its_shapes(backend, step):
    seen = []

    def edit(site, q, k, v):
        seen.append((site, tuple(q.shape), tuple(k.shape)))
        return attend(q, k, v)

    with edited(backend.general.unet, edit):
        step()
    assert sorted(s.name for s, *_ in seen) == sorted(s.name for s in sites(backend.general.unet))
    assert {s.part for s, *_ in seen} == {"down", "mid", "up"}
    for site, q, k in seen:
        assert site.is_self == site.name.endswith("attn1")
        assert q[0] == k[0] == 4  # two prompts, without and with
        assert k[2] == (q[2] if site.is_self else 77)


def test_a_mask_hides_keys():
    q, k, v = (
        torch.randn(2, 3, n, 8, generator=torch.Generator().manual_seed(n)) for n in (4, 5, 5)
    )
    mask = torch.tensor([True, False, True, True, False])
    seen = attend(q, k, v, mask.view(1, 1, 1, 5))
    weights = (q @ k[:, :, mask].mT / 8**0.5).softmax(-1)
    torch.testing.assert_close(seen, weights @ v[:, :, mask])


def test_an_observer_sees_what_the_module_gives(backend, step):
    unet, seen = backend.general.unet, []
    with observed(unet.up_blocks[0], seen.append):
        before = step()
    assert [tuple(x.shape) for x in seen] == [(4, 32, 8, 8)]
    assert torch.equal(step(), before)
    assert len(seen) == 1


def test_a_generator_without_a_unet_is_refused_by_a_sentence(backend):
    from dataclasses import replace

    from identitystory.methods.method import editable

    bare = replace(backend, general=object())
    with pytest.raises(ConfigError, match="consistory changes the attention of a U-Net"):
        editable(bare, "consistory")
