"""The training loop that every stage shares: a time budget, a schedule, an average, a checkpoint.

``for fraction in run: ...; run.update(loss)``. The budget is a core's training time, whatever else runs
beside it: it is stored with the checkpoint, so a stage that was broken off goes on where it stood. One
whose checkpoint says ``finished`` is left as it is.
Checkpoints are written every 90 seconds.

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

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .. import paths
from ..package import resolve_dtype
from .muon import all_summed

CPU = torch.device("cpu")
DEVICE = torch.device("cuda") if torch.cuda.is_available() else CPU
SAVE_EVERY, TELL_EVERY = 90, 30  # seconds
# Otherwise glibc gives each step's memory back, and the system clears it anew: a tenth of the time.
MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**30)}


def mixed(device: torch.device = DEVICE) -> torch.autocast:
    """bfloat16 where ``device``, the one that trains, multiplies it; where it does not, nothing.

    Measured on a core with avx512_bf16: a step of the autoencoder .71 s instead of 1.24, of the
    U-Net 2.1 s instead of 4.0. A CPU without takes about seventy times as long for it.
    """
    pays = resolve_dtype("auto", device) != torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=pays)


def moved(*tensors: Tensor) -> tuple[Tensor, ...]:
    """``tensors`` on the device that trains."""
    return tuple(x.to(DEVICE) for x in tensors)


def spawn(processes: int) -> int:
    """Run this command in ``processes`` single-threaded processes that train together.

    Returns the rank of a process that was so started; the caller of the others never returns.
    With one process, or an accelerator, this one trains alone.
    """
    torch.set_num_threads(1 if DEVICE.type == "cpu" else torch.get_num_threads())
    if "MINIATURE_RANK" in os.environ:
        rank, world = (int(os.environ[f"MINIATURE_{k}"]) for k in ("RANK", "WORLD"))
        meeting = f"file://{paths.state() / 'meeting'}"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
        return rank
    if DEVICE.type != "cpu" or processes < 2:
        return 0
    paths.state().mkdir(parents=True, exist_ok=True)
    (paths.state() / "meeting").unlink(missing_ok=True)
    command = [sys.executable, *sys.orig_argv[1:]]
    environment = os.environ | MEMORY | {"OMP_NUM_THREADS": "1", "MINIATURE_WORLD": str(processes)}
    children = [
        subprocess.Popen(command, env=environment | {"MINIATURE_RANK": str(rank)})
        for rank in range(processes)
    ]
    raise SystemExit(max(child.wait() for child in children))


def core_time() -> float:
    """Seconds that this process has computed, of each of its cores; on an accelerator, by the clock."""
    if DEVICE.type != "cpu":
        return time.monotonic()
    return time.process_time() / torch.get_num_threads()


class Run:
    """One stage of training.

    Args:
        name: of the checkpoint.
        model: what is trained.
        optimizers: their rates warm up, stay, and fall as a cosine to zero where they shall.
        minutes: budget of training time.
        steps: at most so many steps at this start, for rehearsals.
        ema: decay of the average of the weights, 0 for none.
        warmup: steps over which the rates rise, at every start anew.
        decay_from: share of the budget after which the rates fall; None for a constant rate.
        start: a stage to begin from where this one has no checkpoint, or one that began from an
            earlier state of it: a copy, its time set back to zero. So a constant-rate checkpoint
            gets a copy that is cooled for packing, and another when it was trained on.
    """

    def __init__(
        self, name: str, model: nn.Module, optimizers: list[torch.optim.Optimizer], *,
        minutes: float, steps: int | None = None, ema: float = 0.0, warmup: int = 50,
        decay_from: float | None = 0.5, clip: float = 1.0, start: str | None = None,
    ):  # fmt: skip
        self.name, self.model, self.optimizers = name, model.to(DEVICE), optimizers
        self.budget, self.limit, self.decay = 60 * minutes, steps, ema
        self.warmup, self.decay_from, self.clip = warmup, decay_from, clip
        self.average = copy.deepcopy(model).eval().requires_grad_(False) if ema else model
        self.spent, self.step, self.began, self.means = 0.0, 0, 0, {}
        self.finished = False
        self.rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
        self.path = paths.checkpoint(name)
        self.together = dist.is_initialized()
        self.rank = dist.get_rank() if self.together else 0
        if start and not self.rank:
            put_aside_unless_of(name, start)
        if start and self.together:
            dist.barrier()
        if self.path.exists():
            self._load(name)
        elif start and trained(start):
            self._load(start)
            self.spent, self.began, self.finished = 0.0, self.step, False
        elif self.together:
            for p in model.parameters():
                dist.broadcast(p.data, 0)
            self.average.load_state_dict(model.state_dict())
        self.first = self.step

    def _load(self, name: str) -> None:
        state = torch.load(paths.checkpoint(name), weights_only=True, map_location=DEVICE)
        self.model.load_state_dict(state["model"])
        if self.decay:
            self.average.load_state_dict(state.get("average", state["model"]))
        if "optimizers" in state:  # an unpacked checkpoint has none
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        self.spent, self.step = state["spent"], state["step"]
        self.began, self.finished = state.get("began", 0), state.get("finished", False)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; the first process does."""
        if self.rank:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = dict(
            model=self.model.state_dict(), spent=self.spent, step=self.step, began=self.began,
            optimizers=[o.state_dict() for o in self.optimizers],
        )  # fmt: skip
        if self.decay:
            state["average"] = self.average.state_dict()
        partial = self.path.with_suffix(".part")
        torch.save(state, partial)
        partial.rename(self.path)

    def scale(self, fraction: float) -> float:
        """What the rates are multiplied by when this share of the budget is spent."""
        warm = min(1.0, (self.step - self.first + 1) / self.warmup)
        if self.decay_from is None:
            return warm
        late = max(0.0, (fraction - self.decay_from) / (1 - self.decay_from))
        return warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, late)))

    def __iter__(self) -> Iterator[float]:
        if self.finished:
            if not self.rank:
                print(
                    f"{self.name} stays as it was unpacked, for what was trained on it would not fit "
                    f"another; delete {self.path} to train it anew",
                    flush=True,
                )
            return
        saved = told = time.time()
        while self.spent < self.budget and not self._enough():
            began = core_time()
            fraction = self.spent / self.budget
            if self.limit is not None:
                fraction = max(fraction, (self.step - self.first) / self.limit)
            for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * self.scale(fraction) + 1e-8
            yield fraction
            self.spent = self._agreed(self.spent + core_time() - began)
            if time.time() - told > TELL_EVERY and not self.rank:
                self._tell()
                told = time.time()
            if time.time() - saved > SAVE_EVERY:
                self.save()
                saved = time.time()
        if not self.rank:
            self._tell()
        self.save()

    def _enough(self) -> bool:
        return self.limit is not None and self.step - self.first >= self.limit

    def _tell(self) -> None:
        text = " ".join(f"{k} {v:.4f}" for k, v in self.means.items())
        clock = time.strftime("%H:%M:%S")
        print(f"{clock} {self.name} {self.step} {self.spent / 60:.1f} min {text}", flush=True)

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

    def update(self, loss: Tensor, **shown: float | Tensor) -> None:
        """Step down the gradient of ``loss``; ``shown`` is told beside it."""
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
            for mean, now in zip(self.average.buffers(), self.model.buffers(), strict=True):
                mean.copy_(now)
        for name, value in {"loss": loss, **shown}.items():
            value = float(value.detach()) if isinstance(value, Tensor) else value
            self.means[name] = 0.98 * self.means.get(name, value) + 0.02 * value


def trained(name: str) -> bool:
    """Whether a stage has a checkpoint."""
    return paths.checkpoint(name).exists()


def put_aside(name: str) -> None:
    """Rename a stage's checkpoint, so that the stage begins anew."""
    paths.checkpoint(name).rename(paths.checkpoint(f"{name}_old"))


def put_aside_unless_of(name: str, start: str) -> None:
    """Put aside a checkpoint that began from fewer steps of ``start`` than that has by now.

    One from before these were stored is put aside where ``start`` has more steps than itself.
    """
    if trained(name) and trained(start):
        own, other = (
            torch.load(paths.checkpoint(n), weights_only=True, mmap=True) for n in (name, start)
        )
        if other["step"] > own.get("began", own["step"]):
            print(f"{start} was trained on: {name} begins anew from it", flush=True)
            put_aside(name)


def load_trained(name: str, model: nn.Module) -> nn.Module:
    """``model`` with the (averaged) weights of a stage's checkpoint, for use, on the processor."""
    state = torch.load(paths.checkpoint(name), weights_only=True, map_location="cpu")
    model.load_state_dict(state.get("average", state["model"]))
    return model.eval().requires_grad_(False)
