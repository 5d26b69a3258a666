"""A base in one file: told from its header, made the very same folder, and refused where it is another."""

import shutil

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from identitystory.cli.main import main
from identitystory.errors import ModelError
from identitystory.models.files import added
from identitystory.models.files.catalogue import ENTRIES, known_base
from identitystory.models.files.checkpoint import check_layout, find_folder
from identitystory.models.files.configs import read_json
from identitystory.models.files.header import Header, read_header
from identitystory.models.files.suited import suits_of
from identitystory.models.samplers import sampler
from identitystory.models.sdxl.file_kind import (
    TEXT,
    TEXT_2,
    UNET,
    VAE,
    check_sdxl_file,
    prediction_of,
)
from identitystory.models.sdxl.load import load_sdxl
from identitystory.models.sdxl.places import single_file_name
from identitystory.models.sdxl.single_file import convert, converted, sdxl_networks
from tests.conftest import asked
from tests.toy import make_toy_pipeline, toy_checkpoint  # noqa: F401

# --- what the first release calls things, written down here anew ---------------------------------


def unet_names(state, config):
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        yield f"{UNET}{single_file_name(layer, config)}.{kind}", tensor


def vae_names(state, levels):
    for name, tensor in state.items():
        new = name.replace("mid_block.resnets.0", "mid.block_1")
        new = new.replace("mid_block.resnets.1", "mid.block_2")
        new = new.replace("mid_block.attentions.0", "mid.attn_1")
        new = new.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        new = new.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
        for old, now in (("down_blocks.", "down."), ("up_blocks.", "up.")):
            head, found, rest = new.partition(old)
            if found:
                block, _, inner = rest.partition(".")
                block = str(levels - 1 - int(block)) if old == "up_blocks." else block
                new = f"{head}{now}{block}.{inner.replace('resnets', 'block')}"
        if ".attn_1." in new:
            for old, now in (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v")):
                new = new.replace(f".{old}.", f".{now}.")
            new = new.replace("to_out.0", "proj_out")
            tensor = tensor[..., None, None] if tensor.dim() == 2 else tensor
        yield VAE + new, tensor


def open_clip_names(state):
    state = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    whole = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight",
        "final_layer_norm.bias": "ln_final.bias",
    }
    for name, tensor in state.items():
        if name in whole:
            yield TEXT_2 + whole[name], tensor
        elif name == "text_projection.weight":
            yield f"{TEXT_2}text_projection", tensor.T
        elif "q_proj" in name:
            three = [state[name.replace("q_proj", f"{each}_proj")] for each in "qkv"]
            new = name.replace("self_attn.q_proj.", "attn.in_proj_")
            yield TEXT_2 + new.replace("encoder.layers", "transformer.resblocks"), torch.cat(three)
        elif "k_proj" not in name and "v_proj" not in name:
            new = name.replace("encoder.layers", "transformer.resblocks")
            new = new.replace("self_attn", "attn").replace("layer_norm", "ln_")
            yield (
                TEXT_2 + new.replace("mlp.fc1", "mlp.c_fc").replace("mlp.fc2", "mlp.c_proj"),
                tensor,
            )
    yield f"{TEXT_2}logit_scale", torch.zeros((), device=next(iter(state.values())).device)


def single_file(networks):
    """All tensors of a checkpoint by their names in one file."""
    unet, vae = networks["unet"], networks["vae"]
    text = {
        k.removeprefix("text_model."): v for k, v in networks["text_encoder"].state_dict().items()
    }
    ids = torch.arange(77, device=next(iter(text.values())).device)[None]
    made = dict(unet_names(unet.state_dict(), unet.config))
    made |= dict(vae_names(vae.state_dict(), len(vae.config["block_out_channels"])))
    made |= {f"{TEXT}text_model.{name}": tensor for name, tensor in text.items()}
    made[f"{TEXT}text_model.embeddings.position_ids"] = ids
    return made | dict(open_clip_names(networks["text_encoder_2"].state_dict()))


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    torch.manual_seed(3)
    pipeline = make_toy_pipeline(tmp_path_factory.mktemp("words"))
    return {
        part: getattr(pipeline, part) for part in ("unet", "vae", "text_encoder", "text_encoder_2")
    }


@pytest.fixture(scope="module")
def file(networks, tmp_path_factory):
    file = tmp_path_factory.mktemp("file") / "Toy Base.safetensors"
    tensors = {
        name: tensor.detach().contiguous().clone() for name, tensor in single_file(networks).items()
    }
    save_file(tensors, file)
    return file


