"""What is trained beside the finished U-Net: it fits that one and no other.

Such a stage's model has a buffer ``beside`` that remembers the U-Net; its checkpoint is begun anew
when another U-Net is there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .. import paths
from .loop import load_trained, put_aside, trained


def fingerprint() -> float:
    """The steps of the U-Net that is packed, which tell one from the next."""
    name = "unet_cool" if trained("unet_cool") else "unet"
    state = torch.load(paths.checkpoint(name), weights_only=True, mmap=True)
    return float(state["step"])


def fits(name: str) -> bool:
    """Whether the stage has a checkpoint that was trained beside the U-Net that is there."""
    if not trained(name):
        return False
    state = torch.load(paths.checkpoint(name), weights_only=True, mmap=True)
    return float(state["model"]["beside"]) == fingerprint()


def begin_anew_unless_fitting(name: str) -> None:
    """Put aside a checkpoint that was trained beside another U-Net."""
    if trained(name) and not fits(name):
        put_aside(name)


def load_fitting(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """The trained model of a stage; ``make`` builds it.

    Raises:
        SystemExit: it was trained beside another U-Net than the one that is there.
    """
    if not fits(name):
        raise SystemExit(f"{name} was trained beside another U-Net; train it again")
    return load_trained(name, make())
