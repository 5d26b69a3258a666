"""Control nets: agreement with diffusers, strength and interval, keys, refusals."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionXLControlNetPipeline
from PIL import Image

import identitystory
from identitystory.cli.main import main
from identitystory.config import ControlConfig, DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, ModelError, StoryError
from identitystory.experiments import figures
from identitystory.methods.identitystory import IdentityStory
from identitystory.metrics.attributes import load_reader
from identitystory.models.backend import load_backend
from identitystory.models.files.catalogue import ENTRIES
from identitystory.models.sdxl.control_net import load_control
from identitystory.models.sdxl.sizes import sdxl_unet
from identitystory.pose import Pose
from identitystory.protocols import ModelFacts
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.skeleton import control_of
from identitystory.story.file import inline_story
from identitystory.types import Scene
from tests.conftest import asked
from tests.toy import add_toy_control, toy_checkpoint  # noqa: F401

TURNED = Scene("a young woman", ("Mara",), pose=(Pose("Mara", yaw=-30, pitch=5),))


@pytest.fixture(scope="module")
def posed(toy, tmp_path_factory):
    """A toy checkpoint with a control net; read only."""
    return add_toy_control(shutil.copytree(toy, tmp_path_factory.mktemp("posed") / "toy"))


@pytest.fixture(scope="module")
def backend(posed):
    return load_backend(posed, num_steps=5, dtype="float32")


def control(strength=1.0, interval=(0.0, 1.0)):
    return control_of(TURNED, (64, 64), ControlConfig(strength, interval))


def painted(G, prompts, z):
    cond = G.condition(prompts)
    for i in range(G.num_steps, 0, -1):
        z = G.step(z, i, cond)
    return z


@pytest.fixture(scope="module")
def stock(posed):
    """diffusers' own pipeline on the same files."""
    pipeline = StableDiffusionXLControlNetPipeline.from_pretrained(
        posed,
        controlnet=ControlNetModel.from_pretrained(posed / "controlnet" / "openpose"),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, clip_sample=False, set_alpha_to_one=False
    )
    return pipeline


@pytest.mark.parametrize(("strength", "interval"), [(0.7, (0.0, 1.0)), (1.0, (0.2, 0.6))])
def test_diffusers_own_pipeline_paints_the_same_picture(stock, backend, strength, interval):
    G, text = backend.general, "a middle-aged woman reads a letter"
    one = control(strength, interval)
    z = G.noise(3)[None]
    expected = stock(
        text,
        negative_prompt="snow",
        image=one.image,
        num_inference_steps=5,
        guidance_scale=5.0,
        controlnet_conditioning_scale=strength,
        control_guidance_start=interval[0],
        control_guidance_end=interval[1],
        latents=z,
        output_type="latent",
    ).images
    prompts = asked([text], guidance=5.0, negative="snow")
    made = painted(G, [replace(prompts[0], control=one)], z)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
    assert (made - painted(G, prompts, z)).abs().max() > 0.05  # it says something


def test_a_picture_of_a_batch_keeps_to_its_own_control(backend):
    """Strength, interval and none at all, guided or not: as each is alone; both generators."""
    G, E = backend.general, backend.identity
    texts = ["a woman", "an old man", "a girl", "a young boy"]
    prompts = asked(texts, guidance=3.0)
    controls = [control(), None, control(0.4), control(1.0, (0.0, 0.5))]
    prompts = [replace(p, control=c) for p, c in zip(prompts, controls, strict=True)]
    prompts[2] = replace(prompts[2], guidance=1.0)
    z = torch.stack([G.noise(n) for n in range(4)])
    for i in (5, 1):
        alone = [G.step(z[n : n + 1], i, G.condition([p])) for n, p in enumerate(prompts)]
        made = G.step(z, i, G.condition(prompts))
        torch.testing.assert_close(made, torch.cat(alone), rtol=1e-4, atol=1e-4)
    late = [G.step(z[:1], 1, G.condition([replace(prompts[0], control=c)])) for c in controls[1::2]]
    assert torch.equal(*late)  # past its interval it says nothing
    faced = replace(prompts[0], face=torch.randn(E.embed([]).shape[1]), noun="woman")
    with_it, without = (
        E.step(z[:1], 3, E.condition([replace(faced, control=c)])) for c in (control(), None)
    )
    assert not torch.allclose(with_it, without)


