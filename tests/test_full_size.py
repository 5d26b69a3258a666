"""The full-size models from their published configurations, without memory: counts, keys, shapes."""

from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    GroundingDinoForObjectDetection,
    SamModel,
)

from identitystory.errors import ModelError
from identitystory.models.files.catalogue import ENTRIES
from identitystory.models.sdxl.convert_instantid import attention_shapes, resampler_shapes
from identitystory.models.sdxl.identity_encoder import photomaker_v1_shapes
from identitystory.models.sdxl.ip_adapter import by_site
from identitystory.models.sdxl.lora import load_lora
from identitystory.models.sdxl.photomaker import LORA
from identitystory.models.sdxl.plus_face import resampler_of
from identitystory.models.sdxl.sizes import (
    SDXL_TEXT,
    SDXL_TEXT_2,
    grounding_dino_config,
    sam_config,
    sdxl_unet,
    sdxl_vae,
)

UNET = 2_567_463_684
TEXT, TEXT_2, VAE = 123_060_480, 694_659_840, 83_653_863
RANK = 64
NORM = ("weight", "bias")


def count(model):
    return sum(p.numel() for p in model.parameters())


def full_size_unet():
    """SDXL base 1.0's U-Net."""
    with torch.device("meta"):
        return sdxl_unet()


@pytest.fixture(scope="module")
def unet():
    return full_size_unet()


def test_the_unet_and_what_stands_around_it(unet):
    """Parameters, attention layers, and that the text encoders' widths are what the U-Net reads."""
    assert count(unet) == UNET
    names = [n for n, _ in unet.named_modules()]
    assert sum(n.endswith("attn1") for n in names) == 70
    assert sum(n.endswith("attn2") for n in names) == 70
    shapes = {k: tuple(v.shape) for k, v in unet.state_dict().items()}
    assert len(shapes) == 1680
    assert shapes["add_embedding.linear_1.weight"] == (1280, 2816)  # 1280 pooled + 6 x 256
    assert shapes["conv_in.weight"] == (320, 4, 3, 3)
    with torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig(**SDXL_TEXT))
        text_2 = CLIPTextModelWithProjection(CLIPTextConfig(**SDXL_TEXT_2))
        vae = sdxl_vae()
    assert (count(text), count(text_2), count(vae)) == (TEXT, TEXT_2, VAE)
    widths = (text.config.hidden_size, text_2.config.hidden_size)
    assert unet.config.cross_attention_dim == sum(widths) == 2048
    assert ENTRIES["sdxl-base"].parameters == UNET + TEXT + TEXT_2 + VAE
    assert ENTRIES["sdxl-base"].size == 6_937_675_734  # bytes in half precision


def test_photomakers_encoder():
    """407 tensors, 326,273,024 numbers, the two projections and the fuse module at their widths."""
    shapes = photomaker_v1_shapes()
    assert len(shapes) == 407
    size = lambda shape: torch.Size(shape).numel()
    assert sum(map(size, shapes.values())) == 326_273_024
    assert shapes["visual_projection.weight"] == (768, 1024)
    assert shapes["visual_projection_2.weight"] == (1280, 1024)
    assert shapes["fuse_module.mlp1.fc1.weight"] == (2048, 4096)
    assert shapes["fuse_module.mlp2.layernorm.weight"] == (2048,)
    fuse = [size(shape) for key, shape in shapes.items() if key.startswith("fuse_module.")]
    assert sum(fuse) == 20_996_096
    assert not any("position_ids" in key for key in shapes)


def true_lora(unet, form):
    """PhotoMaker's LoRA at its true shapes, rank 64 on every attention projection."""
    state = {}
    for name, module in unet.named_modules():
        if not name.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            continue
        pair = {
            "A": torch.empty(RANK, module.in_features, device="meta"),
            "B": torch.empty(module.out_features, RANK, device="meta"),
        }
        for letter, tensor in pair.items():
            old = {"A": "down", "B": "up"}[letter]
            head, _, leaf = name.removesuffix(".0").rpartition(".")
            key = {
                "peft": f"unet.{name}.lora_{letter}.weight",
                "processor": f"unet.{head}.processor.{leaf}_lora.{old}.weight",
            }[form]
            state[key] = tensor
    return state


@pytest.mark.parametrize("form", ["peft", "processor"])
def test_photomakers_lora_finds_all_its_places(form):
    """560 projections; every tensor placed, beside the weights and switched off."""
    unet = full_size_unet()
    state = true_lora(unet, form)
    assert len(state) == 1120
    assert sum(x.numel() for x in state.values()) == 92_897_280
    lora = load_lora(unet, state, LORA)
    assert len(lora.layers) == 560
    assert count(unet) == UNET + 92_897_280
    assert all(not layer.wanted for layer in lora.layers)
    assert ENTRIES["photomaker"].parameters == 326_273_024 + 92_897_280


def test_another_models_lora_is_refused(unet):
    state = {"unet.down_blocks.0.attentions.0.to_q.lora_A.weight": torch.empty(64, 320)}
    with pytest.raises(ModelError, match=r"LoRA does not fit|no place for"):
        load_lora(unet, state, LORA)


