"""FreeU: on where its authors' methods have it, off everywhere else and afterwards."""

import pytest
import torch

from identitystory.config import DiscoveryConfig
from identitystory.errors import ConfigError
from identitystory.methods.registry import method
from identitystory.models.backend import load_backend
from identitystory.models.sdxl.freeu import freeu
from identitystory.presets import PRESETS
from tests.conftest import asked
from tests.toy import toy_checkpoint  # noqa: F401

AUTHORS = (0.6, 0.4, 1.1, 1.2)


def test_it_is_on_inside_and_off_afterwards_whatever_happens(toy):
    backend = load_backend(toy, device="cpu", dtype="float32", num_steps=3, freeu=AUTHORS)
    G = backend.general
    cond, z = G.condition(asked(["a woman"])), G.noise(1)[None]
    plain = G.step(z, 3, cond)
    with freeu(G.unet, AUTHORS):
        on = G.step(z, 3, cond)
    with freeu(G.unet, None):
        assert torch.equal(G.step(z, 3, cond), plain)
    with pytest.raises(KeyError), freeu(G.unet, AUTHORS):
        raise KeyError
    assert torch.equal(G.step(z, 3, cond), plain)
    G.unet.enable_freeu(s1=0.6, s2=0.4, b1=1.1, b2=1.2)  # the stock way
    stock = G.step(z, 3, cond)
    G.unet.disable_freeu()
    assert torch.equal(on, stock)
    assert not torch.allclose(on, plain)

    portrait, face = backend.search.step(z, 3, cond), backend.identity.step(z, 3, cond)
    assert not torch.allclose(portrait, face)  # of the search alone
    fewer = backend.search.with_steps(2)
    assert fewer.freeu == AUTHORS


def test_who_has_it():
    assert PRESETS["release"].discovery.freeu == AUTHORS
    assert all(PRESETS[n].discovery.freeu is None for n in PRESETS if n != "release")
    for name in ("consistory", "storydiffusion"):
        assert method(name, PRESETS["paper"]).freeu == AUTHORS
        assert method(name, PRESETS["recommended"]).freeu is None
    with pytest.raises(ConfigError, match="freeu is \\(1, 2\\)"):
        DiscoveryConfig(freeu=(1, 2))
