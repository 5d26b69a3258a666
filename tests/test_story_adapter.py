"""Story-Adapter at toy size: the stock IP-Adapter's output, and rounds."""

import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from identitystory.errors import ModelError
from identitystory.methods.plain import General
from identitystory.methods.story_adapter import GlobalReference, StoryAdapter
from identitystory.models.backend import load_backend
from identitystory.models.sdxl.attention import edited, sites
from identitystory.models.sdxl.family import ADAPTER, adapter_fingerprint
from identitystory.models.sdxl.ip_adapter import load_ip_adapter
from identitystory.models.sdxl.photomaker import load_identity_encoder
from identitystory.runs.files import FolderNotes
from identitystory.sampling import sample
from identitystory.story.file import inline_story
from tests.conftest import asked
from tests.stories import STEPS, far, paint
from tests.toy import add_toy_ip_adapter, toy_checkpoint  # noqa: F401

SHORT = inline_story(["Mara: a woman"], ["{Mara} reads", "{Mara} by the sea"], title="short")
QUICK = StoryAdapter(rounds=2)


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    return add_toy_ip_adapter(shutil.copytree(toy, tmp_path_factory.mktemp("adapter") / "toy"))


@pytest.fixture(scope="module", name="backend")
def backend_with_adapter(folder):
    return load_backend(folder, num_steps=STEPS, device="cpu", dtype="float32")


class _General(General):
    def seed(self, seed, index, *, per_frame):
        return seed


