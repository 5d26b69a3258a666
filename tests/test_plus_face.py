"""IP-Adapter Plus Face as identity generator: diffusers' own pictures, both kinds of embedding, refusals."""

import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModelWithProjection

from identitystory.cli.main import main
from identitystory.errors import ConfigError, ModelError, PromptError
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.family import PLUS_FACE_ENCODER, PLUS_FACE_FILE
from identitystory.models.sdxl.plus_face import load_plus_face
from identitystory.runs.files import read_tensors
from identitystory.sampling import sample
from identitystory.testing import check_identity_generator
from identitystory.testing.rules import drawn
from identitystory.types import Prompt
from tests.toy import WIDTHS, add_toy_plus_face, toy_checkpoint  # noqa: F401

TOKENS, STATES = 3 * sum(WIDTHS), 17 * 64
WORDS = Prompt("an old man by the sea", "a boat", guidance=4.0, noun="man")


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """A checkpoint without PhotoMaker, whose faces Plus Face paints."""
    made = shutil.copytree(toy, tmp_path_factory.mktemp("plus") / "toy")
    (made / "photomaker.safetensors").unlink()
    return add_toy_plus_face(made)


@pytest.fixture(scope="module", name="backend")
def backend_with_plus_face(folder):
    return load_backend(folder, num_steps=4, device="cpu", dtype="float32")


