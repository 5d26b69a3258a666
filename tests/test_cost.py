"""What the presets fast and low-vram do: fewer evaluations, less memory, and nothing else."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.cost import count_evaluations, search_evaluations
from identitystory.errors import ConfigError, ModelError
from identitystory.models.backend import load_backend
from identitystory.models.device import ACTIVATIONS, Room, rows_that_fit
from identitystory.models.files.suited import preset
from identitystory.pipeline import find_identity
from identitystory.protocols import ModelFacts
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.sampling import Watched, painted, sample
from identitystory.settings import Overrides, overridden, preset_from_dict, to_dict
from identitystory.story.file import inline_story
from identitystory.types import Prompt, guided
from tests.conftest import MARA, asked
from tests.toy import toy_checkpoint  # noqa: F401

# --- Guidance in an interval ---------------------------------------------------------------------


def test_the_interval_counts_from_noise_to_clean():
    steps = lambda interval: [i for i in range(10, 0, -1) if guided(i, 10, interval)]
    assert steps((0.0, 1.0)) == list(range(10, 0, -1))
    assert steps((0.0, 0.3)) == [10, 9, 8]
    assert steps((0.1, 0.4)) == [9, 8, 7]
    assert steps((0.5, 0.5)) == []


def test_guided_inside_and_plain_outside(toy):
    G = load_backend(toy, device="cpu", num_steps=10).general
    z = G.noise(0)[None]
    said = Prompt("a woman", negative="snow", guidance=5.0, interval=(0.0, 0.4))
    pair, on, off = (
        G.condition([replace(said, **more)])
        for more in ({}, {"interval": (0.0, 1.0)}, {"guidance": 1.0})
    )
    assert not torch.equal(G.step(z, 10, on), G.step(z, 10, off))
    for i in (10, 7):
        assert torch.equal(G.step(z, i, pair), G.step(z, i, on))
        assert G.calls(i, pair) == 2
    for i in (6, 1):
        assert torch.equal(G.step(z, i, pair), G.step(z, i, off))
        assert G.calls(i, pair) == 1


def test_the_counted_cost_is_the_formula(toy):
    """On real parts, for portraits and for a frame."""
    backend = load_backend(toy, device="cpu", num_steps=10, search_steps=5)
    search = Watched(backend.search)
    config = DiscoveryConfig(
        num_portraits=3, iterations=0, search_steps=5, guidance_interval=(0.2, 0.6)
    )
    find_identity(search, MARA, config)
    mine = Preset("mine", num_steps=10, discovery=config, injection=InjectionConfig(start=8))
    assert search.evaluations == search_evaluations(mine) == 3 * (5 + 2)
    W = Watched(backend.general)
    painted(W, [Prompt("a woman", guidance=3.0, interval=(0.0, 0.6))])
    assert W.evaluations == count_evaluations(10, 8, 0, interval=(0.0, 0.6)) == 16
    assert count_evaluations(10, 8, 1, interval=(0.0, 0.6)) == 16 + 8 + 4


def test_fast_finds_a_character_in_640_evaluations_at_most():
    assert search_evaluations(preset("fast")) <= 640
    assert search_evaluations(preset("recommended")) == 1024
    assert search_evaluations(preset("recommended", "sdxl")) == 6400
    fast = preset("fast").injection
    assert count_evaluations(50, fast.start, 1, interval=fast.guidance_interval) < 180


def test_search_steps_are_another_table_on_the_same_networks(toy):
    few = load_backend(toy, device="cpu", num_steps=10, search_steps=4)
    assert few.search.num_steps == 4
    assert few.search.unet is few.identity.unet
    assert few.identity.num_steps == 10
    own = load_backend(toy, device="cpu", num_steps=4).identity
    cond = own.condition(asked(["a woman"], guidance=2.0))
    z = own.noise(0)[None]
    assert torch.equal(few.search.step(z, 4, cond), own.step(z, 4, cond))
    assert load_backend(toy, device="cpu", num_steps=4).search.num_steps == 4


# --- A distilled search ---------------------------------------------------------------------------


def few_steps_file(toy, folder):
    """The toy checkpoint again, with a few-step LoRA that is twice the identity's."""
    shutil.copytree(toy, folder)
    tensors = load_file(toy / "photomaker.safetensors")
    lora = {k.removeprefix("lora_weights."): v for k, v in tensors.items() if "lora_weights" in k}
    save_file({k: 2 * v for k, v in lora.items()}, folder / "few_steps.safetensors")
    return folder


