"""Sizes of the full-size networks, as their published configurations have them.

Whoever builds a network from these numbers gets its true shapes (and random weights, or none on the
``meta`` device). What is opened reads its sizes from its own files.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

from ..libraries import AutoencoderKL, UNet2DConditionModel

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig, SamConfig

_PUBLISHED: dict[str, dict[str, Any]] = tomllib.loads(
    (resources.files("identitystory") / "data" / "networks.toml").read_text(encoding="utf-8")
)
SDXL_UNET, SDXL_VAE = _PUBLISHED["sdxl_unet"], _PUBLISHED["sdxl_vae"]
SDXL_TEXT, SDXL_TEXT_2 = _PUBLISHED["sdxl_text"], _PUBLISHED["sdxl_text_2"]
SDXL_SCHEDULE = _PUBLISHED["sdxl_schedule"]
CLIP_VIT_L, SWIN_B, SAM_VIT_H = (_PUBLISHED[name] for name in ("clip_vit_l", "swin_b", "sam_vit_h"))
PHOTOMAKER_WIDTHS = (SDXL_TEXT["hidden_size"], SDXL_TEXT_2["hidden_size"])


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
