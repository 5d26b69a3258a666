"""Which device and which number format a checkpoint runs in."""

from __future__ import annotations

import torch

from ..errors import ConfigError


def resolve_device(device: str) -> torch.device:
    """``device``, with ``auto`` the best there is: CUDA, then Apple's, then the CPU.

    Raises:
        ConfigError: there is no such device.
    """
    if device == "auto":
        found = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else found)
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device is {device!r}; auto, cpu, cuda, cuda:N or mps") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {device!r}, but this machine has no CUDA; use auto or cpu")
    return chosen


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """``dtype``, with ``auto`` the fastest that is safe on ``device``.

    bfloat16 where the hardware multiplies it (CUDA from Ampere, CPUs with AMX or AVX512-BF16),
    float16 on other accelerators, float32 on other CPUs.

    Raises:
        ConfigError: another name than auto, float32, float16 or bfloat16.
    """
    names = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if dtype in names:
        return names[dtype]
    if dtype != "auto":
        raise ConfigError(f"dtype is {dtype!r}; auto, {', '.join(names)}")
    if device.type == "cpu":
        return torch.bfloat16 if _multiplies_bfloat16() else torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return torch.bfloat16
    return torch.float16


def _multiplies_bfloat16() -> bool:
    """Whether this CPU has matrix instructions for bfloat16; False where torch cannot say."""
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
