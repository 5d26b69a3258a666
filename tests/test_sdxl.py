"""models/sdxl.py against diffusers' own StableDiffusionXLPipeline on one folder."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from transformers import CLIPTextModel, CLIPTokenizer

from identitystory.errors import ModelError, PromptError
from identitystory.models.device import Room
from identitystory.models.files.checkpoint import find_folder
from identitystory.models.parts import load_part
from identitystory.models.sdxl.load import decode_in_tiles, load_sdxl
from identitystory.models.sdxl.tokens import chunk_starts, token_ids, token_rows
from tests.conftest import asked
from tests.toy import toy_checkpoint  # noqa: F401

CPU = torch.device("cpu")
PROMPTS = ["a middle-aged woman reads a letter on the pier", "an old man"]


def load(folder, name="ddim"):
    options = {"sampler": name, "num_steps": 5, "device": CPU, "dtype": torch.float32}
    return load_sdxl(folder, **options)


@pytest.fixture(scope="module")
def stock(toy):
    pipeline = StableDiffusionXLPipeline.from_pretrained(toy, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def copy(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "copy")


@pytest.mark.parametrize("negative", ["", None, "snow, grey"])
@pytest.mark.parametrize("name", ["ddim", "euler"])
def test_the_stock_pipeline_paints_the_same_picture(toy, stock, name, negative):
    G = load(toy, name)
    kind, options = {
        "ddim": (DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": False}),
        "euler": (EulerDiscreteScheduler, {}),
    }[name]
    stock.scheduler = kind.from_config(stock.scheduler.config, **options)
    z = torch.stack([G.noise(seed) for seed in (3, 4)])
    common = {
        "negative_prompt": None if negative is None else [negative] * 2,
        "num_inference_steps": 5,
        "guidance_scale": 5.0,
        "latents": z / G.sampler.init_noise_sigma,  # the pipeline multiplies by it
    }
    expected = stock(PROMPTS, **common, output_type="latent").images
    expected_images = stock(PROMPTS, **common).images

    cond = G.condition(asked(PROMPTS, guidance=5.0, negative=negative))
    for i in range(5, 0, -1):
        z = G.step(z, i, cond)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4)
    assert z.std() > 0.1
    for ours, theirs in zip(G.decode(z), expected_images, strict=True):
        difference = np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)
        assert np.abs(difference).max() <= 1


def test_equal_prompts_share_an_encoding(toy):
    text = load(toy).encode
    hidden = text.encode_prompts(["a boy", "a girl", "a boy"]).hidden
    assert hidden.shape == (3, 77, sum(text.widths))
    assert torch.equal(hidden[0], hidden[2])
    assert not torch.allclose(hidden[0], hidden[1])
    torch.testing.assert_close(hidden[1], text.encode_prompts(["a girl"]).hidden[0])


def test_a_long_prompt_is_read_in_chunks_that_end_before_words(toy):
    """Chunk by chunk it is the encoding of the pieces; the pooled vector is the first one's."""
    G = load(toy)
    text = G.encode
    words = ["a middle-aged woman with dark curly hair", "an old man", "a letter on the pier"] * 9
    prompt = ", ".join(words)
    count = text.chunks(prompt)
    assert count > 1
    long = text.encode_prompts([prompt])
    assert long.hidden.shape == (1, count * 77, sum(text.widths))
    at = 0
    for tokenizer, width in zip(text.tokenizers, text.widths, strict=True):
        offsets = tokenizer(prompt, return_offsets_mapping=True).offset_mapping[1:-1]
        starts = [offsets[n][0] for n in chunk_starts(tokenizer, prompt, 77)]
        assert starts[0] == 0
        assert all(prompt[n - 1] in " ," or prompt[n] in " ,-" for n in starts[1:])
        pieces = [prompt[x:y] for x, y in zip(starts, [*starts[1:], None], strict=True)]
        alone = text.encode_prompts(pieces)
        hidden = alone.hidden[:, :77].flatten(0, 1)[None]  # of this encoder, one chunk each
        same = slice(at, at + width)
        torch.testing.assert_close(long.hidden[:, : len(pieces) * 77, same], hidden[..., same])
        at += width
    torch.testing.assert_close(long.pooled, alone.pooled[:1])  # of the second encoder's pieces
    changed = text.encode_prompts([prompt + " girl"])
    assert not torch.equal(changed.hidden, long.hidden)

    cond = G.condition(asked([prompt, "an old man"], guidance=5.0))
    assert cond.hidden.shape == (4, count * 77, sum(text.widths))
    assert G.step(torch.stack([G.noise(0)] * 2), 5, cond).isfinite().all()
    short = text.encode_prompts(["an old man"])
    torch.testing.assert_close(cond.hidden[3, :77], short.hidden[0])