def test_where_memory_is_short_the_net_and_the_unet_take_turns(posed, backend):
    low = load_backend(posed, num_steps=5, dtype="float32", memory="low").general
    room, inside = low.room, []
    hold = room.holding
    room.holding = lambda module: inside.append(type(module).__name__) or hold(module)
    z, prompts = low.noise(0)[None], asked(["a woman"], guidance=3.0)
    prompts = [replace(prompts[0], control=control())]
    made = low.step(z, 4, low.condition(prompts))
    assert inside[-2:] == ["ControlNetModel", "UNet2DConditionModel"]
    G = backend.general
    torch.testing.assert_close(made, G.step(z, 4, G.condition(prompts)))
    with pytest.raises(ConfigError, match="no control net for depth"):
        low.condition([replace(prompts[0], control=replace(control(), kind="depth"))])


def test_a_control_net_of_another_unet_is_refused(posed, tmp_path):
    folder = shutil.copytree(posed / "controlnet" / "openpose", tmp_path / "other")
    unet = sdxl_on_meta()
    with pytest.raises(ModelError, match="of another U-Net: its in_channels is 8"):
        load_control(folder, unet, None)


def sdxl_on_meta():
    with torch.device("meta"):
        return sdxl_unet()


def test_the_published_nets_have_the_size_that_the_table_says():
    unet = sdxl_on_meta()
    with torch.device("meta"):
        net = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    size = sum(p.numel() for p in net.parameters())
    nets = [entry for entry in ENTRIES.values() if entry.role == "control"]
    assert [entry.part for entry in nets] == ["openpose", "depth"]
    assert {entry.parameters for entry in nets} == {size}


# --- runs -----------------------------------------------------------------------------------------

STORY = inline_story(["Mara: a young woman"], ["{Mara} reads", "{Mara} sleeps"], title="Turned")
PRESET = Preset(
    "test",
    num_steps=4,
    discovery=DiscoveryConfig(num_portraits=6, iterations=1, rank=2),
    injection=InjectionConfig(start=3),
    attempts=1,
)


def with_poses(*poses):
    scenes = [replace(s, pose=p) for s, p in zip(STORY.scenes, poses, strict=True)]
    return replace(STORY, scenes=tuple(scenes))


def keys(story, preset=PRESET, **facts):
    model = ModelFacts("w", "cpu", "float32", size=(64, 64), multiple=8, **facts)
    return [
        part.key for part in make_plan(RunRequest(story, Path("x"), preset), model, None).frames
    ]


def test_a_pose_is_part_of_its_frames_key_and_of_no_other():
    plain, weights = keys(STORY), {"control_weights": lambda kind: "sha"}
    one = with_poses((Pose("Mara", yaw=20),), ())
    turned = keys(one, **weights)
    assert (turned[0] != plain[0], turned[1]) == (True, plain[1])
    others = [
        keys(with_poses((Pose("Mara", yaw=21),), ()), **weights),
        keys(one, control_weights=lambda kind: "other"),
        keys(one, replace(PRESET, control=ControlConfig(0.5)), **weights),
        keys(one, replace(PRESET, control=ControlConfig(interval=(0, 0.5))), **weights),
        keys(one, replace(PRESET, control=ControlConfig(identity=True)), **weights),
    ]
    assert len({key for key, _ in [plain, turned, *others]}) == 7
    assert {key for _, key in others} == {plain[1]}
    assert keys(one, replace(PRESET, control=ControlConfig(0))) == plain  # asks no net
    taken = keys(with_poses((), (Pose(source=1, kind="depth"),)), **weights)
    assert (taken[0], taken[1] != plain[1]) == (plain[0], True)
    seeded = with_poses((), (Pose(source=1, kind="depth"),))
    other = replace(seeded, scenes=(replace(seeded.scenes[0], prompt="a dog"), seeded.scenes[1]))
    assert keys(other, **weights)[1] != taken[1]  # the scene that it looks at is in it


def test_a_strangers_story_whose_scenes_point_at_one_another_is_refused():
    for poses in (
        ((), (Pose(source=9),)),
        ((Pose(source=1),), ()),
        ((Pose(source=2),), (Pose(source=1),)),
    ):
        with pytest.raises(StoryError, match="which has none to give"):
            keys(with_poses(*poses))


