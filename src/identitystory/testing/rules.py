"""What the checks have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor

NEAR = 0.02  # of the norm: pictures of a batch may differ in last bits from those painted alone


class ContractError(AssertionError):
    """A part does not keep its contract; the message is ``rule: what was seen instead``."""


def rule(name: str, kept: bool, otherwise: str) -> None:
    """Raises ContractError unless the rule is kept."""
    if not kept:
        raise ContractError(f"{name}: {otherwise}")


def refuses(name: str, kind: type[Exception], call: Callable[[], Any], what: str) -> None:
    """Raises ContractError unless ``call`` raises ``kind``."""
    try:
        call()
    except kind:
        return
    except Exception as error:
        raise ContractError(
            f"{name}: {what} raises {type(error).__name__}, not {kind.__name__}"
        ) from error
    raise ContractError(f"{name}: {what} is not refused; raise {kind.__name__}")


def near(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors differ in last bits at most."""
    return a.shape == b.shape and bool((a - b).norm() <= NEAR * (1e-6 + b.norm()))


def closer(a: Tensor, b: Tensor, than: Tensor) -> bool:
    """Whether ``a`` is much nearer to ``b`` than to another."""
    return bool((a - b).norm() <= 0.1 * (a - than).norm())


def drawn(width: int, height: int, seed: int = 0) -> Image.Image:
    """An RGB picture that is a function of its seed: four colours, a little noise."""
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(1, 3, 2, 2, generator=rng)
    smooth = torch.nn.functional.interpolate(corners, (height, width), mode="bilinear")[0]
    pixels = (smooth + 0.1 * torch.rand(3, height, width, generator=rng)).clamp(0, 1)
    return Image.fromarray((pixels * 255).byte().permute(1, 2, 0).contiguous().numpy())
