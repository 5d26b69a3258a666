"""models/flow/z_image.py: held against diffusers' own pipeline on a toy of its own classes."""

import shutil

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from diffusers.pipelines.z_image.pipeline_z_image import calculate_shift
from PIL import Image

from identitystory.cli.main import main
from identitystory.errors import ConfigError
from identitystory.models.backend import load_backend
from identitystory.models.files.catalogue import ENTRIES
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.flow.family import Z_IMAGE
from identitystory.models.flow.load import load_z_image
from identitystory.models.flow.text import THINKING
from identitystory.sampling import sample
from identitystory.testing import check_family, check_generator
from identitystory.types import Prompt
from tests.test_flow import toy_qwen3
from tests.toy import write_toy_segmenter


def make_toy_z_image(folder, **schedule):
    """Z-Image's folder with random weights, and a segmenter; returns its pipeline."""
    tokenizer, text = toy_qwen3(THINKING)
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=48,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[8, 8, 8],
        axes_lens=[1024, 32, 32],
    )
    for name, parameter in transformer.named_parameters():
        if name.endswith("pad_token"):  # never initialised
            torch.nn.init.normal_(parameter)
        elif "final_layer" in name:  # zeros as they begin
            torch.nn.init.normal_(parameter, std=0.3)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=64,
        scaling_factor=0.4,
        shift_factor=0.1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    kinds = {"shift": 6.0, **schedule}
    pipeline = ZImagePipeline(
        FlowMatchEulerDiscreteScheduler(**kinds),
        vae.eval(),
        text.model,
        tokenizer,
        transformer.eval(),
    )
    pipeline.save_pretrained(folder)
    write_toy_segmenter(folder / "segmenter")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module", name="made")
def toy_z_image(tmp_path_factory):
    """(folder, pipeline) of a toy; read only."""
    folder = tmp_path_factory.mktemp("z")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return folder, make_toy_z_image(folder)


@pytest.fixture(scope="module", name="G")
def general(made):
    how = {"sampler": "euler", "num_steps": 3, "device": torch.device("cpu")}
    return load_z_image(made[0], **how, dtype=torch.float32)


def test_the_stock_pipeline_paints_the_same(made, G):
    """Two pictures, guided: prompts of their own lengths, the clock and sign, schedule, VAE."""
    texts = ["a woman by the sea", "a man"]
    z = torch.stack([G.noise(n) for n in (5, 6)])
    theirs = made[1](
        prompt=list(texts),
        negative_prompt=["a boat", ""],
        num_inference_steps=3,
        guidance_scale=3.0,
        height=64,
        width=64,
        latents=z,
        output_type="pt",
    ).images
    prompts = [Prompt(t, n, guidance=4.0) for t, n in zip(texts, ("a boat", ""), strict=True)]
    clean = sample(G, z, G.condition(prompts))
    mine = G.vae.decode(clean / 0.4 + 0.1, return_dict=False)[0]
    torch.testing.assert_close((mine / 2 + 0.5).clamp(0, 1), theirs, rtol=0, atol=2e-5)
    assert theirs.std() > 0.01
    seen = torch.tensor(list(G.decode(clean)[0].tobytes())) / 255
    torch.testing.assert_close(seen, theirs[0].permute(1, 2, 0).flatten(), rtol=0, atol=0.003)


def test_it_keeps_a_generators_contract(made, G):
    check_generator(G, network=G.transformer)
    check_family(Z_IMAGE, made[0])


def test_where_the_schedule_is_shifted_by_size_it_is_diffusers_own(made, G):
    config = {**G.sampler.schedule, "use_dynamic_shifting": True, "max_shift": 1.3}
    other = type(G)(
        G.transformer, G.vae, G.encode, type(G.sampler)("euler", G.sampler.sigmas, 1, config),
        room=G.room,
    ).with_size((128, 64))  # fmt: skip
    assert other.shift(32, 3) == pytest.approx(calculate_shift(32, max_shift=1.3))
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(sigmas=[1.0, 2 / 3, 1 / 3], mu=calculate_shift(32, max_shift=1.3))
    torch.testing.assert_close(other.sampler.sigmas, scheduler.sigmas)
    assert other.latent_shape == (4, 8, 16)


def test_a_story_is_painted_by_words_alone_and_faces_are_refused_before_any_portrait(
    made, tmp_path, capsys
):
    words = ["--character", "Mara: a woman with red hair", "--scene", "{Mara} on a beach"]
    command = ["generate", *words, "--model", str(made[0]), "--steps", "3", "--device", "cpu"]
    out = tmp_path / "run"
    assert main([*command, "--out", str(out)]) == 2
    assert "--method general paints by words alone" in capsys.readouterr().err
    assert not list(out.glob("**/*.safetensors"))
    assert main([*command, "--method", "general", "--out", str(out)]) == 0
    with Image.open(out / "frames" / "001.png") as painted:
        assert painted.size == (64, 64)
    backend = load_backend(made[0], sampler="ddim", num_steps=3, device="cpu", dtype="float32")
    with pytest.raises(ConfigError, match="paints no faces"):
        backend.identity.embed([])


def test_it_has_no_few_step_lora_though_one_lies_there(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "base")
    (folder / "few_steps.safetensors").write_bytes(b"")
    assert find_checkpoint(folder).few_steps is None


def test_at_full_size_it_is_z_image():
    """Of the published numbers, which are the class's defaults; Qwen3 is klein's."""
    with torch.device("meta"):
        transformer = ZImageTransformer2DModel()
        vae = AutoencoderKL(
            latent_channels=16,
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    counts = [sum(p.numel() for p in m.parameters()) for m in (transformer, vae)]
    assert counts == [6_154_908_736, 83_819_683]
    assert ENTRIES["z-image-base"].parameters == sum(counts) + 4_022_468_096
    assert transformer.config.cap_feat_dim == 2560  # Qwen3's width
