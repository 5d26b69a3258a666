"""A packed checkpoint is in SDXL's and PhotoMaker's layout, and the way back works."""

from __future__ import annotations

import copy
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline
from safetensors.torch import load_file

from identitystory.metrics.little_people import load_little_people
from identitystory.models.device import Room
from identitystory.models.sdxl.control_net import load_control
from identitystory.pose import Pose
from identitystory.skeleton import drawn, points
from miniature import card, pack, paths, unpack
from miniature.package import ADAPTER, FEW_STEPS_FILE
from miniature.stages import (
    enlarger,
    few_steps,
    identity_lora,
    ip_adapter,
    pose_control,
    text,
    tower,
    unet,
    vae,
)
from miniature.stages.painter import Painter, load_plain, plain_state
from miniature.training import beside


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Checkpoints of untrained networks."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("state")
    patch.setenv(paths.VARIABLE, str(folder))
    (folder / "checkpoints").mkdir()
    for name in ("tokenizer", "tokenizer_2"):  # what training makes of them is seen in test_words
        shutil.copytree(paths.TARGET / name, folder / name)
    torch.manual_seed(0)
    painter = identity_lora.Listener()
    plain = unet.new_unet()
    load_plain(painter, plain.state_dict())
    models = {
        "text": text.Teaching(len(text.make_tokenizers()[0])), "vae": vae.Taught(),
        "unet": plain, "tower": tower.Tower(), "identity_lora": painter,
        "enlarger": enlarger.new_enlarger(),
    }  # fmt: skip
    for name, model in models.items():
        saved = dict(model=model.state_dict(), step=0, spent=0.0)
        torch.save(saved, paths.checkpoint(name))
    norm = dict(mean=torch.randn(vae.CHANNELS, 1, 1), std=torch.rand(vae.CHANNELS, 1, 1) + 0.5)
    torch.save(norm, folder / "latents_norm.pt")
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def packed(state):
    """The checkpoint that they make."""
    missing = pack.pack(state / "packed")
    assert set(missing) == {
        "segmenter",
        "reader",
        "ip_adapter",
        "few_steps",
        "pose_control",
        "little_people",
    }
    return state / "packed"


def test_diffusers_opens_it_and_knows_the_factor(packed):
    pipeline = StableDiffusionXLPipeline.from_pretrained(packed, torch_dtype=torch.float32)
    assert pipeline.vae_scale_factor == vae.FACTOR
    assert pipeline.default_sample_size * pipeline.vae_scale_factor == vae.SIZE
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("an old man on a beach", num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (vae.SIZE, vae.SIZE, 3)


def test_what_the_state_lacks_is_not_taken_from_a_checkpoint(tmp_path, monkeypatch):
    """Nor is the recogniser beside it changed by a pack that is refused."""
    there, known = tmp_path / "there", tmp_path / "little_people" / "model.safetensors"
    for file in (there / "segmenter" / "model.safetensors", known):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"trained elsewhere")

    def write_parts(folder, beside):
        beside.mkdir()
        (beside / known.name).write_bytes(b"new")
        (folder / "model_index.json").write_bytes(b"new")
        return ["segmenter"]

    monkeypatch.setattr(pack, "write_parts", write_parts)
    with pytest.raises(SystemExit, match=r"segmenter/model.safetensors.* --replace"):
        pack.pack(there)
    assert pack.files_of(there) == {"segmenter/model.safetensors"}
    assert known.read_bytes() == b"trained elsewhere"
    assert pack.pack(there, replace=True) == ["segmenter"]
    assert pack.files_of(there) == {"model_index.json"}
    assert known.read_bytes() == b"new"
    assert {p.name for p in tmp_path.iterdir()} == {"there", "little_people"}


