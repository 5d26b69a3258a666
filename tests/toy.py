"""A complete checkpoint with random weights, small enough to be made in a second.

The layout is the real one (SDXL's folder, ``photomaker.safetensors``, ``segmenter/``), so every
line that opens SDXL runs on it. Import ``toy_checkpoint`` from here and ask for the fixture ``toy``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertTokenizer,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    SwinConfig,
)

from identitystory.models.sdxl.family import (
    FACE_FILES,
    FACES,
    IDENTITY_NET,
    INSTANTID_FILE,
    PLUS_FACE_ENCODER,
    PLUS_FACE_FILE,
)
from identitystory.models.sdxl.identity_encoder import IdentityEncoder
from miniature.stages.tokenizer import write_clip_tokenizer

WIDTHS = (32, 64)  # of the two text encoders
SIZE = 64  # pixels
TEXTS = (
    "a middle-aged woman with dark curly hair reads a letter on the pier at dawn",
    "an old man with a grey beard and a young boy in a red coat walk through the snow",
    "a photo of a girl, watercolour, the lighthouse keeper's daughter by the sea",
)


def _text_config(width: int, vocab: int, *, hidden_act: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=vocab,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=width,
        hidden_act=hidden_act,
        bos_token_id=vocab - 2,
        eos_token_id=vocab - 1,
        pad_token_id=0,
        initializer_range=0.2,
    )


def make_toy_pipeline(
    folder: Path, *, prediction_type: str = "epsilon"
) -> StableDiffusionXLPipeline:
    """The SDXL half, still in memory; its tokenizers are written to ``folder``."""
    vocab = write_clip_tokenizer(folder / "tokenizer", TEXTS, vocab_size=640)
    vocab_2 = write_clip_tokenizer(folder / "tokenizer_2", TEXTS, vocab_size=600, pad_token="!")
    unet = UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=8,
        out_channels=8,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        cross_attention_dim=sum(WIDTHS),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 8,
    )
    vae = AutoencoderKL(
        latent_channels=8,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=SIZE,
        scaling_factor=0.6,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    return StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(_text_config(WIDTHS[0], vocab, hidden_act="quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(
            _text_config(WIDTHS[1], vocab_2, hidden_act="gelu")
        ),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=CLIPTokenizer.from_pretrained(folder / "tokenizer_2"),
        unet=unet,
        scheduler=scheduler,
        add_watermarker=False,
    )


def toy_lora(unet: UNet2DConditionModel, rank: int = 2) -> dict[str, torch.Tensor]:
    """A random LoRA on every attention projection, keyed as peft does, ``unet.`` in front."""
    state = {}
    for name, module in unet.named_modules():
        if name.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            state[f"unet.{name}.lora_A.weight"] = torch.randn(rank, module.in_features) * 0.3
            state[f"unet.{name}.lora_B.weight"] = torch.randn(module.out_features, rank) * 0.3
    return state


def toy_vision_config(width: int) -> CLIPVisionConfig:
    """A CLIP vision tower at toy size: 32 x 32 pixels, 16 patches, projected to ``width``."""
    return CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=1,
        patch_size=8,
        image_size=32,
        projection_dim=width,
        initializer_range=0.2,
    )


def toy_encoder() -> IdentityEncoder:
    """PhotoMaker v1's identity encoder at toy size."""
    return IdentityEncoder(toy_vision_config(WIDTHS[0]), WIDTHS)


def write_toy_segmenter(folder: Path) -> None:
    """CLIPSeg at toy size with its tokenizer and preprocessing."""
    vocab = write_clip_tokenizer(folder, TEXTS, vocab_size=600, max_length=24)
    text = _text_config(32, vocab, hidden_act="quick_gelu").to_dict()
    config = CLIPSegConfig(
        text_config={**text, "max_position_embeddings": 24, "model_type": "clipseg_text_model"},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
            "initializer_range": 0.2,
        },
        projection_dim=16,
        extract_layers=[0, 1, 2],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
    )
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    preprocessor = {
        "size": {"height": 32, "width": 32},
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))


