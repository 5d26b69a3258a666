"""InstantID as identity generator, on a stand-in for InsightFace: diffusers' pictures, points, terms, refusals."""

import math
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, StableDiffusionXLControlNetPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import gelu, layer_norm, linear

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig
from identitystory.discovery import discover, mean, settled
from identitystory.errors import ConfigError, ModelError, PromptError
from identitystory.injection import redenoise
from identitystory.methods.plain import DirectIdentity
from identitystory.models.arcface import Seen, whose
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.models.files.catalogue import ALLOWED, ENTRIES, licence_of, terms_of
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl import convert_instantid
from identitystory.models.sdxl.family import FACE_FILES, FACES, IDENTITY_NET, INSTANTID_FILE
from identitystory.models.sdxl.instantid import load_instantid
from identitystory.pipeline import inject_together
from identitystory.runs.files import read_tensors
from identitystory.sampling import Watched, sample
from identitystory.skeleton import face_drawn
from identitystory.story.file import inline_story
from identitystory.testing import check_identity_generator
from identitystory.testing.rules import drawn
from identitystory.types import Identity, Prompt, Template, Window
from identitystory.wording import identity_prompts
from tests.toy import (
    ARCFACE,
    add_toy_instantid,
    fake_insightface,
    toy_checkpoint,  # noqa: F401
)

WORDS = Prompt("an old man by the sea", "a boat", guidance=4.0, noun="man")
POINTS = torch.tensor([[20.0, 18], [40, 18], [30, 28], [22, 40], [38, 40]])


@pytest.fixture(scope="module", autouse=True)
def allowed():
    """The stand-in, and somebody who may use it."""
    with pytest.MonkeyPatch.context() as patch:
        fake_insightface(patch)
        patch.setenv(ALLOWED, "1")
        yield


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """A checkpoint without PhotoMaker, whose faces InstantID paints."""
    made = shutil.copytree(toy, tmp_path_factory.mktemp("instant") / "toy")
    (made / "photomaker.safetensors").unlink()
    return add_toy_instantid(made)


@pytest.fixture(scope="module", name="backend")
def backend_with_instantid(folder):
    return load_backend(folder, num_steps=4, device="cpu", dtype="float32")


class ReadsTokens(ControlNetModel):
    """diffusers' control net, which reads the tokens that it is given whatever else it is shown."""

    tokens = None

    def forward(self, sample, timestep, encoder_hidden_states, **rest):
        return super().forward(sample, timestep, self.tokens, **rest)


@pytest.fixture(scope="module")
def stock(folder):
    """diffusers' own pipeline on the same files, its adapter and its control net."""
    pipeline = StableDiffusionXLControlNetPipeline.from_pretrained(
        folder,
        controlnet=ReadsTokens.from_pretrained(folder / IDENTITY_NET),
        image_encoder=None,
        feature_extractor=None,
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, clip_sample=False, set_alpha_to_one=False
    )
    pipeline.load_ip_adapter(
        folder, subfolder="", weight_name=INSTANTID_FILE, image_encoder_folder=None
    )
    return pipeline


