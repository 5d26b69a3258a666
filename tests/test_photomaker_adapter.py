"""PhotoMaker with an IP-Adapter beside it: diffusers' own pictures, PhotoMaker alone at 0, refusals."""

import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from identitystory.errors import ConfigError, ModelError
from identitystory.models.backend import load_backend
from identitystory.models.files.checkpoint import find_checkpoint, fingerprint
from identitystory.models.files.suited import preset
from identitystory.models.sdxl.family import ADAPTER
from identitystory.models.sdxl.photomaker import load_photomaker
from identitystory.sampling import sample
from identitystory.testing import check_identity_generator
from identitystory.testing.rules import drawn
from identitystory.types import Prompt
from tests.toy import WIDTHS, add_toy_ip_adapter, toy_checkpoint  # noqa: F401

WORDS = Prompt("an old man by the sea", "a boat", guidance=4.0, noun="man")
CARD = '[parts]\nidentity_generator = "photomaker-adapter"\n'


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """A checkpoint whose adapter reads PhotoMaker's embeddings, as its card says."""
    made = add_toy_ip_adapter(shutil.copytree(toy, tmp_path_factory.mktemp("both") / "toy"))
    shutil.rmtree((made / ADAPTER).parent / "image_encoder")
    state = load_file(made / ADAPTER)
    rows = len(state["image_proj.proj.bias"])
    own = torch.Generator().manual_seed(2)
    state["image_proj.proj.weight"] = torch.randn(rows, sum(WIDTHS), generator=own) * 0.2
    save_file(state, made / ADAPTER)
    (made / "card.toml").write_text(CARD)
    return made


@pytest.fixture(scope="module", name="backend")
def backend_with_both(folder):
    return load_backend(folder, num_steps=4, device="cpu", dtype="float32")


def test_a_face_is_in_the_class_word_and_beside_the_words(backend, folder):
    """Against diffusers' adapter, fed PhotoMaker's states and its embedding, with its LoRA merged."""
    G_id = backend.identity.set_to(scale=0.7)
    face = G_id.embed([drawn(50, 64, 3)])[0]
    z, asked = G_id.noise(7)[None], replace(WORDS, face=face)
    with torch.no_grad():
        ours = sample(G_id, z, G_id.condition([asked]))
        alone = load_photomaker(folder / "photomaker.safetensors", backend.general)
        worded = alone.condition([asked])
    empty, own = worded.hidden.chunk(2)
    pooled = worded.pooled.chunk(2)

    stock = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    stock.set_progress_bar_config(disable=True)
    stock.scheduler = DDIMScheduler.from_config(
        stock.scheduler.config, clip_sample=False, set_alpha_to_one=False
    )
    tensors = load_file(folder / "photomaker.safetensors")
    lora = {k.removeprefix("lora_weights.unet."): v for k, v in tensors.items() if "lora_" in k}
    with torch.no_grad():
        for key in (k for k in lora if k.endswith("lora_A.weight")):
            layer = stock.unet.get_submodule(key.removesuffix(".lora_A.weight"))
            layer.weight += lora[key.replace("lora_A", "lora_B")] @ lora[key]
    where, _, name = ADAPTER.partition("/")
    stock.load_ip_adapter(folder, subfolder=where, weight_name=name, image_encoder_folder=None)
    stock.set_ip_adapter_scale(0.7)
    with torch.no_grad():
        theirs = stock(
            prompt_embeds=own,
            negative_prompt_embeds=empty,
            pooled_prompt_embeds=pooled[1],
            negative_pooled_prompt_embeds=pooled[0],
            num_inference_steps=4,
            guidance_scale=WORDS.guidance,
            latents=z,
            ip_adapter_image_embeds=[torch.stack([torch.zeros_like(face), face])[:, None]],
            output_type="latent",
        ).images
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    with torch.no_grad():
        assert (ours - sample(alone, z, alone.condition([asked]))).abs().max() > 0.05


def test_at_a_scale_of_nothing_it_is_photomaker(backend, folder):
    """To the last bit, with and without a face, and fused again at each step."""
    G_id = backend.identity.set_to(scale=0.0)
    alone = load_photomaker(folder / "photomaker.safetensors", backend.general)
    face, z = G_id.embed([drawn(50, 64, 3)])[0], G_id.noise(7)[None]
    for prompt in (WORDS, replace(WORDS, face=face)):
        pictures = []
        for generator in (G_id, alone):
            again = generator.fuse_again(generator.condition([prompt]))
            pictures.append(generator.step(generator.step(z, 3, again), 2, again))
        assert torch.equal(*pictures)


def test_it_keeps_an_identity_generators_contract(backend):
    check_identity_generator(backend.identity, general=backend.general)


def test_only_a_name_has_it(folder, toy):
    """A card's, or that of what comes with the package; other checkpoints' adapters read other embeddings."""
    assert find_checkpoint(folder).identity.name == "photomaker-adapter"
    assert find_checkpoint("miniature-face").identity.name == "photomaker-adapter"
    assert find_checkpoint("miniature").identity.name == "photomaker"
    plain, beside = (fingerprint(find_checkpoint(m)) for m in ("miniature", "miniature-face"))
    assert plain != beside
    assert preset("recommended", "miniature-face") == preset("recommended")
    with pytest.raises(
        ConfigError,
        match="PhotoMaker v1 has none but 1; --model miniature-face, sdxl-plus-face and",
    ):
        load_backend(toy, num_steps=4, device="cpu", dtype="float32", face_scale=1.5)


def test_an_adapter_that_reads_something_else_is_refused(folder, tmp_path):
    other = add_toy_ip_adapter(shutil.copytree(folder, tmp_path / "toy"))
    with pytest.raises(
        ModelError, match="reads embeddings of 24 numbers, the encoder beside it gi"
    ):
        load_backend(other, num_steps=4, device="cpu", dtype="float32")