def test_a_distilled_search_has_its_lora_on_in_its_steps_alone(toy, tmp_path):
    folder = few_steps_file(toy, tmp_path / "toy")
    plain = load_backend(folder, device="cpu", num_steps=10, search_steps=4)
    backend = load_backend(folder, device="cpu", num_steps=10, search_steps=4, distilled=True)
    z = backend.general.noise(0)[None]
    made = {}
    for name, one in (("plain", plain), ("distilled", backend)):
        for part in ("general", "identity", "search"):
            G = getattr(one, part)
            made[name, part] = G.step(z, 3, G.condition(asked(["a woman"], guidance=1.0)))
    assert torch.equal(made["plain", "general"], made["distilled", "general"])
    assert torch.equal(made["plain", "identity"], made["distilled", "identity"])
    assert not torch.equal(made["plain", "search"], made["distilled", "search"])
    assert [lora.name for lora in backend.search.loras] == ["photomaker", "few_steps"]
    assert [lora.name for lora in backend.identity.loras] == ["photomaker"]
    assert backend.identity.with_size((64, 128)).loras == backend.identity.loras
    assert backend.search.num_steps == 4
    assert backend.search.general.sampler.timesteps.tolist() == [999, 749, 499, 249]  # trailing


def test_a_distilled_search_takes_512_evaluations(toy, tmp_path):
    base = preset("recommended")
    full, _ = overridden(base, Overrides(distilled=True))
    assert search_evaluations(full) == 64 * 8
    assert search_evaluations(overridden(full, Overrides(distilled=False))[0]) == 640
    assert overridden(base, Overrides(distilled=False))[0] == base
    folder = few_steps_file(toy, tmp_path / "toy")
    backend = load_backend(folder, device="cpu", num_steps=4, search_steps=2, distilled=True)
    search = Watched(backend.search)
    config = DiscoveryConfig(
        num_portraits=3, iterations=0, search_steps=2, guidance=5.0, distilled=True
    )
    find_identity(search, MARA, config)
    mine = Preset("mine", num_steps=4, discovery=config, injection=InjectionConfig(start=2))
    assert search.evaluations == search_evaluations(mine) == 3 * 2


def test_a_checkpoint_without_a_few_step_lora_is_told_so(toy, tmp_path):
    distilled, _ = overridden(preset("recommended"), Overrides(distilled=True))
    request = RunRequest(inline_story(["A: a woman"], ["{A}"]), tmp_path, distilled, model="m")
    facts = ModelFacts("w", "cpu", "float32")
    with pytest.raises(ModelError, match=r"m has no few-step LoRA.*fetch sdxl-lightning"):
        make_plan(request, facts, None)
    one = make_plan(request, replace(facts, few_steps="a"), None).identities["A"].key
    assert one != make_plan(request, replace(facts, few_steps="b"), None).identities["A"].key
    with pytest.raises(ModelError, match="no few-step LoRA"):
        load_backend(toy, device="cpu", num_steps=4, distilled=True)


# --- Configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["paper", "release"])
def test_older_presets_are_recorded_as_before(name):
    """The keys of what is finished hang on this."""
    plain = to_dict(preset(name))
    later = {"precision"} if name == "release" else set()
    assert set(plain) == later | {
        "name",
        "sampler",
        "num_steps",
        "discovery",
        "injection",
        "seed_per_frame",
        "attempts",
    }
    later = {"search_steps", "guidance_interval", "settle", "fallback_nouns"}
    assert not later & (set(plain["discovery"]) | set(plain["injection"]))


@pytest.mark.parametrize("name", ["fast", "low-vram"])
def test_newer_presets_survive_a_run_record(name):
    assert preset_from_dict(json.loads(json.dumps(to_dict(preset(name))))) == preset(name)


@pytest.mark.parametrize(
    "values",
    [
        {"guidance_interval": (0.5, 0.2)},
        {"guidance_interval": (0.0, 1.5)},
        {"guidance_interval": 3},
        {"settle": -1.0},
        {"search_steps": 0},
    ],
)
def test_numbers_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        DiscoveryConfig(**values)


# --- Memory --------------------------------------------------------------------------------------


class Spy(nn.Linear):
    """A network that remembers where it was sent."""

    def __init__(self):
        super().__init__(1, 1)
        self.sent = []

    def to(self, device):
        self.sent.append(str(device))
        return self