# --- the conversion ----------------------------------------------------------------------------


def test_the_folder_has_the_very_same_tensors(networks, file, toy, tmp_path):
    check_sdxl_file(file, read_header(file))
    made = tmp_path / "made"
    convert(file, made, toy / "tokenizer", "epsilon", networks)
    assert check_layout(made).name == "sdxl"
    bare = lambda state: {k.removeprefix("text_model."): v for k, v in state.items()}
    for part, network in networks.items():
        (weights,) = (made / part).glob("*.safetensors")
        ours, theirs = bare(load_file(weights)), bare(network.state_dict())
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_converted_folder_paints_what_the_checkpoint_paints(toy, tmp_path):
    """From the toy's own files: one step on the folder of the single file is the toy's step."""
    how = {"sampler": "ddim", "num_steps": 4, "device": torch.device("cpu"), "dtype": torch.float32}
    ours = load_sdxl(toy, **how)
    first, second = ours.encode.models
    parts = {"unet": ours.unet, "vae": ours.vae, "text_encoder": first, "text_encoder_2": second}
    tensors = {n: t.detach().contiguous().clone() for n, t in single_file(parts).items()}
    save_file(tensors, tmp_path / "toy.safetensors")
    made = tmp_path / "made"
    convert(tmp_path / "toy.safetensors", made, toy / "tokenizer", "epsilon", parts)
    for name in ("tokenizer", "tokenizer_2"):
        a, b = (CLIPTokenizer.from_pretrained(where / "tokenizer") for where in (toy, made))
        assert (
            a("an old man with a grey beard").input_ids
            == b("an old man with a grey beard").input_ids
        )
        tokens = [CLIPTokenizer.from_pretrained(where / name).pad_token for where in (toy, made)]
        assert tokens[0] == tokens[1]
    shutil.rmtree(made / "tokenizer_2")
    shutil.copytree(toy / "tokenizer_2", made / "tokenizer_2")  # the toy's two have other words
    again = load_sdxl(made, **how)
    z = ours.noise(0)[None]
    steps = [G.step(z, 4, G.condition(asked(["a woman"], guidance=3.0))) for G in (ours, again)]
    torch.testing.assert_close(*steps, rtol=0, atol=0)


def test_at_full_size_every_name_of_the_first_release_has_its_place():
    """2,515 tensors; the U-Net's names agree with diffusers' own conversion."""
    networks = sdxl_networks()
    tensors = single_file(networks)
    assert len(tensors) == 2515
    assert tensors[f"{UNET}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"].shape == (
        640,
        2048,
    )
    assert tensors[f"{UNET}label_emb.0.0.weight"].shape == (1280, 2816)
    assert tensors[f"{TEXT_2}transformer.resblocks.31.attn.in_proj_weight"].shape == (3840, 1280)
    known = ("input_blocks.6.0.op", "output_blocks.2.2.conv", "output_blocks.5.2.conv", "out.2")
    assert all(f"{UNET}{name}.weight" in tensors for name in known)
    assert tensors[f"{VAE}decoder.up.3.upsample.conv.weight"].shape == (512, 512, 3, 3)
    check_sdxl_file("x", Header({k: tuple(v.shape) for k, v in tensors.items()}, {}))
    fronts = {"unet": UNET, "vae": VAE, "text_encoder": TEXT, "text_encoder_2": TEXT_2}
    for part, network in networks.items():
        mine = {k: v for k, v in tensors.items() if k.startswith(fronts[part])}
        assert len(converted(part, network, mine, "x")) == len(network.state_dict())
    unet = networks["unet"]
    names = {k: torch.tensor([n]) for n, k in enumerate(k for k in tensors if k.startswith(UNET))}
    theirs = convert_ldm_unet_checkpoint(dict(names), unet.config)
    ours = dict(zip(unet.state_dict(), range(len(names)), strict=True))
    assert {k: int(v) for k, v in theirs.items()} == ours


# --- what it is --------------------------------------------------------------------------------