def make_toy_checkpoint(folder: Path, seed: int = 0, *, prediction_type: str = "epsilon") -> Path:
    """Writes the whole checkpoint into ``folder`` and returns it; same seed, same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = make_toy_pipeline(folder, prediction_type=prediction_type)
        pipeline.unet.conv_out.weight.data *= 3  # or the prediction is nearly nothing
        pipeline.save_pretrained(folder)
        tensors = {f"id_encoder.{k}": v for k, v in toy_encoder().state_dict().items()}
        tensors |= {f"lora_weights.{k}": v for k, v in toy_lora(pipeline.unet).items()}
        save_file(tensors, folder / "photomaker.safetensors", metadata={"format": "pt"})
        write_toy_segmenter(folder / "segmenter")
    return folder


@pytest.fixture(scope="session", name="toy")
def toy_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy checkpoint; read only."""
    return make_toy_checkpoint(tmp_path_factory.mktemp("toy"))


def add_toy_ip_adapter(folder: Path, seed: int = 1) -> Path:
    """Puts a random IP-Adapter into a toy checkpoint, in the hub's file format."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                patch_size=8,
                image_size=32,
                projection_dim=24,
                initializer_range=0.2,
            )
        )
        encoder.save_pretrained(folder / "sdxl_models" / "image_encoder")
        width, tokens = sum(WIDTHS), 4
        state = {
            "image_proj.proj.weight": torch.randn(tokens * width, 24),
            "image_proj.proj.bias": torch.randn(tokens * width) * 0.1,
            "image_proj.norm.weight": 1 + torch.randn(width) * 0.1,
            "image_proj.norm.bias": torch.randn(width) * 0.1,
        }
        state |= _looking(unet)
        save_file(state, folder / "sdxl_models" / "ip-adapter_sdxl.safetensors")
    return folder


def _looking(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """Random keys and values of an IP-Adapter."""
    state = {}
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            inner = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for which in "kv":
                key = f"ip_adapter.{number}.to_{which}_ip.weight"
                state[key] = torch.randn(inner, sum(WIDTHS)) * 0.3
    return state


def add_toy_plus_face(folder: Path, seed: int = 5) -> Path:
    """Puts a random IP-Adapter Plus Face into a toy checkpoint, in the hub's file format."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        encoder = CLIPVisionModelWithProjection(toy_vision_config(24))
        encoder.save_pretrained(folder / PLUS_FACE_ENCODER)
        (folder / PLUS_FACE_FILE).parent.mkdir(exist_ok=True)
        state = _resampler(encoder.config.hidden_size) | _looking(unet)
        save_file(state, folder / PLUS_FACE_FILE)
    return folder


def _resampler(seen: int) -> dict[str, torch.Tensor]:
    """A random resampler of rows of ``seen`` numbers, named as IP-Adapters have it.

    Four layers and heads of 64, which diffusers takes for granted; three tokens.
    """
    hidden, inner, width = 40, 64, sum(WIDTHS)
    shapes = {"latents": (1, 3, hidden), "norm_out.weight": (width,), "norm_out.bias": (width,)}
    shapes |= {"proj_in.weight": (hidden, seen), "proj_in.bias": (hidden,)}
    shapes |= {"proj_out.weight": (width, hidden), "proj_out.bias": (width,)}
    for n in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"layers.{n}.{norm}.{kind}": (hidden,) for kind in ("weight", "bias")}
        shapes |= {
            f"layers.{n}.0.to_q.weight": (inner, hidden),
            f"layers.{n}.0.to_kv.weight": (2 * inner, hidden),
            f"layers.{n}.0.to_out.weight": (hidden, inner),
            f"layers.{n}.1.1.weight": (4 * hidden, hidden),
            f"layers.{n}.1.3.weight": (hidden, 4 * hidden),
        }
    return {f"image_proj.{k}": torch.randn(shape) * 0.3 for k, shape in shapes.items()}


ARCFACE = 16  # numbers of the stand-in's embedding