def test_networks_take_turns():
    room, a, b = Room(torch.device("meta"), one_at_a_time=True), Spy(), Spy()
    room.place(a)
    assert a.sent == []
    with room.holding(a), room.holding(a):
        pass
    with room.holding(b):
        assert a.sent == ["meta", "cpu"]
    with room.holding(a):
        assert b.sent == ["meta", "cpu"]
    everybody = Room(torch.device("meta"))
    everybody.place(b)
    with everybody.holding(a), everybody.holding(b):
        pass
    assert a.sent == ["meta", "cpu", "meta"]
    assert b.sent == ["meta", "cpu", "meta"]


def test_a_network_that_does_not_fit_leaves_the_room_as_usable_as_before():
    class TooLarge(Spy):
        def to(self, device):
            super().to(device)
            if str(device) != "cpu":
                raise torch.OutOfMemoryError("no room")

    room, a, large = Room(torch.device("meta"), one_at_a_time=True), Spy(), TooLarge()
    with room.holding(a):
        pass
    with pytest.raises(torch.OutOfMemoryError), room.holding(large):
        pass
    assert large.sent == ["meta", "cpu"]
    with room.holding(a):
        assert a.sent == ["meta", "cpu", "meta"]


def test_low_memory_paints_nearly_the_same(toy):
    """The same numbers; only tiles may differ at their seams, and a toy picture is one tile."""
    z, images = [], []
    for memory in ("all", "low"):
        backend = load_backend(toy, device="cpu", num_steps=3, memory=memory, dtype="float32")
        G, G_id = backend.general, backend.identity
        z_0 = sample(G, G.noise(0)[None], G.condition(asked(["a woman"], guidance=3.0)))
        e = G_id.embed(G.decode(z_0))
        cond = G_id.condition(asked(["a woman"], guidance=3.0, faces=e, nouns=["woman"]))
        z.append(sample(G_id, z_0, cond))
        images.append(backend.segmenter.segment(*[G.decode(z_0)[0], ["a woman"]]).masks)
    assert torch.equal(z[0], z[1])
    assert torch.equal(images[0], images[1])
    assert backend.general.vae.use_tiling


@pytest.mark.parametrize(("rows", "fit"), [(0.5, 1), (1, 1), (3.9, 2), (4, 4), (33, 32)])
def test_as_many_rows_as_the_free_memory_holds_a_power_of_two(monkeypatch, rows, fit):
    """Of the free memory a fifth is left alone; without an accelerator there is no bound."""
    free = int(rows * ACTIVATIONS * 1000 / 0.8) + 1
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10 * free))
    assert rows_that_fit(torch.device("cuda"), 1000) == fit
    assert rows_that_fit(torch.device("cpu"), 1000) > 10**6


def test_a_batch_that_does_not_fit_is_halved_until_it_does(toy, monkeypatch):
    G = load_backend(toy, device="cpu", num_steps=3, dtype="float32").general
    cond = G.condition(asked(["a woman", "a man", "a boy", "a girl", "a dog"], guidance=3.0))
    z = torch.stack([G.noise(n) for n in range(5)])
    expected, forward, seen = G.step(z, 3, cond), G.unet.forward, []

    def small(sample, *arguments, **options):
        seen.append(len(sample))
        if len(sample) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return forward(sample, *arguments, **options)

    monkeypatch.setattr(G.unet, "forward", small)
    torch.testing.assert_close(G.step(z, 3, cond), expected, rtol=1e-4, atol=3e-5)
    assert seen == [10, 4, 4, 2]  # two rows a picture: 5 pictures, then 2, 2 and 1
    G.step(z, 3, cond)
    assert seen[4:] == [4, 4, 2]  # remembered

    def never(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(G.unet, "forward", never)
    with pytest.raises(torch.OutOfMemoryError):
        G.step(z, 3, cond)


def test_group_norms_on_a_processor_get_their_pictures_channel_by_channel(toy):
    G = load_backend(toy, device="cpu", num_steps=3, dtype="float32").general
    orders = []

    def note(module, inputs):
        orders.append(inputs[0].is_contiguous())

    norms = [m for m in G.unet.modules() if isinstance(m, torch.nn.GroupNorm)]
    for module in norms:
        module.register_forward_pre_hook(note)
    G.step(G.noise(0)[None], 3, G.condition(asked(["a woman"], guidance=3.0)))
    assert orders == [True] * len(norms)
    assert G.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
