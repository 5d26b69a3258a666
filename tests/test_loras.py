"""LoRAs on a model: names, headers, the weights that they change, and runs that go on with them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from identitystory.errors import IdentityStoryError, ModelError, StoryError
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.models.files import checkpoint
from identitystory.models.files.catalogue import called, split_name
from identitystory.models.files.header import read_header, trigger_words
from identitystory.models.files.names import on_base, read_lora_name, split_loras, with_loras
from identitystory.models.files.suited import preset
from identitystory.models.sdxl.lora import merge_lora, read_lora
from identitystory.models.sdxl.lora_file import check_sdxl_lora
from identitystory.models.sdxl.places import flat, lora_places, single_file_name
from identitystory.models.sdxl.single_file import sdxl_networks
from identitystory.runs.request import RunRequest, recorded
from identitystory.runs.service import Service
from identitystory.runs.ways import model_here, model_record
from identitystory.story.file import load_story, make_story
from tests.conftest import asked
from tests.toy import toy_checkpoint  # noqa: F401

STORY = """
title = "ink"
lora = ["more/ink.safetensors:0.5"]
[[character]]
name = "Mara"
description = "a woman with dark curly hair"
[[scene]]
prompt = "{Mara} reads"
"""


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- names -------------------------------------------------------------------------------------


def test_a_model_and_its_loras_are_one_name():
    name = with_loras("sdxl:/some/base", ["a/ink.safetensors:0.8", "b.safetensors"])
    assert name == "sdxl:/some/base + a/ink.safetensors:0.8 + b.safetensors:1.0"
    base, loras = split_loras(name)
    assert base == "sdxl:/some/base"
    assert loras == (("a/ink.safetensors", 0.8), ("b.safetensors", 1.0))
    assert split_loras("/a + b/model") == ("/a + b/model", ())
    assert split_name(name) == ("sdxl", "/some/base")
    assert called("miniature + /home/me/ink.safetensors:0.8") == "miniature + ink.safetensors:0.8"
    assert on_base(" + b.safetensors:1.0", "sdxl + a.safetensors:0.5") == "sdxl + b.safetensors:1.0"
    assert on_base("", "sdxl") == "sdxl"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ink.pt", "a pickle runs the code"),
        ("ink.ckpt:0.5", "a pickle runs the code"),
        ("ink", "is not FILE.safetensors"),
        ("a + b.safetensors", "is not FILE.safetensors"),
        ("ink.safetensors:much", "a number from -4 to 4"),
        ("ink.safetensors:nan", "a number from -4 to 4"),
        ("ink.safetensors:5", "a number from -4 to 4"),
    ],
)
def test_what_is_no_lora_is_refused_by_its_name(given, said):
    with pytest.raises(ModelError, match=said):
        read_lora_name(given)


def test_a_family_that_takes_no_loras_says_so(toy, tmp_path, monkeypatch):
    save_file({"a.lora_A.weight": randn(1, 1)}, tmp_path / "ink.safetensors")
    plain = replace(checkpoint.check_layout(toy), check_lora=None, title="Plain")
    monkeypatch.setattr(checkpoint, "check_layout", lambda _: plain)
    with pytest.raises(ModelError, match=r"^Plain takes no LoRAs; leave .*ink\.safetensors out$"):
        checkpoint.find_checkpoint(with_loras(str(toy), [f"{tmp_path}/ink.safetensors:0.5"]))


def test_a_record_has_the_way_to_a_lora_from_the_runs_folder(tmp_path):
    file = tmp_path / "ink.safetensors"
    told = model_record(tmp_path / "runs" / "x", f"miniature + {file}:0.5")
    assert told == "miniature + ../../ink.safetensors:0.5"


@pytest.mark.parametrize("base", ["miniature", "a folder"])
def test_a_run_that_is_reached_by_a_link_finds_its_model_and_loras(tmp_path, monkeypatch, base):
    (tmp_path / "elsewhere" / "deep" / "run").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "deep" / "run")
    name = str(tmp_path / "models") if base == "a folder" else base
    asked = f"{name} + {tmp_path}/ink.safetensors:0.5"
    told = model_record(tmp_path / "link", asked)
    assert "../../../ink.safetensors" in told
    for out in ("link", "elsewhere/deep/run"):
        assert model_here(tmp_path / out, told) == asked
    monkeypatch.chdir(tmp_path)
    assert model_here(Path("link"), told) == asked.replace(f"{tmp_path}/", "")


# --- the weights -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(toy):
    return load_backend(toy, num_steps=2, dtype="float32")


def toy_file(backend, folder, form, *, rank=2, alpha=1.0):
    """A LoRA's file in one of the forms, and the change of each weight, computed here.

    Of ``told`` and ``rslora``, alpha stands in the metadata, as diffusers writes it.
    """
    told = form in ("told", "rslora")
    peft = told or form == "peft"
    unet, (te1, te2) = backend.general.unet, backend.general.encode.models
    state, changes = {}, {}
    chosen = {
        "conv_in": unet,
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k": unet,
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0": unet,
        "down_blocks.1.resnets.0.conv1": unet,
        "down_blocks.0.downsamplers.0.conv": unet,
        "mid_block.attentions.0.proj_in": unet,
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj": unet,
        "up_blocks.0.upsamplers.0.conv": unet,
        "time_embedding.linear_2": unet,
        "encoder.layers.1.self_attn.q_proj": te1,
        "encoder.layers.0.mlp.fc2": te2,
    }
    for seed, (name, network) in enumerate(chosen.items()):
        own = next(n for n, _ in network.named_modules() if n.removeprefix("text_model.") == name)
        W = network.get_submodule(own).weight.detach().clone()
        A = randn(rank, *W.shape[1:], seed=seed) * 0.3
        B = randn(len(W), rank, *[1] * (W.dim() - 2), seed=seed + 50) * 0.3
        change = torch.einsum("or,ri->oi", B.flatten(1), A.flatten(1)).view_as(W)
        scale = alpha / (rank**0.5 if form == "rslora" else rank)
        changes[network is te1, network is te2, own] = W, change * scale
        if network is unet:
            front = "unet." if peft else "lora_unet_"
            place = single_file_name(name, unet.config) if form == "sgm" else name
        else:
            number = 1 + (network is te2)
            front = f"text_encoder{'_2' * (number == 2)}." if peft else f"lora_te{number}_"
            place = f"text_model.{name}"
        place = place if peft else flat(place)
        down, up = ("lora_A", "lora_B") if peft else ("lora_down", "lora_up")
        state |= {f"{front}{place}.{down}.weight": A, f"{front}{place}.{up}.weight": B}
        if not told:
            state[f"{front}{place}.alpha"] = torch.tensor(alpha)
    file = folder / f"{form}.safetensors"
    metadata = {"ss_tag_frequency": json.dumps({"a": {"ink line": 3}})}
    if told:
        metadata["lora_adapter_metadata"] = adapter_metadata(alpha, use_rslora=form == "rslora")
    save_file(state, file, metadata=metadata)
    return file, changes


def adapter_metadata(alpha, **more):
    """What diffusers' ``save_lora_weights`` says of the U-Net and both text encoders."""
    values = {"r": 99, "lora_alpha": alpha, "alpha_pattern": {}, **more}
    fronts = ("unet", "text_encoder", "text_encoder_2")
    return json.dumps(
        {f"{front}.{key}": value for front in fronts for key, value in values.items()}
    )