def test_the_ip_adapter_and_what_sees_for_it(unet):
    """Two projections at each of 70 cross-attention layers, and ViT-bigG."""
    with torch.device("meta"):
        vit = {"hidden_size": 1664, "intermediate_size": 8192, "num_hidden_layers": 48}
        vit |= {"num_attention_heads": 16, "patch_size": 14, "projection_dim": 1280}
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**vit))
    layers = [m for name, m in unet.named_modules() if name.endswith("attn2")]
    pairs = sum(2 * m.to_k.weight.numel() for m in layers)
    projection = 1280 * 4 * 2048 + 4 * 2048 + 2 * 2048
    assert (len(layers), pairs + projection) == (70, 351_285_248)
    assert ENTRIES["ip-adapter"].parameters == pairs + projection + count(encoder)


def test_plus_face_and_what_sees_for_it(unet):
    """A resampler of four layers, the same 70 pairs, and ViT-H; written out name by name."""
    with torch.device("meta"):
        vit = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32}
        vit |= {"num_attention_heads": 16, "patch_size": 14, "projection_dim": 1024}
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**vit))
        inner, d = 20 * 64, 1280
        shapes = {"latents": (1, 16, d), "norm_out.weight": (2048,), "norm_out.bias": (2048,)}
        shapes |= {"proj_in.weight": (d, d), "proj_in.bias": (d,)}
        shapes |= {"proj_out.weight": (2048, d), "proj_out.bias": (2048,)}
        for n in range(4):
            norms = [f"layers.{n}.{x}.{k}" for x in ("0.norm1", "0.norm2", "1.0") for k in NORM]
            shapes |= dict.fromkeys(norms, (d,))
            shapes |= {f"layers.{n}.0.to_q.weight": (inner, d)}
            shapes |= {f"layers.{n}.0.to_kv.weight": (2 * inner, d)}
            shapes |= {f"layers.{n}.0.to_out.weight": (d, inner)}
            shapes |= {f"layers.{n}.1.1.weight": (4 * d, d), f"layers.{n}.1.3.weight": (d, 4 * d)}
        state = {f"image_proj.{k}": torch.empty(shape) for k, shape in shapes.items()}
    resampler = resampler_of(state, Path("plus-face"))
    layers = [m for name, m in unet.named_modules() if name.endswith("attn2")]
    pairs = sum(2 * m.to_k.weight.numel() for m in layers)
    assert count(resampler) == sum(x.numel() for x in state.values()) == 82_961_664
    assert count(resampler) + pairs == 423_748_864  # 847 MB at two bytes: the file has 848
    assert ENTRIES["plus-face"].parameters == 423_748_864 + count(encoder)
    assert encoder.config.hidden_size == resampler.proj_in.in_features


def test_instantid_and_its_net(unet):
    """What the converter asks of the pickle: 51 + 140 tensors, 1.69 GB in float32 as the file is told to have."""
    with torch.device("meta"):
        state = {f"image_proj.{k}": torch.empty(s) for k, s in resampler_shapes().items()}
        pairs = {f"ip_adapter.{k}": torch.empty(s) for k, s in attention_shapes().items()}
        net = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    resampler = resampler_of(state, Path("instantid"))
    assert (len(state), len(pairs)) == (51, 140)
    assert (resampler.proj_in.in_features, resampler.latents.shape[1]) == (512, 16)
    assert count(resampler) == sum(x.numel() for x in state.values()) == 81_978_624
    keys, values = by_site({**state, **pairs}, unet, Path("instantid"))
    assert len(keys) == len(values) == 70
    total = count(resampler) + sum(x.numel() for x in pairs.values())
    assert total == ENTRIES["instantid"].parameters
    assert round(ENTRIES["instantid"].size / 1e9, 2) == 1.69
    assert count(net) == ENTRIES["instantid-net"].parameters
    assert round(ENTRIES["instantid-net"].size / 1e9, 1) == 2.5
    assert net.config.cross_attention_dim == resampler.proj_out.out_features


def test_what_measures():
    """CLIP with ViT-B/32 and ViT-L/14."""
    large = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}
    large |= {"num_attention_heads": 16, "patch_size": 14}
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    with torch.device("meta"):
        models = {
            "clip": CLIPModel(CLIPConfig()),
            "clip-l14": CLIPModel(
                CLIPConfig(text_config=text, vision_config=large, projection_dim=768)
            ),
        }
    for name, model in models.items():
        assert count(model) == ENTRIES[name].parameters


def test_the_segmenters():
    """Grounding DINO with Swin-B, SAM with ViT-H, and CLIPSeg, as the table has them."""
    with torch.device("meta"):
        detector = GroundingDinoForObjectDetection(grounding_dino_config())
        sam = SamModel(sam_config())
        clipseg = CLIPSegForImageSegmentation(
            CLIPSegConfig(use_complex_transposed_convolution=True, reduce_dim=64)
        )
    assert count(detector) == ENTRIES["grounding-dino"].parameters
    assert detector.config.max_text_len == 256
    assert count(sam) == ENTRIES["sam"].parameters == 641_090_864
    assert count(clipseg) == ENTRIES["clipseg"].parameters == 152_504_162
