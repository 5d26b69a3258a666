"""Frames at twice and four times their size: the network, and the files beside the frames."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, ModelError
from identitystory.models import enlarge as network
from identitystory.models.enlarge import PixelShuffle, load_enlarger, open_enlarger
from identitystory.protocols import ModelFacts
from identitystory.runs.events import Enlarged
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.story.file import inline_story

STORY = inline_story(["Mara: a woman"], ["{Mara} reads", "{Mara} by the sea"])
SMALL = Preset(
    "test",
    num_steps=4,
    discovery=DiscoveryConfig(num_portraits=8, rank=1, iterations=1),
    injection=InjectionConfig(start=2),
)


def noise(width, height):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


class Blocks(torch.nn.Module):
    """Each pixel becomes four of its own."""

    asked = 0

    def enlarge(self, image):
        Blocks.asked += 1
        return image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)


def write(folder, model, **more):
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"width": 8, "depth": 2, **more}))


def test_untrained_it_is_a_bicubic_enlargement():
    image = noise(12, 8)
    large = PixelShuffle(8, 2).enlarge(image)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    smooth = torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic").clamp(0, 255)
    assert large.size == (24, 16)
    assert np.abs(np.asarray(large) - smooth[0].permute(1, 2, 0).numpy()).max() <= 0.51


def test_the_last_channels_are_the_four_pixels_of_each():
    """Planted: four constants on top of a black picture come out in reading order."""
    model = PixelShuffle(8, 2)
    with torch.no_grad():
        model.last.bias.copy_(torch.tensor([0.2, 0.4, 0.6, 0.8] * 3))
    large = np.asarray(model.enlarge(Image.new("RGB", (5, 3))))
    wanted = np.rint([[25.5, 51.0], [76.5, 102.0]])
    assert np.abs(large.astype(float) - np.tile(wanted, (3, 5))[..., None]).max() <= 1


def test_what_is_stored_is_read_and_a_broken_one_is_a_line(tmp_path):
    model = PixelShuffle(8, 2)
    torch.nn.init.normal_(model.last.weight, std=0.1)
    write(tmp_path / "good", model)
    image = noise(16, 16)
    assert (
        load_enlarger(tmp_path / "good").enlarge(image).tobytes() == model.enlarge(image).tobytes()
    )
    write(tmp_path / "wide", model, width=16)
    (tmp_path / "none").mkdir()
    for name, told in (("wide", "is broken: .*size mismatch"), ("none", "cannot be read")):
        with pytest.raises(ModelError, match=told) as caught:
            load_enlarger(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_model_without_one_is_told_before_anything_is_painted(monkeypatch, tmp_path, capsys):
    from identitystory.models.files.checkpoint import find_folder

    monkeypatch.setattr(network, "found_in", lambda *_: None)
    with pytest.raises(ModelError, match="miniature has no enlarger"):
        open_enlarger("miniature")
    assert find_folder("miniature").is_dir()
    command = ["generate", "--character", "Mara: a woman", "--scene", "{Mara} reads"]
    assert main([*command, "--out", str(tmp_path / "run"), "--enlarge", "2"]) == 2
    assert "has no enlarger" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def service(backend, monkeypatch):
    monkeypatch.setattr(network, "open_enlarger", lambda model: Blocks())
    Blocks.asked = 0
    describe = lambda *_: ModelFacts("w", "cpu", "float32")
    return Service(load=lambda *_, **__: backend, describe=describe)


def paths(service, request):
    return [e.path for e in service.run(request) if isinstance(e, Enlarged)]


@pytest.mark.parametrize(("times", "calls"), [(2, 2), (4, 4)])
def test_frames_get_larger_copies_once_and_stay_as_they_are(service, tmp_path, times, calls):
    plain = RunRequest(STORY, tmp_path / "run", SMALL)
    assert paths(service, plain) == []
    frames = sorted((tmp_path / "run" / "frames").glob("*.png"))
    before = {f: f.read_bytes() for f in frames}
    large = RunRequest(STORY, tmp_path / "run", SMALL, enlarge=times)
    made = paths(service, large)
    assert {f: f.read_bytes() for f in frames} == before
    assert len(made) == 2
    for path in made:
        frame = Image.open(path.with_name(path.name.replace(f".x{times}", "")))
        blocks = np.asarray(frame).repeat(times, 0).repeat(times, 1)
        assert np.array_equal(np.asarray(Image.open(path)), blocks)
    assert paths(service, large) == made
    assert Blocks.asked == calls


def test_a_copy_goes_with_its_frame_to_the_takes_and_back(service, tmp_path):
    run = tmp_path / "run"
    request = RunRequest(STORY, run, SMALL, enlarge=2)
    first, _ = paths(service, request)
    before = first.read_bytes()
    again = RunRequest(STORY, run, SMALL, seed=7, only=(0,), enlarge=2)
    assert paths(service, again)[0] == first
    assert first.read_bytes() != before
    assert before in {p.read_bytes() for p in (run / "frames" / "takes").glob("*.x2.png")}


def test_other_numbers_are_refused(service, tmp_path):
    with pytest.raises(ConfigError, match="enlarged 3 times; 2 and 4"):
        list(service.run(RunRequest(STORY, tmp_path / "run", SMALL, enlarge=3)))
    assert not (tmp_path / "run").exists()