def add_toy_instantid(folder: Path, seed: int = 6) -> Path:
    """Puts a random InstantID into a toy checkpoint, in InstantX/InstantID's layout; faces are a stand-in's.

    See `fake_insightface`, which reads nothing of the two files of the pack.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        save_file(_resampler(ARCFACE) | _looking(unet), folder / INSTANTID_FILE)
    add_toy_control(folder, seed=seed)
    net = ControlNetModel.from_pretrained(folder / "controlnet" / "openpose")
    for layer in net.controlnet_cond_embedding.parameters():
        layer.data *= 2  # so that a few pixels are heard
    net.save_pretrained(folder / IDENTITY_NET)
    shutil.rmtree(folder / "controlnet")
    (folder / FACES).mkdir()
    for file in FACE_FILES:
        (folder / FACES / file).write_bytes(file.encode())
    return folder


def fake_insightface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for insightface with its interface; a face is whatever is not black.

    Each of the 4 x 4 parts of its box gives a number; the points lie where those of an upright face do.
    """

    class Analysis:
        def __init__(self, name: str, **_: object) -> None:
            assert all((Path(name) / file).is_file() for file in FACE_FILES)

        def prepare(self, **_: object) -> None:
            pass

        def get(self, bgr: np.ndarray) -> list[SimpleNamespace]:
            assert bgr.dtype == np.uint8
            lit = bgr.max(axis=2) > 0
            if not lit.any():
                return []
            rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
            top, bottom = rows[0], rows[-1] + 1
            left, right = columns[0], columns[-1] + 1
            box = Image.fromarray(bgr[top:bottom, left:right]).convert("L")
            numbers = np.asarray(box.resize((4, 4)), dtype=np.float64).flatten() / 64 - 2
            share = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.75], [0.62, 0.75]])
            points = np.array([left, top]) + share * [right - left, bottom - top]
            found = {"bbox": np.array([left, top, right, bottom]), "det_score": 0.9}
            return [SimpleNamespace(**found, kps=points, embedding=numbers)]

    parts = {name: ModuleType(name) for name in ("insightface", "insightface.app", "onnxruntime")}
    parts["insightface.app"].FaceAnalysis = Analysis  # type: ignore[attr-defined]
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, name, part)


def add_toy_control(folder: Path, kind: str = "openpose", seed: int = 3) -> Path:
    """Puts a random control net into a toy checkpoint, in diffusers' own layout; says what it does."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet")
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 16))
        places = [net.controlnet_cond_embedding.conv_out, net.controlnet_mid_block]
        for place in (
            *places,
            *net.controlnet_down_blocks,
        ):  # zeros as they begin: they would say nothing
            torch.nn.init.normal_(place.weight, std=0.3)
        net.save_pretrained(folder / "controlnet" / kind)
    return folder


def write_toy_grounded(folder: Path) -> Path:
    """Grounding DINO and SAM at toy size, in ``folder``/detector and ``folder``/sam."""
    detector, sam = folder / "detector", folder / "sam"
    detector.mkdir(parents=True)
    words = sorted({w.strip(",.'") for text in TEXTS for w in text.replace("-", " ").split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "-", "'"]
    (detector / "vocab.txt").write_text("\n".join(special + words) + "\n")
    tokenizer = BertTokenizer(vocab=str(detector / "vocab.txt"))
    tokenizer.save_pretrained(detector)
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 2],
            window_size=4,
            image_size=64,
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        ),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_n_points=2,
        decoder_n_points=2,
        num_queries=12,
        max_text_len=64,
        init_std=0.3,
    )
    GroundingDinoForObjectDetection(config).save_pretrained(detector)
    size = {"shortest_edge": 96, "longest_edge": 160}
    GroundingDinoImageProcessorPil(size=size).save_pretrained(detector)
    vision = {
        "hidden_size": 16,
        "mlp_dim": 32,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 8,
        "window_size": 4,
        "global_attn_indexes": [1],
        "num_pos_feats": 8,
        "initializer_range": 0.2,
    }
    prompt = {"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16,
        "mlp_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    }
    SamModel(
        SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    ).save_pretrained(sam)
    SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    ).save_pretrained(sam)
    return folder
