"""The U-Net compiled by torch, for whoever paints enough to earn back the minutes that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import ConfigError


def compile_unet(unet: Any, backend: str | Callable[..., Any] = "inductor") -> None:
    """Has ``torch.compile`` take over ``unet``'s forward, in place, when it is first called.

    Each new shape (pictures at once, tokens of a prompt, LoRA on or off) is compiled once more. The
    numbers differ from the uncompiled ones in the last bits, so a run keeps the choice in its keys.

    Args:
        unet: any module; its parameters, hooks and attention processors stay its own.
        backend: one of ``torch.compile``'s; ``eager`` traces and compiles nothing.

    Raises:
        ConfigError: at the first call, this machine cannot compile (no C++ compiler, say).
    """
    run = torch.compile(unet.forward, backend=backend)

    def forward(*inputs: Any, **options: Any) -> Any:
        try:
            return run(*inputs, **options)
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = " ".join(str(error).split("\n")[:2]).strip()  # torch's own, then the cause
            raise ConfigError(
                f"torch cannot compile the U-Net on this machine ({reason}); "
                "leave --compile out, or say --no-compile in a folder that has it"
            ) from error

    unet.forward = forward