def test_several_pictures_are_seen_as_the_stock_ip_adapter_sees_them(backend, folder):
    """Against StableDiffusionXLPipeline.load_ip_adapter with two pictures, guidance and all."""
    G = backend.general
    adapter = load_ip_adapter(folder, G)
    pictures = list(paint(General(), backend, story=SHORT).values())
    seen = torch.stack([adapter.embed(picture) for picture in pictures])
    cond = G.condition(asked(["an old man"], guidance=5.0))
    z = G.noise(7)[None]
    with torch.no_grad(), edited(G.unet, GlobalReference(adapter, seen, 0.4, guided=True)):
        ours = sample(G, z, cond)

    stock = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    stock.set_progress_bar_config(disable=True)
    stock.scheduler = DDIMScheduler.from_config(
        stock.scheduler.config, clip_sample=False, set_alpha_to_one=False
    )
    stock.load_ip_adapter(
        folder, subfolder="sdxl_models", weight_name="ip-adapter_sdxl.safetensors"
    )
    stock.set_ip_adapter_scale(0.4)
    both = torch.stack([torch.zeros_like(seen), seen])  # (2, N, E): without, with
    theirs = stock(
        "an old man",
        negative_prompt="",
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        latents=z,
        ip_adapter_image_embeds=[both],
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    plain = sample(G, z, cond)
    assert (ours - plain).abs().max() > 0.01


def test_an_embedding_is_the_stock_towers(backend, folder):
    adapter = load_ip_adapter(folder, backend.general)
    picture = paint(General(), backend, story=SHORT, wanted=(0,))[0]
    from transformers import CLIPImageProcessorPil

    process = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    with torch.no_grad():
        pixels = process(picture, return_tensors="pt").pixel_values
        expected = adapter.encoder(pixels).image_embeds[0]
    torch.testing.assert_close(adapter.embed(picture), expected, rtol=1e-3, atol=1e-3)


def test_the_scale_grows_evenly_from_the_second_round_on():
    scales = [StoryAdapter().scale(n) for n in range(11)]
    torch.testing.assert_close(scales[1:], torch.linspace(0.3, 0.5, 10).tolist())
    assert scales[0] == 0.0


def test_without_rounds_it_is_plain_sdxl_and_rounds_look_at_all_of_the_last_one(backend, folder):
    zero = paint(replace(QUICK, rounds=0), backend, story=SHORT)
    plain = paint(replace(_General(), negative=QUICK.negative), backend, story=SHORT)
    assert all(far(zero[n], plain[n]) <= 1 for n in (0, 1))

    one = paint(replace(QUICK, rounds=1), backend, story=SHORT)
    G = backend.general
    adapter = load_ip_adapter(folder, G)
    seen = torch.stack([adapter.embed(zero[0]), adapter.embed(zero[1])])  # both pictures of round 0
    cond = G.condition(asked([SHORT.scenes[1].prompt], guidance=5.0, negative=QUICK.negative))
    with torch.no_grad(), edited(G.unet, GlobalReference(adapter, seen, 0.3, guided=True)):
        expected = G.decode(sample(G, G.noise(3)[None], cond))[0]
    assert far(one[1], expected) == 0
    assert far(one[1], zero[1]) > 1


def test_a_frame_is_the_same_whatever_is_asked_for_and_costs_what_is_counted(
    backend, folder, monkeypatch
):
    whole = paint(QUICK, backend, story=SHORT)
    asked = []
    step = type(backend.general).step
    monkeypatch.setattr(
        type(backend.general),
        "step",
        lambda G, z, i, c: (asked.append(len(z)), step(G, z, i, c))[1],
    )
    alone = paint(QUICK, backend, story=SHORT, wanted=(1,))
    assert far(alone[1], whole[1]) == 0
    assert QUICK.calls(SHORT, (1,), STEPS) == 2 * sum(asked)


def test_rounds_that_were_painted_are_not_painted_again(backend, folder, monkeypatch, tmp_path):
    """Cut off in the last round: only that is made, of the same bytes; notes of another key are none."""
    G = type(backend.general)
    asked, step, limit = [], G.step, [None]

    def counted(self, z, i, cond):
        if len(asked) == limit[0]:
            raise KeyboardInterrupt
        asked.append(len(z))
        return step(self, z, i, cond)

    monkeypatch.setattr(G, "step", counted)
    whole = paint(QUICK, backend, story=SHORT)
    everything = len(asked)
    assert everything == STEPS * 2 * 3  # two frames, the first round and two more

    limit[0] = everything + STEPS * 2 * 2 + 1
    notes = FolderNotes(tmp_path / "notes", "a key")
    with pytest.raises(KeyboardInterrupt):
        paint(QUICK, backend, story=SHORT, notes=notes)
    limit[0] = None
    asked.clear()
    again = paint(QUICK, backend, story=SHORT, notes=notes)
    assert len(asked) == STEPS * 2
    assert all(far(again[n], whole[n]) == 0 for n in (0, 1))
    asked.clear()
    paint(QUICK, backend, story=SHORT, notes=FolderNotes(notes.folder, "another key"))
    assert len(asked) == everything


def test_a_checkpoint_without_an_ip_adapter_is_refused_in_one_line(backend, toy):
    with pytest.raises(ModelError, match=r"holds no IP-Adapter \(sdxl_models/ip-adapter_sdxl"):
        adapter_fingerprint(toy)
    bare = replace(backend, adapter=None)
    with pytest.raises(ModelError, match="has no IP-Adapter, which story-adapter needs"):
        paint(QUICK, bare, story=SHORT)


def test_the_adapter_is_opened_once_in_half_precision_and_takes_turns_where_memory_is_low(folder):
    how = {"num_steps": STEPS, "device": "cpu"}
    low = load_backend(folder, dtype="bfloat16", memory="low", **how)
    adapter = low.adapter()
    assert low.adapter() is adapter
    dtypes = {adapter.encoder.dtype, *(x.dtype for x in adapter.keys.values())}
    assert dtypes == {torch.bfloat16}
    picture = paint(General(), low, story=SHORT, wanted=(0,))[0]
    seen = adapter.embed(picture)
    assert low.general.room.inside is adapter.encoder  # it took the place of the VAE
    edit = GlobalReference(adapter, seen[None], 0.4, guided=False)
    q = torch.zeros(1, 2, 4, 8, device="meta", dtype=torch.bfloat16)
    site = next(s for s in sites(low.general.unet) if not s.is_self)
    heads = len(adapter.keys[site.name]) // 8
    q = q[:, :1].expand(1, heads, 4, 8)
    assert edit(site, q, q, q).device.type == "meta"  # wherever the query is


def test_another_unets_or_another_kind_of_adapter_is_refused(backend, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    state = load_file(copy / ADAPTER)
    cross = next(k for k in state if k.endswith("to_k_ip.weight"))
    plus = {k: v for k, v in state.items() if k != "image_proj.proj.weight"}
    short = {k: v for k, v in state.items() if k != cross}
    for broken, message in ((plus, "'plus' and 'face'"), (short, "belongs to another U-Net")):
        save_file(broken, copy / ADAPTER)
        with pytest.raises(ModelError, match=message):
            load_ip_adapter(copy, backend.general)


def test_before_its_training_the_workshops_adapter_changes_nothing(backend):
    from miniature.stages.ip_adapter import Adapter

    G = backend.general
    adapter = Adapter(G.unet, 96)
    cond, z = G.condition(asked(["an old man"], guidance=1.0)), G.noise(7)[None]
    tokens = adapter.tokens(torch.randn(1, 96, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad(), edited(G.unet, adapter.edit(tokens)):
        seen = G.step(z, 2, cond)
    torch.testing.assert_close(seen, G.step(z, 2, cond))


def test_what_the_workshop_trains_is_what_the_package_loads(backend, toy, tmp_path):
    """miniature/stages/ip_adapter.py at toy size: the same attention, written to and read from the files.

    There is no encoder beside it: the checkpoint's identity encoder sees for it.
    """
    from miniature.stages.ip_adapter import Adapter, save

    G, encoder = backend.general, backend.identity.encoder
    with torch.random.fork_rng():
        torch.manual_seed(4)
        trained = Adapter(G.unet, 96)
        for p in trained.parameters():
            torch.nn.init.normal_(p, std=0.2)
    copy = shutil.copytree(toy, tmp_path / "copy")
    save(trained, copy)
    assert [f.name for f in (copy / "sdxl_models").iterdir()] == ["ip-adapter_sdxl.safetensors"]
    assert adapter_fingerprint(copy) != adapter_fingerprint(add_toy_ip_adapter(copy))
    shutil.rmtree(copy / "sdxl_models")
    save(trained, copy)
    loaded = load_ip_adapter(copy, G)

    picture = paint(General(), backend, story=SHORT, wanted=(0,))[0]
    e = encoder.embed(encoder.pixels([picture])).detach()
    torch.testing.assert_close(loaded.embed(picture), e[0])
    stock = StableDiffusionXLPipeline.from_pretrained(copy, add_watermarker=False)
    name = "ip-adapter_sdxl.safetensors"
    stock.load_ip_adapter(
        copy, subfolder="sdxl_models", weight_name=name, image_encoder_folder=None
    )
    (layer,) = stock.unet.encoder_hid_proj.image_projection_layers
    torch.testing.assert_close(loaded.tokens(e), layer(e)[0], rtol=1e-3, atol=1e-3)
    identity = copy / "photomaker.safetensors"
    save_file(load_file(identity), identity, metadata={"shortest_edge": "43"})
    encoder, other = load_identity_encoder(identity), load_ip_adapter(copy, G)
    cut = encoder.embed(encoder.pixels([picture])).detach()
    torch.testing.assert_close(other.embed(picture), cut[0])
    assert (cut - e).abs().max() > 1e-3
    identity.rename(tmp_path / "elsewhere")
    with pytest.raises(
        ModelError, match=r"holds no IP-Adapter \(sdxl_models/image_encoder/ missing"
    ):
        load_ip_adapter(copy, G)

    cond = G.condition(asked(["an old man"], guidance=1.0))
    z = G.noise(7)[None]
    with torch.no_grad():
        with edited(G.unet, GlobalReference(loaded, e, 1.0, guided=False)):
            ours = G.step(z, 2, cond)
        with edited(G.unet, trained.edit(trained.tokens(e))):
            theirs = G.step(z, 2, cond)
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(ours, G.step(z, 2, cond), atol=5e-2)