@pytest.mark.parametrize("form", ["peft", "kohya", "sgm", "told", "rslora"])
def test_a_lora_is_w_plus_weight_alpha_over_rank_up_down(toy, plain, tmp_path, form):
    """Every form of names changes the same weights, of the U-Net and both text encoders."""
    file, changes = toy_file(plain, tmp_path, form)
    backend = load_backend(f"{toy} + {file}:0.5 + {file}:0.25", num_steps=2, dtype="float32")
    te1, te2 = backend.general.encode.models
    for (first, second, name), (W, change) in changes.items():
        network = te1 if first else te2 if second else backend.general.unet
        layer = network.get_submodule(name)
        ours = getattr(layer, "base_layer", layer).weight
        torch.testing.assert_close(ours, W + 0.75 * change)
        assert not torch.allclose(ours, W)


def test_both_generators_have_it_and_the_identitys_own_stays_its_own(toy, plain, tmp_path):
    file, _ = toy_file(plain, tmp_path, "sgm")
    inked = load_backend(f"{toy} + {file}:1", num_steps=2, dtype="float32")
    z, steps = plain.general.noise(0)[None], []
    for backend in (plain, inked):
        for generator in (backend.general, backend.identity):
            cond = generator.condition(asked(["a woman"], guidance=2.0))
            steps.append(generator.step(z, 2, cond))
    G, G_id, inked_G, inked_id = steps
    assert not torch.allclose(G, inked_G)
    assert not torch.allclose(G_id, inked_id)
    assert not torch.allclose(inked_G, inked_id)
    assert plain.fingerprint != inked.fingerprint