def test_a_source_that_is_not_asked_for_costs_its_template():
    story = with_poses((), (Pose(source=1, kind="depth"),))
    method = IdentityStory(PRESET)
    both = method.calls(story, [0, 1], 4)
    assert (method.calls(STORY, [0, 1], 4), method.calls(STORY, [1], 4)) == (both, both // 2)
    assert method.calls(story, [1], 4) == both // 2 + 2 * 4
    assert method.calls(story, [0, 1], 4) == both  # painted anyway, and before
    assert IdentityStory(replace(PRESET, batch=2)).calls(story, [0, 1], 4) == both + 2 * 4
    ahead = with_poses((Pose(source=2, kind="depth"),), ())
    assert method.calls(ahead, [0, 1], 4) == both + 2 * 4


FILE = """title = "Turned"
[[character]]
name = "Mara"
description = "a young woman"
[[scene]]
prompt = "{Mara} reads"
pose = {yaw = -30, pitch = 5}
[[scene]]
prompt = "{Mara} sleeps"
[[scene]]
prompt = "{Mara} walks"
pose = {from = 2}
"""
FEW = ["--steps", "3", "--portraits", "4", "--set", "attempts=1"]


def test_a_run_paints_poses_goes_on_where_it_stood_and_makes_a_picture_again(
    toy, posed, tmp_path, capsys
):
    both = add_toy_control(shutil.copytree(posed, tmp_path / "both"), "depth", seed=5)
    file, out = tmp_path / "turned.toml", tmp_path / "run"
    file.write_text(FILE)
    command = ["generate", str(file), "--model", str(both), *FEW, "--quiet"]
    assert main([*command, "--out", str(out)]) == 0
    frames = [out / "frames" / f"{n:03}.png" for n in (1, 2, 3)]
    bytes_ = [frame.read_bytes() for frame in frames]
    frames[2].unlink()
    assert main([*command, "--out", str(out), "--only", "3"]) == 0  # it looks at scene 2 again
    assert [frame.read_bytes() for frame in frames] == bytes_
    assert main([*command, "--out", str(tmp_path / "off"), "--set", "control.strength=0"]) == 0
    off = [(tmp_path / "off" / "frames" / f.name).read_bytes() for f in frames]
    pixels = lambda content: Image.open(io.BytesIO(content)).tobytes()
    same = [pixels(a) == pixels(b) for a, b in zip(bytes_, off, strict=True)]
    assert same == [False, True, False]
    capsys.readouterr()
    again = [str(frames[2]), "--model", str(both), "--out", str(tmp_path / "again")]
    assert main(["generate", *again, "--quiet"]) == 0
    assert pixels((tmp_path / "again" / "frames" / "003.png").read_bytes()) == pixels(bytes_[2])
    record = json.loads((out / "run.json").read_text())
    assert record["story"]["scenes"][2]["pose"][0]["source"] == 2

    capsys.readouterr()
    for model, kind, there in ((toy, "openpose", "none"), (posed, "depth", "only for openpose")):
        lonely = ["generate", str(file), "--model", str(model), *FEW, "--out", str(tmp_path / kind)]
        assert main(lonely) == 2
        error = capsys.readouterr().err
        assert f"no control net for {kind} ({there})" in error
        assert "--set control.strength=0" in error
        assert not (tmp_path / kind).exists()


def test_ablate_pose_measures_in_degrees_and_says_where_there_is_no_net(
    toy, posed, tmp_path, monkeypatch, capsys
):
    """With the miniature's own reader of angles on the toy's noise; its error stands beside."""
    monkeypatch.setattr(figures, "can_draw", lambda: False)  # it takes longer than all else
    attributes = Path(identitystory.__file__).parent / "weights" / "miniature" / "attributes"
    reading = shutil.copytree(posed, tmp_path / "reading")
    shutil.copytree(attributes, reading / "attributes")
    few = ["--steps", "2", "--portraits", "4", "--set", "attempts=1", "--clip", "none"]
    few += ["--faces", "none", "--sets", "1", "--scenes", "2", "--json"]
    out = tmp_path / "out"
    assert main(["ablate", "pose", "--model", str(reading), "--out", str(out), *few]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["figure"] == "Fig. 10a"
    found = {(r["variant"], r["measure"]): r["value"] for r in told["rows"]}
    labels = [f"strength {s:g}" for s in (0, 0.5, 1, 1.5)]
    reader = load_reader(attributes)
    for label in labels:
        name = "identitystory" if label == "strength 1" else f"pose-{label.replace(' ', '-')}"
        folder = out / "runs" / name.replace(".", "-")
        frames = sorted(folder.glob("turned-01-*/frames/???.png"))
        assert len(frames) == 2
        seen = [reader.turns(Image.open(frame)) for frame in frames]
        yaw = [abs(seen[0]["yaw"] - 0), abs(seen[1]["yaw"] + 20)]
        assert found[label, "yaw error"] == pytest.approx(sum(yaw) / 2, abs=1e-3)
    assert len({found[label, "pitch error"] for label in labels}) > 1
    assert set(told["measured_with"]["attributes"]["held-out error"]) == {"yaw", "pitch"}
    assert (out / "pose.csv").is_file()
    assert main(["ablate", "pose", "--model", str(toy), "--out", str(tmp_path / "no"), *few]) == 2
    assert "the checkpoint has no control net for openpose" in capsys.readouterr().err