def test_every_token_of_a_long_prompt_has_its_row(toy):
    """The ids that stand in the rows are the prompt's own, in order, and every start is left out."""
    text = load(toy).encode
    for tokenizer in text.tokenizers:
        for prompt in ("a woman reads", "a woman with dark curly hair on a pier " * 18):
            rows = token_rows(tokenizer, prompt, 77)
            table = token_ids(tokenizer, prompt, 77).flatten()
            assert table[rows].tolist() == tokenizer(prompt, verbose=False).input_ids[1:-1]
            assert not {row % 77 for row in rows} & {0, 76}


def test_a_prompt_of_one_chunk_is_the_tokenizers_own(toy):
    text = load(toy).encode
    for tokenizer in text.tokenizers:
        for prompt in ("", "an old man", " ".join(["a"] * 75)):
            own = tokenizer([prompt], padding="max_length", max_length=77, return_tensors="pt")
            assert torch.equal(token_ids(tokenizer, prompt, 77), own.input_ids)


def test_a_prompt_without_end_is_refused_with_its_numbers(toy):
    text = load(toy).encode
    assert text.chunks("a " * 600) == 8
    with pytest.raises(PromptError, match=r"has 601 tokens; about 600 are read at most"):
        text.encode_prompts(["a " * 601])


def test_half_precision_files_alone_will_do(toy, copy):
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        (file,) = (copy / part).glob("*.safetensors")
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    a, b = load(toy), load(copy)
    z = a.noise(0)[None]
    cond = a.condition(asked(["a woman"], guidance=5.0))
    assert torch.equal(
        a.step(z, 5, cond), b.step(z, 5, b.condition(asked(["a woman"], guidance=5.0)))
    )


def test_broken_folders_are_told_in_a_sentence(copy, tmp_path):
    shutil.rmtree(copy / "vae")
    shutil.rmtree(copy / "tokenizer_2")
    with pytest.raises(ModelError, match="SDXL's layout: tokenizer_2, vae missing"):
        load(copy)
    with pytest.raises(ModelError, match="there is no folder"):
        find_folder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="is a file; make a folder of it once"):
        find_folder(copy / "model_index.json")
    with pytest.raises(
        ModelError, match=r"is not on this machine.* models fetch nobody-at-all/nothing-at-all"
    ):
        find_folder("nobody-at-all/nothing-at-all")


