"""models/compiled.py: the same pictures from a compiled U-Net, and a sentence where none can be."""

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.models.backend import load_backend
from identitystory.models.device import compile_unet
from tests.conftest import asked
from tests.toy import WIDTHS, toy_checkpoint  # noqa: F401


@pytest.mark.slow
def test_a_traced_unet_paints_the_same_with_the_lora_on_and_off(toy):
    """Torch's own tracer without a code generator, so that the operations are the same."""
    plain, traced = (
        load_backend(toy, device="cpu", dtype="float32", num_steps=4, compiled=compiled)
        for compiled in (False, "eager")
    )
    e = torch.ones(1, sum(WIDTHS))
    for G, H in ((plain.general, traced.general), (plain.identity, traced.identity)):
        own = {"faces": e, "nouns": ["woman"]} if G is plain.identity else {}
        cond = G.condition(asked(["a woman"], guidance=3.0, **own))
        z = G.noise(0)[None]
        torch.testing.assert_close(H.step(z, 3, cond), G.step(z, 3, cond), rtol=1e-5, atol=1e-5)
    assert traced.search.unet is traced.general.unet


class Small(torch.nn.Module):
    def forward(self, x, *, double=False):
        return 2 * x if double else x + 1


def test_a_module_is_compiled_in_place_and_lazily():
    module, compiled = Small(), []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    compile_unet(module, backend)
    assert compiled == []
    assert torch.equal(module(torch.ones(2)), torch.full((2,), 2.0))
    assert torch.equal(module(torch.ones(2), double=True), torch.full((2,), 2.0))
    module(torch.ones(2))
    assert len(compiled) == 2


def test_a_machine_that_cannot_compile_is_told_what_to_do():
    def backend(*_):
        raise FileNotFoundError("no C++ compiler")

    module = Small()
    compile_unet(module, backend)
    with pytest.raises(ConfigError, match=r"no C\+\+ compiler.*leave --compile out"):
        module(torch.ones(2))


def test_running_out_of_memory_stays_what_it_is():
    def backend(*_):
        def run(*_):
            raise torch.OutOfMemoryError("2 GiB")

        return run

    module = Small()
    compile_unet(module, backend)
    with pytest.raises(torch.OutOfMemoryError):
        module(torch.ones(2))
