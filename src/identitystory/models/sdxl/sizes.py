"""Sizes of the full-size networks, as their published configurations have them.

Nothing here opens a file: whoever builds a network from these numbers gets its true shapes (and
random weights, or none on the ``meta`` device). What is opened reads its sizes from its own files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..libraries import AutoencoderKL, UNet2DConditionModel

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig, SamConfig

SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
SDXL_VAE: dict[str, Any] = {
    "latent_channels": 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
}
SDXL_TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
SDXL_TEXT_2: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
CLIP_VIT_L: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
    "projection_dim": 768,
}
PHOTOMAKER_WIDTHS = (768, 1280)
SWIN_B: dict[str, Any] = {
    "embed_dim": 128,
    "depths": [2, 2, 18, 2],
    "num_heads": [4, 8, 16, 32],
    "window_size": 12,
    "image_size": 384,
    "out_indices": [2, 3, 4],
}
SAM_VIT_H: dict[str, Any] = {
    "hidden_size": 1280,
    "mlp_dim": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "global_attn_indexes": [7, 15, 23, 31],
}


def sdxl_unet() -> UNet2DConditionModel:
    """SDXL base 1.0's U-Net, untrained, on torch's default device and in its default dtype."""
    return UNet2DConditionModel(**SDXL_UNET)


def sdxl_vae() -> AutoencoderKL:
    """SDXL's autoencoder, untrained; half precision is let be, for it has no trained weights."""
    return AutoencoderKL(**SDXL_VAE, force_upcast=False)


def grounding_dino_config() -> GroundingDinoConfig:
    """Grounding DINO base, the one with Swin-B."""
    from transformers import GroundingDinoConfig, SwinConfig

    return GroundingDinoConfig(backbone_config=SwinConfig(**SWIN_B))


def sam_config() -> SamConfig:
    """SAM with ViT-H."""
    from transformers import SamConfig

    return SamConfig(vision_config=SAM_VIT_H)
