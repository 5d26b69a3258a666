"""FreeU (Si et al., 2024) switched on for a while; diffusers computes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...types import Scales


@contextmanager
def freeu(unet: Any, scales: Scales | None) -> Iterator[None]:
    """``unet`` with its first two up blocks scaled by (s1, s2, b1, b2); None leaves it as it is.

    The b's scale half of what comes from below, the s's the low frequencies of what is skipped over.
    """
    if scales is None:
        yield
        return
    unet.enable_freeu(**dict(zip(("s1", "s2", "b1", "b2"), scales, strict=True)))
    try:
        yield
    finally:
        unet.disable_freeu()