@pytest.mark.parametrize(("scale", "points"), [(1.0, POINTS), (0.5, POINTS), (1.0, None)])
def test_diffusers_own_adapter_and_control_net_paint_the_same(backend, stock, scale, points):
    """Tokens beside the words and in the control net, guided; both at .8 of the scale, as published."""
    G_id = backend.identity.set_to(scale=scale)
    face = G_id.embed([drawn(50, 64, 3)])[0]
    z = G_id.noise(7)[None]
    with torch.no_grad():
        asked = replace(WORDS, face=face, points=points)
        ours = sample(G_id, z, G_id.condition([asked]))
        elsewhere = G_id.condition([replace(asked, points=POINTS + 9)])
        other = sample(G_id, z, elsewhere)
    both = torch.stack([torch.zeros_like(face), face])[:, None]  # of nobody, then the face
    (layer,) = stock.unet.encoder_hid_proj.image_projection_layers
    with torch.no_grad():
        stock.controlnet.tokens = layer(both)
    stock.set_ip_adapter_scale(0.8 * scale)
    theirs = stock(
        WORDS.text,
        negative_prompt=WORDS.negative,
        image=face_drawn(POINTS.tolist(), (64, 64)),
        num_inference_steps=4,
        guidance_scale=WORDS.guidance,
        controlnet_conditioning_scale=0.0 if points is None else 0.8 * scale,
        latents=z,
        ip_adapter_image_embeds=[both[:, None]],
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert (ours - other).abs().max() > 0.05  # where the face is makes a difference


def test_tokens_are_those_of_the_resampler_that_is_published(backend, folder):
    """From its formula: queries look at the face and at one another, four times, with a residual each."""
    w = {k.removeprefix("image_proj."): v for k, v in load_file(folder / INSTANTID_FILE).items()}
    face = backend.identity.embed([drawn(64, 48, 4)])

    def norm(x, name):
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    seen, x = linear(face, w["proj_in.weight"], w["proj_in.bias"]), w["latents"][0]
    for n in range(4):
        own = norm(x, f"layers.{n}.0.norm2")
        both = torch.cat([norm(seen, f"layers.{n}.0.norm1"), own])
        q = own @ w[f"layers.{n}.0.to_q.weight"].T
        k, v = (both @ w[f"layers.{n}.0.to_kv.weight"].T).chunk(2, dim=1)
        x = x + (q @ k.T / math.sqrt(64)).softmax(1) @ v @ w[f"layers.{n}.0.to_out.weight"].T
        inner = gelu(norm(x, f"layers.{n}.1.0") @ w[f"layers.{n}.1.1.weight"].T)
        x = x + inner @ w[f"layers.{n}.1.3.weight"].T
    expected = norm(linear(x, w["proj_out.weight"], w["proj_out.bias"]), "norm_out")
    shown = backend.identity.shown(face[0])
    torch.testing.assert_close(shown.tokens[1], expected, rtol=1e-4, atol=1e-4)
    assert shown.scale == pytest.approx(0.8)


def test_it_keeps_an_identity_generators_contract(backend):
    check_identity_generator(backend.identity, general=backend.general)


def test_a_picture_of_a_batch_has_its_own_face_and_place(backend):
    """Guided or not, with points or without: as each is alone."""
    G_id = backend.identity
    faces = G_id.embed([drawn(64, 64, n) for n in (1, 2)])
    asked = [
        replace(WORDS, face=faces[0], points=POINTS),
        replace(WORDS, noun=""),
        replace(WORDS, face=faces[1], guidance=1.0, points=POINTS - 5),
        replace(WORDS, face=faces[1]),
    ]
    z = torch.stack([G_id.noise(n) for n in range(4)])
    with torch.no_grad():
        made = G_id.step(z, 3, G_id.condition(asked))
        alone = [G_id.step(z[n : n + 1], 3, G_id.condition([p])) for n, p in enumerate(asked)]
    torch.testing.assert_close(made, torch.cat(alone))


def test_without_a_face_or_at_no_scale_it_is_g_and_low_memory_changes_nothing(backend, folder):
    G, G_id = backend.general, backend.identity
    z, bare = G.noise(5)[None], [replace(WORDS, noun="")]
    faced = [replace(WORDS, face=G_id.embed([drawn(64, 64, 1)])[0], points=POINTS)]
    none = G_id.set_to(scale=0)
    with torch.no_grad():
        plain = G.step(z, 4, G.condition(bare))
        assert torch.equal(G_id.step(z, 4, G_id.condition(bare)), plain)
        assert torch.equal(none.step(z, 4, none.condition(faced)), plain)
        seen = G_id.step(z, 4, G_id.condition(faced))
        assert torch.equal(G.step(z, 4, G.condition(bare)), plain)  # no trace
        low = load_backend(folder, num_steps=4, device="cpu", dtype="float32", memory="low")
        assert torch.equal(low.identity.step(z, 4, low.identity.condition(faced)), seen)
    assert low.general.room.inside is low.general.unet  # IdentityNet and the resampler have left


# --- where faces are -----------------------------------------------------------------------------


def test_a_face_is_of_the_mask_that_holds_most_of_its_points():
    masks = torch.zeros(3, 60, 60, dtype=torch.bool)
    masks[0, :, :25], masks[1, :, 25:] = True, True
    small = Seen(torch.ones(4), POINTS * 0.4 + 1, 9.0)  # left
    large = Seen(torch.ones(4), POINTS * 0.5, 25.0)
    outside = Seen(torch.ones(4), POINTS + 500, 99.0)
    right = Seen(torch.ones(4), POINTS - torch.tensor([2.0, 0]), 16.0)  # two points of it are left
    found = whose([outside, large, right, small], masks)
    assert found[0] is large.points  # the larger of two
    assert found[1] is right.points
    assert found[2] is None
    assert whose([], masks) == [None] * 3


def test_the_five_points_are_drawn_in_their_colours_tied_to_the_nose():
    size = (240, 240)
    at = [(60, 60), (180, 60), (120, 120), (70, 190), (170, 190)]
    pixels = np.asarray(face_drawn(at, size))
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)]
    for (x, y), colour in zip(at, colours, strict=True):
        assert tuple(pixels[y, x]) == tuple(pixels[y, x + 9]) == colour
    for number in (0, 1, 3, 4):  # half way to the nose, dimmed
        (x, y), colour = at[number], np.array(colours[number])
        assert tuple(pixels[(y + 120) // 2, (x + 120) // 2]) == tuple((colour * 0.6).astype(int))
    assert not pixels[10:40].any()
    assert not pixels[40:100, 115:125].any()  # between the eyes


def test_in_a_picture_the_points_are_the_templates_and_who_has_none_is_told(backend):
    """Two people, one of them with a face: as if each were painted by the words, face and points alone."""
    people = {"Mara": "a woman", "Tom": "a man"}
    story = inline_story(
        [f"{name}: {words}" for name, words in people.items()], ["{Mara} and {Tom} read"]
    )
    scene, G_id = story.scenes[0], backend.identity
    image = Image.new("RGB", (64, 64))
    image.paste(drawn(24, 30, 3), (4, 10))  # all that is not black is the stand-in's face
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, :, :30], masks[1, 20:, 34:] = True, True
    latents = torch.stack([G_id.noise(n) for n in range(5)])
    template = Template(image, latents, masks, seed=3)
    faces = G_id.embed([drawn(64, 64, 1), drawn(64, 64, 2)])
    found = {
        name: Identity(face, torch.arange(1)) for name, face in zip(people, faces, strict=True)
    }
    config = InjectionConfig(start=3, guidance_identity=3.0)
    with torch.no_grad():
        (frame,) = inject_together(G_id, story, [scene], [template], found, config)
        prompts = identity_prompts(story, scene, scene.cast, found, config, seed=3)
        (there, lost) = G_id.face_points(image, masks)
        placed = [replace(prompts[0], points=there), prompts[1]]
        z = redenoise(G_id, template, G_id.condition(placed), config)
        unplaced = redenoise(G_id, template, G_id.condition(prompts), config)
    assert lost is None
    assert frame.unplaced == ("Tom",)
    assert there[2].tolist() == [4 + 12, 10 + 0.55 * 30]
    assert frame.image.tobytes() == G_id.decode(z[None])[0].tobytes()
    assert not torch.allclose(z, unplaced)


def test_the_identity_generator_alone_has_its_face_where_a_portrait_has_it(backend):
    """`direct-identity`: words, then the face at ArcFace's own five points, an eye line that is level."""
    G_id, face = backend.identity, torch.ones(ARCFACE)
    points = G_id.with_size((96, 64)).portrait_points()
    assert points.mean(0)[0] == pytest.approx(48, abs=0.2)
    assert 0 < points.min() < points[:, 1].max() < 64
    assert (points[1] - points[0])[0] == pytest.approx(32 * (73.53 - 38.29) / 112, abs=1e-4)
    asked = replace(WORDS, face=face)
    with torch.no_grad():
        ours = DirectIdentity(words_first=25)._painted(Watched(G_id), [asked])
        z, words = G_id.noise(0)[None], G_id.condition([replace(WORDS, noun="")])
        here = G_id.condition([replace(asked, points=G_id.portrait_points())])
        for i in (4, 3, 2, 1):
            z = G_id.step(z, i, words if i > 2 else here)
    assert torch.equal(ours, z)


def test_a_portrait_without_a_face_takes_no_part_in_discovery(backend):
    E = backend.identity.embed([drawn(64, 64, 1), Image.new("RGB", (64, 64)), drawn(64, 64, 2)])
    assert not E[1].any()
    rows = torch.randn(30, 8, generator=torch.Generator().manual_seed(1))
    some = torch.zeros(40, 8)
    places = torch.tensor([n for n in range(40) if n % 4])
    some[places] = rows
    config = DiscoveryConfig(num_portraits=30, rank=2)
    a, b = discover(rows, config), discover(some, config)
    assert torch.equal(b.kept, places[a.kept])
    assert torch.equal(a.embedding, b.embedding)
    assert torch.equal(b.embedding, mean(some[b.kept]))
    with pytest.raises(ModelError, match="no face was found in any of 5 pictures"):
        discover(torch.zeros(5, 8), config)
    assert not settled(torch.zeros(9, 8), 4, replace(config, settle=0.1))


def test_a_story_is_painted_with_it(folder, tmp_path, capsys):
    """From the command to the frames, discovery and all; an identity is ArcFace's numbers."""
    command = ["generate", "--character", "Mara: a woman", "--scene", "{Mara} reads"]
    command += ["--model", str(folder), "--steps", "3", "--portraits", "3", "--json"]
    command += ["--set", "injection.start=2", "--set", "injection.margin=0"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert list((tmp_path / "run").glob("frames/*.png"))
    (file,) = (tmp_path / "run").glob("cast/*.safetensors")
    assert read_tensors(file, tmp_path / "run")["embedding"].shape == (ARCFACE,)


# --- terms and refusals --------------------------------------------------------------------------


def test_it_is_refused_until_its_terms_are_accepted(folder, toy, tmp_path, monkeypatch, capsys):
    """One line that names the licence, before anything is opened or fetched; the option accepts."""
    monkeypatch.delenv(ALLOWED)
    command = ["generate", "--character", "Mara: a woman", "--scene", "{Mara} reads"]
    asked = [*command, "--out", str(tmp_path / "run")]
    for other in (
        [*asked, "--model", str(folder)],
        [*asked, "--model", "sdxl-instantid"],
        ["models", "fetch", "instantid"],
        ["models", "fetch", "sdxl-instantid"],
        ["models", "fetch", "instantid-net"],
    ):
        assert main(other) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "InsightFace's face models: non-commercial research only" in line
        assert "--allow-noncommercial" in line
    assert not (tmp_path / "run").exists()
    find_checkpoint(toy)  # others ask for nothing
    monkeypatch.setenv(ALLOWED, "")  # so that what the command sets is taken back after the test
    assert main([*asked, "--model", str(folder), "--allow-noncommercial", "--plan"]) == 0
    find_checkpoint(folder)  # and in whatever follows


@pytest.mark.parametrize("command", ["check", "repair", "expect"])
def test_commands_that_go_on_with_a_run_accept_its_terms_too(command, tmp_path, monkeypatch):
    monkeypatch.setenv(ALLOWED, "")
    assert main([command, str(tmp_path / "run"), "--allow-noncommercial"]) == 2  # no run is there
    assert os.environ[ALLOWED] == "1"


def test_without_the_package_or_the_pack_one_line_says_what_is_missing(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(ConfigError, match=r"pip install 'identitystory\[faces-arcface\]'$"):
        describe_model(str(folder), "cpu", "float32")
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(tmp_path))
    told = r"antelopev2 lacks scrfd_10g_bnkps\.onnx and glintr100\.onnx: .* by hand"
    with pytest.raises(ModelError, match=told):
        find_checkpoint(folder).identity.part.elsewhere()


def test_tables_say_what_may_not_be_sold():
    for name in ("sdxl-instantid", "instantid", "instantid-net"):
        assert not terms_of(name).commercial
        assert "non-commercial research only" in licence_of(name)
    assert terms_of("sdxl-plus-face").commercial


def test_other_weights_are_another_model(folder, toy, tmp_path):
    """IdentityNet, the adapter and the pack are in its fingerprint; PhotoMaker's come first in a folder."""
    both = add_toy_instantid(shutil.copytree(toy, tmp_path / "both"))
    assert find_checkpoint(both).identity.name == "photomaker"
    (both / "card.toml").write_text('[parts]\nidentity_generator = "instantid"\n')
    assert find_checkpoint(both).identity.name == "instantid"
    told = [describe_model(str(both), "cpu", "float32")]
    for file in (f"{FACES}/{FACE_FILES[1]}", f"{IDENTITY_NET}/config.json"):
        (both / file).write_bytes((both / file).read_bytes() + b"\n")
        told.append(describe_model(str(both), "cpu", "float32"))
    assert len({each.fingerprint for each in told}) == len({each.embeds for each in told}) == 3


def test_what_does_not_fit_is_refused_in_one_line(backend, folder, tmp_path):
    G_id, general = backend.identity, backend.general
    with pytest.raises(ModelError, match=rf"7 numbers, and this model's have {ARCFACE}"):
        G_id.condition([replace(WORDS, face=torch.zeros(7))])
    with pytest.raises(PromptError):
        G_id.condition([replace(WORDS, face=torch.zeros(ARCFACE), noun="lighthouse")])
    with pytest.raises(ConfigError, match="places no face"):
        general.condition([replace(WORDS, points=POINTS)])
    state, file = load_file(folder / INSTANTID_FILE), tmp_path / "a.safetensors"
    cross = next(k for k in state if k.endswith("to_v_ip.weight"))
    for broken, told in (
        ({k: v for k, v in state.items() if not k.endswith("latents")}, "'latents'"),
        ({k: v for k, v in state.items() if k != cross}, "belongs to another U-Net"),
    ):
        save_file(broken, file)
        with pytest.raises(ModelError, match=told):
            load_instantid(file, folder / IDENTITY_NET, folder / FACES, general)
    wide = shutil.copytree(folder / IDENTITY_NET, tmp_path / "net")
    config = (wide / "config.json").read_text().replace('"in_channels": 8', '"in_channels": 4')
    (wide / "config.json").write_text(config)
    with pytest.raises(ModelError):
        load_instantid(folder / INSTANTID_FILE, wide, folder / FACES, general)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("ip_adapter"), r"holds \['image_proj'\] instead"),
        (lambda c: c["image_proj"].pop("latents"), "'latents' is missing"),
        (lambda c: c["ip_adapter"].update(x=torch.ones(1)), "'x' is not InstantID's"),
        (lambda c: c["image_proj"].update(latents=torch.ones(2)), r"the shape \(2,\) instead of"),
        (lambda c: c.update(ip_adapter=3), "ip_adapter is a int"),
    ],
)
def test_other_pickles_are_not_converted(folder, change, told):
    content = {"image_proj": {}, "ip_adapter": {}}
    for key, value in load_file(folder / INSTANTID_FILE).items():
        group, _, name = key.partition(".")
        content[group][name] = value
    shapes = {g: {k: tuple(v.shape) for k, v in own.items()} for g, own in content.items()}
    assert (
        convert_instantid.flattened(content, shapes).keys()
        == load_file(folder / INSTANTID_FILE).keys()
    )
    change(content)
    with pytest.raises(ModelError, match=told):
        convert_instantid.flattened(content, shapes)


def test_the_catalogue_knows_how_the_pickle_is_opened():
    assert ENTRIES["instantid"].converter == convert_instantid.__name__


def test_in_a_window_the_net_is_shown_the_part_that_is_painted(backend):
    """The whole picture as a window changes nothing; outside a smaller one the face is nowhere."""
    G_id = backend.identity.set_to(scale=1.0)
    asked = replace(WORDS, face=G_id.embed([drawn(50, 64, 3)])[0], points=POINTS)
    z = G_id.noise(7)[None]
    said = lambda prompt: G_id.step(z, 2, G_id.condition([prompt]))
    width, height = G_id.size
    assert torch.equal(said(replace(asked, window=Window(0, 0, width, height))), said(asked))
    half = replace(asked, window=Window(0, 0, width // 2, height // 2))
    there, (h, w) = said(half), (side // 2 for side in z.shape[-2:])
    without = said(replace(half, points=None))
    assert torch.equal(there[..., h:, :], without[..., h:, :])
    assert torch.equal(there[..., w:], without[..., w:])
    assert not torch.equal(there[..., :h, :w], without[..., :h, :w])
