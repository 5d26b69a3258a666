"""What is trained beside the finished U-Net: it fits that one and no other.

Such a stage's model has a buffer ``beside`` that remembers the U-Net and the other networks that it
learned beside; its checkpoint is begun anew when one of them was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import nn

from .. import paths
from .loop import load_trained, put_aside, trained

UNDER = {  # beside the U-Net and its encoders
    "identity_lora": ("tower",),
    "ip_adapter": ("tower",),
    "few_steps": ("tower", "identity_lora"),
}


def steps_of(name: str) -> int:
    """How long a stage was trained, which tells one state of it from the next; its cooled copy's where
    there is one, -1 where there is none at all."""
    name = f"{name}_cool" if trained(f"{name}_cool") else name
    if not trained(name):
        return -1
    return int(torch.load(paths.checkpoint(name), weights_only=True, mmap=True)["step"])


def fingerprint(name: str, steps: Callable[[str], int] = steps_of) -> float:
    """Below 0: what the stage ``name`` is trained beside, as a buffer of one float32 holds it; ``steps``
    tells how long each of these was trained."""
    under = ("text", "vae", "unet", *UNDER.get(name, ()))
    seen = repr([(stage, steps(stage)) for stage in under]).encode()
    return -1.0 - int(hashlib.sha256(seen).hexdigest()[:6], 16)


def fits(name: str) -> bool:
    """Whether the stage has a checkpoint that was trained beside the networks that are there.

    Once the U-Net's steps alone were remembered; such a checkpoint fits that U-Net.
    """
    if not trained(name):
        return False
    state = torch.load(paths.checkpoint(name), weights_only=True, mmap=True)
    return float(state["model"]["beside"]) in (fingerprint(name), float(steps_of("unet")))


def begin_anew_unless_fitting(name: str) -> None:
    """Put aside a checkpoint that was trained beside other networks."""
    if trained(name) and not fits(name):
        put_aside(name)


def load_fitting(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """The trained model of a stage; ``make`` builds it.

    Raises:
        SystemExit: it was trained beside another U-Net, or another encoder, than is there.
    """
    if not fits(name):
        raise SystemExit(f"{name} was trained beside another U-Net or encoder; train it again")
    return load_trained(name, make())