def header(*keys, **metadata):
    whole = {f"{UNET}input_blocks.0.0.weight": (320, 4, 3, 3), f"{VAE}x": (1,)}
    whole |= {f"{TEXT}text_model.x": (1,), f"{TEXT_2}x": (1,)}
    told = {key.replace("__", "."): value for key, value in metadata.items()}
    return Header(whole | dict.fromkeys(keys, (1,)), told)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"model.diffusion_model.double_blocks.0.x": (1,)}, "is FLUX"),
        ({"model.diffusion_model.joint_blocks.0.x": (1,)}, "is SD 3"),
        ({"cond_stage_model.transformer.text_model.x": (1,)}, "is SD 1.5"),
        ({"cond_stage_model.model.x": (1,)}, "is SD 2"),
        ({"conditioner.embedders.0.model.x": (1,)}, "is SDXL's refiner"),
        ({"lora_unet_x.lora_down.weight": (1,)}, "--lora"),
        (
            {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
            "lacks the VAE and a text",
        ),
        ({**header().shapes, f"{UNET}input_blocks.0.0.weight": (320, 9, 3, 3)}, "inpainting"),
    ],
)
def test_other_files_are_refused_by_name(keys, said):
    with pytest.raises(ModelError, match=said):
        check_sdxl_file("x.safetensors", Header(keys, {}))


def test_v_prediction_is_recognised_or_asked_for(tmp_path):
    plain = tmp_path / "base.safetensors"
    assert prediction_of(plain, header()) == "epsilon"
    assert prediction_of(plain, header("v_pred")) == "v"
    assert prediction_of(plain, header("v_pred", "ztsnr")) == "v-zero-snr"
    assert prediction_of(plain, header(modelspec__prediction_type="v")) == "v"
    assert prediction_of(plain, header(ss_zero_terminal_snr="True")) == "v-zero-snr"
    named = tmp_path / "noob-vPred-1.safetensors"
    assert prediction_of(named, header("v_pred")) == "v"
    with pytest.raises(ModelError, match="--prediction v"):
        prediction_of(named, header())


# --- the commands ------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path, monkeypatch, toy, networks):
    """An empty store, CLIP's vocabulary at hand, and the toy's networks for SDXL's."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(added, "vocabulary", lambda: toy / "tokenizer")
    monkeypatch.setattr("identitystory.models.sdxl.single_file.sdxl_networks", lambda: networks)
    return tmp_path


def test_a_file_is_added_once_and_its_prediction_can_be_said_later(shop, file, capsys):
    assert main(["models", "add", str(file)]) == 0
    (folder,) = added.folders()
    assert str(folder) in capsys.readouterr().out
    assert folder.name.startswith("toy-base-")
    assert added.add(file) == (folder, False)
    schedule = lambda: read_json(folder / "scheduler" / "scheduler_config.json")
    assert schedule()["prediction_type"] == "epsilon"
    assert main(["models", "add", str(file), "--prediction", "v-zero-snr"]) == 0
    assert schedule()["prediction_type"] == "v_prediction"
    rule = sampler("ddim", schedule(), 10)
    assert rule.prediction_type == "v_prediction"
    assert float(rule.levels[0, 0]) < 1e-6  # it begins at pure noise
    assert added.folders() == [folder]
    capsys.readouterr()
    assert main(["models"]) == 0
    assert f"--model sdxl --base {folder}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["base.ckpt", "base.pt"])
def test_pickles_are_refused_with_the_reason(shop, name, capsys):
    (shop / name).write_bytes(b"\x80\x02}")
    for command in (
        ["models", "add", str(shop / name)],
        ["bench", "--model", "sdxl", "--base", str(shop / name), "--out", str(shop / "out")],
    ):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert "runs the code that it holds" in told
        assert told.count("\n") == 1
    assert not (shop / "hf").exists()


def test_a_broken_or_strange_file_leaves_nothing_behind(shop, networks, capsys):
    tensors = {n: t.detach().contiguous().clone() for n, t in single_file(networks).items()}
    name = f"{UNET}out.2.weight"
    for change, said in (({name: torch.zeros(3)}, "has the shape"), ({}, "is missing")):
        save_file({k: v for k, v in tensors.items() if k != name} | change, shop / "x.safetensors")
        assert main(["models", "add", str(shop / "x.safetensors")]) == 2
        told = capsys.readouterr().err
        assert said in told
        assert "conv_out.weight of its unet" in told
    assert list((shop / "hf" / "identitystory" / "bases").iterdir()) == []
    with pytest.raises(ModelError, match="identitystory models add"):
        find_folder(shop / "x.safetensors")


def test_the_tables_bases_are_known_by_name_and_hub_id():
    assert known_base("animagine-4") is known_base("cagliostrolab/animagine-xl-4.0")
    assert known_base("clip") is None
    assert suits_of("sdxl:animagine-4").steps == 28
    bases = [entry for entry in ENTRIES.values() if entry.role == "base"]
    assert all(entry.licence and entry.commercial for entry in bases)
    with pytest.raises(ModelError, match="models fetch realvisxl-4"):
        find_folder("realvisxl-4")