def test_pickled_weights_are_not_opened(copy):
    (copy / "unet" / "diffusion_pytorch_model.safetensors").rename(
        copy / "unet" / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(ModelError, match=r"unet has no \.safetensors file"):
        load(copy)


def test_another_pipeline_is_refused_by_name(copy):
    index = json.loads((copy / "model_index.json").read_text())
    inpaint, edit = "StableDiffusionXLInpaintPipeline", "StableDiffusionXLInstructPix2PixPipeline"
    for name in ("FluxPipeline", inpaint, edit):
        (copy / "model_index.json").write_text(json.dumps({**index, "_class_name": name}))
        with pytest.raises(ModelError, match=f"holds a {name}"):
            load(copy)


def test_a_unet_that_reads_more_than_latents_is_refused(copy):
    config = UNet2DConditionModel.load_config(copy / "unet")
    UNet2DConditionModel.from_config({**config, "in_channels": 9}).save_pretrained(copy / "unet")
    with pytest.raises(ModelError, match="it is one for inpainting or editing"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("unet/diffusion_pytorch_model.safetensors", None),
        ("vae/diffusion_pytorch_model.safetensors", b""),
        ("text_encoder/model.safetensors", None),
        ("text_encoder_2/model.safetensors", b"<html>no such file</html>"),
        ("unet/config.json", b"{"),
        ("tokenizer_2/tokenizer_config.json", b""),
    ],
)
def test_a_broken_file_is_told_with_its_folder(copy, name, content):
    """Cut in the middle, empty, or a page of the web: what broken downloads are."""
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    part = name.partition("/")[0]
    with pytest.raises(ModelError, match=rf"{part} cannot be opened as .*get them again"):
        load(copy)


def test_what_a_library_raises_without_a_name_is_a_broken_file_too(copy):
    """A tokenizer without tokenizer.json is made of its words, by a library with bare Exceptions."""
    (copy / "tokenizer" / "tokenizer.json").unlink()
    (copy / "tokenizer" / "vocab.json").write_bytes(b"junk")
    (copy / "tokenizer" / "merges.txt").write_bytes(b"junk")
    with pytest.raises(ModelError, match="tokenizer cannot be opened as CLIPTokenizer"):
        load_part(CLIPTokenizer, copy / "tokenizer")


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("2 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_too_little_memory_to_open_a_file_is_no_broken_file(toy, monkeypatch, error):
    def never(*_, **__):
        raise error

    monkeypatch.setattr("identitystory.models.parts.load_file", never)
    with pytest.raises(type(error)) as raised:
        load_part(CLIPTextModel, toy / "text_encoder", dtype=torch.float32)
    assert raised.value is error


@pytest.mark.parametrize(("overflows", "wanted"), [(True, torch.float32), (False, torch.float16)])
def test_a_vae_that_overflows_is_kept_in_float32(copy, overflows, wanted):
    config = json.loads((copy / "vae" / "config.json").read_text())
    (copy / "vae" / "config.json").write_text(json.dumps({**config, "force_upcast": overflows}))
    half = {"sampler": "ddim", "num_steps": 5, "device": CPU}
    G = load_sdxl(copy, **half, dtype=torch.float16)
    assert (G.vae.dtype, G.unet.dtype) == (wanted, torch.float16)
    assert {model.dtype for model in G.encode.models} == {torch.float16}
    rough = load_sdxl(copy, **half, dtype=torch.bfloat16).vae.dtype
    assert rough == (torch.float32 if overflows else torch.bfloat16)


def test_attention_is_torchs_own_fused_one(toy):
    G = load(toy)
    sites = [m for m in G.unet.modules() if isinstance(m, Attention)]
    assert sites
    assert {type(site.processor) for site in sites} == {AttnProcessor2_0}


def test_little_memory_decodes_the_models_own_size_in_tiles(toy, monkeypatch):
    """Left alone the tiles are as large as the picture, and there is one."""
    monkeypatch.setattr(
        "identitystory.models.sdxl.load.decode_in_tiles", lambda vae: tiled(vae, 32)
    )
    tiled, seen = decode_in_tiles, []
    options = {"sampler": "ddim", "num_steps": 5, "device": CPU, "dtype": torch.float32}
    G = load_sdxl(toy, **options, room=Room(CPU, one_at_a_time=True))
    G.vae.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    (image,) = G.decode(G.noise(0)[None])
    assert image.size == (64, 64)
    assert len(seen) == 9
    assert max(seen) == (4, 4)  # an eighth of 32 pixels
    assert G.vae.tile_sample_min_size == 32


def test_tiles_are_smaller_than_sdxls_pictures(toy):
    G = load(toy)
    decode_in_tiles(G.vae)
    assert (G.vae.tile_sample_min_size, G.vae.tile_latent_min_size) == (512, 64)