def test_a_pack_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def write_parts(folder, beside):
        (folder / "model_index.json").write_bytes(b"new")
        beside.mkdir()
        raise SystemExit("no pictures to measure with")

    monkeypatch.setattr(pack, "write_parts", write_parts)
    with pytest.raises(SystemExit, match="no pictures"):
        pack.pack(tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_what_a_state_cannot_know_as_the_unpacked_one_did(tmp_path, monkeypatch):
    """Nothing is drawn there, and what was never packed is not there. Measures go with the weights."""
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path / "state"))
    stages = ("vae_cool", "text", "unet_cool", "little_people")
    small = (paths.TARGET, lambda: torch.nn.Linear(1, 1))
    monkeypatch.setattr(unpack, "readers_of", lambda folder: dict.fromkeys(stages, small))
    pack.norm_path().parent.mkdir()
    torch.save({}, pack.norm_path())
    assert unpack.unpack(paths.TARGET) == list(stages)
    card.write_card(tmp_path)
    ours, shipped = card.read_card(tmp_path), card.read_card(paths.TARGET)
    for table in ("sizes", "suits", "data", "measured"):
        assert ours[table] == shipped[table]
    known = {*stages, "look", "decoder", "teacher", "perception"}
    assert ours["training"] == {
        "machine": shipped["training"]["machine"],
        **{k: v for k, v in shipped["training"].items() if k in known},
    }
    trained_on = torch.load(paths.checkpoint("unet_cool"), weights_only=True)
    trained_on["step"] += 1
    torch.save(trained_on, paths.checkpoint("unet_cool"))
    card.write_card(tmp_path)
    left = card.read_card(tmp_path)["measured"]
    assert left == {k: v for k, v in shipped["measured"].items() if not k.startswith("unet_cool")}


def test_a_state_that_was_begun_otherwise_is_not_filled_up(state, packed):
    """What was trained there does not fit these weights."""
    with pytest.raises(SystemExit, match=r"has another training.*--state"):
        unpack.unpack(packed)


def test_it_is_small_enough(packed):
    sizes = [f.stat().st_size for f in packed.rglob("*") if f.is_file()]
    assert max(sizes) <= pack.LARGEST
    assert sum(sizes) <= pack.WHOLE


def test_latents_come_out_normalised(state):
    plain, folded = vae.load_vae(), vae.load_vae()
    mean, std = pack.load_norm()
    pack.fold_normalisation(folded, mean, std)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        z = plain.encode(x).latent_dist.mean
        normal = folded.encode(x).latent_dist.mean
        assert normal.allclose((z - mean) / std, atol=1e-4)
        assert folded.decode(normal).sample.allclose(plain.decode(z).sample, atol=1e-3)


def test_a_lora_can_be_taken_off(state):
    painter, plain = Painter(), unet.load_unet()
    load_plain(painter, plain.state_dict())
    state = plain_state(painter.unet)
    assert all(torch.equal(v, state[k]) for k, v in plain.state_dict().items())


def test_the_identity_of_nobody_changes_nothing(state):
    painter, states = Painter(), torch.randn(2, 77, sum(text.WIDTHS))
    e = torch.randn(2, sum(text.WIDTHS))
    changed = painter.with_identity(states, torch.tensor([0, 5]), e)
    assert torch.equal(changed[0], states[0])
    assert not torch.equal(changed[1, 5], states[1, 5])
    assert torch.equal(changed[1, 6:], states[1, 6:])


def test_a_state_comes_back_from_what_is_packed(packed, tmp_path, monkeypatch):
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path))
    written = unpack.unpack(packed)
    assert {"vae", "text", "unet", "tower", "identity_lora", "enlarger"} <= set(written)
    ours = AutoencoderKL.from_pretrained(packed / "vae").state_dict()
    theirs = vae.load_vae().state_dict()
    assert all(torch.equal(v.float(), theirs[k].float()) for k, v in ours.items())
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():  # what they are normalised by is in the weights by now
        z = vae.load_vae().encode(x).latent_dist.mean
    mean, std = pack.load_norm()
    assert torch.equal((z - mean) / std, z)
    assert unpack.unpack(packed) == []


def test_all_that_is_shipped_comes_back_and_fits(tmp_path, monkeypatch):
    """What is beside the U-Net packs to the same weights; the encoders are not trained on."""
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path / "state"))
    written = unpack.unpack(paths.TARGET)
    assert {"identity_lora", "ip_adapter", "few_steps"} <= set(written)
    for stage, file in ((ip_adapter, ADAPTER), (few_steps, FEW_STEPS_FILE)):
        assert beside.fits(stage.NAME)
        stage.pack(tmp_path)
        ours, shipped = load_file(tmp_path / file), load_file(paths.TARGET / file)
        assert ours.keys() == shipped.keys()
        assert all(torch.equal(v, shipped[k]) for k, v in ours.items())
    assert beside.fits("identity_lora")
    stored = {
        n: torch.load(paths.checkpoint(n), weights_only=True, mmap=True) for n in set(written)
    }
    assert {n for n, s in stored.items() if s["finished"]} == {"text", "vae", "vae_cool", "tower"}
    assert stored["unet_cool"]["began"] == stored["unet"]["step"]
    torch.save(stored["unet_cool"] | {"step": 9999}, tmp_path / "on.pt")
    (tmp_path / "on.pt").rename(paths.checkpoint("unet_cool"))
    paths.checkpoint("few_steps").unlink()
    assert unpack.unpack(paths.TARGET) == ["few_steps"]
    assert not beside.fits("few_steps")  # another U-Net is there by now