@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_a_face_is_seen_as_diffusers_own_adapter_sees_it(backend, folder, scale):
    """Against StableDiffusionXLPipeline.load_ip_adapter, from the picture on, guidance and all."""
    picture, G_id = drawn(50, 64, 3), backend.identity
    face = G_id.embed([picture])[0]
    G_id = G_id if scale == 1 else G_id.set_to(scale=scale)
    z = G_id.noise(7)[None]
    with torch.no_grad():
        ours = sample(G_id, z, G_id.condition([replace(WORDS, face=face)]))
        other = sample(G_id, z, G_id.condition([replace(WORDS, face=-face)]))

    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / PLUS_FACE_ENCODER)
    stock = StableDiffusionXLPipeline.from_pretrained(
        folder, image_encoder=encoder, feature_extractor=None, add_watermarker=False
    )
    stock.set_progress_bar_config(disable=True)
    stock.scheduler = DDIMScheduler.from_config(
        stock.scheduler.config, clip_sample=False, set_alpha_to_one=False
    )
    subfolder, _, name = PLUS_FACE_FILE.partition("/")
    stock.load_ip_adapter(folder, subfolder=subfolder, weight_name=name, image_encoder_folder=None)
    stock.set_ip_adapter_scale(scale)
    (layer,) = stock.unet.encoder_hid_proj.image_projection_layers
    seen = stock.encode_image(G_id.read([picture]), torch.device("cpu"), 1, True)[0]
    torch.testing.assert_close(G_id.set_to(averaged="states").embed([picture])[0], seen.flatten())
    torch.testing.assert_close(face, layer(seen).flatten(), rtol=1e-4, atol=1e-4)
    theirs = stock(
        WORDS.text,
        negative_prompt=WORDS.negative,
        num_inference_steps=4,
        guidance_scale=WORDS.guidance,
        latents=z,
        ip_adapter_image=G_id.read([picture]),
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert (ours - other).abs().max() > 0.1


def test_it_keeps_an_identity_generators_contract(backend):
    check_identity_generator(backend.identity, general=backend.general)


def test_a_picture_is_painted_from_tokens_as_from_the_states_that_they_are_of(backend):
    """One face either way; of two the averages differ, for the resampler is not linear."""
    G_id, images = backend.identity, [drawn(64, 64, n) for n in (1, 2)]
    of_states, z = G_id.set_to(averaged="states"), G_id.noise(3)[None]
    tokens, states = G_id.embed(images), of_states.embed(images)
    assert tokens.shape == (2, TOKENS)
    assert states.shape == (2, STATES)

    def stepped(G, face):
        with torch.no_grad():
            return G.step(z, 4, G.condition([replace(WORDS, face=face)]))

    for G in (G_id, of_states):  # a face of either kind, whichever it embeds with
        torch.testing.assert_close(stepped(G, tokens[0]), stepped(G, states[0]))
    mean = stepped(G_id, tokens.mean(0)) - stepped(G_id, states.mean(0))
    assert mean.abs().max() > 1e-3


def test_without_a_face_it_is_the_general_generator_and_low_memory_changes_nothing(backend, folder):
    G, G_id = backend.general, backend.identity
    z = G.noise(5)[None]
    bare = [replace(WORDS, noun="")]
    faced = [replace(WORDS, face=G_id.embed([drawn(64, 64, 1)])[0])]
    with torch.no_grad():
        plain = G.step(z, 4, G.condition(bare))
        assert torch.equal(G_id.step(z, 4, G_id.condition(bare)), plain)
        seen = G_id.step(z, 4, G_id.condition(faced))
        assert torch.equal(G.step(z, 4, G.condition(bare)), plain)  # no trace
        low = load_backend(folder, num_steps=4, device="cpu", dtype="float32", memory="low")
        assert torch.equal(low.identity.step(z, 4, low.identity.condition(faced)), seen)
    assert low.general.room.inside is low.general.unet  # tower and resampler have left


def test_a_card_says_which_of_two_generators_paints(toy, tmp_path):
    both = add_toy_plus_face(shutil.copytree(toy, tmp_path / "both"))
    assert find_checkpoint(both).identity.name == "photomaker"
    (both / "card.toml").write_text('[parts]\nidentity_generator = "plus-face"\n')
    found = find_checkpoint(both).identity
    assert (found.name, len(found.files)) == ("plus-face", 2)
    before = describe_model(str(both), "cpu", "float32")
    other = load_file(both / PLUS_FACE_FILE)
    save_file({**other, "image_proj.proj_in.bias": torch.zeros(40)}, both / PLUS_FACE_FILE)
    after = describe_model(str(both), "cpu", "float32")
    assert before.fingerprint != after.fingerprint
    assert before.embeds != after.embeds


def test_what_does_not_fit_is_refused_in_one_line(backend, toy, folder, tmp_path):
    G_id = backend.identity
    with pytest.raises(ModelError, match=rf"7 numbers, and this model's have {STATES} or {TOKENS}"):
        G_id.condition([replace(WORDS, face=torch.zeros(7))])
    with pytest.raises(PromptError):
        G_id.condition([replace(WORDS, face=torch.zeros(TOKENS), noun="lighthouse")])
    with pytest.raises(ConfigError, match="averaged is states, and PhotoMaker v1 has only tokens"):
        load_backend(toy, num_steps=4, device="cpu", averaged="states")
    with pytest.raises(ConfigError, match=r"face_scale is 0\.5, and PhotoMaker v1 has none but 1"):
        load_backend(toy, num_steps=4, device="cpu", face_scale=0.5)
    state = load_file(folder / PLUS_FACE_FILE)
    file, encoder = tmp_path / "a.safetensors", folder / PLUS_FACE_ENCODER
    plain = {k: v for k, v in state.items() if not k.startswith("image_proj.latents")}
    cross = next(k for k in state if k.endswith("to_v_ip.weight"))
    for broken, told in (
        (plain, "is not an IP-Adapter Plus: 'latents'"),
        ({**state, "image_proj.proj.weight": torch.zeros(2)}, "is not an IP-Adapter Plus"),
        ({k: v for k, v in state.items() if k != cross}, "belongs to another U-Net"),
        ({**state, "image_proj.proj_in.weight": torch.zeros(40, 8)}, "reads states of 8 numbers"),
    ):
        save_file(broken, file)
        with pytest.raises(ModelError, match=told):
            load_plus_face(file, encoder, backend.general)


def test_a_story_is_painted_with_it_and_discovery_averages_what_it_is_told_to(folder, tmp_path):
    """From the command to the frames; the stored identity has as many numbers as an embedding."""
    command = ["generate", "--character", "Mara: a woman", "--scene", "{Mara} reads"]
    command += ["--model", str(folder), "--steps", "3", "--portraits", "3", "--quiet"]
    command += ["--method", "direct-identity"]
    for averaged, width in (("tokens", TOKENS), ("states", STATES)):
        out = tmp_path / averaged
        more = ["--set", f"discovery.averaged={averaged}", "--out", str(out)]
        assert main([*command, *more]) == 0
        assert list(out.glob("frames/*.png"))
        (file,) = out.glob("cast/*.safetensors")
        assert read_tensors(file, out)["embedding"].shape == (width,)
    frame = tmp_path / "tokens" / "frames" / "001.png"
    before = frame.read_bytes()
    weaker = ["--set", "injection.face_scale=0.5", "--out", str(tmp_path / "tokens")]
    assert main([*command, *weaker]) == 0
    assert frame.read_bytes() != before  # of the same portraits