def test_at_full_size_kohyas_names_lead_back_to_their_layers():
    """What its trainers change of SDXL: 722 layers of the U-Net, 72 and 192 of the text encoders."""
    networks = sdxl_networks()
    unet, te1, te2 = (networks[part] for part in ("unet", "text_encoder", "text_encoder_2"))
    linear = lambda layer: isinstance(layer, nn.Linear)
    places = lora_places(unet, (te1, te2), linear)
    layers = [n for n, layer in unet.named_modules() if linear(layer) and ".attentions." in n]
    assert len(layers) == 722
    for name in layers:
        assert places[f"unet_{flat(single_file_name(name, unet.config))}"] == (unet, name)
        assert places[f"unet_{flat(name)}"] == (unet, name)
    for front, encoder, count in (("te1_", te1, 72), ("te2_", te2, 192)):
        found = {
            n: place for n, place in places.items() if n.startswith(f"{front}text_model_encoder")
        }
        assert len(found) == count
        assert len({name for _, name in found.values()}) == count
        assert all(network is encoder for network, _ in found.values())
    name = "unet_output_blocks_5_1_transformer_blocks_1_ff_net_0_proj"
    assert places[name] == (unet, "up_blocks.1.attentions.2.transformer_blocks.1.ff.net.0.proj")


def test_fingerprints_follow_files_weights_and_order(toy, tmp_path):
    a, b = (tmp_path / f"{name}.safetensors" for name in "ab")
    place = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    for file, seed in ((a, 1), (b, 2)):
        A, B = randn(2, 96, seed=seed), randn(32, 2, seed=seed)
        save_file({f"{place}.lora_A.weight": A, f"{place}.lora_B.weight": B}, file)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(a.read_bytes())
    names = ["", f" + {a}:1", f" + {a}:0.5", f" + {b}:1", f" + {a}:1 + {b}:1", f" + {b}:1 + {a}:1"]
    found = [describe_model(f"{toy}{name}", "cpu", "float32").fingerprint for name in names]
    assert len(set(found)) == len(found)
    assert describe_model(f"{toy} + {copy}", "cpu", "float32").fingerprint == found[1]
    state = {"unet.down_blocks.7.to_q.lora_A.weight": randn(2, 96)}
    save_file(state | {"unet.down_blocks.7.to_q.lora_B.weight": randn(32, 2)}, a)
    with pytest.raises(
        ModelError, match=r"a\.safetensors: the model has no place for 'unet\.down_blo"
    ):
        load_backend(f"{toy} + {a}:1", num_steps=2)


@pytest.mark.parametrize("shapes", [((2,), (32, 2)), ((2, 96), (32,)), ((0, 96), (32, 0))])
def test_tensors_of_no_layer_are_refused(toy, plain, tmp_path, shapes):
    place = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    A, B = (torch.zeros(shape) for shape in shapes)
    state = {f"{place}.lora_A.weight": A, f"{place}.lora_B.weight": B}
    file = tmp_path / "flat.safetensors"
    save_file({**state, f"{place}.alpha": torch.tensor(1.0)}, file)
    with pytest.raises(ModelError, match="is not a LoRA weight of SDXL"):
        read_lora(file, plain.general.unet, "flat")
    with pytest.raises(ModelError, match="is not a LoRA weight of SDXL"):
        merge_lora(file, 1.0, plain.general.unet, ())


# --- headers -----------------------------------------------------------------------------------

SDXL_ATTENTION = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"


@pytest.mark.parametrize(
    ("keys", "metadata", "said"),
    [
        ({f"{SDXL_ATTENTION}.hada_w1_a": (4, 4)}, {}, "a LoHa"),
        ({f"{SDXL_ATTENTION}.lokr_w1": (4, 4)}, {}, "a LoKr"),
        ({f"{SDXL_ATTENTION}.dora_scale": (4, 4)}, {}, "a DoRA"),
        ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 3072)}, {}, "of FLUX"),
        ({"transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight": (4, 9)}, {}, "of FLUX"),
        ({"transformer.blocks.0.attn.lora_A.weight": (4, 9)}, {}, "a later family"),
        ({"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 9)}, {}, "of SD 1.5"),
        (
            {"lora_unet_down_blocks_0_attn2_to_k.lora_down.weight": (4, 768)},
            {},
            "of SD 1.5: it reads",
        ),
        ({f"{SDXL_ATTENTION}.lora_down.weight": (4, 2048)}, {}, "of SDXL: it reads 2048"),
        ({"lora_unet_mid.lora_down.weight": (4, 9)}, {"ss_base_model_version": "sd_v1"}, "SD 1.5"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, {}, "with --base"),
        (
            {"unet.mid.lora_A.weight": (4, 9)},
            {"lora_adapter_metadata": adapter_metadata(4, alpha_pattern={"mid": 2})},
            "alpha_pattern",
        ),
        (
            {"unet.mid.lora_A.weight": (4, 9)},
            {"lora_adapter_metadata": adapter_metadata("much")},
            "is broken",
        ),
    ],
)
def test_other_kinds_and_families_are_refused_from_the_header(tmp_path, toy, keys, metadata, said):
    file = tmp_path / "other.safetensors"
    save_file({k: torch.zeros(shape) for k, shape in keys.items()}, file, metadata=metadata)
    with pytest.raises(ModelError, match=said):
        check_sdxl_lora(toy, file, read_header(file))


