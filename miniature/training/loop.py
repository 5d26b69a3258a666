"""The training loop that every stage shares: a time budget, a schedule, an average, a checkpoint.

``for fraction in run: ...; run.update(loss)``. The budget is training time, not wall time: it is
stored with the checkpoint, so a stage that was broken off goes on where it stood.

Several processes may train one model (``spawn``): each computes its own batches on one core, the
gradients are averaged. On a CPU that is far faster than one process with as many threads.
"""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from identitystory.models.device import resolve_dtype

from ..paths import BUILD
from .muon import all_summed

CHECKPOINTS = BUILD / "checkpoints"
CPU = torch.device("cpu")
DEVICE = torch.device("cuda") if torch.cuda.is_available() else CPU


def mixed(device: torch.device = DEVICE) -> torch.autocast:
    """bfloat16 where ``device``, the one that trains, multiplies it; where it does not, nothing.

    A CPU without such instructions takes about seventy times as long for it as for float32.
    """
    pays = resolve_dtype("auto", device) != torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=pays)


def moved(*tensors: Tensor) -> tuple[Tensor, ...]:
    """``tensors`` on the device that trains."""
    return tuple(x.to(DEVICE) for x in tensors)


def spawn(processes: int) -> int:
    """Run this command in ``processes`` single-threaded processes that train together.

    Returns the rank of a process that was so started; the caller of the others never returns. With
    an accelerator this process trains alone.
    """
    if DEVICE.type != "cpu":
        return 0
    if "MINIATURE_RANK" in os.environ:
        rank, world = (int(os.environ[f"MINIATURE_{k}"]) for k in ("RANK", "WORLD"))
        torch.set_num_threads(1)
        dist.init_process_group(
            "gloo", init_method=f"file://{_meeting()}", rank=rank, world_size=world
        )
        return rank
    _meeting().unlink(missing_ok=True)
    command = [sys.executable, *sys.orig_argv[1:]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MINIATURE_WORLD": str(processes)}
    # Otherwise glibc gives each step's memory back, and the system clears it anew: a tenth of the time.
    environment |= {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
    children = [
        subprocess.Popen(command, env={**environment, "MINIATURE_RANK": str(rank)})
        for rank in range(processes)
    ]
    raise SystemExit(max(child.wait() for child in children))


def _meeting() -> Path:
    BUILD.mkdir(exist_ok=True)
    return BUILD / "meeting"


class Run:
    """One stage of training.

    Args:
        name: of the checkpoint, ``build/checkpoints/NAME.pt``.
        model: what is trained.
        optimizers: their learning rates follow warm-up, constant, cosine to zero.
        minutes: budget of training time.
        ema: decay of the average of the weights, 0 for none.
    """

    def __init__(
        self, name: str, model: nn.Module, optimizers: list[torch.optim.Optimizer], *,
        minutes: float, ema: float = 0.0, warmup: int = 50, decay_from: float = 0.5,
        clip: float = 1.0,
    ):  # fmt: skip
        self.name, self.model, self.optimizers = name, model.to(DEVICE), optimizers
        self.budget, self.decay, self.warmup = 60 * minutes, ema, warmup
        self.decay_from, self.clip = decay_from, clip
        self.average = copy.deepcopy(model).eval().requires_grad_(False) if ema else model
        self.spent, self.step, self.means = 0.0, 0, {}
        self.rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
        self.path = CHECKPOINTS / f"{name}.pt"
        self.together = dist.is_initialized()
        self.rank = dist.get_rank() if self.together else 0
        if self.path.exists():
            self._load()
        elif self.together:
            for p in model.parameters():
                dist.broadcast(p.data, 0)
            self.average.load_state_dict(model.state_dict())

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True, map_location=DEVICE)
        self.model.load_state_dict(state["model"])
        if self.decay:
            self.average.load_state_dict(state.get("average", state["model"]))
        if "optimizers" in state:  # an unpacked checkpoint has none
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        self.spent, self.step = state["spent"], state["step"]

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; the first process does."""
        if self.rank:
            return
        CHECKPOINTS.mkdir(parents=True, exist_ok=True)
        state = dict(
            model=self.model.state_dict(), spent=self.spent, step=self.step,
            optimizers=[o.state_dict() for o in self.optimizers],
        )  # fmt: skip
        if self.decay:
            state["average"] = self.average.state_dict()
        partial = self.path.with_suffix(".part")
        torch.save(state, partial)
        partial.rename(self.path)

    def __iter__(self) -> Iterator[float]:
        saved = time.time()
        while self.spent < self.budget:
            began = time.time()
            fraction = self.spent / self.budget
            late = max(0.0, (fraction - self.decay_from) / (1 - self.decay_from))
            scale = min(1.0, (self.step + 1) / self.warmup) * (0.5 + 0.5 * math.cos(math.pi * late))
            for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * scale + 1e-7
            yield fraction
            self.spent = self._agreed(self.spent + time.time() - began)
            if self.step % 50 == 0 and not self.rank:
                text = " ".join(f"{k} {v:.4f}" for k, v in self.means.items())
                print(f"{self.name} {self.step} {self.spent / 60:.1f} min {text}", flush=True)
            if time.time() - saved > 240:
                self.save()
                saved = time.time()
        self.save()

    def _agreed(self, value: float) -> float:
        """The first process's value."""
        if self.together:
            shared = torch.tensor([value], dtype=torch.float64)
            dist.broadcast(shared, 0)
            return float(shared)
        return value

    def _average_gradients(self) -> None:
        grads = [p.grad for p in self.model.parameters() if p.grad is not None]
        for g, total in zip(grads, all_summed(grads), strict=True):
            torch.div(total, dist.get_world_size(), out=g)

    def update(self, loss: Tensor, **shown: float) -> None:
        """Step down the gradient of ``loss``."""
        loss.backward()
        if self.together:
            self._average_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        if torch.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.step()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.decay:
            decay = min(self.decay, (1 + self.step) / (10 + self.step))
            ours = list(self.model.parameters())
            torch._foreach_lerp_(list(self.average.parameters()), ours, 1 - decay)
        for name, value in {"loss": float(loss.detach()), **shown}.items():
            self.means[name] = 0.98 * self.means.get(name, value) + 0.02 * value


def trained(name: str) -> bool:
    """Whether a stage has a checkpoint."""
    return (CHECKPOINTS / f"{name}.pt").exists()


def load_trained(name: str, model: nn.Module) -> nn.Module:
    """``model`` with the (averaged) weights of a stage's checkpoint, for use, on the processor."""
    path: Path = CHECKPOINTS / f"{name}.pt"
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state.get("average", state["model"]))
    return model.eval().requires_grad_(False)