def test_the_recogniser_that_is_shipped_comes_back():
    """To be trained further, it is what the package opens."""
    file, read = unpack.readers_of(paths.TARGET)["little_people"]
    assert file.is_file()
    ours, theirs = read()["net"].eval(), load_little_people()
    heads = torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        assert torch.equal(ours.know(heads), theirs.know(heads))


def test_an_untrained_enlarger_enlarges_smoothly():
    x = torch.rand(1, 3, 8, 12)
    y = enlarger.new_enlarger()(x)
    smooth = torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic")
    assert y.shape == (1, 3, 16, 24)
    assert y.allclose(smooth)


def test_the_control_net_is_packed_as_diffusers_has_it_and_comes_back(tmp_path, monkeypatch):
    """The package opens it with the weights that were trained."""
    torch.manual_seed(0)
    plain = unet.new_unet()
    trained = pose_control.PoseControl(plain)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.copy_((parameter + 0.02 * torch.randn(parameter.shape)).half())
    monkeypatch.setattr(pose_control, "load_control", lambda: copy.deepcopy(trained))
    pose_control.pack(tmp_path)
    folder = tmp_path / "controlnet" / "openpose"
    opened = load_control(folder, plain, Room(torch.device("cpu"))).state_dict()
    back = pose_control.unpacked(folder, plain, 7)
    assert float(back.beside) == 7
    for name, value in trained.net.state_dict().items():
        assert torch.equal(opened[name], value)
        assert torch.equal(back.net.state_dict()[name], value)


def test_a_narrower_time_embedding_is_grown_without_changing_what_is_computed():
    """The miniature's U-Net has half of the width that a ControlNetModel must have."""
    torch.manual_seed(0)
    plain = unet.new_unet()
    net = pose_control.encoder_half(plain, (4, 4, 4, 4, 4)).eval()
    assert net.time_embedding.linear_1.out_features > plain.time_embedding.linear_1.out_features
    for place in (*net.controlnet_down_blocks, net.controlnet_mid_block):
        torch.nn.init.eye_(place.weight[:, :, 0, 0])
    seen = {}
    plain.mid_block.register_forward_hook(lambda m, i, o: seen.update(mid=o))
    x, t = torch.randn(1, 24, 16, 16), torch.tensor(500)
    how = {
        "encoder_hidden_states": torch.randn(1, 7, 320),
        "added_cond_kwargs": {"text_embeds": torch.randn(1, 192), "time_ids": torch.ones(1, 6)},
    }
    with torch.inference_mode():
        plain(x, t, **how)
        _, mid = net(x, t, controlnet_cond=torch.rand(1, 3, 256, 256), return_dict=False, **how)
    torch.testing.assert_close(mid, seen["mid"], rtol=1e-4, atol=1e-4)
    assert pose_control.grown(torch.ones(2, 1), torch.Size([2, 3])).tolist() == [
        [1, 0, 0],
        [1, 0, 0],
    ]


def test_the_control_net_sees_poses_from_the_start():
    """As torch begins the layers, pictures of two poses differ by a millionth behind them."""
    torch.manual_seed(0)
    seeing = pose_control.encoder_half(unet.new_unet(), pose_control.SEEN).controlnet_cond_embedding
    poses = [points(Pose("Mara", yaw=yaw), 0, 1, (256, 256)) for yaw in (-20, 20)]
    pictures = np.stack([np.array(drawn([pose], (256, 256))) for pose in poses])
    seen = {}
    seeing.conv_out.register_forward_hook(
        lambda m, given, out: seen.update(given=given[0], out=out)
    )
    with torch.no_grad():
        seeing(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
    assert (seen["given"][0] - seen["given"][1]).std() > 0.02
    assert (seen["out"] == 0).all()  # and says nothing yet