def test_a_header_is_bounded_and_broken_ones_are_one_line(tmp_path):
    file = tmp_path / "x.safetensors"
    for content in (b"", b"\xff" * 64, (9).to_bytes(8, "little") + b'{"a": 1}', b"[" * 99):
        file.write_bytes(content)
        with pytest.raises(ModelError, match="is not a safetensors file") as error:
            read_header(file)
        assert "\n" not in str(error.value)
    for shape in ("1e999", "[1e999]"):
        told = f'{{"a": {{"shape": {shape}}}}}'.encode()
        file.write_bytes(len(told).to_bytes(8, "little") + told)
        with pytest.raises(ModelError, match="its header is broken"):
            read_header(file)
    with pytest.raises(ModelError, match="No such file"):
        read_header(tmp_path / "nobody.safetensors")


def test_trigger_words_are_the_makers_or_the_most_frequent_tags():
    tags = {"10_a": {"ink line": 30, "woman": 20, "tree": 3}, "2_b": {"ink line": 4}}
    assert trigger_words({"ss_tag_frequency": json.dumps(tags)}) == ("ink line", "woman")
    assert trigger_words({"modelspec.trigger_phrase": "in\x1b[31mk  line"}) == ("in [31mk line",)
    huge = f'{{"a": {{"b": 1{"0" * 400}}}}}'
    assert trigger_words({"ss_tag_frequency": huge}) == ()
    assert trigger_words({"ss_tag_frequency": "[" * 9}) == trigger_words({}) == ()


# --- runs --------------------------------------------------------------------------------------


def test_a_storys_lora_is_beside_it(tmp_path):
    (tmp_path / "ink.toml").write_text(STORY)
    story = load_story(tmp_path / "ink.toml")
    assert story.loras == (str(tmp_path / "more" / "ink.safetensors:0.5"),)
    for bad in ("../ink.safetensors", "/etc/ink.safetensors", "ink.pt", "a/../ink.safetensors"):
        people = [{"name": "Tom", "description": "an old man"}]
        data = {"lora": [bad], "character": people, "scene": [{"prompt": "{Tom} reads"}]}
        with pytest.raises(StoryError, match="beside the story"):
            make_story(data, source="ink.toml")


def test_a_run_goes_on_with_its_loras_and_is_painted_anew_without(toy, plain, tmp_path):
    (tmp_path / "more").mkdir()
    file, _ = toy_file(plain, tmp_path, "peft")
    file.rename(tmp_path / "more" / "ink.safetensors")
    (tmp_path / "ink.toml").write_text(STORY)
    opened = []

    def load(model, **options):
        opened.append(model)
        raise IdentityStoryError("enough")

    story, out = load_story(tmp_path / "ink.toml"), tmp_path / "runs" / "ink"
    request = RunRequest(
        story,
        out,
        preset(
            "recommended",
        ),
        str(toy),
    )
    told = []
    with pytest.raises(IdentityStoryError, match="enough"):
        told.extend(map(str, Service(load=load).run(request)))
    assert any("was taught with the words 'ink line'; no prompt says" in line for line in told)
    assert opened == [f"{toy} + {tmp_path}/more/ink.safetensors:0.5"]
    again = recorded(out)
    assert again.story.loras == story.loras
    assert again.painted_with == opened[0]
    record = json.loads((out / "run.json").read_text())
    assert record["story"]["loras"] == ["../../more/ink.safetensors:0.5"]
    assert str(tmp_path) not in json.dumps(record)
    keys = lambda: {
        n: p["key"] for n, p in json.loads((out / "run.json").read_text())["parts"].items()
    }
    before = keys()
    with pytest.raises(IdentityStoryError, match="enough"):
        list(Service(load=load).run(replace(again, story=replace(story, loras=()))))
    assert all(keys()[name] != key for name, key in before.items())
