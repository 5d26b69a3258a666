"""What is trained beside the finished U-Net: it fits that one and no other.

Such a stage's model has a buffer ``beside`` that remembers the U-Net; its checkpoint is refused, or
begun anew, when another U-Net is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ..paths import TARGET
from ..pictures.dataset import add_training_options, open_sets
from ..pictures.training_set import prepare
from .loop import CHECKPOINTS, load_trained, spawn, trained


def fingerprint() -> float:
    """The U-Net's steps, which tell one from the next."""
    state = torch.load(CHECKPOINTS / "unet.pt", weights_only=True, mmap=True)
    return float(state["step"])


def fits(name: str) -> bool:
    """Whether the stage's checkpoint was trained beside the U-Net that is there."""
    state = torch.load(CHECKPOINTS / f"{name}.pt", weights_only=True, mmap=True)
    return float(state["model"]["beside"]) == fingerprint()


def load_fitting(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    """The trained model of a stage; ``make`` builds it.

    Raises:
        SystemExit: it was trained beside another U-Net than the one that is there.
    """
    if not fits(name):
        raise SystemExit(f"{name} was trained beside another U-Net: python -m miniature.{name}")
    return load_trained(name, make())


def command(
    name: str,
    description: str | None,
    train: Callable[..., None],
    pack: Callable[[Path], None] | None = None,
    *,
    minutes: float,
) -> None:
    """The command line of such a stage: train, or only write the files where it has its own."""
    parser = argparse.ArgumentParser(description=description)
    add_training_options(parser, minutes=minutes)
    if pack:
        parser.add_argument(
            "--pack", type=Path, nargs="?", const=TARGET, help="only write the files"
        )
    options = parser.parse_args()
    if pack and options.pack:
        pack(options.pack)
        return
    sets = open_sets(options)
    if trained(name) and not fits(name):
        (CHECKPOINTS / f"{name}.pt").unlink()
    spawn(options.threads)
    train(options.minutes, prepare(*sets), batch=options.batch)
